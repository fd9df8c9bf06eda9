#include "lucid/gate.h"

#include "lucid/lucid_fixture.h"

namespace phase::lucid {
namespace {

using offer::RejectionReason;

class GateTest : public LucidTest {
 protected:
  GateTest() {
    Catalog::Options options;
    options.data_dir = folder_ / "models";
    options.echo = true;
    auto catalog = Catalog::open({clock_, context_.get_executor(), nullptr, log_}, options);
    EXPECT_TRUE(catalog);
    if (catalog) catalog_ = *std::move(catalog);
    policy_.authorized_submitters = {friend_.public_key()};
    job_.model = echo_model()->content.id;
    job_.prompt = job::commit(as_bytes("hello"));
    job_.tokens_max = 10;
  }
  Gate make() {
    return Gate({clock_, *catalog_, self_.public_key(), "x86_64", [this] { return remote_jobs_; },
                 [this](const identity::PublicKey&) { return jobs_of_; }, [this] { return hour_; }},
                policy_);
  }
  std::optional<provider::Refused> ask(Gate& gate, const identity::KeyPair& requester,
                                       const identity::KeyPair& peer) {
    manifest_.job = job_;
    const manifest::SignedManifest given{manifest_, requester.public_key(), {}, {}};
    const identity::PublicKey key = peer.public_key();
    auto answer = gate.admit({given, key});
    if (auto* no = std::get_if<provider::Refused>(&answer)) return std::move(*no);
    return std::nullopt;
  }
  /// What a friend is told.
  std::pair<std::optional<RejectionReason>, std::string> refusal() {
    Gate gate = make();
    gate.set_machine(machine_);
    const auto no = ask(gate, friend_, friend_);
    if (!no) return {};
    return {no->reason, no->detail};
  }
  void expect(RejectionReason reason, std::string_view words) {
    const auto [why, detail] = refusal();
    EXPECT_EQ(why, reason) << detail;
    EXPECT_NE(detail.find(words), std::string::npos) << detail;
  }

