#include "worker/wasm/message.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace phase::worker {
namespace {

// First bytes. 1–15 from the parent, 16–31 from the child.
constexpr std::uint8_t kStartTag = 1, kStdinEndTag = 3, kCompileTag = 4;
constexpr std::uint8_t kOutputTag = 16, kReportTag = 17, kCompiledEndTag = 19, kRefusedTag = 20;

struct Word {
  End end;
  receipt::CompletionKind kind;
  std::string_view reason;
};
using Kind = receipt::CompletionKind;
constexpr std::array kWords = {
    Word{End::exited, Kind::exited, ""},
    Word{End::out_of_fuel, Kind::limited, "fuel"},
    Word{End::memory_limit, Kind::limited, "memory"},
    Word{End::table_limit, Kind::limited, "table"},
    Word{End::output_limit, Kind::limited, "output"},
    Word{End::entry_missing, Kind::invalid, "entry_missing"},
    Word{End::entry_type, Kind::invalid, "entry_type"},
    Word{End::import_undefined, Kind::invalid, "import_undefined"},
    Word{End::engine_failed, Kind::failed, "worker_lost"},
    Word{End::trap_other, Kind::trapped, "trap"},
    Word{End::trap_stack_overflow, Kind::trapped, "stack_overflow"},
    Word{End::trap_memory_out_of_bounds, Kind::trapped, "memory_out_of_bounds"},
    Word{End::trap_table_out_of_bounds, Kind::trapped, "table_out_of_bounds"},
    Word{End::trap_indirect_call_to_null, Kind::trapped, "indirect_call_to_null"},
    Word{End::trap_bad_signature, Kind::trapped, "bad_signature"},
    Word{End::trap_integer_overflow, Kind::trapped, "integer_overflow"},
    Word{End::trap_integer_divide_by_zero, Kind::trapped, "integer_divide_by_zero"},
    Word{End::trap_bad_conversion_to_integer, Kind::trapped, "bad_conversion_to_integer"},
    Word{End::trap_unreachable, Kind::trapped, "unreachable"},
    Word{End::trap_heap_misaligned, Kind::trapped, "heap_misaligned"},
    Word{End::trap_null_reference, Kind::trapped, "null_reference"},
};

void put_u64(Bytes& out, std::uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8)
    out.push_back(static_cast<std::uint8_t>(value >> shift));
}

// Reads fixed-size fields from the front; the caller has checked the length.
std::uint64_t take_u64(ByteView& from) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; i++) value |= std::uint64_t{from[i]} << (8 * i);
  from = from.subspan(8);
  return value;
}

tl::unexpected<Error> malformed(std::string_view what) {
  return fail(Code::malformed, "a worker message is malformed: " + std::string(what));
}

Result<FromParent> decode_start(ByteView body) {
  if (body.size() < 8) return malformed("start");
  const std::uint64_t compiled_bytes = take_u64(body);
  PHASE_TRY(job::Job job, job::decode(body));
  auto* wasm = std::get_if<job::WasmJob>(&job);
  if (wasm == nullptr) return malformed("not a wasm job");
  return Start{compiled_bytes, std::move(*wasm)};
}

Result<FromChild> decode_output(ByteView body) {
  const bool known = body.size() > 1 && (body[0] == 1 || body[0] == 2);
  if (!known) return malformed("output");
  return Output{static_cast<job::OutputStream>(body[0]), body.subspan(1)};
}

Result<FromChild> decode_report(ByteView body) {
  if (body.size() != 1 + 4 * 8) return malformed("report");
  const auto word = std::ranges::find(kWords, static_cast<End>(body[0]), &Word::end);
  if (word == kWords.end()) return malformed("end");
  RunReport report;
  report.end = word->end;
  body = body.subspan(1);
  const std::uint64_t exit_code = take_u64(body);
  if (exit_code > UINT32_MAX) return malformed("exit code");
  report.exit_code = static_cast<std::uint32_t>(exit_code);
  report.fuel_used = take_u64(body);
  report.memory_bytes_peak = take_u64(body);
  report.cpu_us = take_u64(body);
  return report;
}

