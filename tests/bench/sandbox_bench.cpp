// What each part of a sandboxed run costs, and what a process per requester would save against one
// per job (docs/decisions/0002). The program is its own worker: started again with --zygote, it is
// the inside.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <sodium.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "tests/bench/samples.h"
#include "worker/sandbox/launcher.h"
#include "worker/wasm/channel_world.h"
#include "worker/wasm/engine.h"
#include "worker/wasm/message.h"

namespace phase::bench {
namespace {

constexpr int kRounds = 400;
constexpr std::string_view kInput = "Hello, World";

// --- the inside

// Echoes, or runs every job it is sent: what a worker kept for one requester would do.
class BenchWork final : public sandbox::Work {
 public:
  Result<Bytes> prepare() override {
    PHASE_TRY(engine_, worker::Engine::make({}));
    PHASE_TRY(const Sha256 fingerprint, engine_->warm_up());
    return to_bytes(fingerprint.bytes());
  }
  sandbox::Limits limits(sandbox::Role) const override { return {}; }
  int run(sandbox::Role, int socket) override {
    if (!engine_->rehearse() || !sandbox::send_message(socket, as_bytes("ready"))) return 1;
    Bytes buffer(sandbox::kMessageBytesMax);
    for (;;) {
      auto received = sandbox::receive_message(socket, buffer);
      if (!received || received->kind != sandbox::Received::Kind::message) return 0;
      const ByteView message = ByteView(buffer).first(received->bytes);
      if (received->descriptors.empty()) {
        (void)sandbox::send_message(socket, message);
        continue;
      }
      const auto decoded = worker::decode_from_parent(message);
      PHASE_CHECK(decoded.has_value());
      const auto& start = std::get<worker::Start>(*decoded);
      void* code = ::mmap(nullptr, start.compiled_bytes, PROT_READ, MAP_PRIVATE,
                          received->descriptors[0].get(), 0);
      worker::ChannelWorld world(socket, start.job.limits.output_bytes);
      const auto report = engine_->run(
          {static_cast<const std::uint8_t*>(code), start.compiled_bytes}, start.job, world);
      ::munmap(code, start.compiled_bytes);
      (void)sandbox::send_message(socket, worker::encode(report));
    }
  }

 private:
  std::optional<worker::Engine> engine_;
};

// --- the outside

struct Bench {
  asio::io_context context;
  std::unique_ptr<sandbox::Launcher> launcher;
  Bytes compiled;
  sandbox::FileDescriptor file;
  Bytes start;

