// What a receipt costs on one core, in process: from a finished run's output to signed bytes, and
// from those bytes back to a verdict. Rates are per second of processor time, so that what else
// runs on the machine counts little.
#include <algorithm>
#include <cstdio>
#include <string_view>
#include <vector>

#include <time.h>

#include "base/check.h"
#include "protocol/verify/verify.h"

namespace phase {
namespace {

constexpr std::string_view kOutput = "dlroW ,olleH";

identity::KeyPair key(std::uint8_t fill) {
  return identity::KeyPair::from_seed(Bytes(32, fill)).value();
}

/// The trivial job: a word in, a word out.
struct Run {
  identity::KeyPair provider = key(2);
  job::WasmJob job = make_job();
  manifest::SignedManifest asked = make_manifest();

  [[nodiscard]] job::OutputSummary output() const {
    job::OutputChain chain;
    chain.append(job::OutputStream::out, as_bytes(kOutput));
    return chain.summary();
  }
  /// All that a provider does between the end of a run and the receipt frame.
  [[nodiscard]] Bytes receipt() const {
    receipt::Receipt out;
    out.job_id = asked.id;
    out.execution_id = job::execution_id(job);
    out.subject_id.value = job.module.id.value;
    out.subject_sha256 = job.module.sha256;
    out.input = *job.stdin_commitment;
    out.output = output();
    out.isolation = {"landlock", "rlimits", "seccomp"};
    out.claimed.wall_us = 900;
    out.claimed.runtime = "wasmtime-48";
    return receipt::sign(out, provider).envelope;
  }

 private:
  static job::WasmJob make_job() {
    job::WasmJob out;
    out.module = job::reference(Bytes(816, 1));
    out.stdin_commitment = job::commit(as_bytes("Hello, World"));
    return out;
  }
  [[nodiscard]] manifest::SignedManifest make_manifest() const {
    manifest::Manifest out;
    out.job = job;
    out.audience = provider.public_key();
    out.expires = {600'000};
    return manifest::sign(out, key(1));
  }
};

constexpr int kBatch = 500;
constexpr int kBatches = 20;

/// Seconds of processor time of this process so far.
double processor_seconds() {
  timespec now{};
  PHASE_CHECK(::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// Does `work` often and prints the middle of the batches' rates.
template <typename Work>
void print_rate(std::string_view name, std::string_view unit, double per_call, Work&& work) {
  std::vector<double> rates;
  for (int batch = 0; batch <= kBatches; ++batch) {
    const double begin = processor_seconds();
    for (int i = 0; i < kBatch; ++i) work();
    const double seconds = processor_seconds() - begin;
    if (batch > 0) rates.push_back(kBatch * per_call / seconds);  // the first warms up
  }
  std::ranges::sort(rates);
  std::printf("%-30.*s %10.0f %.*s   (slowest batch %.0f)\n", static_cast<int>(name.size()),
              name.data(), rates[rates.size() / 2], static_cast<int>(unit.size()), unit.data(),
              rates.front());
}

int bench_main() {
  const Run run;
  verify::Evidence evidence;
  evidence.manifest = run.asked.envelope;
  evidence.provider = run.provider.public_key();
  evidence.output = run.output();
  const Bytes receipt = run.receipt();
  print_rate("receipt/rate", "per s", 1, [&] { PHASE_CHECK(!run.receipt().empty()); });
  print_rate("receipt/verify_rate", "per s", 1,
             [&] { PHASE_CHECK(verify::check(receipt, evidence).ok()); });
  print_rate("receipt/sign_and_verify_rate", "per s", 1,
             [&] { PHASE_CHECK(verify::check(run.receipt(), evidence).ok()); });
  const Bytes piece(64_KiB, 'x');
  job::OutputChain chain;
  print_rate("output/commitment", "MiB/s", 1.0 / 16,
             [&] { chain.append(job::OutputStream::out, piece); });
  PHASE_CHECK(chain.summary().length > 0);
  return 0;
}

}  // namespace
}  // namespace phase

int main() {
  return phase::bench_main();
}
