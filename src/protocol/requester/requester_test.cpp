// The requester against honest, slow, lost and lying providers, under virtual time.
#include "protocol/requester/requester.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "protocol/requester/attempt_internal.h"
#include "protocol/requester/choose_internal.h"
#include "tests/simulation/rogue.h"
#include "tests/simulation/stage.h"

namespace phase::requester {
namespace {

using receipt::CompletionKind;
using simulation::Lie;
using simulation::MemoryInput;
using simulation::ProviderNode;
using simulation::Recorder;
using simulation::RogueNode;
using simulation::Stage;

constexpr Duration kNear = 1ms;
constexpr Duration kFar = 100ms;

struct Scene {
  explicit Scene(RequesterLimits limits = {}, std::uint64_t seed = 1)
      : stage(seed),
        executor(stage.context.get_executor()),
        key(identity::KeyPair::generate(stage.random)),
        network(stage.clock, stage.random, executor, key.public_key()),
        requester({stage.clock, stage.random, key, network, executor, &record}, limits) {}
  ~Scene() {
    EXPECT_TRUE(stage.settle());
    for (const auto& node : nodes) EXPECT_EQ(node->node.serving, 0U);
  }

  RogueNode& add(Lie lie, Duration round_trip, provider::ProviderLimits limits = {}) {
    nodes.push_back(std::make_unique<RogueNode>(stage.clock, stage.random, executor, lie, limits));
    Candidate candidate = nodes.back()->node.candidate();
    candidate.round_trip = round_trip;
    network.add(std::move(candidate), nodes.back()->handler());
    return *nodes.back();
  }

  /// Runs one request; `during` may act meanwhile.
  Result<Outcome> run(Request request, std::string_view stdin_text = "abc") {
    MemoryInput input(executor, to_bytes(stdin_text));
    return run(std::move(request), input);
  }
  Result<Outcome> run(Request request, MemoryInput& input) {
    Result<Outcome> outcome = fail(Code::internal, "run did not return");
    EXPECT_TRUE(stage.play([&]() -> Task<void> {
      outcome = co_await requester.run(request, input, heard, cancel);
      EXPECT_EQ(input.reads_open, 0U);
    }));
    return outcome;
  }

  Stage stage;
  asio::any_io_executor executor;
  identity::KeyPair key;
  simulation::SimNetwork network;
  Record record;
  Requester requester;
  std::vector<std::unique_ptr<RogueNode>> nodes;
  Recorder heard;
  CancelToken cancel;
};

const receipt::Receipt& receipt_of(const Outcome& outcome) {
  return outcome.verdict.verified->get().receipt;
}

TEST(Choose, KeepsWhatFitsAndPutsLoadBeforeDistance) {
  Stage stage;
  ProviderNode node(stage.clock, stage.random, stage.context.get_executor());
  std::vector<Candidate> found(5, node.candidate());
  for (std::size_t i = 0; i < found.size(); ++i) {
    found[i].key.value[0] = static_cast<std::uint8_t>(i);
  }
  found[0].round_trip = 1ms;  // near, but full
  found[0].capabilities.jobs_running = 4;
  found[1].round_trip = 50ms;
  found[2].round_trip.reset();
  found[3].capabilities.memory_bytes = 1;
  found[4].capabilities.kinds = {"inference"};
  Request request;
  manifest::Requirements& needs = request.requirements;
  needs.memory_bytes = 1000;
  needs.runtime = "memory";
  std::vector<int> order;
  for (const Candidate& candidate : choose(found, request, nullptr, {}))
    order.push_back(candidate.key.value[0]);
  EXPECT_EQ(order, (std::vector<int>{1, 2, 0}));
  // What is known of them weighs: the near one is slow to begin, the unknown one lied.
  Record record;
  record.succeeded(found[1].key, 400ms, {});
  record.refused(found[2].key, {});
  request.preferred = found[1].key;
  order.clear();
  for (const Candidate& one : choose(found, request, &record, {}))
    order.push_back(one.key.value[0]);
  EXPECT_EQ(order, (std::vector<int>{1, 0, 2}));
  request.preferred = found[0].key;  // is full
  order.clear();
  for (const Candidate& one : choose(found, request, &record, {}))
    order.push_back(one.key.value[0]);
  EXPECT_EQ(order, (std::vector<int>{1, 0, 2}));
  record.succeeded(found[1].key, 9000ms, {});
  order.clear();
  for (const Candidate& one : choose(found, request, &record, {}))
    order.push_back(one.key.value[0]);
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2})) << "a full one is sooner there than a slow one";
  needs.region = "eu";
  EXPECT_TRUE(choose(found, request, nullptr, {}).empty());
}

