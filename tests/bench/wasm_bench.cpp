// The wasm worker against bare wasmtime and against native code, all in one run.
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <sodium.h>
#include <unistd.h>

#include "base/check.h"
#include "tests/bench/samples.h"
#include "worker/wasm/engine.h"
#include "worker/wasm/wasm_worker.h"

extern "C" void sha256_rounds(std::uint32_t state[8]);
extern "C" std::uint64_t run_load(const char* name);

namespace phase::bench {
namespace {

namespace fs = std::filesystem;
constexpr int kRounds = 300;
constexpr int kHeavyRounds = 15;
constexpr int kColdRounds = 20;
constexpr std::string_view kInput = "Hello, World";

Bytes read_module(std::string_view name) {
  std::ifstream file(std::string(PHASE_BINARY_DIR "/examples/") + std::string(name) + ".wasm",
                     std::ios::binary);
  Bytes module{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  PHASE_CHECK(!module.empty());
  return module;
}

// Bare wasmtime with our WASI, no process, no socket: the floor.
class MemoryWorld final : public wasi::World {
 public:
  std::optional<std::size_t> read_stdin(std::span<std::uint8_t> to) override {
    const std::size_t count = std::min(to.size(), left_.size());
    std::copy_n(left_.begin(), count, to.begin());
    left_.remove_prefix(count);
    return count;
  }
  std::optional<bool> wait(bool, std::optional<std::uint64_t>) override { return true; }
  bool write(wasi::Stream, ByteView bytes) override {
    out += as_text(bytes);
    return true;
  }
  std::uint64_t elapsed_ns() override { return 0; }
  std::uint64_t cpu_ns() override { return 0; }
  std::string out;

 private:
  std::string_view left_ = kInput;
};

struct Bench {
  fs::path folder = fs::temp_directory_path() / ("phase-wasm-bench-" + std::to_string(::getpid()));
  asio::io_context context;
  std::unique_ptr<worker::WasmWorker> worker;

  Bench() { start(); }
  ~Bench() {
    worker.reset();
    fs::remove_all(folder);
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  void start() {
    worker.reset();
    context.restart();
    context.poll();
    worker::WasmWorker::Options options;
    options.worker_path = PHASE_BINARY_DIR "/bin/phase-worker";
    options.cache_folder = folder;
    auto started = worker::WasmWorker::start(context.get_executor(), options);
    PHASE_CHECK(started.has_value());
    worker = *std::move(started);
  }
  template <typename T>
  T wait(Task<T> task) {
    auto future = asio::co_spawn(context, std::move(task), asio::use_future);
    context.restart();
    while (future.wait_for(std::chrono::seconds(0)) != std::future_status::ready) context.run_one();
    return future.get();
  }
  struct Ran {
    std::string out;
    std::chrono::microseconds cpu{};  // of the worker process
  };
  Task<Ran> run(job::WasmJob job) {
    auto execution = co_await worker->start(job);
    PHASE_CHECK(execution.has_value());
    PHASE_CHECK((co_await (*execution)->write_stdin(as_bytes(kInput))).has_value());
    (*execution)->close_stdin();
    Ran ran;
    for (;;) {
      auto event = co_await (*execution)->next();
      PHASE_CHECK(event.has_value());
      if (auto* piece = std::get_if<job::OutputPiece>(&*event)) {
        ran.out += as_text(piece->data);
        continue;
      }
      const auto& exit = std::get<provider::WorkerExit>(*event);
      ran.cpu = std::chrono::microseconds(exit.claimed.cpu_us.value_or(0));
      co_return ran;
    }
  }
  // From kill() to the end of the run, of one that never ends by itself.
  Task<void> cancel(job::WasmJob job, Samples& samples) {
    auto execution = co_await worker->start(job);
    PHASE_CHECK(execution.has_value());
    const Timed timed(samples);
    (*execution)->kill({receipt::CompletionKind::cancelled, 0, ""});
    auto event = co_await (*execution)->next();
    PHASE_CHECK(event && std::holds_alternative<provider::WorkerExit>(*event));
  }
};

void measure_hello(Bench& bench) {
  const Bytes module = read_module("hello");
  job::WasmJob job;
  job.module = job::reference(module);
  PHASE_CHECK(bench.wait(bench.worker->prepare(job, module)).has_value());
  auto engine = worker::Engine::make({});
  PHASE_CHECK(engine.has_value());
  const auto compiled = engine->compile(module);
  PHASE_CHECK(compiled.has_value());

  Samples bare, warm, cancels;
  for (int i = 0; i < kRounds; i++) {
    {
      MemoryWorld world;
      const Timed timed(bare);
      PHASE_CHECK(engine->run(*compiled, job, world).end == worker::End::exited);
      PHASE_CHECK(world.out == "dlroW ,olleH");
    }
    ::usleep(3000);  // tidy: allow(sleep): the pool fills again; one job at a time, no queue
    bench.context.restart();
    bench.context.poll();
    const Timed timed(warm);
    PHASE_CHECK(bench.wait(bench.run(job)).out == "dlroW ,olleH");
  }
  for (int i = 0; i < kRounds; i++) bench.wait(bench.cancel(job, cancels));
  bare.print("hello: bare wasmtime in process");
  warm.print("hello: warm worker, start to exit");
  print_ratio("wasm/hello_ratio", warm.p50(), bare.p50());
  cancels.print("cancel to stop");

  Samples cold;
  for (int i = 0; i < kColdRounds; i++) {
    bench.worker->modules().finish_writing();
    const Timed timed(cold);
    bench.start();
    PHASE_CHECK(bench.worker->holds_module(job));
    PHASE_CHECK(bench.wait(bench.run(job)).out == "dlroW ,olleH");
  }
  cold.print("hello: fresh worker program, warm module cache");
}

/// One processor-bound load three ways, in processor time: native code, the engine alone, a job of
/// our worker.
struct Load {
  std::string_view module, argument;
  std::string (*native)(std::string_view argument);
};

template <typename T>
std::string bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string native_sha256(std::string_view) {
  std::uint32_t state[8];
  sha256_rounds(state);
  return bytes_of(state);
}
std::string native_load(std::string_view name) {
  return bytes_of(run_load(std::string(name).c_str()));
}

constexpr std::array kLoads{
    Load{"bench_sha256", "sha256", native_sha256}, Load{"bench_loads", "sort", native_load},
    Load{"bench_loads", "matrix", native_load}, Load{"bench_loads", "bodies", native_load}};

/// Ratios of the fastest rounds: to native code, and of our worker to the engine alone.
struct Ratios {
  double to_native = 0, to_engine = 0;
};

Ratios measure_load(Bench& bench, worker::Engine& engine, job::Profile profile, const Load& load) {
  const bool exact = profile == job::Profile::det_1;
  // det-1 has no vectors.
  const Bytes module = read_module(std::string(load.module) + (exact ? "_scalar" : ""));
  const auto compiled = engine.compile(module);
  PHASE_CHECK(compiled.has_value());
  job::WasmJob job;
  job.module = job::reference(module);
  job.args = {std::string(load.argument)};
  job.profile = profile;
  job.limits.fuel = std::numeric_limits<std::int64_t>::max();
  PHASE_CHECK(bench.wait(bench.worker->prepare(job, module)).has_value());
  Samples native, bare, ours;
  for (int i = 0; i < kHeavyRounds; i++) {
    std::string expected;
    {
      const CpuTimed timed(native);
      expected = load.native(load.argument);
    }
    {
      MemoryWorld world;
      const CpuTimed timed(bare);
      PHASE_CHECK(engine.run(*compiled, job, world).end == worker::End::exited);
      PHASE_CHECK(world.out == expected);
    }
    const Bench::Ran ran = bench.wait(bench.run(job));
    PHASE_CHECK(ran.out == expected);
    ours.add(ran.cpu);
  }
  const std::string name = std::string(load.argument) + (exact ? ", det-1" : "");
  native.print(name + ": native, -O2");
  bare.print(name + ": bare wasmtime");
  ours.print(name + ": a job of the worker");
  const Ratios out{bare.percentile(0) / native.percentile(0),
                   ours.percentile(0) / bare.percentile(0)};
  print_ratio(
      (exact ? "wasm/exact_native_ratio/" : "wasm/native_ratio/") + std::string(load.argument),
      out.to_native, 1);
  return out;
}

void measure_loads(Bench& bench, job::Profile profile) {
  auto engine = worker::Engine::make({.profile = profile});
  PHASE_CHECK(engine.has_value());
  double native = 0, bare = 0;
  for (const Load& load : kLoads) {
    const Ratios ratios = measure_load(bench, *engine, profile, load);
    native += std::log(ratios.to_native) / kLoads.size();
    bare += std::log(ratios.to_engine) / kLoads.size();
  }
  // Geometric means over the loads.
  const bool exact = profile == job::Profile::det_1;
  print_ratio(exact ? "wasm/exact_native_ratio" : "wasm/native_ratio", std::exp(native), 1);
  print_ratio(exact ? "wasm/exact_wasmtime_ratio" : "wasm/wasmtime_ratio", std::exp(bare), 1);
}

// Proportional set size in KiB of a process, 0 when it may not be read.
long pss_kib(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
  std::string word;
  while (file >> word) {
    if (word != "Pss:") continue;
    long kib = 0;
    file >> kib;
    return kib;
  }
  return 0;
}

void measure_memory(Bench& bench) {
  bench.start();
  bench.context.restart();
  bench.context.run_for(std::chrono::seconds(1));  // until the pool is full, and quiet
  const int zygote = bench.worker->zygote_pid();
  long total = pss_kib(zygote);
  int children = 0;
  std::ifstream list("/proc/" + std::to_string(zygote) + "/task/" + std::to_string(zygote) +
                     "/children");
  for (int pid = 0; list >> pid; children++) total += pss_kib(pid);
  if (total == 0) {
    std::printf("skip: memory of the idle worker program: /proc/<pid>/smaps_rollup needs root\n");
    return;
  }
  std::printf("%-58s %ld KiB with %d idle children\n", "idle worker program and pool, PSS", total,
              children);
}

}  // namespace
}  // namespace phase::bench

int main() {
  if (::sodium_init() < 0) return 1;
  phase::bench::Bench bench;
  phase::bench::measure_hello(bench);
  phase::bench::measure_memory(bench);
  phase::bench::measure_loads(bench, phase::job::Profile::fast);
  phase::bench::measure_loads(bench, phase::job::Profile::det_1);
  return 0;
}
