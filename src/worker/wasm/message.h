// message.h — what the parent and a worker child say to each other about a module.
//
//   execute   parent: start, stdin*, stdin end      child: output*, then one report
//   compile   parent: compile                       child: compiled*, then compiled end, or refused
//
// One message is one packet of at most sandbox::kMessageBytesMax. Everything a child says is
// untrusted: it may be under the control of the module it runs. `decode_from_child` accepts exactly
// the forms below; what they claim is for the receiver to bound.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "base/bytes.h"
#include "base/result.h"
#include "protocol/job/job.h"
#include "protocol/job/output.h"
#include "protocol/receipt/receipt.h"

namespace phase::worker {

/// How a run ended, as a child says it. One byte; receipts carry the words of `completion_of`.
enum class End : std::uint8_t {
  exited = 0,
  out_of_fuel = 1,
  memory_limit = 2,
  table_limit = 3,
  output_limit = 4,
  entry_missing = 5,
  entry_type = 6,  ///< the entry is no function without parameters and results
  import_undefined = 7,
  engine_failed = 8,
  trap_other = 16,
  trap_stack_overflow = 17,
  trap_memory_out_of_bounds = 18,
  trap_table_out_of_bounds = 19,
  trap_indirect_call_to_null = 20,
  trap_bad_signature = 21,
  trap_integer_overflow = 22,
  trap_integer_divide_by_zero = 23,
  trap_bad_conversion_to_integer = 24,
  trap_unreachable = 25,
  trap_heap_misaligned = 26,
  trap_null_reference = 27,
};

/// A child's last word on a run. Claims, all of it.
struct RunReport {
  End end = End::engine_failed;
  std::uint32_t exit_code = 0;
  std::uint64_t fuel_used = 0;
  std::uint64_t memory_bytes_peak = 0;  ///< linear memory, where it can be seen
  std::uint64_t cpu_us = 0;
  friend bool operator==(const RunReport&, const RunReport&) = default;
};

/// The words for an end. Total: every value has one.
[[nodiscard]] receipt::Completion completion_of(const RunReport& report);

// --- from the parent

/// Comes with one descriptor: the compiled module, sealed.
struct Start {
  std::uint64_t compiled_bytes = 0;
  job::WasmJob job;
};
struct StdinPiece {
  ByteView data;  ///< never empty, at most sandbox::kPieceBytesMax
};
struct StdinEnd {};
/// Comes with one descriptor: the module, sealed.
struct Compile {
  std::uint64_t module_bytes = 0;
  std::uint64_t compiled_bytes_max = 0;
  std::uint64_t memory_bytes_max = 0;  ///< of the compiling process
  std::uint64_t threads = 1;
  job::Profile profile = job::Profile::fast;
};
using FromParent = std::variant<Start, StdinPiece, StdinEnd, Compile>;

[[nodiscard]] Bytes encode_start(std::uint64_t compiled_bytes, const job::WasmJob& job);
/// First byte of a message whose rest is stdin.
inline constexpr std::uint8_t kStdinPieceTag = 2;
[[nodiscard]] Bytes encode_stdin_end();
[[nodiscard]] Bytes encode(const Compile& compile);
/// Errors: Code::malformed.
[[nodiscard]] Result<FromParent> decode_from_parent(ByteView bytes);

// --- from the child

struct Output {
  job::OutputStream stream = job::OutputStream::out;
  ByteView data;  ///< never empty
};
struct CompiledPiece {
  ByteView data;  ///< never empty
};
struct CompiledEnd {
  std::uint64_t bytes = 0;
};
/// Why a module cannot be compiled.
enum class RefusalReason : std::uint8_t {
  module_malformed = 0,
  import_undefined = 1,
  too_large = 2
};
struct Refused {
  RefusalReason reason = RefusalReason::module_malformed;
  std::string detail;  ///< printable, at most kRefusalBytesMax
};
inline constexpr std::size_t kRefusalBytesMax = 256;
using FromChild = std::variant<Output, RunReport, CompiledPiece, CompiledEnd, Refused>;

/// First two bytes of a message whose rest is output; first byte of one whose rest is compiled
/// module.
[[nodiscard]] std::array<std::uint8_t, 2> output_head(job::OutputStream stream) noexcept;
inline constexpr std::uint8_t kCompiledPieceTag = 18;
[[nodiscard]] Bytes encode(const RunReport& report);
[[nodiscard]] Bytes encode(const CompiledEnd& end);
[[nodiscard]] Bytes encode(const Refused& refused);
/// Errors: Code::malformed. Views point into `bytes`.
[[nodiscard]] Result<FromChild> decode_from_child(ByteView bytes);

}  // namespace phase::worker