TEST(InputMarks, KnowsEveryBorderAndNothingBetween) {
  InputMarks marks;
  marks.add(as_bytes("abc"));
  marks.add(as_bytes("de"));
  EXPECT_EQ(marks.at(0), job::commit({}));
  EXPECT_EQ(marks.at(3), job::commit(as_bytes("abc")));
  EXPECT_EQ(marks.at(5), job::commit(as_bytes("abcde")));
  EXPECT_EQ(marks.at(4), std::nullopt);
  EXPECT_EQ(marks.at(6), std::nullopt);
  for (std::size_t i = 0; i < kMarksMax; ++i) marks.add(as_bytes("x"));
  EXPECT_EQ(marks.at(3), std::nullopt);
  EXPECT_EQ(marks.at(5 + kMarksMax), marks.all());
}

TEST(Requester, VerifiesWhatAnHonestProviderSigned) {
  for (const bool is_private : {false, true}) {
    for (const bool fixed : {false, true}) {
      Scene scene;
      scene.add(Lie::none, kNear);
      Request request = simulation::make_request("reverse");
      request.is_private = is_private;
      if (fixed) {
        request.job = job::with_input(std::move(request.job), job::commit(as_bytes("abc")));
      }
      const auto outcome = scene.run(request);
      ASSERT_TRUE(outcome.has_value()) << outcome.error().text();
      EXPECT_TRUE(outcome->verdict.ok()) << outcome->verdict.text();
      EXPECT_EQ(outcome->salt.has_value(), is_private);
      EXPECT_EQ(outcome->input, job::commit(as_bytes("abc")));
      EXPECT_EQ(scene.heard.text(), "cba");
    }
  }
}

TEST(Requester, CheckpointsAreCheckedAndReported) {
  Scene scene;
  scene.add(Lie::none, kNear);
  Request request = simulation::make_request("flood 100000");
  request.checkpoint_bytes = 30'000;
  const auto outcome = scene.run(request);
  ASSERT_TRUE(outcome && outcome->verdict.ok());
  EXPECT_TRUE(scene.heard.heard("checkpoint 30000"));
  EXPECT_TRUE(scene.heard.heard("checkpoint 90000"));
}

TEST(Requester, AfterEveryLieTheNextProviderIsAskedWithANewManifest) {
  for (std::size_t i = 1; i < simulation::kLies; ++i) {
    const Lie lie = static_cast<Lie>(i);
    if (lie == Lie::alter_late) continue;  // below
    SCOPED_TRACE(simulation::lie_name(lie));
    Scene scene;
    scene.add(lie, kNear);
    RogueNode& honest = scene.add(Lie::none, kFar);
    if (lie == Lie::old_receipt) {
      ASSERT_TRUE(scene.run(simulation::make_request("reverse"), "first")->verdict.ok());
      scene.heard = {};
    }
    const auto outcome = scene.run(simulation::make_request("reverse"));
    ASSERT_TRUE(outcome.has_value()) << outcome.error().text();
    EXPECT_TRUE(outcome->verdict.ok()) << outcome->verdict.text();
    EXPECT_EQ(outcome->provider, honest.node.key.public_key());
    EXPECT_EQ(scene.heard.text(), "cba");
    ASSERT_EQ(scene.heard.attempts.size(), 2U);
    EXPECT_NE(scene.heard.attempts[0], scene.heard.attempts[1]);
    EXPECT_EQ(scene.heard.errors.size(), 1U);
  }
}

TEST(Requester, ALieBehindAnHonestCheckpointIsFoundAtTheNext) {
  Scene scene;
  scene.add(Lie::alter_late, kNear);
  Request request = simulation::make_request("flood 100000");
  request.checkpoint_bytes = 30'000;
  const auto outcome = scene.run(request);
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->verdict.failed, verify::Check::checkpoint);
  EXPECT_TRUE(scene.heard.heard("checkpoint 30000"));
  EXPECT_FALSE(scene.heard.heard("checkpoint 60000"));
}

