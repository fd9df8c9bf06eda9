// module.h — a WebAssembly module as its bytes say, decoded but not yet validated.
//
// Source: WebAssembly 2.0 §5 (binary format), without vector types and instructions. Custom
// sections are left out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace phase::reference {

/// Named as in the implementation limits of §A.2; what is above is refused with Code::too_large.
inline constexpr std::uint32_t kTypesMax = 100'000;
inline constexpr std::uint32_t kFunctionsMax = 100'000;
inline constexpr std::uint32_t kImportsMax = 10'000;
inline constexpr std::uint32_t kExportsMax = 10'000;
inline constexpr std::uint32_t kGlobalsMax = 100'000;
inline constexpr std::uint32_t kTablesMax = 100;
inline constexpr std::uint32_t kSegmentsMax = 100'000;
inline constexpr std::uint32_t kElementsMax = 1'000'000;  ///< of one segment
inline constexpr std::uint32_t kLocalsMax = 50'000;       ///< of one function, with its parameters
inline constexpr std::uint32_t kParametersMax = 1'000;    ///< and as many results

/// §5.3.1–5.3.4, by their bytes. `any` is what the validator calls Unknown (§A.3).
enum class ValueType : std::uint8_t {
  any = 0,
  i32 = 0x7F,
  i64 = 0x7E,
  f32 = 0x7D,
  f64 = 0x7C,
  funcref = 0x70,
  externref = 0x6F,
};
[[nodiscard]] constexpr bool is_reference(ValueType type) {
  return type == ValueType::funcref || type == ValueType::externref;
}

struct FunctionType {
  std::vector<ValueType> parameters, results;
  friend auto operator<=>(const FunctionType&, const FunctionType&) = default;
};
struct Limits {
  std::uint32_t min = 0;
  std::optional<std::uint32_t> max;
};
struct TableType {
  ValueType element = ValueType::funcref;
  Limits limits;
};
struct GlobalType {
  ValueType type = ValueType::i32;
  bool is_mutable = false;
};

enum class ExternalKind : std::uint8_t { function = 0, table = 1, memory = 2, global = 3 };

struct Import {
  std::string module, name;
  ExternalKind kind = ExternalKind::function;
  std::uint32_t function_type = 0;
  TableType table;
  Limits memory;
  GlobalType global;
};
struct Export {
  std::string name;
  ExternalKind kind = ExternalKind::function;
  std::uint32_t index = 0;
};

/// A constant expression (§3.3.10). Without extensions it is one instruction.
struct Constant {
  enum class Kind : std::uint8_t { value, global_get, ref_func, ref_null };
  Kind kind = Kind::value;
  ValueType type = ValueType::i32;  ///< of a value or a null; unset for the others
  std::uint64_t value = 0;          ///< bits, or an index
};

struct GlobalDefinition {
  GlobalType type;
  Constant initial;
};
enum class SegmentMode : std::uint8_t { active, passive, declarative };
struct ElementDefinition {
  ValueType type = ValueType::funcref;
  SegmentMode mode = SegmentMode::passive;
  std::uint32_t table = 0;
  Constant offset;
  std::vector<Constant> elements;
};
struct DataDefinition {
  SegmentMode mode = SegmentMode::passive;
  Constant offset;
  ByteView bytes;  ///< within the module's
};
struct FunctionDefinition {
  std::uint32_t type = 0;
  std::vector<ValueType> locals;  ///< without parameters
  ByteView code;                  ///< within the module's; ends with the function's `end`
  std::size_t position = 0;       ///< of `code` in the module
};

/// Borrows the bytes it was decoded from.
struct Module {
  std::vector<FunctionType> types;
  std::vector<Import> imports;
  std::vector<FunctionDefinition> functions;
  std::vector<TableType> tables;
  std::vector<Limits> memories;
  std::vector<GlobalDefinition> globals;
  std::vector<Export> exports;
  std::optional<std::uint32_t> start;
  std::vector<ElementDefinition> elements;
  std::optional<std::uint32_t> data_count;
  std::vector<DataDefinition> data;
};

/// Errors: Code::malformed for bytes that are no module; Code::unsupported for a feature outside of
/// WebAssembly 2.0 without vectors, by its name; Code::too_large above a limit.
[[nodiscard]] Result<Module> decode(ByteView bytes);

}  // namespace phase::reference
