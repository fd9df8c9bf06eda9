// The provider against a requester that speaks raw frames, under virtual time.
#include "protocol/provider/provider.h"

#include <gtest/gtest.h>

#include "base/memory_stream.h"
#include "tests/simulation/stage.h"

namespace phase::provider {
namespace {

using offer::RejectionReason;
using receipt::Completion;
using receipt::CompletionKind;
using simulation::ProviderNode;
using simulation::Stage;

/// A requester that does what the test says, frame by frame.
class Peer {
 public:
  Peer(Stage& stage, ProviderNode& node)
      : stage_(stage), node_(node), key_(identity::KeyPair::generate(stage.random)) {}

  /// Opens another stream; the one before stays open in `earlier`.
  void connect() {
    if (stream) earlier.push_back(std::move(stream));
    MemoryStreamPair pair = make_memory_stream(stage_.context.get_executor());
    stream = std::move(pair.first);
    asio::co_spawn(stage_.context.get_executor(),
                   node_.handler()(std::move(pair.second), key_.public_key()), asio::detached);
  }

  manifest::Manifest manifest(std::string_view behaviour) {
    const requester::Request request = simulation::make_request(behaviour);
    module = *request.module;
    manifest::Manifest out;
    out.job = request.job;
    out.wall_limit_ms = request.wall_limit_ms;
    out.audience = node_.key.public_key();
    out.created = stage_.clock.now_utc();
    out.expires.unix_ms = out.created.unix_ms + 600'000;
    stage_.random.fill(out.nonce);
    return out;
  }

  Task<void> send(offer::Frame frame) {
    static_cast<void>(co_await offer::write_frame(*stream, frame));
  }
  /// The next frame that is neither heartbeat nor progress; `end` when the stream broke.
  Task<offer::Frame> next() {
    while (true) {
      Result<offer::Frame> frame = co_await offer::read_frame(*stream);
      if (!frame) {
        broken = true;
        co_return offer::Frame(offer::End{});
      }
      if (std::holds_alternative<offer::Heartbeat>(*frame)) continue;
      if (const auto* progress = std::get_if<offer::Progress>(&*frame)) {
        stages.push_back(progress->stage);
        continue;
      }
      co_return std::move(*frame);
    }
  }
  /// Connects, offers; returns the answer.
  Task<offer::Frame> offer_job(const manifest::Manifest& asked, offer::Open open = {}) {
    connect();
    signed_manifest = manifest::sign(asked, key_);
    open.manifest = signed_manifest->envelope;
    offer::Frame frame = std::move(open);
    co_await send(std::move(frame));
    offer::Frame answer = co_await next();
    co_return answer;
  }
  Task<void> send_module() {
    offer::ModuleData data;
    data.data = module;
    offer::Frame frame = std::move(data);
    co_await send(std::move(frame));
    offer::Frame end = offer::ModuleEnd{};
    co_await send(std::move(end));
  }
  /// Offers a job that will be accepted; sends the module unless it is held.
  Task<void> begin(std::string behaviour) {
    offer::Frame answer = co_await offer_job(manifest(behaviour));
    const auto* yes = std::get_if<offer::Accepted>(&answer);
    EXPECT_NE(yes, nullptr);
    if (yes != nullptr && !yes->module_held) co_await send_module();
  }
  Task<void> send_stdin(Bytes bytes, bool last = true) {
    offer::StdinData data;
    data.data = std::move(bytes);
    offer::Frame frame = std::move(data);
    if (!std::get<offer::StdinData>(frame).data.empty()) co_await send(std::move(frame));
    offer::Frame end = offer::StdinEnd{};
    if (last) co_await send(std::move(end));
  }
  /// Output until the receipt; answers `end`. Nothing when the stream broke first.
  Task<std::optional<receipt::Receipt>> finish() {
    while (true) {
      offer::Frame frame = co_await next();
      if (const auto* piece = std::get_if<offer::Output>(&frame)) {
        output.append(piece->piece.stream, piece->piece.data);
        text += as_text(piece->piece.data);
      } else if (const auto* point = std::get_if<offer::CheckpointFrame>(&frame)) {
        const auto opened = receipt::open_checkpoint(point->envelope);
        EXPECT_TRUE(opened && opened->provider == node_.key.public_key());
        EXPECT_EQ(opened->checkpoint.output, output.summary());
        checkpoints.push_back(opened->checkpoint);
      } else if (const auto* statement = std::get_if<offer::ReceiptFrame>(&frame)) {
        const auto opened = receipt::open(statement->envelope);
        EXPECT_TRUE(opened.has_value());
        EXPECT_EQ(opened->provider, node_.key.public_key());
        EXPECT_EQ(opened->receipt.output, output.summary());
        receipt_envelope = statement->envelope;
        frame = co_await next();
        EXPECT_TRUE(std::holds_alternative<offer::End>(frame) && !broken);
        offer::Frame end = offer::End{};
        co_await send(std::move(end));
        co_return opened->receipt;
      } else {
        EXPECT_TRUE(broken);
        co_return std::nullopt;
      }
    }
  }
  /// A whole conversation about a job that needs no more than this.
  Task<std::optional<receipt::Receipt>> whole(const manifest::Manifest& asked, Bytes input,
                                              offer::Open open = {}) {
    offer::Frame answer = co_await offer_job(asked, std::move(open));
    const auto* yes = std::get_if<offer::Accepted>(&answer);
    EXPECT_NE(yes, nullptr);
    if (yes == nullptr) co_return std::nullopt;
    if (!yes->module_held) co_await send_module();
    co_await send_stdin(std::move(input));
    std::optional<receipt::Receipt> result = co_await finish();
    co_return result;
  }

