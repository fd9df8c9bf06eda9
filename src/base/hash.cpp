#include "base/hash.h"

#include <new>

#include <sodium.h>

namespace phase {
namespace {

static_assert(sizeof(crypto_hash_sha256_state) <= 128);
static_assert(alignof(crypto_hash_sha256_state) <= 8);

}  // namespace

Sha256 sha256(ByteView bytes) noexcept {
  Sha256 out;
  crypto_hash_sha256(out.value.data(), bytes.data(), bytes.size());
  return out;
}

Sha256Stream::Sha256Stream() noexcept : state_{} {
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  std::memcpy(state_.data(), &state, sizeof state);
}

Sha256Stream& Sha256Stream::update(ByteView bytes) noexcept {
  crypto_hash_sha256_state state;
  std::memcpy(&state, state_.data(), sizeof state);
  crypto_hash_sha256_update(&state, bytes.data(), bytes.size());
  std::memcpy(state_.data(), &state, sizeof state);
  return *this;
}

Sha256Stream& Sha256Stream::update_u8(std::uint8_t value) noexcept {
  return update({&value, 1});
}

Sha256Stream& Sha256Stream::update_u32(std::uint32_t value) noexcept {
  std::array<std::uint8_t, 4> out{};
  for (std::size_t i = 0; i < 4; ++i) out[i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
  return update(out);
}

Sha256Stream& Sha256Stream::update_u64(std::uint64_t value) noexcept {
  std::array<std::uint8_t, 8> out{};
  for (std::size_t i = 0; i < 8; ++i) out[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
  return update(out);
}

Sha256 Sha256Stream::finish() const noexcept {
  crypto_hash_sha256_state state;
  std::memcpy(&state, state_.data(), sizeof state);
  Sha256 out;
  crypto_hash_sha256_final(&state, out.value.data());
  return out;
}

}  // namespace phase
