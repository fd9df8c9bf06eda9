#include <cstring>

#include "wasi/wasi.h"

// Linear memory is little-endian; so is every machine this is built for.
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

namespace phase::wasi {

std::optional<std::span<std::uint8_t>> Memory::slice(std::uint32_t offset,
                                                     std::uint32_t length) const noexcept {
  if (std::uint64_t{offset} + length > bytes_.size()) return std::nullopt;
  return bytes_.subspan(offset, length);
}

std::optional<std::uint32_t> Memory::load_u32(std::uint32_t offset) const noexcept {
  const auto from = slice(offset, sizeof(std::uint32_t));
  if (!from) return std::nullopt;
  std::uint32_t value = 0;
  std::memcpy(&value, from->data(), sizeof value);
  return value;
}

bool Memory::store_u32(std::uint32_t offset, std::uint32_t value) const noexcept {
  const auto to = slice(offset, sizeof value);
  if (to) std::memcpy(to->data(), &value, sizeof value);
  return to.has_value();
}

bool Memory::store_u64(std::uint32_t offset, std::uint64_t value) const noexcept {
  const auto to = slice(offset, sizeof value);
  if (to) std::memcpy(to->data(), &value, sizeof value);
  return to.has_value();
}

}  // namespace phase::wasi
