// Times jobs through a running node: submit to verified receipt, and cancel to stop.
//
//   job_client SOCKET TARGET MODULE COUNT      rows of `submit` in microseconds, one a line
//   job_client SOCKET TARGET MODULE cancel     microseconds from the request to the final state
//   job_client SOCKET TARGET MODULE first      one job, as soon as the node answers
//
// Run by tests/bench_node/nodes.py, which starts the nodes. Asserts results, never times.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "sdk/cpp/client.h"

namespace {

using phase::Bytes;
using Clock = std::chrono::steady_clock;

constexpr long kCountMax = 100'000;
constexpr int kConnectsMax = 30'000;
constexpr auto kWait = std::chrono::seconds(60);

[[noreturn]] void stop(const std::string& why) {
  std::fprintf(stderr, "job_client: %s\n", why.c_str());
  std::exit(1);
}

long microseconds(Clock::time_point since) {
  return static_cast<long>(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - since).count());
}

void submit_many(phase::sdk::Client& client, const Bytes& module, const std::string& target,
                 long count) {
  for (long i = 0; i < count; ++i) {
    phase::sdk::JobOptions options;
    options.stdin_bytes = phase::to_bytes("Hello, World");
    options.target = target;
    const auto start = Clock::now();
    const auto result = client.run(module, std::move(options));
    const long took = microseconds(start);
    if (!result) stop(result.error().text());
    if (!result->verdict.ok()) stop(result->verdict.text());
    if (phase::as_text(result->out) != "dlroW ,olleH") stop("wrong output");
    std::printf("%ld\n", took);
  }
}

/// hello reads stdin to its end; left open, the job runs until it is cancelled.
void cancel_one(phase::sdk::Client& client, const Bytes& module, const std::string& target) {
  phase::sdk::JobOptions options;
  options.stdin_bytes.reset();
  options.target = target;
  auto job = client.submit(module, std::move(options));
  if (!job) stop(job.error().text());
  for (int i = 0;; ++i) {
    const auto state = client.job(job->id);
    if (!state) stop(state.error().text());
    if (state->find("\"running\"") != std::string::npos) break;
    if (i > 1000) stop("the job never ran");
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // tidy: allow(sleep): polls
  }
  const auto start = Clock::now();
  if (const auto asked = client.cancel(job->id); !asked) stop(asked.error().text());
  const auto result = client.result(*job, kWait);
  const long took = microseconds(start);
  if (!result) stop(result.error().text());
  std::printf("%ld\n", took);
}

/// A node that is starting answers soon.
phase::Result<phase::sdk::Client> connect(const std::string& socket, bool patiently) {
  auto client = phase::sdk::Client::connect({.socket = socket});
  for (int i = 0; patiently && !client && i < kConnectsMax; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // tidy: allow(sleep): polls
    client = phase::sdk::Client::connect({.socket = socket});
  }
  return client;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) stop("usage: job_client SOCKET TARGET MODULE COUNT|cancel|first");
  std::ifstream file(argv[3], std::ios::binary);
  const Bytes module{std::istreambuf_iterator<char>(file), {}};
  const std::string what = argv[4];
  auto client = connect(argv[1], what == "first");
  if (!client) stop(client.error().text());
  if (what == "cancel") {
    cancel_one(*client, module, argv[2]);
    return 0;
  }
  const long count = what == "first" ? 1 : std::strtol(argv[4], nullptr, 10);
  if (count < 1 || count > kCountMax) stop("COUNT is 1 ... 100000");
  submit_many(*client, module, argv[2], count);
}