TEST(Requester, AloneWithALiarTheBadVerdictIsReturned) {
  const std::vector<std::pair<Lie, verify::Check>> rows{
      {Lie::alter_output, verify::Check::output_commitment},
      {Lie::drop_output, verify::Check::output_length},
      {Lie::truncate_output, verify::Check::output_length},
      {Lie::other_subject, verify::Check::module_hash},
      {Lie::other_key, verify::Check::provider_key},
      {Lie::false_checkpoint, verify::Check::checkpoint},
      {Lie::foreign_checkpoint, verify::Check::checkpoint},
  };
  for (const auto& [lie, check] : rows) {
    SCOPED_TRACE(simulation::lie_name(lie));
    Scene scene;
    scene.add(lie, kNear);
    const auto outcome = scene.run(simulation::make_request("reverse"));
    ASSERT_TRUE(outcome.has_value());
    EXPECT_FALSE(outcome->verdict.ok());
    EXPECT_EQ(outcome->verdict.failed, check);
    EXPECT_EQ(scene.heard.attempts.size(), 1U);  // a liar is not asked twice
  }
}

TEST(Requester, WithAGateOutputIsShownOnlyAfterTheCommitAndTheGate) {
  Scene scene;
  scene.add(Lie::none, kNear);
  Request request = simulation::make_request("reverse");
  RevealGate gate;
  request.reveal = &gate;
  scene.heard.hook = [&](const std::string& line) {
    if (line != "commit") return;
    scene.stage.start([&]() -> Task<void> {
      static_cast<void>(co_await scene.stage.clock.sleep_for(30s));
      EXPECT_TRUE(scene.heard.output.empty()) << "the gate is closed";
      gate.open();
    });
  };
  const auto outcome = scene.run(request);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().text();
  EXPECT_TRUE(outcome->verdict.ok()) << outcome->verdict.text();
  EXPECT_TRUE(scene.heard.heard("commit"));
  EXPECT_EQ(scene.heard.text(), "cba");
}

TEST(Requester, WhoRevealsSomethingElseThanItsCommitIsRefused) {
  RequesterLimits once;
  once.attempts_max = 1;
  for (const Lie lie : {Lie::other_commit, Lie::no_commit}) {
    Scene scene(once);
    scene.add(lie, kNear);
    Request request = simulation::make_request("reverse");
    RevealGate gate;
    gate.open();
    request.reveal = &gate;
    const auto outcome = scene.run(request);
    if (lie == Lie::no_commit) {
      ASSERT_FALSE(outcome.has_value());
      EXPECT_EQ(outcome.error().code, Code::protocol);
      continue;
    }
    ASSERT_TRUE(outcome.has_value()) << outcome.error().text();
    EXPECT_FALSE(outcome->verdict.ok());
    EXPECT_EQ(outcome->verdict.failed, verify::Check::commit);
  }
}

TEST(Requester, WhoLiedComesLastFromThenOn) {
  Scene scene;
  RogueNode& liar = scene.add(Lie::alter_output, kNear);
  scene.add(Lie::none, kFar);
  for (const std::size_t asked : {2U, 3U, 4U}) {
    ASSERT_TRUE(scene.run(simulation::make_request("reverse"))->verdict.ok());
    EXPECT_EQ(scene.heard.attempts.size(), asked);
  }
  EXPECT_EQ(liar.node.replays.admitted.size(), 1U);
}

TEST(Requester, SilenceBehindHeartbeatsIsBoundedAndNotAskedAgain) {
  RequesterLimits limits;
  limits.first_output_max = 60s;
  limits.output_silence_max = 30s;
  const std::vector<std::pair<Lie, Duration>> rows{{Lie::beat_only, 60s}, {Lie::stall_midway, 30s}};
  for (const auto& [lie, limit] : rows) {
    SCOPED_TRACE(simulation::lie_name(lie));
    Scene alone(limits);
    alone.add(lie, kNear);
    const auto lost = alone.run(simulation::make_request("reverse"));
    ASSERT_FALSE(lost.has_value());
    EXPECT_EQ(lost.error().code, Code::timed_out);
    EXPECT_NE(lost.error().message.find("made no output"), std::string::npos);
    EXPECT_EQ(alone.heard.attempts.size(), 1U);
    EXPECT_EQ(alone.stage.clock.now() - Instant{}, limit);
    Scene scene(limits);
    scene.add(lie, kNear);
    RogueNode& honest = scene.add(Lie::none, kFar);
    const auto outcome = scene.run(simulation::make_request("reverse"));
    ASSERT_TRUE(outcome && outcome->verdict.ok());
    EXPECT_EQ(outcome->provider, honest.node.key.public_key());
    EXPECT_EQ(scene.heard.text(), "cba");
  }
  // Who works slowly is no such provider.
  Scene slow(limits);
  slow.add(Lie::none, kNear);
  EXPECT_TRUE(slow.run(simulation::make_request("sleep 59000"))->verdict.ok());
}

