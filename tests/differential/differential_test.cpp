// Profile det-1: the engine and the reference interpreter come to the same output, the same end and
// the same fuel, whatever the engine's settings.
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>
#include <wasm.h>
#include <wasmtime.h>

#include "proof/reference/job_run.h"
#include "worker/wasm/engine.h"

namespace phase {
namespace {

namespace fs = std::filesystem;

/// Stdin from memory, output into memory. Its clocks are wrong on purpose: nobody may ask them.
class MemoryWorld final : public wasi::World {
 public:
  MemoryWorld(ByteView input, std::uint64_t output_max) : input_(input), left_(output_max) {}

  std::optional<std::size_t> read_stdin(std::span<std::uint8_t> out) override {
    const std::size_t count = std::min(out.size(), input_.size());
    std::copy_n(input_.begin(), count, out.begin());
    input_ = input_.subspan(count);
    return count;
  }
  std::optional<bool> wait(bool, std::optional<std::uint64_t>) override {
    ADD_FAILURE() << "the world's clock was waited for";
    return std::nullopt;
  }
  bool write(wasi::Stream stream, ByteView bytes) override {
    const bool fits = bytes.size() <= left_;
    bytes = bytes.first(std::min<std::size_t>(bytes.size(), left_));
    left_ -= bytes.size();
    written_.push_back(static_cast<std::uint8_t>(stream));
    written_.insert(written_.end(), bytes.begin(), bytes.end());
    return fits;
  }
  std::uint64_t elapsed_ns() override { return ++lies_; }
  std::uint64_t cpu_ns() override { return ++lies_; }

  [[nodiscard]] const Bytes& written() const { return written_; }

 private:
  ByteView input_;
  std::uint64_t left_;
  Bytes written_;
  std::uint64_t lies_ = 1'000'000'007;
};

/// A run as both sides state it. Fuel counts where the run came to its own end.
struct Outcome {
  std::string end;
  std::uint32_t exit_code = 0;
  std::uint64_t fuel = 0;
  Bytes written;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};
void PrintTo(const Outcome& outcome, std::ostream* out) {
  *out << outcome.end << ", exit code " << outcome.exit_code << ", fuel " << outcome.fuel << ", "
       << outcome.written.size() << " bytes";
}

std::string end_of(worker::End end) {
  using worker::End;
  if (end == End::exited) return "exited";
  if (end == End::out_of_fuel || end == End::trap_stack_overflow) return "limited";
  if (end == End::output_limit) return "output";
  return end >= End::trap_other ? "trapped" : "refused";
}
std::string end_of(reference::JobEnd::Kind kind) {
  using Kind = reference::JobEnd::Kind;
  if (kind == Kind::exited) return "exited";
  if (kind == Kind::limited) return "limited";
  if (kind == Kind::output_limit) return "output";
  return kind == Kind::trapped ? "trapped" : "refused";
}

class DifferentialTest : public testing::Test {
 protected:
  static Bytes read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file) << path;
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static Bytes example(const std::string& name) {
    return read(fs::path(PHASE_BINARY_DIR) / "examples" / (name + ".wasm"));
  }
  static Bytes assembled(std::string_view text) {
    wasm_byte_vec_t binary;
    wasmtime_error_t* error = wasmtime_wat2wasm(text.data(), text.size(), &binary);
    EXPECT_EQ(error, nullptr) << text;
    if (error != nullptr) return {};
    Bytes out(binary.data, binary.data + binary.size);
    wasm_byte_vec_delete(&binary);
    return out;
  }
  static job::WasmJob job_of(std::vector<std::string> args = {}) {
    job::WasmJob job;
    job.profile = job::Profile::det_1;
    job.args = std::move(args);
    job.clock_start_ns = 1'700'000'000'000'000'000;
    job.random_seed[0] = 7;
    return job;
  }

