#include "tests/simulation/scenario.h"

#include <algorithm>
#include <iostream>

#include "protocol/verify/verify.h"
#include "tests/simulation/rogue.h"
#include "tests/simulation/stage.h"

namespace phase::simulation {
namespace {

constexpr std::size_t kProvidersMax = 3;
constexpr std::size_t kRequestsMax = 5;

/// One request of the story, with what should come of it.
struct Errand {
  explicit Errand(const asio::any_io_executor& executor, Bytes stdin_bytes, std::size_t piece)
      : given(std::move(stdin_bytes)), input(executor, given, piece) {}
  requester::Request request;
  std::string behaviour;
  Bytes given;
  MemoryInput input;
  Recorder heard;
  requester::CancelToken cancel;
  std::optional<Result<requester::Outcome>> outcome;
};

class Scenario {
 public:
  Scenario(std::uint64_t seed, bool tell);
  Report play();

 private:
  SimContext& world() { return stage_.context; }
  void add_provider(bool honest);
  void add_errand();
  WireFaults pick_faults();
  Task<void> run(Errand& errand, Duration begin);
  void watch_limits();

  void check(Report& report);
  void check_errand(Report& report, const Errand& errand);
  void check_verified(Report& report, const Errand& errand, const requester::Outcome& outcome);
  void check_provider(Report& report, const RogueNode& rogue);
  const RogueNode* who(const identity::PublicKey& key) const;

  void note(std::size_t errand, const std::string& line);