  std::unique_ptr<ByteStream> stream;
  std::vector<std::unique_ptr<ByteStream>> earlier;
  std::optional<manifest::SignedManifest> signed_manifest;
  Bytes module;
  std::vector<std::string> stages;
  job::OutputChain output;
  std::string text;
  std::vector<receipt::Checkpoint> checkpoints;
  Bytes receipt_envelope;
  bool broken = false;

 private:
  Stage& stage_;
  ProviderNode& node_;
  identity::KeyPair key_;
};

struct Scene {
  explicit Scene(ProviderLimits limits = {}, Duration compile_time = Duration{0})
      : node(stage.clock, stage.random, stage.context.get_executor(), limits, compile_time),
        peer(stage, node) {}
  ~Scene() {
    // Reset, not destroyed: a scene's coroutine may still hold them.
    if (peer.stream) peer.stream->reset();
    for (const auto& stream : peer.earlier) stream->reset();
    EXPECT_TRUE(stage.settle());
    EXPECT_EQ(node.serving, 0U);
    EXPECT_EQ(node.worker.running(), 0U);
    EXPECT_EQ(node.provider.jobs_running(), 0U);
    EXPECT_EQ(node.provider.jobs_queued(), 0U);
  }
  /// The one receipt kept, opened.
  receipt::Receipt kept() {
    EXPECT_TRUE(stage.settle());
    EXPECT_EQ(node.receipts.kept.size(), 1U);
    EXPECT_EQ(node.receipts.kept.begin()->second.size(), 1U);
    return receipt::open(node.receipts.kept.begin()->second.front())->receipt;
  }
  Stage stage;
  ProviderNode node;
  Peer peer;
};

std::optional<RejectionReason> reason_of(const offer::Frame& frame) {
  const auto* no = std::get_if<offer::Rejected>(&frame);
  if (no == nullptr) return std::nullopt;
  return no->reason;
}

TEST(Provider, RunsAJobAndKeepsTheReceiptItSends) {
  Scene scene;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    manifest::Manifest asked = scene.peer.manifest("reverse");
    const auto result = co_await scene.peer.whole(asked, to_bytes("abc"));
    EXPECT_TRUE(result.has_value());
    if (!result) co_return;
    EXPECT_EQ(scene.peer.text, "cba");
    EXPECT_EQ(result->completion, Completion{});
    EXPECT_EQ(result->input, job::commit(as_bytes("abc")));
    EXPECT_EQ(result->isolation, std::vector<std::string>{"none"});
    EXPECT_TRUE(result->claimed.finished_unix_ms >= result->claimed.started_unix_ms);
    auto filled = std::get<job::WasmJob>(asked.job);
    filled.stdin_commitment = job::commit(as_bytes("abc"));
    EXPECT_EQ(result->execution_id, job::execution_id(filled));
  }));
  EXPECT_EQ(scene.node.receipts.kept.at(scene.peer.signed_manifest->id).front(),
            scene.peer.receipt_envelope);
  EXPECT_EQ(scene.peer.stages, (std::vector<std::string>{"compiling", "running"}));
}