  identity::KeyPair self_ = identity::KeyPair::generate(random_);
  identity::KeyPair friend_ = identity::KeyPair::generate(random_);
  identity::KeyPair stranger_ = identity::KeyPair::generate(random_);
  std::unique_ptr<Catalog> catalog_;
  OperatorPolicy policy_;
  MachineState machine_;
  std::uint64_t remote_jobs_ = 0, jobs_of_ = 0;
  int hour_ = 12;
  job::InferenceJob job_;
  manifest::Manifest manifest_;
};

TEST_F(GateTest, AdmitsWhoIsAuthorisedAndTellsOthers) {
  Gate gate = make();
  EXPECT_FALSE(ask(gate, friend_, friend_));
  const auto no = ask(gate, stranger_, stranger_);
  ASSERT_TRUE(no);
  EXPECT_EQ(no->reason, RejectionReason::unauthorized);
  EXPECT_NE(no->detail.find(stranger_.peer_id().text()), std::string::npos);
  EXPECT_NE(no->detail.find("authorized_submitters"), std::string::npos);
  policy_.allow_unauthenticated_jobs = true;
  gate.set_policy(policy_);
  EXPECT_FALSE(ask(gate, stranger_, stranger_));
}

TEST_F(GateTest, TheOwnerIsNeverRefused) {
  policy_ = {};
  policy_.manual_pause = true;
  policy_.serve_models.clear();
  policy_.max_concurrent_remote_jobs = 0;
  policy_.max_tokens_ceiling = 1;
  machine_ = {true, 99.0};
  jobs_of_ = 1000;
  Gate gate = make();
  gate.set_machine(machine_);
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(ask(gate, self_, self_));
  // The owner's manifest in a stranger's hands is a stranger's request.
  EXPECT_TRUE(ask(gate, self_, stranger_));
}

TEST_F(GateTest, RefusesWhilePaused) {
  policy_.manual_pause = true;
  expect(RejectionReason::policy, "operator paused");
  policy_.manual_pause = false;
  machine_.on_battery = true;
  expect(RejectionReason::policy, "on battery");
  policy_.auto_pause_on_battery = false;
  machine_.temperature_c = 90;
  expect(RejectionReason::policy, "thermal");
  policy_.auto_pause_on_thermal_threshold_c.reset();
  policy_.time_of_day_window = ServingWindow{0, 6};
  expect(RejectionReason::policy, "window");
  hour_ = 5;
  remote_jobs_ = policy_.max_concurrent_remote_jobs;
  expect(RejectionReason::busy, "concurrency");
  remote_jobs_ = 0;
  EXPECT_EQ(refusal().first, std::nullopt);
}

TEST_F(GateTest, APauseBySwitchLastsUntilThePolicyIsRead) {
  Gate gate = make();
  gate.set_manual_pause(true);
  EXPECT_TRUE(gate.paused());
  EXPECT_TRUE(ask(gate, friend_, friend_));
  gate.set_manual_pause(false);
  EXPECT_FALSE(gate.paused());
  gate.set_manual_pause(true);
  gate.set_policy(policy_);
  EXPECT_FALSE(gate.paused());
}

TEST_F(GateTest, RefusesWhatIsNotGranted) {
  jobs_of_ = policy_.max_concurrent_jobs_per_key;
  expect(RejectionReason::busy, "at once");
  jobs_of_ = 0;
  policy_.serve_models = {"other*"};
  expect(RejectionReason::policy, "allowlist");
  policy_.serve_models = {"ech?"};
  EXPECT_EQ(refusal().first, std::nullopt) << "a name without its tag";
  policy_.max_prompt_bytes = 4;
  expect(RejectionReason::insufficient_resources, "prompt bytes: asked 5, granted at most 4");
  policy_.max_prompt_bytes = 5;
  policy_.max_tokens_ceiling = 9;
  expect(RejectionReason::insufficient_resources, "tokens: asked 10");
  policy_.max_tokens_ceiling = 10;
  policy_.max_wall_seconds = 1;
  expect(RejectionReason::insufficient_resources, "wall");
  manifest_.wall_limit_ms = 1000;
  EXPECT_EQ(refusal().first, std::nullopt);
  manifest_.requirements.arch = "aarch64";
  expect(RejectionReason::arch_mismatch, "x86_64");
  manifest_.requirements.arch = "x86_64";
  job_.prompt.reset();
  expect(RejectionReason::invalid_request, "streamed");
  job_.prompt = job::commit(as_bytes("hello"));
  job_.model = job::reference(as_bytes("another")).id;
  expect(RejectionReason::policy, "not here");
}

TEST_F(GateTest, RefusesOtherKindsAndLevels) {
  manifest_.level = manifest::Level::re_execute;
  expect(RejectionReason::level_unsupported, "signature");
  Gate gate = make();
  manifest::Manifest wasm;
  const manifest::SignedManifest given{wasm, friend_.public_key(), {}, {}};
  const identity::PublicKey key = friend_.public_key();
  auto answer = gate.admit({given, key});
  const auto* no = std::get_if<provider::Refused>(&answer);
  ASSERT_NE(no, nullptr);
  EXPECT_EQ(no->reason, RejectionReason::kind_unsupported);
}

TEST_F(GateTest, ABudgetOfJobsPerMinute) {
  policy_.max_jobs_per_minute_per_key = 3;
  Gate gate = make();
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(ask(gate, friend_, friend_));
  const auto no = ask(gate, friend_, friend_);
  ASSERT_TRUE(no);
  EXPECT_EQ(no->reason, RejectionReason::busy);
  EXPECT_GT(no->retry_after_ms.value_or(0), 0U);
  EXPECT_FALSE(ask(gate, self_, self_));
  gate.set_policy(policy_);
  EXPECT_TRUE(ask(gate, friend_, friend_)) << "the same policy read again is no new budget";
  policy_.max_jobs_per_minute_per_key = 4;
  gate.set_policy(policy_);
  EXPECT_FALSE(ask(gate, friend_, friend_));
}

}  // namespace
}  // namespace phase::lucid