Result<FromChild> decode_refused(ByteView body) {
  if (body.empty() || body[0] > static_cast<std::uint8_t>(RefusalReason::too_large) ||
      body.size() > 1 + kRefusalBytesMax) {
    return malformed("refusal");
  }
  return Refused{static_cast<RefusalReason>(body[0]),
                 printable(as_text(body.subspan(1)), kRefusalBytesMax)};
}

}  // namespace

receipt::Completion completion_of(const RunReport& report) {
  const auto word = std::ranges::find(kWords, report.end, &Word::end);
  if (word == kWords.end()) return {Kind::failed, 0, "worker_lost"};
  return {word->kind, report.end == End::exited ? std::int64_t{report.exit_code} : 0,
          std::string(word->reason)};
}

Bytes encode_start(std::uint64_t compiled_bytes, const job::WasmJob& job) {
  Bytes out{kStartTag};
  put_u64(out, compiled_bytes);
  const Bytes encoded = job::encode(job);
  out.insert(out.end(), encoded.begin(), encoded.end());
  return out;
}

Bytes encode_stdin_end() {
  return {kStdinEndTag};
}

Bytes encode(const Compile& compile) {
  Bytes out{kCompileTag};
  put_u64(out, compile.module_bytes);
  put_u64(out, compile.compiled_bytes_max);
  put_u64(out, compile.memory_bytes_max);
  put_u64(out, compile.threads);
  out.push_back(static_cast<std::uint8_t>(compile.profile));
  return out;
}

Result<FromParent> decode_from_parent(ByteView bytes) {
  if (bytes.empty()) return malformed("empty");
  ByteView body = bytes.subspan(1);
  switch (bytes[0]) {
    case kStartTag:
      return decode_start(body);
    case kStdinPieceTag:
      if (body.empty()) return malformed("stdin");
      return StdinPiece{body};
    case kStdinEndTag:
      if (!body.empty()) return malformed("stdin end");
      return StdinEnd{};
    case kCompileTag: {
      if (body.size() != 4 * 8 + 1) return malformed("compile");
      Compile compile;
      compile.module_bytes = take_u64(body);
      compile.compiled_bytes_max = take_u64(body);
      compile.memory_bytes_max = take_u64(body);
      compile.threads = take_u64(body);
      if (body[0] > static_cast<std::uint8_t>(job::Profile::det_1)) return malformed("profile");
      compile.profile = static_cast<job::Profile>(body[0]);
      return compile;
    }
    default:
      return malformed("unknown kind");
  }
}

std::array<std::uint8_t, 2> output_head(job::OutputStream stream) noexcept {
  return {kOutputTag, static_cast<std::uint8_t>(stream)};
}

Bytes encode(const RunReport& report) {
  Bytes out{kReportTag, static_cast<std::uint8_t>(report.end)};
  put_u64(out, report.exit_code);
  put_u64(out, report.fuel_used);
  put_u64(out, report.memory_bytes_peak);
  put_u64(out, report.cpu_us);
  return out;
}

Bytes encode(const CompiledEnd& end) {
  Bytes out{kCompiledEndTag};
  put_u64(out, end.bytes);
  return out;
}

Bytes encode(const Refused& refused) {
  Bytes out{kRefusedTag, static_cast<std::uint8_t>(refused.reason)};
  const std::string detail = printable(refused.detail, kRefusalBytesMax);
  out.insert(out.end(), detail.begin(), detail.end());
  return out;
}

Result<FromChild> decode_from_child(ByteView bytes) {
  if (bytes.empty()) return malformed("empty");
  ByteView body = bytes.subspan(1);
  switch (bytes[0]) {
    case kOutputTag:
      return decode_output(body);
    case kReportTag:
      return decode_report(body);
    case kCompiledPieceTag:
      if (body.empty()) return malformed("compiled piece");
      return CompiledPiece{body};
    case kCompiledEndTag:
      if (body.size() != 8) return malformed("compiled end");
      return CompiledEnd{take_u64(body)};
    case kRefusedTag:
      return decode_refused(body);
    default:
      return malformed("unknown kind");
  }
}

}  // namespace phase::worker
