// What checking by repetition costs: one det-1 job by the engine, by the reference interpreter, and
// by an interpreter of the registries without fuel.
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "base/check.h"
#include "proof/reference/job_run.h"
#include "worker/wasm/engine.h"

namespace phase {
namespace {

class Silent final : public wasi::World {
 public:
  std::optional<std::size_t> read_stdin(std::span<std::uint8_t>) override { return 0; }
  std::optional<bool> wait(bool, std::optional<std::uint64_t>) override { return std::nullopt; }
  bool write(wasi::Stream, ByteView) override { return true; }
  std::uint64_t elapsed_ns() override { return 0; }
  std::uint64_t cpu_ns() override { return 0; }
};

template <typename Work>
double seconds(Work&& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double by_wasmi(const std::string& path) {
  std::FILE* const pipe = ::popen((std::string(PHASE_WASMI) + " " + path).c_str(), "r");
  double out = 0;
  PHASE_CHECK(pipe != nullptr && std::fscanf(pipe, "%lf", &out) == 1);
  PHASE_CHECK(::pclose(pipe) == 0);
  return out;
}

void run() {
  const std::string path = PHASE_BINARY_DIR "/examples/bench_sha256_scalar.wasm";
  std::ifstream file(path, std::ios::binary);
  const Bytes module(std::istreambuf_iterator<char>(file), {});
  job::WasmJob job;
  job.profile = job::Profile::det_1;
  job.limits.fuel = 1'000'000'000'000;
  auto engine = worker::Engine::make({.profile = job::Profile::det_1});
  PHASE_CHECK(engine.has_value());
  Silent world;
  worker::RunReport fast;
  const double compiled = seconds([&] {
    const auto code = engine->compile(module);
    PHASE_CHECK(code.has_value());
    fast = engine->run(*code, job, world);
  });
  std::uint64_t fuel = 0;
  const double interpreted = seconds([&] {
    const auto program = reference::compile(module);
    PHASE_CHECK(program.has_value());
    const auto end = reference::run_job(*program, job, world);
    PHASE_CHECK(end.has_value());
    fuel = end->fuel_used;
  });
  PHASE_CHECK(fuel == fast.fuel_used);
  const double other = by_wasmi(path);
  std::printf("%-58s %.2f ns (%.0f million in %.2f s)\n", "reference/ns_per_fuel",
              interpreted * 1e9 / static_cast<double>(fuel), static_cast<double>(fuel) / 1e6,
              interpreted);
  std::printf("%-58s %.1f x the engine's %.3f s, compiling included\n", "reference/engine_ratio",
              interpreted / compiled, compiled);
  std::printf("%-58s %.2f x wasmi's %.2f s\n", "reference/interpreter_ratio", interpreted / other,
              other);
}

}  // namespace
}  // namespace phase

int main() {
  phase::run();
  return 0;
}
