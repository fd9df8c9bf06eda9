// arbitrary.h — any text, bytes, number, hash and key, for properties (RapidCheck).
#pragma once

#include <algorithm>
#include <optional>
#include <string>

#include <rapidcheck.h>

#include "identity/identity.h"

namespace phase::arbitrary {

inline void append_utf8(std::string& out, std::uint32_t point) {
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  const auto tail = [&](int shift) {
    put(0x80U | ((point >> static_cast<unsigned>(shift)) & 0x3FU));
  };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0U | (point >> 6U)), tail(0);
  } else if (point < 0x10000) {
    put(0xE0U | (point >> 12U)), tail(6), tail(0);
  } else {
    put(0xF0U | (point >> 18U)), tail(12), tail(6), tail(0);
  }
}

/// Text without NUL, of `least` to about `most` letters of every UTF-8 length.
inline std::string text(std::size_t least, std::size_t most) {
  const auto letters = *rc::gen::inRange<std::size_t>(least, most + 1);
  std::string out;
  for (std::size_t i = 0; i < letters; ++i) {
    append_utf8(out, *rc::gen::oneOf(rc::gen::inRange<std::uint32_t>(1, 0x80),
                                     rc::gen::inRange<std::uint32_t>(0x80, 0x800),
                                     rc::gen::inRange<std::uint32_t>(0x800, 0xD800),
                                     rc::gen::inRange<std::uint32_t>(0x10000, 0x110000)));
  }
  return out;
}

inline Bytes bytes(std::size_t least, std::size_t most) {
  const auto size = *rc::gen::inRange<std::size_t>(least, most + 1);
  return *rc::gen::container<Bytes>(size, rc::gen::arbitrary<std::uint8_t>());
}

template <std::size_t N>
std::array<std::uint8_t, N> array() {
  const Bytes raw = bytes(N, N);
  std::array<std::uint8_t, N> out{};
  std::copy(raw.begin(), raw.end(), out.begin());
  return out;
}
template <typename HashType>
HashType hash() {
  HashType out;
  out.value = array<32>();
  return out;
}

/// Numbers of every encoded width.
inline std::uint64_t number() {
  return *rc::gen::arbitrary<std::uint64_t>() >> *rc::gen::inRange<unsigned>(0, 64);
}
inline std::uint64_t number(std::uint64_t least, std::uint64_t most) {
  return *rc::gen::inRange<std::uint64_t>(least, most + 1);
}
inline bool coin() {
  return *rc::gen::arbitrary<bool>();
}

template <typename Make>
auto maybe(Make&& make) -> std::optional<decltype(make())> {
  if (!coin()) return std::nullopt;
  return make();
}
inline std::optional<std::uint64_t> maybe_number() {
  return maybe([] { return number(); });
}

/// A seed as RapidCheck picks it, so that a failing key can be had again.
inline identity::KeyPair key() {
  return identity::KeyPair::from_seed(bytes(32, 32)).value();
}

}  // namespace phase::arbitrary