TEST(Provider, AHeldModuleIsNotAskedForAgain) {
  Scene scene;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    manifest::Manifest first = scene.peer.manifest("reverse");
    EXPECT_TRUE((co_await scene.peer.whole(first, to_bytes("1"))).has_value());
    scene.peer.output = {};
    manifest::Manifest second = scene.peer.manifest("reverse");
    offer::Frame answer = co_await scene.peer.offer_job(second);
    EXPECT_TRUE(std::get<offer::Accepted>(answer).module_held);
    // Sent all the same: out of order.
    co_await scene.peer.send_module();
    EXPECT_FALSE((co_await scene.peer.finish()).has_value());
  }));
  EXPECT_EQ(scene.node.worker.prepared(), 1U);
}

TEST(Provider, RefusesByNameInOrder) {
  Scene scene;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    const auto ask = [&](manifest::Manifest asked, offer::Open open) -> Task<offer::Frame> {
      offer::Frame answer = co_await scene.peer.offer_job(asked, std::move(open));
      co_return answer;
    };
    manifest::Manifest asked = scene.peer.manifest("reverse");
    asked.audience = scene.peer.signed_manifest ? asked.audience : identity::PublicKey{};
    EXPECT_EQ(reason_of(co_await ask(asked, {})), RejectionReason::wrong_audience);
    EXPECT_TRUE(std::holds_alternative<offer::End>(co_await scene.peer.next()));
    EXPECT_FALSE(scene.peer.broken);

    asked = scene.peer.manifest("reverse");
    asked.created.unix_ms -= 20'000;
    asked.expires.unix_ms = asked.created.unix_ms + 1000;
    EXPECT_EQ(reason_of(co_await ask(asked, {})), RejectionReason::expired);

    asked = scene.peer.manifest("reverse");
    asked.created.unix_ms += 121'000;
    asked.expires.unix_ms += 121'000;
    EXPECT_EQ(reason_of(co_await ask(asked, {})), RejectionReason::invalid_request);

    asked = scene.peer.manifest("reverse");
    job::InferenceJob inference;
    inference.tokens_max = 1;
    asked.job = inference;
    EXPECT_EQ(reason_of(co_await ask(asked, {})), RejectionReason::kind_unsupported);

    asked = scene.peer.manifest("reverse");
    std::get<job::WasmJob>(asked.job).limits.output_bytes = kHeldOutputBytesMax + 1;
    offer::Open open;
    open.commit_reveal = true;
    EXPECT_EQ(reason_of(co_await ask(asked, std::move(open))),
              RejectionReason::insufficient_resources);

    // Created before the replay record began.
    asked = scene.peer.manifest("reverse");
    asked.created.unix_ms -= 5'000;
    asked.expires.unix_ms -= 5'000;
    EXPECT_EQ(reason_of(co_await ask(asked, {})), RejectionReason::replayed);

    scene.node.policy.refusal = Refused{RejectionReason::unauthorized, "not on the list", {}};
    EXPECT_EQ(reason_of(co_await ask(scene.peer.manifest("reverse"), {})),
              RejectionReason::unauthorized);
  }));
  EXPECT_TRUE(scene.node.receipts.kept.empty());
}

TEST(Provider, AManifestWithABrokenSignatureIsRefused) {
  Scene scene;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    manifest::Manifest asked = scene.peer.manifest("reverse");
    scene.peer.connect();
    identity::KeyPair other = identity::KeyPair::generate(scene.stage.random);
    offer::Open open;
    open.manifest = manifest::sign(asked, other).envelope;
    open.manifest.back() ^= 1;
    offer::Frame frame = std::move(open);
    co_await scene.peer.send(std::move(frame));
    EXPECT_EQ(reason_of(co_await scene.peer.next()), RejectionReason::invalid_request);
  }));
}

TEST(Provider, AJobIdIsTakenOnce) {
  Scene scene;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    manifest::Manifest asked = scene.peer.manifest("reverse");
    EXPECT_TRUE((co_await scene.peer.whole(asked, {})).has_value());
    EXPECT_EQ(reason_of(co_await scene.peer.offer_job(asked)), RejectionReason::replayed);
  }));
}