  static Outcome by_reference(ByteView module, const job::WasmJob& job, ByteView input) {
    const auto program = reference::compile(module);
    if (!program) return {"refused", 0, 0, {}};
    MemoryWorld world(input, job.limits.output_bytes);
    const auto end = reference::run_job(*program, job, world);
    if (!end) return {"refused", 0, 0, {}};
    const bool own_end = end->kind == reference::JobEnd::Kind::exited;
    return {end_of(end->kind), end->exit_code, own_end ? end->fuel_used : 0, world.written()};
  }
  static Outcome by_engine(const worker::EngineSettings& settings, ByteView module,
                           const job::WasmJob& job, ByteView input) {
    auto engine = worker::Engine::make(settings);
    EXPECT_TRUE(engine);
    const auto compiled = engine->compile(module);
    if (!compiled) return {"refused", 0, 0, {}};
    MemoryWorld world(input, job.limits.output_bytes);
    const worker::RunReport report = engine->run(*compiled, job, world);
    const bool own_end = report.end == worker::End::exited;
    return {end_of(report.end), report.exit_code, own_end ? report.fuel_used : 0, world.written()};
  }
  static std::vector<worker::EngineSettings> settings() {
    using job::Profile;
    return {{.profile = Profile::det_1},
            {.profile = Profile::det_1, .optimise = false},
            {.profile = Profile::det_1, .copy_on_write = true},
            {.profile = Profile::det_1, .optimise = false, .copy_on_write = true}};
  }
  /// The same everywhere, which is returned.
  static Outcome agreed(ByteView module, const job::WasmJob& job, ByteView input) {
    const Outcome wanted = by_reference(module, job, input);
    for (const auto& one : settings()) {
      EXPECT_EQ(by_engine(one, module, job, input), wanted)
          << "optimise " << one.optimise << ", copy-on-write " << one.copy_on_write;
    }
    return wanted;
  }
};

TEST_F(DifferentialTest, HelloSaysTheSame) {
  const Outcome hello = agreed(example("hello"), job_of(), as_bytes("Hello, World"));
  EXPECT_EQ(hello.end, "exited");
  EXPECT_NE(as_text(hello.written).find("dlroW"), std::string::npos);
  EXPECT_GT(hello.fuel, 100U);
}

TEST_F(DifferentialTest, WhatAGuestSensesIsOfTheJob) {
  const Outcome senses = agreed(example("senses"), job_of({"a", "b"}), as_bytes("in"));
  EXPECT_EQ(senses.end, "exited");
  EXPECT_FALSE(senses.written.empty());
}

TEST_F(DifferentialTest, EveryBudgetEndsTheSame) {
  const Bytes module = example("hello");
  job::WasmJob job = job_of();
  const std::uint64_t needed = by_reference(module, job, as_bytes("abc")).fuel;
  for (const std::uint64_t fuel : {needed, needed - 1, needed / 2, std::uint64_t{1}}) {
    job.limits.fuel = fuel;
    const Outcome outcome = agreed(module, job, as_bytes("abc"));
    EXPECT_EQ(outcome.end, fuel == needed ? "exited" : "limited") << fuel;
  }
}

TEST_F(DifferentialTest, OutputEndsAtItsLimit) {
  job::WasmJob job = job_of();
  job.limits.output_bytes = 5;
  const Outcome outcome = agreed(example("hello"), job, as_bytes("Hello, World"));
  EXPECT_EQ(outcome.end, "output");
}

TEST_F(DifferentialTest, TheStartFunctionIsPaidForAndSegmentsAreNot) {
  const std::string_view functions = R"(
    (memory (export "memory") 1) (data (i32.const 8) "written before anything runs")
    (table 4 funcref) (elem (i32.const 0) $begin $begin)
    (func $begin (drop (i32.load (i32.const 8))))
    (func (export "_start")))";
  const auto module = [&](std::string_view start) {
    return assembled("(module " + std::string(functions) + std::string(start) + ")");
  };
  EXPECT_EQ(agreed(module(""), job_of(), {}).fuel, 1U);
  EXPECT_EQ(agreed(module("(start $begin)"), job_of(), {}).fuel, 1U + 1 + 2);
}

