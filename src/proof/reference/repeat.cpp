#include "proof/reference/repeat.h"

#include <algorithm>

#include "proof/reference/job_run.h"
#include "protocol/receipt/receipt.h"

namespace phase::reference {
namespace {

class ReplayWorld final : public wasi::World {
 public:
  ReplayWorld(ByteView input, std::uint64_t output_max) : input_(input), left_(output_max) {}

  std::optional<std::size_t> read_stdin(std::span<std::uint8_t> out) override {
    const std::size_t count = std::min(out.size(), input_.size());
    std::copy_n(input_.begin(), count, out.begin());
    input_ = input_.subspan(count);
    return count;
  }
  // Time is fuel (wasi/deterministic.h), so nobody asks here.
  std::optional<bool> wait(bool /*stdin_wanted*/,
                           std::optional<std::uint64_t> /*timeout_ns*/) override {
    return std::nullopt;
  }
  std::uint64_t elapsed_ns() override { return 0; }
  std::uint64_t cpu_ns() override { return 0; }

  bool write(wasi::Stream stream, ByteView bytes) override {
    const bool fits = bytes.size() <= left_;
    bytes = bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), left_)));
    left_ -= bytes.size();
    chain_.append(static_cast<job::OutputStream>(stream), bytes);
    return fits;
  }

  [[nodiscard]] job::OutputSummary output() const { return chain_.summary(); }

 private:
  ByteView input_;
  std::uint64_t left_;
  job::OutputChain chain_;
};

/// The words that receipts have for traps.
std::string_view trap_word(Stop stop) {
  switch (stop) {
    case Stop::divide_by_zero:
      return "integer_divide_by_zero";
    case Stop::integer_overflow:
      return "integer_overflow";
    case Stop::invalid_conversion:
      return "bad_conversion_to_integer";
    case Stop::out_of_bounds_memory:
      return "memory_out_of_bounds";
    case Stop::out_of_bounds_table:
    case Stop::undefined_element:
      return "table_out_of_bounds";
    case Stop::uninitialized_element:
      return "indirect_call_to_null";
    case Stop::indirect_call_type:
      return "bad_signature";
    default:
      return "unreachable";
  }
}

receipt::Completion completion_of(const JobEnd& end) {
  using Kind = receipt::CompletionKind;
  switch (end.kind) {
    case JobEnd::Kind::exited:
      return {Kind::exited, end.exit_code, {}};
    case JobEnd::Kind::trapped:
      return {Kind::trapped, 0, std::string(trap_word(end.stop))};
    case JobEnd::Kind::limited:
      return end.stop == Stop::stack ? receipt::Completion{Kind::trapped, 0, "stack_overflow"}
                                     : receipt::Completion{Kind::limited, 0, "fuel"};
    case JobEnd::Kind::output_limit:
      return {Kind::limited, 0, "output"};
    case JobEnd::Kind::memory_limit:
      return {Kind::limited, 0, "memory"};
    case JobEnd::Kind::table_limit:
      return {Kind::limited, 0, "table"};
    case JobEnd::Kind::entry_missing:
      return {Kind::invalid, 0, "entry_missing"};
    case JobEnd::Kind::entry_type:
      return {Kind::invalid, 0, "entry_type"};
  }
  return {Kind::failed, 0, {}};
}

}  // namespace

Result<verify::Rerun> ReferenceRepeater::repeat(const job::WasmJob& job) {
  if (sha256(module_) != job.module.sha256) {
    return fail(Code::invalid_argument, "the module is not the job's");
  }
  if (job.stdin_commitment && job::commit(input_) != *job.stdin_commitment) {
    return fail(Code::invalid_argument, "the input is not the job's");
  }
  PHASE_TRY(const Program program, compile(module_));
  ReplayWorld world(input_, job.limits.output_bytes);
  PHASE_TRY(const JobEnd end, run_job(program, job, world));
  verify::Rerun out{completion_of(end), std::nullopt, world.output()};
  out.beyond_budget = end.fuel_used > job.limits.fuel;
  if (end.kind == JobEnd::Kind::exited) out.fuel = end.fuel_used;
  return out;
}

}  // namespace phase::reference