TEST(Provider, AMissingOpenFrameIsNotWaitedForLong) {
  Scene scene;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    scene.peer.connect();
    static_cast<void>(co_await scene.peer.next());
    EXPECT_TRUE(scene.peer.broken);
    EXPECT_EQ(scene.stage.clock.now().ns, 10'000'000'000);
  }));
}

TEST(Provider, FramesOutOfOrderResetTheStreamAndTheReceiptIsKept) {
  const std::vector<std::pair<const char*, offer::Frame>> wrong{
      {"open", offer::Open{}},
      {"stdin", offer::StdinData{Bytes{1}}},
      {"stdin_end", offer::StdinEnd{}},
      {"reveal", offer::Reveal{}},
      {"end", offer::End{}},
      {"receipt", offer::ReceiptFrame{Bytes{1}}},
      {"accepted", offer::Accepted{}},
      {"too long", offer::ModuleData{Bytes(1000)}},
  };
  for (const auto& [label, frame] : wrong) {
    SCOPED_TRACE(label);
    Scene scene;
    EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
      manifest::Manifest asked = scene.peer.manifest("reverse");
      offer::Frame answer = co_await scene.peer.offer_job(asked);
      EXPECT_TRUE(std::holds_alternative<offer::Accepted>(answer));
      offer::Frame bad = frame;
      if (std::holds_alternative<offer::Open>(bad)) {
        std::get<offer::Open>(bad).manifest = scene.peer.signed_manifest->envelope;
      }
      co_await scene.peer.send(std::move(bad));
      EXPECT_FALSE((co_await scene.peer.finish()).has_value());
    }));
    EXPECT_EQ(scene.kept().completion.kind, CompletionKind::cancelled);
  }
}

TEST(Provider, AModuleThatIsNotTheOneNamedEndsAsInputIncomplete) {
  Scene scene;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    manifest::Manifest asked = scene.peer.manifest("reverse");
    scene.peer.module[0] ^= 1;
    const auto result = co_await scene.peer.whole(asked, {});
    EXPECT_TRUE(result.has_value());
    EXPECT_EQ(result.value_or(receipt::Receipt{}).completion.reason, "input_incomplete");
  }));
  EXPECT_EQ(scene.node.worker.prepared(), 0U);
}

TEST(Provider, AModuleThatDoesNotComeEndsAsInputIncomplete) {
  Scene scene;
  scene.stage.start([&]() -> Task<void> {  // alive, but slow without end
    static_cast<void>(co_await scene.stage.clock.sleep_for(1s));
    for (int i = 0; i < 20; ++i) {
      offer::Frame beat = offer::Heartbeat{};
      co_await scene.peer.send(std::move(beat));
      static_cast<void>(co_await scene.stage.clock.sleep_for(10s));
    }
  });
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    manifest::Manifest asked = scene.peer.manifest("reverse");
    static_cast<void>(co_await scene.peer.offer_job(asked));
    const auto result = co_await scene.peer.finish();
    EXPECT_TRUE(result.has_value());
    EXPECT_EQ(result.value_or(receipt::Receipt{}).completion.reason, "input_incomplete");
    EXPECT_EQ(scene.stage.clock.now().ns / 1'000'000'000, 120);
  }));
}

TEST(Provider, WhatTheWorkerCannotPrepareIsASignedResult) {
  for (const auto& [behaviour, expected] : std::vector<std::pair<std::string, Completion>>{
           {"nonsense", {CompletionKind::invalid, 0, "module_malformed"}},
           {"bomb", {CompletionKind::limited, 0, "compile"}}}) {
    Scene scene;
    EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
      manifest::Manifest asked = scene.peer.manifest(behaviour);
      const auto result = co_await scene.peer.whole(asked, {});
      EXPECT_TRUE(result.has_value());
      EXPECT_EQ(result.value_or(receipt::Receipt{}).completion, expected);
    }));
  }
}

TEST(Provider, TheWallLimitEndsARun) {
  Scene scene;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    manifest::Manifest asked = scene.peer.manifest("spin");
    const auto result = co_await scene.peer.whole(asked, {});
    EXPECT_TRUE(result.has_value());
    EXPECT_EQ(result.value_or(receipt::Receipt{}).completion,
              (Completion{CompletionKind::limited, 0, "wall"}));
    EXPECT_EQ(scene.stage.clock.now().ns, 5'000'000'000);
  }));
}