TEST_F(DifferentialTest, TheNameOfAMovedStartFunctionIsNobodys) {
  const Bytes module = assembled(
      R"((module (func $begin) (start $begin)
        (func (export "start 0")) (func (export "_start"))))");
  job::WasmJob job = job_of();
  EXPECT_EQ(agreed(module, job, {}).end, "exited");
  job.entry = "start 0";
  EXPECT_EQ(agreed(module, job, {}).fuel, 2U);
  job.entry = "start 1";
  EXPECT_EQ(agreed(module, job, {}).end, "refused");
}

TEST_F(DifferentialTest, EveryTrapIsATrap) {
  const std::string_view traps[] = {
      "(unreachable)",
      "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
      "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
      "(drop (i32.trunc_f32_s (f32.const nan)))",
      "(drop (i64.trunc_f64_u (f64.const -1)))",
      "(drop (i32.load (i32.const 65533)))",
      "(i64.store offset=65535 (i32.const 0) (i64.const 1))",
      "(memory.fill (i32.const 65000) (i32.const 0) (i32.const 1000))",
      "(call_indirect (type $none) (i32.const 9))",
      "(call_indirect (type $none) (i32.const 1))",
      "(call_indirect (type $one) (i32.const 0) (i32.const 0))",
  };
  for (const std::string_view trap : traps) {
    const Bytes module = assembled(R"((module (type $none (func)) (type $one (func (param i32)))
      (memory (export "memory") 1) (table 2 funcref) (elem (i32.const 0) $f) (func $f)
      (func (export "_start") )" + std::string(trap) +
                                   "))");
    EXPECT_EQ(agreed(module, job_of(), {}).end, "trapped") << trap;
  }
}

TEST_F(DifferentialTest, EndlessThingsEndByALimit) {
  job::WasmJob job = job_of();
  job.limits.fuel = 100'000'000;
  EXPECT_EQ(agreed(assembled(R"((module (func $f (export "_start") (call $f))))"), job, {}).end,
            "limited");
  job.limits.fuel = 10'000;
  EXPECT_EQ(agreed(assembled(R"((module (func (export "_start") (loop (br 0)))))"), job, {}).end,
            "limited");
}

TEST_F(DifferentialTest, NansAreCanonicalAndTimeIsFuel) {
  // Writes the bits of some NaNs, then a clock before and after a wait of a second.
  const Bytes module = assembled(R"((module
    (import "wasi_snapshot_preview1" "fd_write" (func $write
      (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func $clock
      (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll
      (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\20\00\00\00\40\00\00\00")
    (func (export "_start")
      (f32.store (i32.const 32) (f32.div (f32.const -0) (f32.const 0)))
      (f32.store (i32.const 36) (f32.add (f32.const -nan:0x300000) (f32.const 1)))
      (f64.store (i32.const 40) (f64.sqrt (f64.const -1)))
      (f64.store (i32.const 48) (f64.promote_f32 (f32.const nan:0x200001)))
      (f32.store (i32.const 56) (f32.neg (f32.const nan:0x200001)))
      (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 64)))
      (i32.store (i32.const 256 (; a clock ;)) (i32.const 0))
      (i32.store (i32.const 272) (i32.const 1))
      (i64.store (i32.const 280) (i64.const 1000000000))
      (drop (call $poll (i32.const 256) (i32.const 512) (i32.const 1) (i32.const 640)))
      (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 72)))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16))))))");
  const Outcome outcome = agreed(module, job_of(), {});
  ASSERT_EQ(outcome.written.size(), 1 + 64U);
  const auto number = [&](std::size_t at) {
    std::uint64_t out = 0;
    for (std::size_t i = 8; i > 0; --i) out = out << 8 | outcome.written[at + i];
    return out;
  };
  EXPECT_EQ(number(0), 0x7FC000007FC00000U);
  EXPECT_EQ(number(8), 0x7FF8000000000000U);
  EXPECT_EQ(number(16), 0x7FF8000000000000U);
  EXPECT_EQ(number(24) & 0xFFFFFFFF, 0xFFA00001U);  // a sign is only a bit
  EXPECT_LT(number(32), 100U);                      // fuel until then
  const std::uint64_t passed = number(40) - number(32);
  EXPECT_GT(passed, 1'000'000'000U);
  EXPECT_LT(passed, 1'000'000'100U);
}

}  // namespace
}  // namespace phase
