#include <array>

#include "proof/reference/reader_internal.h"

namespace phase::reference {
namespace {

/// §5.5.2: ids of sections, and the order they must have.
enum SectionId : std::uint8_t {
  kCustom = 0,
  kType = 1,
  kImport = 2,
  kFunction = 3,
  kTable = 4,
  kMemory = 5,
  kGlobal = 6,
  kExport = 7,
  kStart = 8,
  kElement = 9,
  kCode = 10,
  kData = 11,
  kDataCount = 12,
};
constexpr std::array<int, 13> kOrder = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 10};

class Decoder {
 public:
  explicit Decoder(ByteView bytes) : in_(bytes) {}

  Result<Module> module() {
    if (in_.fixed(4) != 0x6D736100) in_.malformed("magic header not detected");
    if (in_.fixed(4) != 1) in_.malformed("unknown binary version");
    int last = 0;
    while (!in_.at_end()) {
      const std::uint8_t id = in_.byte();
      const std::uint32_t length = in_.u32();
      const std::size_t at = in_.position();
      Reader section(in_.bytes(length), at);
      if (in_.failed()) break;
      if (id >= kOrder.size()) {
        in_.malformed("malformed section id");
        break;
      }
      if (id != kCustom) {
        if (kOrder.at(id) <= last) {
          in_.malformed("unexpected content after last section");
          break;
        }
        last = kOrder.at(id);
      }
      read(static_cast<SectionId>(id), section);
      if (!section.failed() && !section.at_end()) section.malformed("section size mismatch");
      PHASE_TRY_VOID(section.done());
    }
    PHASE_TRY_VOID(in_.done());
    return whole();
  }

 private:
  Result<Module> whole() {
    if (out_.functions.size() != bodies_) {
      in_.malformed("function and code section have inconsistent lengths");
    }
    if (out_.data_count ? *out_.data_count != out_.data.size() : false) {
      in_.malformed("data count and data section have inconsistent lengths");
    }
    PHASE_TRY_VOID(in_.done());
    return std::move(out_);
  }

  void read(SectionId id, Reader& in) {
    switch (id) {
      case kCustom: {
        in.name();
        in.bytes(in.failed() ? 0 : in.left());
        return;
      }
      case kType:
        return each(in, kTypesMax, "types", [&] { type(in); });
      case kImport:
        return each(in, kImportsMax, "imports", [&] { import(in); });
      case kFunction:
        return each(in, kFunctionsMax, "functions",
                    [&] { out_.functions.push_back({in.u32(), {}, {}, 0}); });
      case kTable:
        return each(in, kTablesMax, "tables", [&] { out_.tables.push_back(table(in)); });
      case kMemory:
        return each(in, kTablesMax, "memories", [&] { out_.memories.push_back(limits(in)); });
      case kGlobal:
        return each(in, kGlobalsMax, "globals", [&] {
          const GlobalType type = global(in);
          out_.globals.push_back({type, in.constant()});
        });
      case kExport:
        return each(in, kExportsMax, "exports", [&] { exported(in); });
      case kStart:
        out_.start = in.u32();
        return;
      case kElement:
        return each(in, kSegmentsMax, "element segments", [&] { element(in); });
      case kCode:
        return each(in, kFunctionsMax, "function bodies", [&] { body(in); });
      case kData:
        return each(in, kSegmentsMax, "data segments", [&] { data(in); });
      case kDataCount:
        out_.data_count = in.u32();
        return;
    }
  }

  template <typename Read>
  static void each(Reader& in, std::uint32_t max, const char* what, Read read_one) {
    const std::uint32_t count = in.count(max, what);
    for (std::uint32_t i = 0; i < count && !in.failed(); ++i) read_one();
  }

  static void types_in(Reader& in, std::vector<ValueType>& out) {
    each(in, kParametersMax, "parameters or results", [&] { out.push_back(in.value_type()); });
  }

  void type(Reader& in) {
    FunctionType out;
    if (in.byte() != 0x60) in.malformed("integer representation too long, or no function type");
    types_in(in, out.parameters);
    types_in(in, out.results);
    out_.types.push_back(std::move(out));
  }

  static Limits limits(Reader& in) {
    Limits out;
    const std::uint8_t flag = in.byte();
    if (flag > 1) {
      in.malformed("malformed limits flags: shared and 64-bit memories are not in profile det-1");
    }
    out.min = in.u32();
    if (flag == 1) out.max = in.u32();
    return out;
  }