TEST(Provider, TheOutputLimitCutsAtTheByte) {
  Scene scene;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    manifest::Manifest asked = scene.peer.manifest("flood 100000");
    std::get<job::WasmJob>(asked.job).limits.output_bytes = 54'321;
    const auto result = co_await scene.peer.whole(asked, {});
    EXPECT_TRUE(result.has_value());
    if (!result) co_return;
    EXPECT_EQ(result->completion, (Completion{CompletionKind::limited, 0, "output"}));
    EXPECT_EQ(result->output.length, 54'321U);
  }));
  // Exactly at the limit is no limit hit.
  Scene exact;
  EXPECT_TRUE(exact.stage.play([&]() -> Task<void> {
    manifest::Manifest asked = exact.peer.manifest("flood 100000");
    std::get<job::WasmJob>(asked.job).limits.output_bytes = 100'000;
    const auto result = co_await exact.peer.whole(asked, {});
    EXPECT_TRUE(result && result->completion == Completion{});
  }));
}

TEST(Provider, CheckpointsComeAtTheIntervalAndGrow) {
  Scene scene;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    manifest::Manifest asked = scene.peer.manifest("flood 200000");
    offer::Open open;
    open.checkpoint_bytes = 1;  // asked for each byte: given at kCheckpointBytesMin
    EXPECT_TRUE((co_await scene.peer.whole(asked, {}, std::move(open))).has_value());
  }));
  ASSERT_EQ(scene.peer.checkpoints.size(), 10U);  // pieces of 10,000 bytes
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(scene.peer.checkpoints[i].sequence, i);
    EXPECT_EQ(scene.peer.checkpoints[i].output.length, 20'000 * (i + 1));
  }
}

TEST(Provider, CancelStopsTheRunAndSignsWhatThereIs) {
  Scene scene;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    manifest::Manifest asked = scene.peer.manifest("echo");
    static_cast<void>(co_await scene.peer.offer_job(asked));
    co_await scene.peer.send_module();
    co_await scene.peer.send_stdin(to_bytes("half"), false);
    static_cast<void>(co_await scene.stage.clock.sleep_for(1s));
    offer::Frame cancel = offer::Cancel{};
    co_await scene.peer.send(std::move(cancel));
    const auto result = co_await scene.peer.finish();
    EXPECT_TRUE(result.has_value());
    if (!result) co_return;
    EXPECT_EQ(result->completion.kind, CompletionKind::cancelled);
    EXPECT_EQ(result->input, job::commit(as_bytes("half")));
    EXPECT_EQ(scene.peer.text, "half");
    EXPECT_EQ(scene.stage.clock.now().ns, 1'000'000'000);
  }));
}

TEST(Provider, CancelWorksBeforeTheModuleCameAndInTheQueue) {
  ProviderLimits limits;
  limits.jobs_running_max = 1;
  Scene scene(limits);
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    co_await scene.peer.begin("spin");
    static_cast<void>(co_await scene.stage.clock.sleep_for(1s));
    EXPECT_EQ(scene.node.provider.jobs_running(), 1U);
    for (const bool with_module : {false, true}) {
      static_cast<void>(co_await scene.peer.offer_job(scene.peer.manifest("sleep 10")));
      if (with_module) co_await scene.peer.send_module();
      static_cast<void>(co_await scene.stage.clock.sleep_for(1s));
      EXPECT_EQ(scene.node.provider.jobs_queued(), 1U);
      offer::Frame cancel = offer::Cancel{};
      co_await scene.peer.send(std::move(cancel));
      const auto result = co_await scene.peer.finish();
      EXPECT_TRUE(result && result->completion.kind == CompletionKind::cancelled);
      EXPECT_EQ(scene.node.provider.jobs_queued(), 0U);
    }
    EXPECT_EQ(scene.peer.stages.back(), "queued");
  }));
}

TEST(Provider, ARequesterThatGoesAwayLeavesAKeptReceipt) {
  Scene scene;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    co_await scene.peer.begin("spin");
    static_cast<void>(co_await scene.stage.clock.sleep_for(1s));
    EXPECT_EQ(scene.node.worker.running(), 1U);
    scene.peer.stream->reset();
    static_cast<void>(co_await scene.stage.clock.sleep_for(1ms));
    EXPECT_EQ(scene.node.worker.running(), 0U);
  }));
  EXPECT_EQ(scene.kept().completion.kind, CompletionKind::cancelled);
}