  const bool tell_;
  Stage stage_;
  identity::KeyPair key_;
  SimNetwork network_;
  requester::Requester requester_;
  provider::ProviderLimits limits_;
  std::vector<std::unique_ptr<RogueNode>> providers_;
  std::vector<Lie> lies_;
  std::vector<std::unique_ptr<Errand>> errands_;
  std::vector<std::string> exceeded_;
};

requester::RequesterLimits requester_limits(SimContext& world) {
  requester::RequesterLimits limits;
  limits.attempts_max = 1 + static_cast<std::size_t>(world.choose(4));
  return limits;
}

Scenario::Scenario(std::uint64_t seed, bool tell)
    : tell_(tell),
      stage_(seed),
      key_(identity::KeyPair::generate(stage_.random)),
      network_(stage_.clock, stage_.random, world().get_executor(), key_.public_key()),
      requester_({stage_.clock, stage_.random, key_, network_, world().get_executor()},
                 requester_limits(world())) {
  limits_.jobs_running_max = 1 + static_cast<std::size_t>(world().choose(2));
  limits_.jobs_queued_max = static_cast<std::size_t>(world().choose(3));
  limits_.jobs_per_requester_max = 1 + static_cast<std::size_t>(world().choose(4));
  const std::size_t count = 1 + static_cast<std::size_t>(world().choose(kProvidersMax));
  for (std::size_t i = 0; i < count; ++i) add_provider(world().chance(2));
  const std::size_t errands = 1 + static_cast<std::size_t>(world().choose(kRequestsMax));
  for (std::size_t i = 0; i < errands; ++i) add_errand();
  if (world().chance(5)) {
    const Instant from{static_cast<std::int64_t>(world().choose(10'000)) * 1'000'000};
    const Duration length = std::chrono::milliseconds(world().choose(40'000));
    network_.partition({from, from + length});
  }
}

WireFaults Scenario::pick_faults() {
  WireFaults faults;
  if (world().chance(2)) faults.delay_max = std::chrono::milliseconds(1 + world().choose(50));
  if (world().chance(3)) faults.piece_max = 1 + static_cast<std::size_t>(world().choose(2000));
  if (world().chance(6)) faults.cut_after = world().choose(5000);
  if (world().chance(8)) faults.mute_after = world().choose(5000);
  return faults;
}

void Scenario::add_provider(bool honest) {
  const Lie lie = honest ? Lie::none : static_cast<Lie>(world().choose(kLies));
  lies_.push_back(lie);
  if (tell_) std::cout << "provider " << lies_.size() << ": " << lie_name(lie) << "\n";
  providers_.push_back(std::make_unique<RogueNode>(stage_.clock, stage_.random,
                                                   world().get_executor(), lie, limits_));
  requester::Candidate candidate = providers_.back()->node.candidate();
  candidate.round_trip = std::chrono::milliseconds(1 + world().choose(100));
  network_.add(std::move(candidate), providers_.back()->handler(), pick_faults());
}

void Scenario::add_errand() {
  static const std::vector<std::string> kBehaviours{"reverse",       "echo",         "flood 30000",
                                                    "flood 3000000", "exit 7",       "sleep 2000",
                                                    "spin",          "vanish 20000", "nonsense"};
  const std::size_t which = static_cast<std::size_t>(world().choose(kBehaviours.size()));
  const std::size_t size =
      static_cast<std::size_t>(world().chance(4) ? world().choose(400'000) : world().choose(100));
  Bytes given(size);
  for (std::size_t i = 0; i < size; ++i) given[i] = static_cast<std::uint8_t>(i * 7);
  const std::size_t piece = 1 + static_cast<std::size_t>(world().choose(100'000));
  auto errand = std::make_unique<Errand>(world().get_executor(), std::move(given),
                                         std::max(piece, size / 50 + 1));
  errand->behaviour = kBehaviours[which];
  errand->request = make_request(errand->behaviour);
  errand->request.is_private = world().chance(4);
  if (world().chance(2)) errand->request.checkpoint_bytes = 1 + world().choose(50'000);
  if (world().chance(2)) {
    errand->request.job =
        job::with_input(std::move(errand->request.job), job::commit(errand->given));
  }
  errand->input.repeatable = !world().chance(4);
  errand->input.ends = job::complete(errand->request.job) || !world().chance(4);
  errand->heard.hook = [this, number = errands_.size()](const std::string& line) {
    note(number, line);
  };
  note(errands_.size(), errand->behaviour + " with " + std::to_string(size) + " bytes of stdin");
  errands_.push_back(std::move(errand));
}

void Scenario::note(std::size_t errand, const std::string& line) {
  world().note(line);
  if (!tell_) return;
  std::cout << world().now().ns / 1'000'000 << " ms, step " << world().steps() << ", request "
            << errand << ": " << line << "\n";
}

Task<void> Scenario::run(Errand& errand, Duration begin) {
  static_cast<void>(co_await stage_.clock.sleep_for(begin));
  errand.outcome =
      co_await requester_.run(errand.request, errand.input, errand.heard, errand.cancel);
}

void Scenario::watch_limits() {
  if (!exceeded_.empty()) return;
  for (const auto& rogue : providers_) {
    const std::size_t running = rogue->node.provider.jobs_running();
    const std::size_t queued = rogue->node.provider.jobs_queued();
    if (running > limits_.jobs_running_max) exceeded_.emplace_back("run places exceeded");
    if (running + queued > limits_.jobs_running_max + limits_.jobs_queued_max) {
      exceeded_.emplace_back("queue exceeded");
    }
    // All jobs are one requester's.
    if (running + queued > limits_.jobs_per_requester_max) {
      exceeded_.emplace_back("places of one requester exceeded");
    }
  }
}

Report Scenario::play() {
  for (const auto& errand : errands_) {
    const Duration begin = std::chrono::milliseconds(world().choose(3000));
    stage_.start([this, &one = *errand, begin]() { return run(one, begin); });
    if (!world().chance(5)) continue;
    const Duration when = begin + std::chrono::milliseconds(world().choose(10'000));
    stage_.start([this, &one = *errand, when]() -> Task<void> {
      static_cast<void>(co_await stage_.clock.sleep_for(when));
      one.cancel.request();
    });
  }
  world().run_until(
      [this] {
        watch_limits();
        return false;
      },
      Stage::kEnd);
  Report report;
  check(report);
  report.trace = world().trace();
  return report;
}

const RogueNode* Scenario::who(const identity::PublicKey& key) const {
  for (const auto& rogue : providers_) {
    if (rogue->node.key.public_key() == key) return rogue.get();
  }
  return nullptr;
}

void Scenario::check(Report& report) {
  report.broken = exceeded_;
  if (world().timers() > 0 || world().ready() > 0) report.broken.emplace_back("work left behind");
  for (const auto& errand : errands_) check_errand(report, *errand);
  for (const auto& rogue : providers_) check_provider(report, *rogue);
}

void Scenario::check_errand(Report& report, const Errand& errand) {
  if (!errand.outcome) {
    report.broken.emplace_back("a request never ended");
    return;
  }
  if (errand.input.reads_open > 0) report.broken.emplace_back("stdin is still being read");
  // Every attempt but a last one that brought the outcome was reported as failed.
  const bool has_outcome = errand.outcome->has_value();
  const std::size_t open = errand.heard.attempts.size() - errand.heard.errors.size();
  if (open > (has_outcome ? 1U : 0U)) report.broken.emplace_back("an attempt has no end");
  if (!has_outcome) {
    ++(errand.outcome->error().code == Code::cancelled ? report.cancelled : report.errors);
    return;
  }
  const requester::Outcome& outcome = **errand.outcome;
  if (outcome.verdict.ok()) {
    ++report.verified;
    return check_verified(report, errand, outcome);
  }
  ++report.refused;
  const RogueNode* rogue = who(outcome.provider);
  const auto at =
      std::ranges::find_if(providers_, [&](const auto& one) { return one.get() == rogue; });
  const Lie lie = lies_.at(static_cast<std::size_t>(at - providers_.begin()));
  if (lie == Lie::none) {
    report.broken.push_back("an honest provider was refused: " + outcome.verdict.text() + ", " +
                            outcome.verdict.detail);
  }
}

void Scenario::check_verified(Report& report, const Errand& errand,
                              const requester::Outcome& outcome) {
  const RogueNode* rogue = who(outcome.provider);
  const receipt::Receipt& stated = outcome.verdict.verified->get().receipt;
  const auto kept = rogue->node.receipts.kept.find(stated.job_id);
  if (kept == rogue->node.receipts.kept.end() || kept->second.front() != outcome.receipt) {
    report.broken.emplace_back("a receipt was verified that the provider did not sign for this");
    return;
  }
  job::OutputChain chain;
  for (const job::OutputPiece& piece : errand.heard.output) chain.append(piece.stream, piece.data);
  if (chain.summary() != outcome.output) {
    report.broken.emplace_back("the observer heard other output than was verified");
  }
  if (stated.completion != receipt::Completion{}) return;
  std::string expected(as_text(errand.given));
  if (errand.behaviour == "reverse") std::ranges::reverse(expected);
  if (errand.behaviour == "reverse" || errand.behaviour == "echo") {
    if (errand.heard.text() != expected) report.broken.emplace_back("verified output is wrong");
    if (outcome.input != job::commit(errand.given)) {
      report.broken.emplace_back("verified input is wrong");
    }
  }
}

void Scenario::check_provider(Report& report, const RogueNode& rogue) {
  const ProviderNode& node = rogue.node;
  if (node.serving > 0) report.broken.emplace_back("a stream is still served");
  if (node.worker.running() > 0) report.broken.emplace_back("a run was left behind");
  if (node.worker.running_max() > limits_.jobs_running_max) {
    report.broken.emplace_back("more runs at once than places");
  }
  // Every accepted job ended in exactly one receipt, and no receipt is about anything else.
  std::size_t receipts = 0;
  for (const auto& [id, envelopes] : node.receipts.kept) receipts += envelopes.size();
  if (receipts != node.replays.admitted.size()) {
    report.broken.push_back(std::to_string(node.replays.admitted.size()) + " jobs accepted, " +
                            std::to_string(receipts) + " receipts kept");
  }
  for (const manifest::JobId& id : node.replays.admitted) {
    if (!node.receipts.kept.contains(id)) report.broken.emplace_back("a job has no receipt");
  }
}

}  // namespace

Report play_scenario(std::uint64_t seed, bool tell) {
  return Scenario(seed, tell).play();
}

}  // namespace phase::simulation
