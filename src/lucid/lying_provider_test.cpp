// The whole service against providers elsewhere that do wrong: real provider, gate, pool and
// receipts on both sides, somebody between them, virtual time.
#include <array>
#include <map>

#include "base/temp_folder.h"
#include "lucid/echo.h"
#include "lucid/gate.h"
#include "lucid/inference_jobs.h"
#include "lucid/local_models.h"
#include "lucid/lucid_fixture.h"
#include "lucid/pulls.h"
#include "lucid/service.h"
#include "lucid/sharing.h"
#include "lucid/work_log.h"
#include "mesh/no_network.h"
#include "tests/simulation/rogue.h"
#include "tests/simulation/stage.h"

namespace phase::lucid {
namespace {

using simulation::Lie;
using simulation::lie_name;
using simulation::Rogue;
using simulation::Stage;

constexpr Duration kNear = 1ms, kFar = 100ms;

OperatorPolicy open_policy() {
  OperatorPolicy out;
  out.allow_unauthenticated_jobs = true;
  out.max_jobs_per_minute_per_key = 1000;
  return out;
}

/// A node with echo, and somebody before it.
struct Party {
  Party(Stage& stage, spdlog::logger& log, const std::filesystem::path& folder, Lie lie,
        const OperatorPolicy& policy)
      : executor(stage.context.get_executor()),
        key(identity::KeyPair::generate(stage.random)),
        catalog(*Catalog::open({stage.clock, executor, nullptr, log, executor}, echo_in(folder))),
        pool({stage.clock, executor, *catalog, nullptr, log}, {}),
        jobs(executor, *catalog, pool, key.public_key()),
        gate({stage.clock, *catalog, key.public_key(), "x86_64",
              [this] { return provider.jobs_running() + provider.jobs_queued(); },
              [this](const identity::PublicKey& of) { return provider.jobs_of(of); },
              [] { return 12; }},
             policy),
        replays(UtcTime{stage.clock.now_utc().unix_ms - 1000}),
        provider({stage.clock, stage.random, key, jobs, gate, replays, receipts, executor}, {}),
        rogue(stage.clock, stage.random, executor, key, lie,
              [this](std::unique_ptr<ByteStream> stream, identity::PublicKey peer) {
                return provider.serve(std::move(stream), peer);
              }) {}
  static Catalog::Options echo_in(const std::filesystem::path& folder) {
    Catalog::Options out;
    out.data_dir = folder;
    out.echo = true;
    return out;
  }
  [[nodiscard]] requester::Candidate candidate(Duration round_trip) const {
    requester::Candidate out;
    out.key = key.public_key();
    out.round_trip = round_trip;
    out.capabilities.kinds = {"inference"};
    out.capabilities.models = {Sha256{echo_model()->content.id.value}};
    out.capabilities.jobs_max = 4;
    return out;
  }