TEST(Provider, ASilentRequesterIsGivenUpAfterTwentySeconds) {
  Scene scene;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    manifest::Manifest asked = scene.peer.manifest("spin");
    asked.wall_limit_ms = 3'600'000;
    static_cast<void>(co_await scene.peer.offer_job(asked));
    co_await scene.peer.send_module();
    EXPECT_FALSE((co_await scene.peer.finish()).has_value());
    EXPECT_EQ(scene.stage.clock.now().ns / 1'000'000'000, 20);
  }));
  EXPECT_EQ(scene.kept().completion.kind, CompletionKind::cancelled);
}

TEST(Provider, ARequesterThatDoesNotReadIsGivenUp) {
  Scene scene;
  scene.stage.start([&]() -> Task<void> {  // it lives, it beats, it does not read
    static_cast<void>(co_await scene.stage.clock.sleep_for(1s));
    for (int i = 0; i < 10; ++i) {
      offer::Frame beat = offer::Heartbeat{};
      co_await scene.peer.send(std::move(beat));
      static_cast<void>(co_await scene.stage.clock.sleep_for(5s));
    }
  });
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    co_await scene.peer.begin("flood 900000");
    static_cast<void>(co_await scene.stage.clock.sleep_for(30s));
    EXPECT_EQ(scene.node.provider.jobs_running(), 0U);
  }));
  EXPECT_EQ(scene.node.receipts.kept.size(), 1U);
}

TEST(Provider, RoomIsBoundedInAllAndForEachRequester) {
  ProviderLimits limits;
  limits.jobs_running_max = 1;
  limits.jobs_queued_max = 1;
  Scene scene(limits);
  Peer second(scene.stage, scene.node);
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    for (int i = 0; i < 2; ++i) co_await scene.peer.begin("spin");
    offer::Frame answer = co_await second.offer_job(second.manifest("spin"));
    EXPECT_EQ(reason_of(answer), RejectionReason::busy);
    EXPECT_TRUE(std::get<offer::Rejected>(answer).retry_after_ms.has_value());
    static_cast<void>(co_await scene.stage.clock.sleep_for(1s));
    EXPECT_EQ(scene.node.provider.jobs_running(), 1U);
    EXPECT_EQ(scene.node.provider.jobs_queued(), 1U);
  }));
  ProviderLimits greedy;
  greedy.jobs_per_requester_max = 2;
  Scene other(greedy);
  Peer third(other.stage, other.node);
  EXPECT_TRUE(other.stage.play([&]() -> Task<void> {
    for (int i = 0; i < 2; ++i) {
      static_cast<void>(co_await other.peer.offer_job(other.peer.manifest("spin")));
    }
    EXPECT_EQ(reason_of(co_await other.peer.offer_job(other.peer.manifest("spin"))),
              RejectionReason::busy);
    offer::Frame answer = co_await third.offer_job(third.manifest("spin"));
    EXPECT_TRUE(std::holds_alternative<offer::Accepted>(answer));
  }));
}

TEST(Provider, ModulesOnTheirWayAreBoundedByTheirDeclaredLength) {
  ProviderLimits limits;
  limits.module_bytes_max = 10;
  Scene scene(limits);
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    static_cast<void>(co_await scene.peer.offer_job(scene.peer.manifest("reverse")));  // 7 bytes
    EXPECT_EQ(reason_of(co_await scene.peer.offer_job(scene.peer.manifest("spin"))),
              RejectionReason::busy);
  }));
}