TEST(Requester, WhoIsExcludedIsNotAsked) {
  Scene scene;
  RogueNode& near = scene.add(Lie::none, kNear);
  RogueNode& far = scene.add(Lie::none, kFar);
  Request request = simulation::make_request("reverse");
  request.excluded = {near.node.key.public_key()};
  const auto outcome = scene.run(request);
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->provider, far.node.key.public_key());
  request.excluded.push_back(far.node.key.public_key());
  const auto none = scene.run(request);
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().message, "no provider was found");
}

TEST(Requester, AnOldReceiptIsForAnotherJob) {
  Scene scene;
  scene.add(Lie::old_receipt, kNear);
  ASSERT_TRUE(scene.run(simulation::make_request("reverse"))->verdict.ok());
  const auto outcome = scene.run(simulation::make_request("reverse"));
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->verdict.failed, verify::Check::job_id);
}

TEST(Requester, ARetryAfterOutputSaysSoFirst) {
  Scene scene;
  scene.add(Lie::alter_output, kNear);
  scene.add(Lie::none, kFar);
  ASSERT_TRUE(scene.run(simulation::make_request("echo"))->verdict.ok());
  const auto& said = scene.heard.said;
  const auto restart = std::ranges::find(said, "restart");
  ASSERT_NE(restart, said.end());
  EXPECT_TRUE((restart + 1)->starts_with("attempt"));
  EXPECT_EQ(scene.heard.text(), "abc");
}

TEST(Requester, StdinThatCannotBeRepeatedIsNotSentTwice) {
  Scene scene;
  scene.add(Lie::crash, kNear);
  scene.add(Lie::none, kFar);
  MemoryInput input(scene.executor, to_bytes("abc"));
  input.repeatable = false;
  const auto outcome = scene.run(simulation::make_request("reverse"), input);
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().code, Code::connection_closed);
  EXPECT_FALSE(outcome.error().hint.empty());
  EXPECT_EQ(scene.heard.attempts.size(), 1U);
}

TEST(Requester, ABusyProviderIsAskedAgain) {
  Scene scene;
  RogueNode& rogue = scene.add(Lie::none, kNear);
  rogue.node.policy.refusal =
      provider::Refused{offer::RejectionReason::busy, "full", std::uint64_t{2000}};
  scene.stage.start([&]() -> Task<void> {
    static_cast<void>(co_await scene.stage.clock.sleep_for(1s));
    rogue.node.policy.refusal.reset();
  });
  const auto outcome = scene.run(simulation::make_request("reverse"));
  ASSERT_TRUE(outcome.has_value()) << outcome.error().text();
  EXPECT_EQ(scene.heard.attempts.size(), 2U);
  EXPECT_EQ(scene.stage.clock.now().ns / 1'000'000, 2000);
}

TEST(Requester, ARefusalIsNotRepeatedAtTheSameProvider) {
  Scene scene;
  RogueNode& rogue = scene.add(Lie::none, kNear);
  rogue.node.policy.refusal =
      provider::Refused{offer::RejectionReason::unauthorized, "not on the list", {}};
  const auto outcome = scene.run(simulation::make_request("reverse"));
  ASSERT_FALSE(outcome.has_value());
  EXPECT_EQ(outcome.error().code, Code::rejected);
  EXPECT_NE(outcome.error().message.find("unauthorized: not on the list"), std::string::npos);
  EXPECT_FALSE(outcome.error().hint.empty());
  EXPECT_EQ(scene.heard.attempts.size(), 1U);
}