  asio::any_io_executor executor;
  identity::KeyPair key;
  std::unique_ptr<Catalog> catalog;
  ModelPool pool;
  InferenceJobs jobs;
  Gate gate;
  simulation::MemoryReplays replays;
  simulation::MemoryReceipts receipts;
  provider::Provider provider;
  Rogue rogue;
};

/// What a client heard.
struct Heard {
  std::string text, voided;  ///< since the last restart; before it
  std::vector<std::string> routes;
  std::optional<Finished> finished;
  std::optional<Error> error;
};

/// A node without models, and who else there is.
struct World {
  explicit World(Service::Options options = {}, std::uint64_t seed = 1)
      : stage(seed),
        executor(stage.context.get_executor()),
        key(identity::KeyPair::generate(stage.random)),
        network(stage.clock, stage.random, executor, key.public_key()),
        catalog(*Catalog::open({stage.clock, executor, nullptr, log, executor},
                               nothing_in(folder.path()))),
        pool({stage.clock, executor, *catalog, nullptr, log}, {}),
        gate({stage.clock, *catalog, key.public_key(), "x86_64", [] { return std::uint64_t{0}; },
              [](const identity::PublicKey&) { return std::uint64_t{0}; }, [] { return 12; }},
             {}),
        book(folder.path()),
        sharing({stage.clock, key, *catalog, gate, book, log}),
        artifacts(*artifact::Store::open({folder.path() / "artifacts", folder.path() / "blobs"})),
        pulls({stage.clock, executor, key, *catalog, book, sharing, *artifacts, nullptr, nullptr,
               nullptr, log}),
        models({executor, stage.random, *catalog, pool, pulls}) {
    store::StoreOptions kept;
    kept.path = folder.path() / "lucidd.db";
    kept.durability = store::Durability::process;
    store = *store::Store::open(kept, stage.clock.now_utc());
    options.resolve = [](PullSpec) -> Task<Result<ArtifactId>> {
      co_return echo_model()->content.id;
    };
    if (!options.may_leave) options.may_leave = [](const ModelName&) { return true; };
    service =
        std::make_unique<Service>(Service::World{stage.clock, stage.random, key, executor, *catalog,
                                                 pool, models, *store, nobody, &network, log},
                                  std::move(options));
  }
  ~World() { EXPECT_TRUE(stage.settle()); }
  static Catalog::Options nothing_in(const std::filesystem::path& folder) {
    Catalog::Options out;
    out.data_dir = folder / "models";
    return out;
  }

  Party& add(Lie lie, Duration round_trip, const OperatorPolicy& policy = open_policy()) {
    const auto home = folder.path() / std::to_string(parties.size());
    parties.push_back(std::make_unique<Party>(stage, log, home, lie, policy));
    place(*parties.back(), round_trip);
    return *parties.back();
  }
  void place(Party& party, Duration round_trip, simulation::WireFaults faults = {}) {
    network.add(
        party.candidate(round_trip),
        [&party](std::unique_ptr<ByteStream> stream, identity::PublicKey peer) {
          return party.rogue.serve(std::move(stream), peer);
        },
        faults);
  }

  static Ask make(std::string_view prompt) {
    Ask out;
    out.model = "echo";
    out.prompt_kind = 0;
    out.prompt = to_bytes(prompt);
    return out;
  }
  static Ask chat(const std::vector<std::string>& messages, std::string_view conversation = "") {
    std::string text;
    for (const std::string& one : messages) {
      text += std::string(text.empty() ? "" : ",") + R"({"role":"user","content":")" + one + "\"}";
    }
    Ask out = make(R"({"messages":[)" + text + "]}");
    out.prompt_kind = 1;
    out.conversation = conversation;
    return out;
  }
  /// Listens to an answer until its end.
  static Task<void> listen(Lucid& lucid, Ask ask, Heard& out) {
    Result<std::unique_ptr<Answer>> answer = co_await lucid.ask(std::move(ask));
    if (!answer) {
      out.error = answer.error();
      co_return;
    }
    while (!out.finished && !out.error) {
      Result<AnswerEvent> event = co_await (*answer)->next();
      if (!event) {
        out.error = event.error();
      } else if (const auto* route = std::get_if<Route>(&*event)) {
        out.routes.push_back(route->job_id);
      } else if (std::holds_alternative<Restart>(*event)) {
        out.voided += std::exchange(out.text, {});
      } else if (const auto* piece = std::get_if<job::OutputPiece>(&*event)) {
        if (piece->stream == job::OutputStream::out) out.text += as_text(piece->data);
      } else if (auto* last = std::get_if<Finished>(&*event)) {
        out.finished = std::move(*last);
      }
    }
  }
  Heard ask(Ask one) {
    Heard out;
    EXPECT_TRUE(
        stage.play([&]() -> Task<void> { co_await listen(*service, std::move(one), out); }));
    return out;
  }
  Heard ask(std::string_view prompt, bool held) {
    Ask one = make(prompt);
    one.require_verified = held;
    return ask(std::move(one));
  }
  std::string server_of(const Heard& heard) {
    std::string by;
    for (const auto& party : parties) {
      for (const auto& [id, envelopes] : party->receipts.kept) {
        if (!heard.routes.empty() && id.hex() == heard.routes.back()) {
          by = party->key.peer_id().text();
        }
      }
    }
    return by;
  }
  Result<Lucid::Kept> receipt(const std::string& job) {
    Result<Lucid::Kept> out = fail(Code::internal, "not asked");
    EXPECT_TRUE(stage.play([&]() -> Task<void> { out = co_await service->receipt(job); }));
    return out;
  }
  [[nodiscard]] Duration now() const { return stage.clock.now() - Instant{}; }