  template <typename T>
  T wait(Task<T> task) {
    auto future = asio::co_spawn(context, std::move(task), asio::use_future);
    context.restart();
    while (future.wait_for(std::chrono::seconds(0)) != std::future_status::ready) context.run_one();
    return future.get();
  }
  // hello on a child: send the job and its input, read until the report.
  Task<void> hello(sandbox::Child& child) {
    Bytes buffer(sandbox::kMessageBytesMax);
    const int number = file.get();
    PHASE_CHECK((co_await child.send(start, {}, std::span(&number, 1))).has_value());
    PHASE_CHECK(
        (co_await child.send(ByteView(&worker::kStdinPieceTag, 1), as_bytes(kInput))).has_value());
    PHASE_CHECK((co_await child.send(worker::encode_stdin_end())).has_value());
    for (;;) {
      const auto got = co_await child.receive(buffer);
      PHASE_CHECK(got && *got > 0);
      const auto message = worker::decode_from_child(ByteView(buffer).first(*got));
      PHASE_CHECK(message.has_value());
      if (std::holds_alternative<worker::RunReport>(*message)) co_return;
    }
  }
  Task<void> ready(sandbox::Child& child) {
    Bytes buffer(sandbox::kMessageBytesMax);
    const auto got = co_await child.receive(buffer);
    PHASE_CHECK(got && *got > 0);
  }
  Task<void> echo(sandbox::Child& child, Samples& samples) {
    Bytes buffer(sandbox::kMessageBytesMax);
    for (int i = 0; i < kRounds; i++) {
      const Timed timed(samples);
      PHASE_CHECK((co_await child.send(as_bytes("ping"))).has_value());
      PHASE_CHECK((co_await child.receive(buffer)).has_value());
    }
  }
};

std::shared_ptr<sandbox::Child> fork_child(Bench& bench) {
  auto child = bench.wait(bench.launcher->fork(sandbox::Role::execute));
  PHASE_CHECK(child.has_value());
  return *child;
}

// As `fork_child`, and until the child is locked down and has rehearsed a run.
std::shared_ptr<sandbox::Child> ready_child(Bench& bench) {
  auto child = fork_child(bench);
  bench.wait(bench.ready(*child));
  return child;
}

void measure_processes(Bench& bench) {
  Samples forks, round_trips, fresh, prepared, kept;
  for (int i = 0; i < kRounds; i++) {
    const Timed timed(forks);
    fork_child(bench);
  }
  const auto child = ready_child(bench);
  bench.wait(bench.echo(*child, round_trips));
  for (int i = 0; i < kRounds; i++) {
    const Timed timed(fresh);
    const auto job_child = ready_child(bench);
    bench.wait(bench.hello(*job_child));
  }
  for (int i = 0; i < kRounds; i++) {
    const auto job_child = ready_child(bench);
    const Timed timed(prepared);
    bench.wait(bench.hello(*job_child));
  }
  for (int i = 0; i < kRounds; i++) {
    const Timed timed(kept);
    bench.wait(bench.hello(*child));
  }
  forks.print("fork of a warmed, locked zygote (asked, answered)");
  round_trips.print("socket round trip to a locked child");
  fresh.print("hello: forked for the job, on its path");
  prepared.print("hello: forked ahead, one job per process");
  kept.print("hello: process kept for a requester");
  print_ratio("forked ahead / kept", prepared.p50(), kept.p50());
}

void measure_engine(const Bytes& compiled) {
  Samples run;
  auto engine = worker::Engine::make({});
  PHASE_CHECK(engine.has_value());
  class World final : public wasi::World {
   public:
    std::optional<std::size_t> read_stdin(std::span<std::uint8_t> out) override {
      const std::size_t count = std::min(out.size(), left.size());
      std::copy_n(left.begin(), count, out.begin());
      left.remove_prefix(count);
      return count;
    }
    std::optional<bool> wait(bool, std::optional<std::uint64_t>) override { return true; }
    bool write(wasi::Stream, ByteView) override { return true; }
    std::uint64_t elapsed_ns() override { return 0; }
    std::uint64_t cpu_ns() override { return 0; }
    std::string_view left = kInput;
  };
  for (int i = 0; i < kRounds; i++) {
    World world;
    const Timed timed(run);
    const auto report = engine->run(compiled, job::WasmJob{}, world);
    PHASE_CHECK(report.end == worker::End::exited);
  }
  run.print("engine in process: load, instantiate, run hello");
}

int bench_main() {
  std::ifstream stream(PHASE_BINARY_DIR "/examples/hello.wasm", std::ios::binary);
  const Bytes module{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  PHASE_CHECK(!module.empty());
  Bench bench;
  auto engine = worker::Engine::make({});
  PHASE_CHECK(engine.has_value());
  auto compiled = engine->compile(module);
  PHASE_CHECK(compiled.has_value());
  bench.compiled = *compiled;
  bench.file.reset(::memfd_create("hello", MFD_CLOEXEC));
  PHASE_CHECK(::write(bench.file.get(), bench.compiled.data(), bench.compiled.size()) ==
              static_cast<ssize_t>(bench.compiled.size()));
  job::WasmJob job;
  job.module = job::reference(module);
  bench.start = worker::encode_start(bench.compiled.size(), job);
  auto launcher =
      sandbox::Launcher::start(bench.context.get_executor(), {"/proc/self/exe", {"--zygote"}});
  PHASE_CHECK(launcher.has_value());
  bench.launcher = *std::move(launcher);
  std::printf("hello.wasm %zu bytes, compiled %zu bytes\n", module.size(), bench.compiled.size());
  measure_engine(bench.compiled);
  measure_processes(bench);
  return 0;
}

}  // namespace
}  // namespace phase::bench

int main(int argc, char** argv) {
  if (::sodium_init() < 0) return 1;
  if (argc == 2 && std::string_view(argv[1]) == "--zygote") {
    phase::bench::BenchWork work;
    const auto done = phase::sandbox::run_zygote(phase::sandbox::control::kSocketNumber,
                                                 phase::sandbox::Isolation::full, work);
    return done ? 0 : 1;
  }
  return phase::bench::bench_main();
}