TEST(Requester, WithoutAProviderTheErrorNamesTheNextStep) {
  Scene scene;
  const auto none = scene.run(simulation::make_request("reverse"));
  EXPECT_EQ(none.error().code, Code::unavailable);
  EXPECT_FALSE(none.error().hint.empty());
  scene.add(Lie::none, kNear);
  Request large = simulation::make_request("reverse");
  large.requirements.cpu_cores = 1000;
  const auto unfit = scene.run(large);
  EXPECT_EQ(unfit.error().code, Code::unavailable);
  EXPECT_NE(unfit.error().message.find("too few CPU cores"), std::string::npos);
}

TEST(Requester, ANamedProviderIsTheOnlyOneAsked) {
  Scene scene;
  scene.add(Lie::none, kNear);
  Request request = simulation::make_request("reverse");
  request.provider = identity::KeyPair::generate(scene.stage.random).public_key();
  const auto outcome = scene.run(request);
  EXPECT_EQ(outcome.error().code, Code::unavailable);
  EXPECT_EQ(scene.heard.attempts.size(), 3U);
  EXPECT_EQ(scene.nodes[0]->node.replays.admitted.size(), 0U);
}

TEST(Requester, AProviderThatShutsDownIsReplaced) {
  Scene scene;
  RogueNode& leaving = scene.add(Lie::none, kNear);
  RogueNode& staying = scene.add(Lie::none, kFar);
  scene.stage.start([&]() -> Task<void> {
    static_cast<void>(co_await scene.stage.clock.sleep_for(1s));
    co_await leaving.node.provider.drain(scene.stage.clock.deadline_after(1s));
  });
  Request request = simulation::make_request("sleep 4000");
  const auto outcome = scene.run(request);
  ASSERT_TRUE(outcome && outcome->verdict.ok());
  EXPECT_EQ(outcome->provider, staying.node.key.public_key());
  EXPECT_EQ(receipt_of(*outcome).completion, receipt::Completion{});
}

TEST(Requester, AJobThatEndsBeforeOpenStdinDoesNotWaitForIt) {
  Scene scene;
  scene.add(Lie::none, kNear);
  MemoryInput input(scene.executor, to_bytes("abcdef"), 3);
  input.ends = false;
  const auto outcome = scene.run(simulation::make_request("sleep 1000"), input);
  ASSERT_TRUE(outcome.has_value());
  EXPECT_TRUE(outcome->verdict.ok()) << outcome->verdict.text();
  EXPECT_EQ(outcome->input, job::commit(as_bytes("abcdef")));
}

TEST(Requester, ARunThatEndsWhileStdinStillFlowsIsForABeginningOfIt) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Scene scene({}, seed);
    RogueNode& rogue = scene.add(Lie::none, kNear);
    simulation::WireFaults slow;
    slow.delay_max = 20ms;
    slow.piece_max = 300;
    scene.network.set_faults(rogue.node.key.public_key(), slow);
    MemoryInput input(scene.executor, Bytes(5000, 'x'), 100);
    const auto outcome = scene.run(simulation::make_request("exit 1"), input);
    ASSERT_TRUE(outcome.has_value());
    EXPECT_TRUE(outcome->verdict.ok()) << outcome->verdict.text() << " seed " << seed;
    EXPECT_LE(outcome->input.length, 5000U);
  }
}

TEST(Requester, CancelCostsOneRoundTrip) {
  constexpr Duration kDelayMax = 20ms;  // of one direction
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Scene scene({}, seed);
    RogueNode& rogue = scene.add(Lie::none, kNear);
    simulation::WireFaults slow;
    slow.delay_max = kDelayMax;
    scene.network.set_faults(rogue.node.key.public_key(), slow);
    scene.stage.start([&]() -> Task<void> {
      static_cast<void>(co_await scene.stage.clock.sleep_for(2s));
      scene.cancel.request();
    });
    MemoryInput input(scene.executor, to_bytes("abc"));
    input.ends = false;
    const auto outcome = scene.run(simulation::make_request("echo"), input);
    ASSERT_TRUE(outcome.has_value()) << outcome.error().text();
    EXPECT_TRUE(outcome->verdict.ok());
    EXPECT_EQ(receipt_of(*outcome).completion.kind, CompletionKind::cancelled);
    // Out goes `cancel`, back come receipt and `end`, each in its turn.
    EXPECT_LE(scene.stage.clock.now() - Instant{}, 2s + 3 * kDelayMax) << "seed " << seed;
  }
}

