#include "worker/wasm/module_form.h"

#include <algorithm>
#include <array>

namespace phase::worker {
namespace {

constexpr std::array<std::uint8_t, 8> kMagic = {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00};
constexpr std::uint8_t kTableSection = 4, kMemorySection = 5;
constexpr std::uint64_t kPageBytes = 65536;
constexpr std::uint8_t kHasMaximum = 0x01, kShared = 0x02;

tl::unexpected<Error> malformed() {
  return fail(Code::malformed, "the module's sections are broken");
}

// LEB128 of at most 32 bits.
Result<std::uint32_t> take_u32(ByteView& from) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    if (from.empty()) return malformed();
    const std::uint8_t byte = from[0];
    from = from.subspan(1);
    value |= std::uint64_t{byte & 0x7fU} << shift;
    if ((byte & 0x80) == 0) {
      if (value > UINT32_MAX) return malformed();
      return static_cast<std::uint32_t>(value);
    }
  }
  return malformed();
}

Result<std::uint32_t> take_limits_minimum(ByteView& from) {
  if (from.empty() || (from[0] & ~(kHasMaximum | kShared)) != 0) return malformed();
  const bool has_maximum = (from[0] & kHasMaximum) != 0;
  from = from.subspan(1);
  PHASE_TRY(const std::uint32_t minimum, take_u32(from));
  if (has_maximum) PHASE_TRY_VOID(take_u32(from));
  return minimum;
}

Result<void> take_memories(ByteView section, ModuleForm& form) {
  PHASE_TRY(const std::uint32_t count, take_u32(section));
  for (std::uint32_t i = 0; i < count; i++) {
    PHASE_TRY(const std::uint32_t pages, take_limits_minimum(section));
    form.memory_bytes_min += pages * kPageBytes;
  }
  form.memories += count;
  return {};
}

Result<void> take_tables(ByteView section, ModuleForm& form) {
  PHASE_TRY(const std::uint32_t count, take_u32(section));
  for (std::uint32_t i = 0; i < count; i++) {
    if (section.empty()) return malformed();
    section = section.subspan(1);  // element type: one byte with the features we enable
    PHASE_TRY(const std::uint32_t minimum, take_limits_minimum(section));
    form.table_elements_min += minimum;
  }
  form.tables += count;
  return {};
}

}  // namespace

Result<ModuleForm> decode_form(ByteView module) {
  if (module.size() < kMagic.size() || !std::equal(kMagic.begin(), kMagic.end(), module.begin())) {
    return malformed();
  }
  ModuleForm form;
  ByteView rest = module.subspan(kMagic.size());
  while (!rest.empty()) {
    const std::uint8_t id = rest[0];
    rest = rest.subspan(1);
    PHASE_TRY(const std::uint32_t bytes, take_u32(rest));
    if (bytes > rest.size()) return malformed();
    if (id == kMemorySection) PHASE_TRY_VOID(take_memories(rest.first(bytes), form));
    if (id == kTableSection) PHASE_TRY_VOID(take_tables(rest.first(bytes), form));
    rest = rest.subspan(bytes);
  }
  return form;
}

}  // namespace phase::worker
