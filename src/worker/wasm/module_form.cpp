#include "worker/wasm/module_form.h"

#include <algorithm>
#include <array>
#include <set>
#include <string>

namespace phase::worker {
namespace {

constexpr std::array<std::uint8_t, 8> kMagic = {0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00};
constexpr std::uint8_t kTableSection = 4, kMemorySection = 5, kExportSection = 7, kStartSection = 8;
constexpr std::uint8_t kFunctionExport = 0;
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

void put_u32(Bytes& out, std::size_t value) {
  do {
    const bool more = value >= 0x80;
    out.push_back(static_cast<std::uint8_t>((value & 0x7f) | (more ? 0x80 : 0)));
    value >>= 7;
  } while (value != 0);
}

void put(Bytes& out, ByteView bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

/// A name that none of the `count` exports in `section` has.
Result<std::string> unused_name(ByteView section, std::uint32_t count) {
  std::set<std::string, std::less<>> names;
  for (std::uint32_t i = 0; i < count; i++) {
    PHASE_TRY(const std::uint32_t length, take_u32(section));
    if (length >= section.size()) return malformed();
    names.emplace(as_text(section.first(length)));
    section = section.subspan(length + 1);  // and the kind
    PHASE_TRY_VOID(take_u32(section));
  }
  std::uint32_t number = 0;
  while (names.contains("start " + std::to_string(number))) number++;
  return "start " + std::to_string(number);
}

/// A section of exports, which has `count` of them, with `function` as one more at its end.
Result<Bytes> with_export(ByteView section, std::uint32_t count, std::uint32_t function) {
  PHASE_TRY(const std::string name, unused_name(section, count));
  Bytes body;
  put_u32(body, std::size_t{count} + 1);
  put(body, section);
  put_u32(body, name.size());
  put(body, as_bytes(name));
  body.push_back(kFunctionExport);
  put_u32(body, function);
  Bytes out = {kExportSection};
  put_u32(out, body.size());
  put(out, body);
  return out;
}

}  // namespace

Result<Bytes> start_as_export(ByteView module) {
  PHASE_TRY(const ModuleForm form, decode_form(module));
  if (!form.start) return fail(Code::invalid_argument, "the module has no start function");
  Bytes out = to_bytes(module.first(kMagic.size()));
  ByteView rest = module.subspan(kMagic.size());
  bool exported = false;
  while (!rest.empty()) {
    const ByteView whole = rest;
    const std::uint8_t id = rest[0];
    rest = rest.subspan(1);
    PHASE_TRY(const std::uint32_t bytes, take_u32(rest));
    ByteView section = rest.first(bytes);
    rest = rest.subspan(bytes);
    if (id == kExportSection) {
      PHASE_TRY(const std::uint32_t count, take_u32(section));
      PHASE_TRY(const Bytes exports, with_export(section, count, *form.start));
      put(out, exports);
      exported = true;
    } else if (id == kStartSection) {
      PHASE_TRY(const Bytes exports, with_export({}, 0, *form.start));
      if (!exported) put(out, exports);  // here is where they would have stood
    } else {
      put(out, whole.first(whole.size() - rest.size()));
    }
  }
  return out;
}

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
    ByteView section = rest.first(bytes);
    if (id == kExportSection) {
      PHASE_TRY(form.exports, take_u32(section));
    } else if (id == kStartSection) {
      PHASE_TRY(form.start, take_u32(section));
    }
    rest = rest.subspan(bytes);
  }
  return form;
}

}  // namespace phase::worker
