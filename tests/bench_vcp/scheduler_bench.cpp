// Placements per second in the scheduler alone, 10,000 nodes, each strategy: a task is added,
// placed, finished and removed.
#include <cstdlib>
#include <string>
#include <utility>

#include <sodium.h>

#include "base/check.h"
#include "base/random.h"
#include "tests/bench/samples.h"
#include "vcp/scheduler/scheduler.h"

namespace phase::bench {
namespace {

using namespace phase::vcp;

constexpr std::size_t kNodes = 10'000;
constexpr std::uint32_t kSlots = 4;
constexpr std::size_t kUnderWay = 1'000;  // tasks at once
constexpr std::size_t kRounds = 200;
constexpr std::pair<Strategy, const char*> kRows[] = {
    {Strategy::weighted, "vcp/placements/weighted"},
    {Strategy::round_robin, "vcp/placements/round-robin"},
    {Strategy::least_loaded, "vcp/placements/least-loaded"},
    {Strategy::latency_aware, "vcp/placements/latency-aware"}};

std::string text(std::string_view kind, std::size_t number) {
  std::string out(kind);
  out += std::to_string(number);
  return out;
}

PlaceableNode node(std::size_t number) {
  PlaceableNode out;
  out.name = text("node-", number);
  out.available = true;
  out.region = text("region-", number % 8);
  out.type = "compute";
  out.cpu_cores = 8;
  out.memory_mb = 16'384;
  out.gpu = number % 4 == 0;
  out.health_permille = static_cast<std::uint32_t>(400 + number % 600);
  out.bandwidth_kbps = 100'000;
  out.latency_us = 1'000 + number % 60 * 1'000;
  out.slots = kSlots;
  return out;
}

/// Half of the tasks want nothing special, the others a region or a GPU.
Need need(std::size_t number) {
  Need out;
  out.node_type = "compute";
  out.requirements.cpu_cores = 2;
  if (number % 4 == 1) out.requirements.region = text("region-", number % 8);
  if (number % 4 == 3) out.requirements.gpu = true;
  return out;
}

void measure(Strategy strategy, const char* row) {
  SystemRandom random;
  Scheduler scheduler(random, {}, strategy);
  for (std::size_t i = 0; i < kNodes; ++i) PHASE_CHECK(scheduler.put_node(node(i)).has_value());
  const Instant start{};
  Samples rounds;
  std::size_t placed = 0;
  for (std::size_t round = 0; round < kRounds; ++round) {
    const CpuTimed timed(rounds);
    for (std::size_t i = 0; i < kUnderWay; ++i) {
      PHASE_CHECK(scheduler.add(text("task-", i), need(i), start, std::nullopt).has_value());
    }
    for (auto decided = scheduler.decide(start); !decided.empty();
         decided = scheduler.decide(start)) {
      for (const Decision& decision : decided) {
        scheduler.run_finished(std::get<Place>(decision).run);
        ++placed;
      }
    }
    for (std::size_t i = 0; i < kUnderWay; ++i) scheduler.remove(text("task-", i));
  }
  PHASE_CHECK(placed == kRounds * kUnderWay);
  std::printf("%-58s %12.0f /s   %zu nodes, %zu tasks at once\n", row,
              static_cast<double>(kUnderWay) / rounds.p50() * 1e6, kNodes, kUnderWay);
}

}  // namespace
}  // namespace phase::bench

int main() {
  if (::sodium_init() < 0) return EXIT_FAILURE;
  for (const auto& [strategy, row] : phase::bench::kRows) phase::bench::measure(strategy, row);
  return 0;
}
