#include "base/random.h"

#include <sodium.h>

#include "base/bytes.h"
#include "base/check.h"

namespace phase {

std::uint64_t Random::below(std::uint64_t bound) {
  PHASE_CHECK(bound > 0);
  // Rejection: values under the threshold would make small results likelier.
  const std::uint64_t threshold = (0 - bound) % bound;
  for (;;) {
    const auto raw = array<8>();
    std::uint64_t value = 0;
    for (const std::uint8_t byte : raw) value = (value << 8U) | byte;
    if (value >= threshold) return value % bound;
  }
}

std::string Random::uuid() {
  auto raw = array<16>();
  raw[6] = static_cast<std::uint8_t>((raw[6] & 0x0FU) | 0x40U);
  raw[8] = static_cast<std::uint8_t>((raw[8] & 0x3FU) | 0x80U);
  std::string text = to_hex(raw);
  for (const std::size_t at : {8U, 13U, 18U, 23U}) text.insert(at, 1, '-');
  return text;
}

std::string Random::letters_and_digits(std::size_t length) {
  constexpr std::string_view kAll =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string out;
  out.reserve(length);
  for (std::size_t i = 0; i < length; ++i) out += kAll[below(kAll.size())];
  return out;
}

SystemRandom::SystemRandom() {
  PHASE_CHECK(sodium_init() >= 0);
}

void SystemRandom::fill(std::span<std::uint8_t> out) {
  randombytes_buf(out.data(), out.size());
}

}  // namespace phase