  Stage stage;
  TempFolder folder = TempFolder::make("lucid-lies").value();
  spdlog::logger log{"test", std::make_shared<spdlog::sinks::null_sink_mt>()};
  asio::any_io_executor executor;
  identity::KeyPair key;
  simulation::SimNetwork network;
  std::unique_ptr<Catalog> catalog;
  ModelPool pool;
  Gate gate;  // of a node that serves nobody
  artifact::NameBook book;
  Sharing sharing;
  std::shared_ptr<artifact::Store> artifacts;
  Pulls pulls;
  LocalModels models;
  mesh::NoNetwork nobody;
  std::unique_ptr<store::Store> store;
  std::vector<std::unique_ptr<Party>> parties;
  std::unique_ptr<Service> service;
};

/// Lies that a check finds, with the check.
constexpr std::array<std::pair<Lie, std::string_view>, 8> kFound{{
    {Lie::alter_output, "output_commitment"},
    {Lie::drop_output, "output_length"},
    {Lie::truncate_output, "output_length"},
    {Lie::old_receipt, "job_id"},
    {Lie::other_key, "provider_key"},
    {Lie::other_subject, "module_hash"},
    {Lie::false_checkpoint, "checkpoint"},
    {Lie::foreign_checkpoint, "checkpoint"},
}};
constexpr std::string_view kText = "the cat sat on the mat and looked at the moon";

TEST(LyingProvider, AloneIsRefusedByTheRightCheck) {
  for (const auto& [lie, check] : kFound) {
    for (const bool held : {false, true}) {
      SCOPED_TRACE(std::string(lie_name(lie)) + (held ? " held" : ""));
      World world;
      world.add(lie, kNear);
      if (lie == Lie::old_receipt) {
        ASSERT_TRUE(world.ask("first", held).finished);
      }
      const Heard heard = world.ask(kText, held);
      if (held) {
        ASSERT_TRUE(heard.error);
        EXPECT_EQ(heard.error->code, Code::verification_failed);
        EXPECT_NE(heard.error->message.find(check), std::string::npos) << heard.error->message;
        EXPECT_EQ(heard.text + heard.voided, "") << "nothing refused is heard";
      } else {
        ASSERT_TRUE(heard.finished);
        EXPECT_EQ(heard.finished->verdict, Verdict::refused);
        EXPECT_EQ(heard.finished->failed_check, check);
      }
      const auto kept = world.receipt(heard.routes.back());
      EXPECT_TRUE(kept) << "what it signed is evidence";
    }
  }
}

TEST(LyingProvider, TheNextOneAnswersAndBothAreNamed) {
  for (const auto& [lie, check] : kFound) {
    for (const bool held : {false, true}) {
      SCOPED_TRACE(std::string(lie_name(lie)) + (held ? " held" : ""));
      World world;
      Party& liar = world.add(lie, kNear);
      if (lie == Lie::old_receipt) {
        ASSERT_TRUE(world.ask("first", held).finished);
      }
      Party& honest = world.add(Lie::none, kFar);
      const Heard heard = world.ask(kText, held);
      ASSERT_TRUE(heard.finished) << heard.error->text();
      EXPECT_EQ(heard.finished->verdict, Verdict::verified);
      EXPECT_EQ(heard.text, reverse_text(kText));
      EXPECT_TRUE(heard.voided.empty() || !held) << heard.voided;
      EXPECT_EQ(world.server_of(heard), honest.key.peer_id().text());
      ASSERT_EQ(heard.finished->earlier.size(), 1U);
      const Earlier& first = heard.finished->earlier.front();
      EXPECT_EQ(first.served_by, liar.key.peer_id().text());
      EXPECT_EQ(first.result, "refused");
      // From then on the liar comes last.
      const Heard again = world.ask(kText, held);
      ASSERT_TRUE(again.finished);
      EXPECT_TRUE(again.finished->earlier.empty());
      EXPECT_EQ(world.server_of(again), honest.key.peer_id().text());
    }
  }
}

TEST(LyingProvider, HeldBackCheckpointByCheckpointOnlyWhatIsTrueIsHeard) {
  std::string text;
  while (text.size() < 100'000) text += "abcdefgh" + std::to_string(text.size());
  Ask one = World::make(text);
  one.require_verified = true;
  one.tokens_max = text.size();
  OperatorPolicy policy = open_policy();
  policy.max_tokens_ceiling = 1'000'000;
  World alone;
  alone.add(Lie::alter_late, kNear, policy);
  const Heard refused = alone.ask(one);
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->code, Code::verification_failed);
  EXPECT_GE(refused.text.size(), 16'000U) << "the first statement was honest";
  EXPECT_LT(refused.text.size(), text.size() / 2);
  EXPECT_TRUE(reverse_text(text).starts_with(refused.text));
  World world;
  world.add(Lie::alter_late, kNear, policy);
  world.add(Lie::none, kFar, policy);
  const Heard heard = world.ask(one);
  ASSERT_TRUE(heard.finished) << heard.error->text();
  EXPECT_EQ(heard.text, reverse_text(text));
  EXPECT_FALSE(heard.voided.empty());
  EXPECT_TRUE(heard.text.starts_with(heard.voided));
}

/// Who breaks off or falls silent, and how long it can hold an ask up.
TEST(LyingProvider, WhoIsLostOrSilentIsReplacedWithinTheLimits) {
  const Service::Options options;
  const requester::RequesterLimits& limits = options.requester;
  const std::vector<std::pair<Lie, Duration>> rows{
      {Lie::crash, 0s},
      {Lie::cut_frame, 0s},
      {Lie::huge_frame, 0s},
      {Lie::out_of_order, 0s},
      {Lie::other_job, 0s},
      {Lie::flood, 0s},
      {Lie::progress_flood, 0s},
      {Lie::stall, limits.silence_max},
      {Lie::mute, limits.answer_max},
      {Lie::beat_only, options.first_output_max_away},
      {Lie::stall_midway, options.output_silence_max_away},
  };
  constexpr Duration kBackOffMax = 1s;  // three attempts' pauses
  for (const auto& [lie, limit] : rows) {
    SCOPED_TRACE(lie_name(lie));
    World alone;
    alone.add(lie, kNear);
    const Heard lost = alone.ask(kText, false);
    ASSERT_TRUE(lost.error) << "a lie nobody noticed";
    EXPECT_FALSE(lost.error->message.empty());
    EXPECT_LE(alone.now(), 3 * limit + kBackOffMax);
    World world;
    world.add(lie, kNear);
    world.add(Lie::none, kFar);
    const Heard heard = world.ask(kText, false);
    ASSERT_TRUE(heard.finished) << heard.error->text();
    EXPECT_EQ(heard.finished->verdict, Verdict::verified);
    EXPECT_EQ(heard.text, reverse_text(kText));
    ASSERT_EQ(heard.finished->earlier.size(), 1U);
    EXPECT_EQ(heard.finished->earlier.front().result, "lost");
    EXPECT_LE(world.now(), limit + kBackOffMax);
  }
}

TEST(LyingProvider, WhoHasNotWhatItAdvertisesIsReplaced) {
  World world;
  Party& empty = world.add(Lie::none, kNear);
  Ask one = World::make(kText);
  Service::Options options;
  // Everybody says that they have this; nobody does.
  const LocalModelPtr other = own_echo("other");
  requester::Candidate claims = empty.candidate(kNear);
  claims.capabilities.models = {Sha256{other->content.id.value}};
  options.resolve = [other](PullSpec) -> Task<Result<ArtifactId>> { co_return other->content.id; };
  options.may_leave = [](const ModelName&) { return true; };
  world.network.add(claims, [&empty](std::unique_ptr<ByteStream> stream, identity::PublicKey peer) {
    return empty.rogue.serve(std::move(stream), peer);
  });
  world.service = std::make_unique<Service>(
      Service::World{world.stage.clock, world.stage.random, world.key, world.executor,
                     *world.catalog, world.pool, world.models, *world.store, world.nobody,
                     &world.network, world.log},
      std::move(options));
  const Heard heard = world.ask(one);
  ASSERT_TRUE(heard.error);
  EXPECT_EQ(heard.error->code, Code::rejected);
  EXPECT_NE(heard.error->message.find("model"), std::string::npos) << heard.error->message;
}

// ── What leaves ──

TEST(Leaving, NothingGoesToOthersThatMayNot) {
  World open;
  Party& near = open.add(Lie::none, kNear);
  Ask own = World::make(kText);
  own.local_only = true;
  const Heard kept = open.ask(own);
  ASSERT_TRUE(kept.error);
  EXPECT_EQ(kept.error->code, Code::not_found);
  EXPECT_TRUE(near.receipts.kept.empty() && kept.routes.empty());
  Service::Options options;
  options.may_leave = [](const ModelName& name) { return name.name != "echo"; };
  World closed(options);
  Party& other = closed.add(Lie::none, kNear);
  EXPECT_TRUE(closed.ask(kText, false).error);
  EXPECT_TRUE(other.receipts.kept.empty());
}

TEST(Leaving, WhoGoesAwayCancelsWhatItAskedFor) {
  World world;
  world.add(Lie::beat_only, kNear);
  EXPECT_TRUE(world.stage.play([&]() -> Task<void> {
    Ask ask = World::make(kText);
    Result<std::unique_ptr<Answer>> answer = co_await world.service->ask(std::move(ask));
    EXPECT_TRUE(answer);
    static_cast<void>(co_await world.stage.clock.sleep_for(1s));  // somebody is asked
    EXPECT_EQ(world.service->asks_running(), 1U);
  }));
  ASSERT_TRUE(world.stage.context.run_until([&] { return world.service->asks_running() == 0; },
                                            Stage::kEnd));
  EXPECT_LE(world.now(), 1s + requester::RequesterLimits{}.cancel_max);
}

// ── Hedging ──

TEST(Hedging, WhoSpeaksFirstIsHeardAndBothReceiptsAreKept) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    World world({}, seed);
    Party& slow = world.add(Lie::none, kNear);
    simulation::WireFaults far;
    far.delay_max = 2s;  // there and back within RequesterLimits::cancel_max
    world.place(slow, kNear, far);
    Party& quick = world.add(Lie::none, kFar);
    Ask one = World::make(kText);
    one.hedge = true;
    const Heard heard = world.ask(one);
    ASSERT_TRUE(heard.finished) << heard.error->text();
    EXPECT_EQ(heard.text, reverse_text(kText));
    EXPECT_EQ(heard.voided, "");
    const bool hedged = world.server_of(heard) == quick.key.peer_id().text();
    if (!hedged) continue;  // this seed's wire was quick
    EXPECT_EQ(world.now(), kHedgeUnmeasured);
    ASSERT_EQ(heard.finished->earlier.size(), 1U);
    const std::string loser = heard.finished->earlier.front().job_id;
    EXPECT_EQ(heard.finished->earlier.front().served_by, slow.key.peer_id().text());
    ASSERT_TRUE(world.stage.settle());
    EXPECT_EQ(world.service->asks_running(), 0U);
    EXPECT_TRUE(world.receipt(heard.routes.back()));
    EXPECT_TRUE(slow.receipts.kept.empty() || world.receipt(loser)) << "the loser's, too";
  }
}