  static TableType table(Reader& in) {
    const ValueType element = in.reference_type();
    return {element, limits(in)};
  }

  static GlobalType global(Reader& in) {
    const ValueType type = in.value_type();
    const std::uint8_t changes = in.byte();
    if (changes > 1) in.malformed("malformed mutability");
    return {type, changes == 1};
  }

  void import(Reader& in) {
    Import out;
    out.module = in.name();
    out.name = in.name();
    const std::uint8_t kind = in.byte();
    switch (kind) {
      case 0:
        out.function_type = in.u32();
        break;
      case 1:
        out.table = table(in);
        break;
      case 2:
        out.memory = limits(in);
        break;
      case 3:
        out.global = global(in);
        break;
      default:
        return in.malformed("malformed import kind");
    }
    out.kind = static_cast<ExternalKind>(kind);
    out_.imports.push_back(std::move(out));
  }

  void exported(Reader& in) {
    Export out;
    out.name = in.name();
    const std::uint8_t kind = in.byte();
    if (kind > 3) return in.malformed("malformed export kind");
    out.kind = static_cast<ExternalKind>(kind);
    out.index = in.u32();
    out_.exports.push_back(std::move(out));
  }

  /// §5.5.12. Bit 0: passive or declarative; bit 1: explicit table, or declarative; bit 2:
  /// expressions instead of indices.
  void element(Reader& in) {
    ElementDefinition out;
    const std::uint32_t flags = in.u32();
    if (flags > 7) return in.malformed("malformed elements segment kind");
    const bool active = (flags & 1) == 0;
    if (active) {
      out.mode = SegmentMode::active;
      if ((flags & 2) != 0) out.table = in.u32();
      out.offset = in.constant();
    } else {
      out.mode = (flags & 2) != 0 ? SegmentMode::declarative : SegmentMode::passive;
    }
    const bool expressions = (flags & 4) != 0;
    if ((flags & 3) != 0) {
      if (expressions) {
        out.type = in.reference_type();
      } else if (in.byte() != 0) {
        return in.malformed("malformed element kind");
      }
    }
    each(in, kElementsMax, "elements of a segment", [&] {
      out.elements.push_back(
          expressions ? in.constant()
                      : Constant{Constant::Kind::ref_func, ValueType::funcref, in.u32()});
    });
    out_.elements.push_back(std::move(out));
  }

  void body(Reader& in) {
    const std::uint32_t length = in.u32();
    const std::size_t at = in.position();
    Reader code(in.bytes(length), at);
    if (in.failed()) return;
    if (bodies_ >= out_.functions.size()) {
      return in.malformed("function and code section have inconsistent lengths");
    }
    FunctionDefinition& function = out_.functions[bodies_++];
    std::uint64_t locals = 0;
    each(code, kLocalsMax, "groups of locals", [&] {
      const std::uint32_t count = code.u32();
      const ValueType type = code.value_type();
      locals += count;
      if (locals > 0xFFFFFFFF) return code.malformed("too many locals");
      if (locals <= kLocalsMax) function.locals.insert(function.locals.end(), count, type);
    });
    if (locals > kLocalsMax) code.fail_with(Code::too_large, "too many locals");
    function.position = code.position();
    if (!code.failed()) function.code = code.bytes(code.left());
    if (!code.failed() && (function.code.empty() || function.code.back() != 0x0B)) {
      code.malformed("END opcode expected: unexpected end");
    }
    if (const auto read = code.done(); !read) in.fail_with(read.error().code, read.error().message);
  }

  void data(Reader& in) {
    DataDefinition out;
    const std::uint32_t flags = in.u32();
    if (flags > 2) return in.malformed("malformed data segment kind");
    if (flags != 1) {
      out.mode = SegmentMode::active;
      const std::uint32_t memory = flags == 2 ? in.u32() : 0;
      if (memory != 0) in.fail_with(Code::invalid_argument, "unknown memory");
      out.offset = in.constant();
    }
    out.bytes = in.bytes(in.u32());
    out_.data.push_back(std::move(out));
  }

  Reader in_;
  Module out_;
  std::size_t bodies_ = 0;
};

}  // namespace

Result<Module> decode(ByteView bytes) {
  return Decoder(bytes).module();
}

}  // namespace phase::reference