TEST(Requester, CancelBringsAPartialReceiptAtOnce) {
  Scene scene;
  scene.add(Lie::none, kNear);
  scene.stage.start([&]() -> Task<void> {
    static_cast<void>(co_await scene.stage.clock.sleep_for(2s));
    scene.cancel.request();
  });
  MemoryInput input(scene.executor, to_bytes("abc"));
  input.ends = false;
  const auto outcome = scene.run(simulation::make_request("echo"), input);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().text();
  EXPECT_TRUE(outcome->verdict.ok());
  EXPECT_EQ(receipt_of(*outcome).completion.kind, CompletionKind::cancelled);
  EXPECT_EQ(scene.heard.text(), "abc");
  EXPECT_EQ(scene.stage.clock.now().ns, 2'000'000'000);
}

TEST(Requester, CancelWhereNobodyAnswersEndsInItsOwnTime) {
  for (const Lie lie : {Lie::stall, Lie::beat_only}) {
    Scene scene;
    scene.add(lie, kNear);
    scene.add(Lie::none, kFar);
    scene.stage.start([&]() -> Task<void> {
      static_cast<void>(co_await scene.stage.clock.sleep_for(2s));
      scene.cancel.request();
    });
    const auto outcome = scene.run(simulation::make_request("reverse"));
    ASSERT_FALSE(outcome.has_value());
    EXPECT_EQ(outcome.error().code, Code::cancelled);
    EXPECT_EQ(scene.heard.attempts.size(), 1U);
    EXPECT_EQ(scene.stage.clock.now().ns, 7'000'000'000);
  }
}

TEST(Requester, CancelBeforeAndBetweenAttempts) {
  Scene scene;
  scene.cancel.request();
  EXPECT_EQ(scene.run(simulation::make_request("reverse")).error().code, Code::cancelled);
  EXPECT_TRUE(scene.heard.attempts.empty());
  RequesterLimits patient;
  patient.retry_backoff = 100s;
  Scene waiting(patient);
  waiting.stage.start([&]() -> Task<void> {
    static_cast<void>(co_await waiting.stage.clock.sleep_for(1s));
    waiting.cancel.request();
  });
  Request request = simulation::make_request("reverse");
  request.provider = waiting.key.public_key();  // nobody there
  EXPECT_EQ(waiting.run(request).error().code, Code::cancelled);
  EXPECT_EQ(waiting.stage.clock.now().ns, 1'000'000'000);
}

TEST(Requester, CancelBehindStdinThatNobodyReadsDropsTheStream) {
  Scene scene;
  RogueNode& rogue = scene.add(Lie::none, kNear);
  scene.stage.start([&]() -> Task<void> {
    static_cast<void>(co_await scene.stage.clock.sleep_for(2s));
    scene.cancel.request();
  });
  MemoryInput input(scene.executor, Bytes(10'000'000, 'x'), 60'000);
  Request request = simulation::make_request("spin");
  request.wall_limit_ms = 600'000;
  const auto outcome = scene.run(request, input);
  EXPECT_EQ(outcome.error().code, Code::cancelled);
  EXPECT_TRUE(scene.stage.settle());
  EXPECT_EQ(rogue.node.worker.running(), 0U);
  EXPECT_EQ(rogue.node.receipts.kept.size(), 1U);
}

TEST(Requester, ALostProviderIsGivenUpAfterTwentySeconds) {
  Scene scene;
  RogueNode& lost = scene.add(Lie::none, kNear);
  scene.add(Lie::none, kFar);
  simulation::WireFaults mute;
  mute.mute_after = 600;  // the offer gets through, the answer does not get far
  scene.network.set_faults(lost.node.key.public_key(), mute);
  const auto outcome = scene.run(simulation::make_request("reverse"));
  ASSERT_TRUE(outcome.has_value()) << outcome.error().text();
  EXPECT_TRUE(outcome->verdict.ok());
  EXPECT_EQ(scene.heard.errors.at(0).code, Code::timed_out);
}

TEST(Requester, AModuleThatIsNotTheJobsIsTheCallersMistake) {
  Scene scene;
  Request request = simulation::make_request("reverse");
  request.module = std::make_shared<const Bytes>(3);
  EXPECT_EQ(scene.run(request).error().code, Code::invalid_argument);
  request.module = nullptr;
  EXPECT_EQ(scene.run(request).error().code, Code::invalid_argument);
}

}  // namespace
}  // namespace phase::requester
