// Level `re-execute`: what the engine came to is believed, and whatever else a provider signs is
// not. PHASE_REPEATS says how many runs of each.
#include "proof/reference/repeat.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include <gtest/gtest.h>

#include "base/random.h"
#include "worker/wasm/engine.h"

namespace phase {
namespace {

using manifest::Level;
using verify::Check;

Bytes example(const std::string& name) {
  std::ifstream file(std::filesystem::path(PHASE_BINARY_DIR) / "examples" / (name + ".wasm"),
                     std::ios::binary);
  EXPECT_TRUE(file) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

class World final : public wasi::World {
 public:
  explicit World(ByteView input) : input_(input) {}
  std::optional<std::size_t> read_stdin(std::span<std::uint8_t> out) override {
    const std::size_t count = std::min(out.size(), input_.size());
    std::copy_n(input_.begin(), count, out.begin());
    input_ = input_.subspan(count);
    return count;
  }
  std::optional<bool> wait(bool, std::optional<std::uint64_t>) override { return std::nullopt; }
  bool write(wasi::Stream stream, ByteView bytes) override {
    output.append(static_cast<job::OutputStream>(stream), bytes);
    return true;
  }
  std::uint64_t elapsed_ns() override { return 0; }
  std::uint64_t cpu_ns() override { return 0; }

  job::OutputChain output;

 private:
  ByteView input_;
};

/// A provider with an engine: manifests and receipts as it would sign them.
class RepeatTest : public testing::Test {
 protected:
  RepeatTest()
      : engine_(worker::Engine::make({.profile = job::Profile::det_1}).value()),
        module_(example("hello")),
        compiled_(engine_.compile(module_).value()) {}

  struct Run {
    Bytes input;
    manifest::SignedManifest asked;
    receipt::Receipt stated;
  };

  Run run(std::size_t length, job::Profile profile = job::Profile::det_1) {
    Run out;
    out.input.resize(length);
    for (std::uint8_t& byte : out.input) byte = static_cast<std::uint8_t>(random_());
    job::WasmJob job;
    job.module = job::reference(module_);
    job.profile = profile;
    job.stdin_commitment = job::commit(out.input);
    manifest::Manifest asked;
    asked.job = job;
    asked.wall_limit_ms = 1000;
    asked.nonce = random_source_.array<16>();
    asked.created = UtcTime{1'700'000'000'000};
    asked.expires = UtcTime{1'700'000'060'000};
    out.asked = manifest::sign(asked, requester_);
    World world(out.input);
    const worker::RunReport report = engine_.run(compiled_, job, world);
    out.stated = state(out, report, world.output.summary());
    return out;
  }

  static receipt::Receipt state(const Run& run, const worker::RunReport& report,
                                const job::OutputSummary& output) {
    const job::Job& job = run.asked.manifest.job;
    receipt::Receipt out;
    out.job_id = run.asked.id;
    out.execution_id = job::execution_id(job);
    out.subject_id = Sha256{job::subject_id(job).value};
    out.subject_sha256 = Sha256{job::subject_sha256(job).value};
    out.input = job::commit(run.input);
    out.output = output;
    out.completion = worker::completion_of(report);
    out.profile = job::profile_of(job);
    out.isolation = {"none"};
    out.fuel = report.fuel_used;
    return out;
  }

  std::optional<Check> failed(const Run& run, const Bytes& module, const Bytes& input) {
    reference::ReferenceRepeater repeater(module, input);
    verify::Evidence evidence;
    evidence.manifest = run.asked.envelope;
    evidence.provider = provider_.public_key();
    evidence.repeater = &repeater;
    const Bytes envelope = receipt::sign(run.stated, provider_).envelope;
    const verify::Verdict verdict = verify::check(envelope, evidence, Level::re_execute);
    EXPECT_EQ(verdict.level, verdict.ok() ? std::optional(Level::re_execute) : std::nullopt);
    return verdict.failed;
  }
  std::optional<Check> failed(const Run& run) { return failed(run, module_, run.input); }

  static int repeats() {
    const char* text = std::getenv("PHASE_REPEATS");
    return text == nullptr ? 500 : std::atoi(text);
  }

  SystemRandom random_source_;
  identity::KeyPair requester_ = identity::KeyPair::generate(random_source_);
  identity::KeyPair provider_ = identity::KeyPair::generate(random_source_);
  worker::Engine engine_;
  Bytes module_, compiled_;
  std::mt19937_64 random_{20'261'122};
};

TEST_F(RepeatTest, HonestRunsAreBelieved) {
  for (int i = 0; i < repeats(); ++i) {
    const Run honest = run(random_() % 200);
    ASSERT_EQ(failed(honest), std::nullopt) << i;
  }
}

TEST_F(RepeatTest, AWellSignedLieIsRefusedByWhatItLiesAbout) {
  for (int i = 0; i < repeats(); ++i) {
    Run lie = run(1 + random_() % 200);
    Check wanted = Check::rerun_output;
    switch (random_() % 6) {
      case 0:
        ++lie.stated.output.commitment.value[random_() % 32];
        break;
      case 1:
        ++lie.stated.output.length;
        break;
      case 2: {  // a copied answer: another run's output
        lie.stated.output = run(1 + random_() % 200).stated.output;
        break;
      }
      case 3:
        lie.stated.fuel = *lie.stated.fuel + 1 + random_() % 5;
        wanted = Check::rerun_fuel;
        break;
      case 4:
        lie.stated.completion.exit_code = 1 + static_cast<std::int64_t>(random_() % 100);
        wanted = Check::rerun_completion;
        break;
      default:
        lie.stated.completion = {receipt::CompletionKind::trapped, 0, "unreachable"};
        wanted = Check::rerun_completion;
        break;
    }
    ASSERT_EQ(failed(lie), wanted) << i;
  }
}

TEST_F(RepeatTest, AnotherModuleOrInputIsNoEvidence) {
  const Run honest = run(20);
  EXPECT_EQ(failed(honest, example("senses"), honest.input), Check::level);
  EXPECT_EQ(failed(honest, module_, to_bytes("another input")), Check::level);
}

TEST_F(RepeatTest, WhatNobodyCanRepeatDoesNotReachTheLevel) {
  EXPECT_EQ(failed(run(5, job::Profile::fast)), Check::level);
  Run by_the_clock = run(5);
  by_the_clock.stated.completion = {receipt::CompletionKind::limited, 0, "wall"};
  EXPECT_EQ(failed(by_the_clock), Check::level);
}

TEST_F(RepeatTest, ATrapThatWasNoneIsRefusedAndSoIsTheOpposite) {
  // A module that traps, stated as a success.
  module_ = {0,  'a', 's', 'm', 1,   0,   0,   0,   1,   4, 1, 0x60, 0, 0, 3, 2, 1, 0,   7,
             10, 1,   6,   '_', 's', 't', 'a', 'r', 't', 0, 0, 10,   5, 1, 3, 0, 0, 0x0B};
  compiled_ = engine_.compile(module_).value();
  Run trapped = run(0);
  trapped.stated.fuel.reset();
  EXPECT_EQ(trapped.stated.completion.kind, receipt::CompletionKind::trapped);
  EXPECT_EQ(failed(trapped), std::nullopt);
  trapped.stated.completion = {receipt::CompletionKind::exited, 0, {}};
  EXPECT_EQ(failed(trapped), Check::rerun_completion);
}

}  // namespace
}  // namespace phase