TEST(Provider, StdinThatIsNotReadStopsTheSender) {
  std::size_t sent = 0;  // outlives the sender, which ends with the scene
  Scene scene;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> { co_await scene.peer.begin("spin"); }));
  scene.stage.start([&]() -> Task<void> {
    for (int i = 0; i < 200; ++i) {
      co_await scene.peer.send_stdin(Bytes(offer::kDataBytesMax), false);
      sent += offer::kDataBytesMax;
    }
  });
  scene.stage.context.run_until([] { return false; }, Instant{4'000'000'000});
  // Guest, provider, stream, and the frames at their borders; not 12 MiB.
  EXPECT_LE(sent, simulation::kGuestBufferBytes + kStdinAheadBytes + kMemoryStreamBytes +
                      4 * offer::kDataBytesMax);
  EXPECT_GE(sent, kStdinAheadBytes);
}

TEST(Provider, FixedStdinMustBeTheOneTheManifestNames) {
  for (const bool same : {true, false}) {
    Scene scene;
    EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
      manifest::Manifest asked = scene.peer.manifest("reverse");
      std::get<job::WasmJob>(asked.job).stdin_commitment = job::commit(as_bytes("abc"));
      const auto result = co_await scene.peer.whole(asked, to_bytes(same ? "abc" : "abd"));
      EXPECT_TRUE(result.has_value());
      if (!result) co_return;
      EXPECT_EQ(result->completion.kind, same ? CompletionKind::exited : CompletionKind::failed);
      EXPECT_EQ(result->execution_id, job::execution_id(asked.job));
    }));
  }
}

TEST(Provider, AnExitBeforeFixedStdinWaitsForItAndStatesIt) {
  Scene scene;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    manifest::Manifest asked = scene.peer.manifest("exit 3");
    std::get<job::WasmJob>(asked.job).stdin_commitment = job::commit(as_bytes("abcdef"));
    static_cast<void>(co_await scene.peer.offer_job(asked));
    co_await scene.peer.send_module();
    co_await scene.peer.send_stdin(to_bytes("abc"), false);
    static_cast<void>(co_await scene.stage.clock.sleep_for(1s));
    EXPECT_EQ(scene.node.provider.jobs_running(), 0U);  // the place is free meanwhile
    co_await scene.peer.send_stdin(to_bytes("def"));
    const auto result = co_await scene.peer.finish();
    EXPECT_TRUE(result.has_value());
    if (!result) co_return;
    EXPECT_EQ(result->completion, (Completion{CompletionKind::exited, 3, {}}));
    EXPECT_EQ(result->input, job::commit(as_bytes("abcdef")));
  }));
}

TEST(Provider, AnExitBeforeStreamedStdinStatesWhatHadCome) {
  Scene scene;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    co_await scene.peer.begin("sleep 2000");
    co_await scene.peer.send_stdin(to_bytes("abc"), false);
    const auto result = co_await scene.peer.finish();
    EXPECT_TRUE(result && result->input == job::commit(as_bytes("abc")));
  }));
}

TEST(Provider, APrivateJobShowsOnlySaltedHashes) {
  Scene scene;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    manifest::Manifest asked = scene.peer.manifest("reverse");
    offer::Open open;
    open.salt.emplace().fill(7);
    const job::Salt salt = *open.salt;
    const auto& module = std::get<job::WasmJob>(asked.job).module;
    static_cast<void>(co_await scene.peer.offer_job(asked, std::move(open)));
    co_await scene.peer.send_module();
    co_await scene.peer.send_stdin(to_bytes("abc"));
    offer::Frame frame = co_await scene.peer.next();
    EXPECT_TRUE(std::holds_alternative<offer::Output>(frame));
    frame = co_await scene.peer.next();
    const auto opened = receipt::open(std::get<offer::ReceiptFrame>(frame).envelope);
    EXPECT_TRUE(opened && opened->receipt.is_private);
    if (!opened) co_return;
    job::OutputChain chain;
    chain.append(job::OutputStream::out, as_bytes("cba"));
    EXPECT_EQ(opened->receipt.subject_sha256, job::salted(salt, module.sha256.bytes()));
    EXPECT_EQ(opened->receipt.subject_id, job::salted(salt, module.id.bytes()));
    EXPECT_EQ(opened->receipt.input.sha256, job::salted(salt, sha256(as_bytes("abc")).bytes()));
    EXPECT_EQ(opened->receipt.output.commitment.value,
              job::salted(salt, chain.summary().commitment.bytes()).value);
  }));
}