/// Both speak, one after the other: the second is not heard, whenever its words arrive.
TEST(Hedging, OneIsHeardAlone) {
  std::size_t both_spoke = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    World world({}, seed);
    simulation::WireFaults far;
    far.delay_max = 2s;
    Party& one = world.add(Lie::none, kNear);
    Party& two = world.add(Lie::none, kFar);
    for (Party* party : {&one, &two}) world.place(*party, kNear, far);
    Ask ask = World::make(kText);
    ask.hedge = true;
    const Heard heard = world.ask(ask);
    ASSERT_TRUE(heard.finished) << heard.error->text();
    EXPECT_EQ(heard.text, reverse_text(kText));
    EXPECT_EQ(heard.voided, "");
    ASSERT_TRUE(world.stage.settle());
    both_spoke += one.receipts.kept.empty() || two.receipts.kept.empty() ? 0 : 1;
  }
  EXPECT_GE(both_spoke, 10U) << "too few to tell";
}

/// When the first word of one is heard, not when the answer is over: what is heard goes on for long
/// here, and the other one never answers a cancel.
TEST(Hedging, TheOtherIsCancelledAtTheFirstWord) {
  World world;
  world.add(Lie::beat_only, kNear);
  world.add(Lie::stall_midway, kFar);
  Ask ask = World::make(kText);
  ask.hedge = true;
  const Heard heard = world.ask(ask);
  EXPECT_FALSE(heard.text.empty() && heard.voided.empty());
  ASSERT_TRUE(world.stage.context.run_until([&] { return world.service->asks_running() == 0; },
                                            Stage::kEnd));
  EXPECT_LT(world.now(), kHedgeUnmeasured + Service::Options{}.output_silence_max_away +
                             requester::RequesterLimits{}.cancel_max);
}

