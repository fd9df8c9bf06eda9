#include "policy/policy.h"

#include <gtest/gtest.h>

namespace phase::policy {
namespace {

using offer::RejectionReason;

class StillClock final : public Clock {
 public:
  UtcTime now_utc() const override { return {1'000}; }
  Instant now() const override { return at; }
  Task<Result<void>> sleep_until(Instant) override { co_return Result<void>{}; }
  Instant at{1};
};

class PolicyTest : public ::testing::Test {
 protected:
  PolicyTest() {
    options_.self = self_.public_key();
    options_.resources = {2, 128_MiB, "x86_64", "wasmtime-48", std::nullopt};
    options_.allow = {friend_.public_key()};
    manifest_.created = {1'000};
    manifest_.expires = {2'000};
  }
  /// The reason of a refusal; nothing when admitted.
  std::optional<RejectionReason> ask(const identity::KeyPair& requester,
                                     const identity::KeyPair& peer) {
    Policy policy(clock_, options_);
    return ask(policy, requester, peer);
  }
  std::optional<RejectionReason> ask(Policy& policy, const identity::KeyPair& requester,
                                     const identity::KeyPair& peer) {
    const manifest::SignedManifest signed_manifest{manifest_, requester.public_key(), {}, {}};
    const auto peer_key = peer.public_key();
    auto answer = policy.admit({signed_manifest, peer_key});
    if (auto* const no = std::get_if<provider::Refused>(&answer)) {
      last_ = *no;
      return no->reason;
    }
    return std::nullopt;
  }
  job::WasmJob& wasm() { return std::get<job::WasmJob>(manifest_.job); }

  SystemRandom random_;
  StillClock clock_;
  identity::KeyPair self_ = identity::KeyPair::generate(random_);
  identity::KeyPair friend_ = identity::KeyPair::generate(random_);
  identity::KeyPair stranger_ = identity::KeyPair::generate(random_);
  Options options_;
  manifest::Manifest manifest_;  // a wasm job with the defaults
  provider::Refused last_;
};

TEST_F(PolicyTest, LetsInWhoseJobsItTakes) {
  const auto lets_in = [this](const identity::KeyPair& who) {
    return Policy(clock_, options_).lets_in(who.public_key());
  };
  EXPECT_TRUE(lets_in(friend_));
  EXPECT_FALSE(lets_in(stranger_));
  options_.open = true;
  EXPECT_TRUE(lets_in(stranger_));
  options_.takes_others = false;
  EXPECT_FALSE(lets_in(stranger_));
  EXPECT_FALSE(lets_in(friend_));
}

TEST_F(PolicyTest, RefusesStrangersByDefault) {
  EXPECT_EQ(ask(stranger_, stranger_), RejectionReason::unauthorized);
  EXPECT_NE(last_.detail.find(stranger_.peer_id().text()), std::string::npos);
}

TEST_F(PolicyTest, TakesThoseOnTheAllowlistWhoeverDelivers) {
  EXPECT_EQ(ask(friend_, friend_), std::nullopt);
  EXPECT_EQ(ask(friend_, stranger_), std::nullopt);
  EXPECT_EQ(ask(stranger_, friend_), RejectionReason::unauthorized);  // the signer counts
}

TEST_F(PolicyTest, OpenTakesAnybody) {
  options_.open = true;
  EXPECT_EQ(ask(stranger_, stranger_), std::nullopt);
}

TEST_F(PolicyTest, ARequesterOnlyNodeRefusesEvenTheAllowed) {
  options_.open = true;
  options_.takes_others = false;
  EXPECT_EQ(ask(friend_, friend_), RejectionReason::unauthorized);
  EXPECT_EQ(ask(self_, self_), std::nullopt);
}

TEST_F(PolicyTest, TakesItsOwnJobsAboveCeilingsAndBudgets) {
  options_.budgets = {.per_key = 0, .per_peer = 0, .total = 0};
  wasm().limits.memory_bytes = 4ULL << 30;
  manifest_.wall_limit_ms = manifest::kWallLimitMsMax;
  EXPECT_EQ(ask(self_, self_), std::nullopt);
}

TEST_F(PolicyTest, DoesNotTakeItsOwnManifestFromAStranger) {
  EXPECT_EQ(ask(self_, stranger_), RejectionReason::unauthorized);
}

TEST_F(PolicyTest, RefusesWhatNobodyIsGranted) {
  for (const auto level :
       {manifest::Level::audit, manifest::Level::redundancy, manifest::Level::re_execute,
        manifest::Level::dispute, manifest::Level::proof}) {
    manifest_.level = level;
    EXPECT_EQ(ask(friend_, friend_), RejectionReason::level_unsupported);
  }
  manifest_.level = manifest::Level::signature;
  manifest_.job = job::InferenceJob{};
  EXPECT_EQ(ask(self_, self_), RejectionReason::kind_unsupported);
}

TEST_F(PolicyTest, ComparesArchExactlyAndRuntimeByClass) {
  manifest_.requirements.arch = "aarch64";
  EXPECT_EQ(ask(friend_, friend_), RejectionReason::arch_mismatch);
  EXPECT_EQ(ask(self_, self_), RejectionReason::arch_mismatch);
  manifest_.requirements.arch = "x86_64";
  for (const char* const good : {"wasmtime", "wasmtime-48", "wasmtime-1.2-x"}) {
    manifest_.requirements.runtime = good;
    EXPECT_EQ(ask(friend_, friend_), std::nullopt) << good;
  }
  for (const char* const bad : {"wasmer", "wasmtime48", "", "-48"}) {
    manifest_.requirements.runtime = bad;
    EXPECT_EQ(ask(friend_, friend_), RejectionReason::runtime_not_supported) << bad;
  }
}

TEST_F(PolicyTest, ARegionMustBeTheSame) {
  manifest_.requirements.region = "eu";
  EXPECT_EQ(ask(friend_, friend_), RejectionReason::region_mismatch);
  options_.resources.region = "us";
  EXPECT_EQ(ask(friend_, friend_), RejectionReason::region_mismatch);
  options_.resources.region = "eu";
  EXPECT_EQ(ask(friend_, friend_), std::nullopt);
}

TEST_F(PolicyTest, RefusesWhatIsAboveACeilingAndTakesWhatIsAtIt) {
  options_.ceilings = {.wall_ms = 5'000, .output_bytes = 64_MiB, .table_elements = 1'000'000};
  manifest_.wall_limit_ms = 5'000;
  manifest_.requirements.cpu_cores = 2;
  manifest_.requirements.memory_bytes = 128_MiB;
  EXPECT_EQ(ask(friend_, friend_), std::nullopt);
  const manifest::Manifest fits = manifest_;
  const auto refused_when = [&](auto change) {
    manifest_ = fits;
    change();
    return ask(friend_, friend_);
  };
  EXPECT_EQ(refused_when([&] { wasm().limits.memory_bytes += 1; }),
            RejectionReason::insufficient_resources);
  EXPECT_EQ(refused_when([&] { wasm().limits.output_bytes += 1; }),
            RejectionReason::insufficient_resources);
  EXPECT_EQ(refused_when([&] { wasm().limits.table_elements += 1; }),
            RejectionReason::insufficient_resources);
  EXPECT_EQ(refused_when([&] { manifest_.requirements.cpu_cores = 3; }),
            RejectionReason::insufficient_resources);
  EXPECT_EQ(refused_when([&] { manifest_.requirements.memory_bytes = 128_MiB + 1; }),
            RejectionReason::insufficient_resources);
  EXPECT_EQ(refused_when([&] { manifest_.wall_limit_ms = 5'001; }), RejectionReason::policy);
}

TEST_F(PolicyTest, SaysWhenABudgetIsUsedUpAndWhenToComeBack) {
  options_.budgets = {.per_key = 1, .per_peer = 10, .total = 10};
  Policy policy(clock_, options_);
  EXPECT_EQ(ask(policy, friend_, friend_), std::nullopt);
  EXPECT_EQ(ask(policy, friend_, friend_), RejectionReason::busy);
  EXPECT_EQ(last_.retry_after_ms, 60'000U);
  clock_.at = clock_.at + 60s;
  EXPECT_EQ(ask(policy, friend_, friend_), std::nullopt);
}

TEST_F(PolicyTest, ARefusedJobCostsNoBudget) {
  options_.budgets = {.per_key = 1, .per_peer = 1, .total = 1};
  Policy policy(clock_, options_);
  EXPECT_EQ(ask(policy, stranger_, stranger_), RejectionReason::unauthorized);
  manifest_.requirements.arch = "riscv64";
  EXPECT_EQ(ask(policy, friend_, friend_), RejectionReason::arch_mismatch);
  manifest_.requirements.arch.reset();
  EXPECT_EQ(ask(policy, friend_, friend_), std::nullopt);
}

TEST_F(PolicyTest, ReadsKeysAndPeerIds) {
  EXPECT_EQ(*parse_requester(friend_.peer_id().text()), friend_.public_key());
  EXPECT_EQ(*parse_requester(friend_.public_key().hex()), friend_.public_key());
  for (const char* const bad :
       {"", "12D3KooW", "zz", "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"}) {
    EXPECT_EQ(parse_requester(bad).error().code, Code::malformed) << bad;
  }
}

}  // namespace
}  // namespace phase::policy