TEST(Provider, CommitComesBeforeOutputAndOpensWithItsNonce) {
  Scene scene;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    offer::Open open;
    open.commit_reveal = true;
    static_cast<void>(
        co_await scene.peer.offer_job(scene.peer.manifest("reverse"), std::move(open)));
    co_await scene.peer.send_module();
    co_await scene.peer.send_stdin(to_bytes("abc"));
    offer::Frame frame = co_await scene.peer.next();
    const auto commit = receipt::open_commit(std::get<offer::CommitFrame>(frame).envelope);
    EXPECT_TRUE(commit.has_value());
    offer::Frame reveal = offer::Reveal{};
    co_await scene.peer.send(std::move(reveal));
    frame = co_await scene.peer.next();
    EXPECT_EQ(as_text(std::get<offer::Output>(frame).piece.data), "cba");
    frame = co_await scene.peer.next();
    const auto nonce = std::get<offer::Reveal>(frame).nonce;
    EXPECT_TRUE(nonce.has_value());
    frame = co_await scene.peer.next();
    const auto opened = receipt::open(std::get<offer::ReceiptFrame>(frame).envelope);
    if (!commit || !nonce || !opened) co_return;
    EXPECT_EQ(commit->commit.value,
              receipt::commit_value(*nonce, scene.node.key.public_key(),
                                    opened->receipt.output.commitment, opened->receipt.completion));
  }));
}

TEST(Provider, AReceiptThatCannotBeKeptIsNotSent) {
  Scene scene;
  scene.node.receipts.broken = true;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    EXPECT_FALSE((co_await scene.peer.whole(scene.peer.manifest("reverse"), {})).has_value());
  }));
}

TEST(Provider, DrainRefusesNewJobsAndLetsRunningOnesEnd) {
  Scene scene;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    co_await scene.peer.begin("sleep 2000");
    static_cast<void>(co_await scene.stage.clock.sleep_for(1s));
    bool drained = false;
    scene.stage.start([&]() -> Task<void> {
      co_await scene.node.provider.drain(scene.stage.clock.deadline_after(60s));
      drained = true;
    });
    static_cast<void>(co_await scene.stage.clock.sleep_for(1ms));
    Peer late(scene.stage, scene.node);
    EXPECT_EQ(reason_of(co_await late.offer_job(late.manifest("reverse"))),
              RejectionReason::shutting_down);
    late.stream.reset();
    const auto result = co_await scene.peer.finish();
    EXPECT_TRUE(result && result->completion == Completion{});
    static_cast<void>(co_await scene.stage.clock.sleep_for(1s));
    EXPECT_TRUE(drained);
  }));
}

TEST(Provider, DrainKillsAtItsDeadlineWithSignedReceipts) {
  ProviderLimits limits;
  limits.jobs_running_max = 1;
  Scene scene(limits);
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    co_await scene.peer.begin("spin");
    Peer queued(scene.stage, scene.node);
    co_await queued.begin("spin");
    Peer idle(scene.stage, scene.node);
    idle.connect();
    static_cast<void>(co_await scene.stage.clock.sleep_for(1s));
    co_await scene.node.provider.drain(scene.stage.clock.deadline_after(1s));
    EXPECT_EQ(scene.stage.clock.now().ns / 1'000'000, 4000);  // 1 s, and 2 s for deliveries
    for (Peer* peer : {&scene.peer, &queued}) {
      const offer::Frame frame = co_await peer->next();
      EXPECT_TRUE(std::holds_alternative<offer::ReceiptFrame>(frame) || peer->broken);
    }
  }));
  ASSERT_EQ(scene.node.receipts.kept.size(), 2U);
  for (const auto& [id, envelopes] : scene.node.receipts.kept) {
    ASSERT_EQ(envelopes.size(), 1U);
    EXPECT_EQ(receipt::open(envelopes.front())->receipt.completion,
              (Completion{CompletionKind::failed, 0, "shutdown"}));
  }
}

TEST(Provider, AHostileBeginningCostsThatStreamOnly) {
  Scene scene;
  EXPECT_TRUE(scene.stage.play([&]() -> Task<void> {
    for (int i = 0; i < 50; ++i) {
      scene.peer.connect();
      Bytes noise(200);
      scene.stage.random.fill(noise);
      static_cast<void>(co_await scene.peer.stream->write(noise));
      scene.peer.stream->close_write();
      static_cast<void>(co_await scene.peer.next());
    }
    scene.peer.broken = false;
    EXPECT_TRUE((co_await scene.peer.whole(scene.peer.manifest("reverse"), {})).has_value());
  }));
}

}  // namespace
}  // namespace phase::provider