TEST(Hedging, IsOffUnlessWishedAndFindsNobodyElse) {
  World off;
  off.add(Lie::beat_only, kNear);
  Party& second = off.add(Lie::none, kFar);
  EXPECT_TRUE(off.ask(kText, false).finished);
  EXPECT_GE(off.now(), Service::Options{}.first_output_max_away);
  EXPECT_EQ(second.receipts.kept.size(), 1U);
  Service::Options options;
  options.hedge = true;
  World alone(options);
  alone.add(Lie::beat_only, kNear);
  const Heard lost = alone.ask(kText, false);
  ASSERT_TRUE(lost.error);
  EXPECT_EQ(lost.error->code, Code::timed_out) << "of whom was asked, not of the hedge";
  World both(options);
  both.add(Lie::beat_only, kNear);
  both.add(Lie::none, kFar);
  EXPECT_TRUE(both.ask(kText, false).finished);
  EXPECT_EQ(both.now(), kHedgeUnmeasured);
  World punctual(options);
  Party& near = punctual.add(Lie::none, kNear);
  Party& far = punctual.add(Lie::none, kFar);
  EXPECT_TRUE(punctual.ask(kText, false).finished);
  EXPECT_EQ(near.receipts.kept.size(), 1U);
  EXPECT_TRUE(far.receipts.kept.empty());
}

// ── What others had is told ──

/// Verdicts of what other nodes had of this one, with who had it.
std::multimap<std::string, std::string> had(World& world) {
  EXPECT_TRUE(world.stage.settle());
  const WorkLog log(*world.store, world.key.public_key());
  std::multimap<std::string, std::string> out;
  for (const WorkEntry& entry : log.list()) {
    EXPECT_FALSE(entry.for_others);
    EXPECT_EQ(entry.model, "echo:latest");
    EXPECT_EQ(entry.has_receipt, world.receipt(entry.job_id).has_value()) << entry.verdict;
    out.emplace(entry.peer, entry.verdict);
  }
  return out;
}

TEST(Work, WhoeverHadThePromptIsListedOnce) {
  using Rows = std::multimap<std::string, std::string>;
  for (const auto& [lie, verdict] : {std::pair<Lie, std::string>{Lie::crash, "none"},
                                     {Lie::stall_midway, "none"},
                                     {Lie::beat_only, "none"},
                                     {Lie::alter_output, "refused: output_commitment"}}) {
    for (const bool hedged : {false, true}) {
      SCOPED_TRACE(std::string(lie_name(lie)) + (hedged ? " hedged" : ""));
      World world;
      const std::string liar = world.add(lie, kNear).key.peer_id().text();
      const std::string honest = world.add(Lie::none, kFar).key.peer_id().text();
      Ask one = World::make(kText);
      one.hedge = hedged;
      ASSERT_TRUE(world.ask(one).finished);
      EXPECT_EQ(had(world), (Rows{{liar, verdict}, {honest, "verified"}}));
    }
  }
}

TEST(Work, WhoDeclinesHadNothing) {
  World world;
  OperatorPolicy nobody = open_policy();
  nobody.allow_unauthenticated_jobs = false;
  world.add(Lie::none, kNear, nobody);
  const std::string honest = world.add(Lie::none, kFar).key.peer_id().text();
  const Heard heard = world.ask(kText, false);
  ASSERT_TRUE(heard.finished);
  EXPECT_EQ(heard.finished->earlier.front().result, "declined");
  EXPECT_EQ(had(world), (std::multimap<std::string, std::string>{{honest, "verified"}}));
}

TEST(Work, AloneEachAttemptIsListed) {
  World world;
  world.add(Lie::crash, kNear);
  const Heard heard = world.ask(kText, false);
  ASSERT_TRUE(heard.error);
  EXPECT_EQ(had(world).size(), heard.routes.size());
}

// ── Conversations ──

TEST(Affinity, AConversationStaysWhereItIs) {
  for (const std::string conversation : {"", "c7"}) {
    World world;
    Party& first = world.add(Lie::none, kNear);
    ASSERT_TRUE(world.ask(World::chat({"Hello"}, conversation)).finished);
    Party& nearer = world.add(Lie::none, kNear / 4);
    const Heard next = world.ask(World::chat({"Hello", "olleH", "More"}, conversation));
    EXPECT_EQ(world.server_of(next), first.key.peer_id().text());
    const Heard other = world.ask(World::chat({"Something else"}, ""));
    EXPECT_EQ(world.server_of(other), nearer.key.peer_id().text());
    // It went away: somebody else takes the conversation over and keeps it.
    world.network.remove(first.key.public_key());
    const Heard moved = world.ask(World::chat({"Hello", "olleH", "More", "x", "y"}, conversation));
    EXPECT_EQ(world.server_of(moved), nearer.key.peer_id().text());
    world.place(first, kNear / 10);
    const Heard kept =
        world.ask(World::chat({"Hello", "olleH", "More", "x", "y", "z"}, conversation));
    EXPECT_EQ(world.server_of(kept), nearer.key.peer_id().text());
  }
}

// ── What others grant ──

TEST(Caps, OfPromptTokensAndWall) {
  OperatorPolicy policy = open_policy();
  policy.max_prompt_bytes = 20;
  policy.max_tokens_ceiling = 8'192;
  World world;
  world.add(Lie::none, kNear, policy);
  EXPECT_TRUE(world.ask("twenty bytes, not on", false).finished);
  const Heard prompt = world.ask("twenty bytes, and one", false);
  ASSERT_TRUE(prompt.error);
  EXPECT_NE(prompt.error->message.find("prompt bytes: asked 21, granted at most 20"),
            std::string::npos);
  Ask many = World::make("abc");
  many.tokens_max = 8'193;
  const Heard tokens = world.ask(many);
  ASSERT_TRUE(tokens.error);
  EXPECT_NE(tokens.error->message.find("tokens: asked 8193"), std::string::npos);
  policy.max_wall_seconds = 1;
  World hasty;
  hasty.add(Lie::none, kNear, policy);
  const Heard wall = hasty.ask("abc", false);
  ASSERT_TRUE(wall.error);
  EXPECT_NE(wall.error->message.find("wall limit"), std::string::npos);
}

TEST(Caps, WhoNamesNoTokensGetsABoundedAnswer) {
  World world;
  world.add(Lie::none, kNear);
  const Heard heard = world.ask(std::string(10'000, 'x'), false);
  ASSERT_TRUE(heard.finished);
  EXPECT_EQ(heard.text.size(), Service::Options{}.tokens_max_away);
  EXPECT_EQ(heard.finished->completion.kind, receipt::CompletionKind::limited);
  EXPECT_EQ(heard.finished->completion.reason, "tokens");
}

TEST(Caps, JobsAtOnceOfOneKey) {
  OperatorPolicy policy = open_policy();
  policy.max_concurrent_jobs_per_key = 1;
  World world;
  Party& party = world.add(Lie::none, kNear, policy);
  simulation::WireFaults slow;
  slow.delay_max = 4s;  // so long its prompt is on the way
  world.place(party, kNear, slow);
  Heard first, second;
  world.stage.start(
      [&]() -> Task<void> { co_await World::listen(*world.service, World::make("abc"), first); });
  ASSERT_TRUE(world.stage.context.run_until([&] { return party.provider.jobs_running() == 1; },
                                            Stage::kEnd));
  world.place(party, kNear);
  second = world.ask("abc", false);
  ASSERT_TRUE(second.error);
  EXPECT_EQ(second.error->code, Code::busy);
  EXPECT_NE(second.error->message.find("1 jobs here at once"), std::string::npos);
  ASSERT_TRUE(
      world.stage.context.run_until([&] { return first.finished || first.error; }, Stage::kEnd));
  EXPECT_TRUE(first.finished);
}

TEST(Caps, JobsPerMinuteOfOneKey) {
  OperatorPolicy policy = open_policy();
  policy.max_jobs_per_minute_per_key = 2;
  World world;
  world.add(Lie::none, kNear, policy);
  EXPECT_TRUE(world.ask("a", false).finished);
  EXPECT_TRUE(world.ask("b", false).finished);
  const Heard third = world.ask("c", false);
  ASSERT_TRUE(third.error);
  EXPECT_EQ(third.error->code, Code::busy);
  EXPECT_NE(third.error->message.find("budget"), std::string::npos);
}

TEST(Caps, AsksUnderWayAtOnce) {
  Service::Options options;
  options.asks_max = 2;
  World world(options);
  world.add(Lie::beat_only, kNear);
  Heard first, second;
  for (Heard* heard : {&first, &second}) {
    world.stage.start([&world, heard]() -> Task<void> {
      co_await World::listen(*world.service, World::make("abc"), *heard);
    });
  }
  ASSERT_TRUE(world.stage.context.run_until([&] { return world.service->asks_running() == 2; },
                                            Stage::kEnd));
  const Heard third = world.ask("abc", false);
  ASSERT_TRUE(third.error);
  EXPECT_EQ(third.error->code, Code::busy);
  ASSERT_TRUE(
      world.stage.context.run_until([&] { return first.error && second.error; }, Stage::kEnd));
  EXPECT_EQ(world.service->asks_running(), 0U);
}

}  // namespace
}  // namespace phase::lucid
