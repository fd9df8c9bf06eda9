#include "lucid/service.h"

#include <algorithm>
#include <deque>
#include <unordered_map>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/json.hpp>

#include "lucid/asking_internal.h"
#include "lucid/conversations.h"
#include "lucid/recipe.h"
#include "lucid/work_log.h"

namespace phase::lucid {
namespace {

/// With output held back until it is verified, a statement is wished this often.
constexpr std::uint64_t kCheckpointBytes = 16_KiB;

/// The `error` note at the end of an answer, if there is one (spec/inference.md §3).
std::string error_note(const std::vector<job::OutputPiece>& output) {
  std::string notes;
  for (const auto& piece : output) {
    if (piece.stream == job::OutputStream::err) notes += as_text(piece.data);
  }
  while (notes.ends_with('\n')) notes.pop_back();
  const std::size_t line = notes.rfind('\n');
  boost::system::error_code error;
  const auto value =
      boost::json::parse(line == std::string::npos ? notes : notes.substr(line + 1), error);
  if (error || !value.is_object()) return {};
  const auto* said = value.as_object().if_contains("error");
  return said != nullptr && said->is_string() ? std::string(said->as_string()) : std::string{};
}

class AskAnswer final : public Answer {
 public:
  explicit AskAnswer(std::shared_ptr<Asking> asking) : asking_(std::move(asking)) {}
  ~AskAnswer() override { asking_->cancel(); }
  Task<Result<AnswerEvent>> next() override { return Asking::next(asking_); }

 private:
  std::shared_ptr<Asking> asking_;
};

std::uint64_t bytes_of(const Lucid::Kept& kept) {
  std::uint64_t out = kept.receipt.size() + kept.manifest.size() + kept.prompt.size();
  for (const auto& piece : kept.output) out += piece.data.size();
  return out;
}

std::string document_of(const manifest::SignedManifest& manifest, const Leg& leg,
                        const requester::Outcome& outcome) {
  WorkEntry entry = asked_of(outcome.provider, manifest.manifest);
  for (const auto& piece : leg.output()) entry.answer_bytes += piece.data.size();
  read_token_counts(leg.output(), entry);
  if (const auto receipt = receipt::open(outcome.receipt)) {
    entry.completion = completion_text(receipt->receipt.completion);
    entry.wall_us = receipt->receipt.claimed.wall_us;
  }
  entry.verdict = outcome.verdict.ok()
                      ? "verified"
                      : "refused: " + std::string(verify::check_name(*outcome.verdict.failed));
  return work_document(entry);
}

}  // namespace

struct Service::State : std::enable_shared_from_this<Service::State> {
  State(World with, Options chosen) : world(with), options(std::move(chosen)) {}

  struct Way {
    requester::Request request;
    requester::Network* network = nullptr;
    LocalModelPtr model;  // null: elsewhere
    ModelPool::Wish wish;
    KeepAlive keep_alive;
    ModelPool::LeasePtr lease;  // while it runs here
    Instant begun;
    ConversationKeys conversation;
    bool hedge = false;
  };
  /// Counts an ask while any of its legs runs.
  struct Running {
    explicit Running(std::shared_ptr<State> counted) : state(std::move(counted)) {
      state->running++;
    }
    ~Running() { state->running--; }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    std::shared_ptr<State> state;
  };
  using RunningPtr = std::shared_ptr<Running>;  // shared by the legs

  [[nodiscard]] Task<Result<Way>> choose(Ask& ask);
  [[nodiscard]] Task<LocalModelPtr> find_here(const PullSpec& spec);
  [[nodiscard]] Task<Result<void>> choose_away(const Ask& ask, PullSpec spec, Way& way,
                                               ArtifactId& id);
  [[nodiscard]] job::InferenceJob make_job(const Ask& ask, const ArtifactId& id, std::string name,
                                           std::uint64_t tokens_max);
  static Task<void> run(RunningPtr running, std::shared_ptr<Asking> asking, Way way);
  static Task<void> run_leg(RunningPtr running, std::shared_ptr<Asking> asking,
                            std::shared_ptr<Leg> leg, Way way);
  static Task<void> hedge(std::weak_ptr<Running> ask, std::shared_ptr<Asking> asking, Way way,
                          Duration after);
  [[nodiscard]] std::shared_ptr<Leg> add_leg(Asking& asking);
  [[nodiscard]] Duration hedge_after(const identity::PublicKey& provider) const;
  void keep(const Leg& leg, const Bytes& prompt, const requester::Outcome& outcome);
  void keep_lost(const Leg& leg);
  void conclude(Asking& asking, Leg& leg, const requester::Outcome& outcome, const Way& way);

  World world;
  Options options;
  bool closed = false;
  std::size_t running = 0;
  requester::Record record;
  Conversations conversations;
  std::unordered_map<std::string, Kept> kept;
  std::deque<std::string> kept_order;
  std::uint64_t kept_bytes = 0;
};

Service::Service(World world, Options options)
    : state_(std::make_shared<State>(world, std::move(options))) {}

Service::~Service() {
  state_->closed = true;
}

job::InferenceJob Service::State::make_job(const Ask& ask, const ArtifactId& id, std::string name,
                                           std::uint64_t tokens_max) {
  job::InferenceJob out;
  out.model = id;
  out.model_name = std::move(name);
  out.prompt_kind = static_cast<job::PromptKind>(ask.prompt_kind);
  out.prompt = job::commit(ask.prompt);
  out.sampling = ask.sampling;
  if (!ask.seeded) out.sampling.seed = world.random.below(UINT32_MAX);
  out.tokens_max = ask.tokens_max == 0 ? tokens_max : ask.tokens_max;
  out.context_tokens = ask.context_tokens;
  out.stop = ask.stop;
  return out;
}

/// The model of that name, unless a digest is written that is not its own.
Task<LocalModelPtr> Service::State::find_here(const PullSpec& spec) {
  const std::string digest = spec.digest_prefix;
  ModelName name = *spec.name;
  LocalModelPtr found = co_await world.catalog.find(std::move(name));
  if (found != nullptr && !found->content.sha256.hex().starts_with(digest)) found = nullptr;
  co_return found;
}

/// To whoever has it, if it may leave.
Task<Result<void>> Service::State::choose_away(const Ask& ask, PullSpec spec, Way& way,
                                               ArtifactId& id) {
  const bool may_leave = world.mesh != nullptr && !ask.local_only && options.resolve &&
                         options.may_leave && options.may_leave(*spec.name);
  if (!may_leave) {
    const bool could = world.mesh == nullptr && !ask.local_only;
    co_return fail(
        Code::not_found, "model '" + printable(ask.model, 80) + "' not found",
        could ? "put its GGUF file into the model folder, or turn the mesh on: --mesh" : "");
  }
  Result<ArtifactId> found = co_await options.resolve(std::move(spec));
  // Clients show the one text of an error: the way out of a conflict stands in it.
  if (!found && found.error().code == Code::already_exists) {
    co_return fail(Code::already_exists, found.error().text());
  }
  if (!found) co_return fail(found.error());
  id = *found;
  way.network = world.mesh;
  way.hedge = options.hedge || ask.hedge;
  way.conversation = conversation_keys(id, ask);
  way.request.preferred = conversations.find(way.conversation);
  co_return Result<void>{};
}

Task<Result<Service::State::Way>> Service::State::choose(Ask& ask) {
  const auto self = shared_from_this();
  Way way;
  way.begun = world.clock.now();
  way.keep_alive = ask.keep_alive;
  const Result<PullSpec> spec = PullSpec::parse(ask.model);
  if (!spec || !spec->name) {
    co_return fail(Code::not_found, "model '" + printable(ask.model, 80) + "' not found",
                   "write NAME, or NAME@sha256:<12 to 64 hexadecimal digits>");
  }
  way.model = co_await find_here(*spec);
  ArtifactId id;
  if (way.model != nullptr) {
    PHASE_CO_TRY_VOID(check_fitness(way.model->info, ask.model, ask));
    PHASE_CO_TRY_VOID(apply_recipe(way.model->recipe, ask));
    id = way.model->content.id;
    way.network = &world.local;
    way.request.provider = world.key.public_key();
    way.wish.context_tokens =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(ask.context_tokens, UINT32_MAX));
    way.wish.batch_tokens = ask.batch_tokens;
    way.wish.threads = ask.threads;
    way.wish.gpu_layers = ask.gpu_layers;
  } else {
    PullSpec asked = *spec;
    PHASE_CO_TRY_VOID(co_await choose_away(ask, std::move(asked), way, id));
  }
  const bool here = way.model != nullptr;
  const job::Job job =
      make_job(ask, id, spec->name->text(), here ? options.tokens_max : options.tokens_max_away);
  PHASE_CO_TRY_VOID(job::check(job));
  way.request.job = job;
  way.request.wall_limit_ms = here ? options.wall_limit_ms : options.wall_limit_away_ms;
  co_return way;
}

void Service::State::keep(const Leg& leg, const Bytes& prompt, const requester::Outcome& outcome) {
  const auto manifest = manifest::open(outcome.manifest);
  if (!manifest) return;
  const std::string id = manifest->id.hex();
  Kept one{outcome.receipt, outcome.manifest, prompt, leg.output()};
  if (outcome.provider != world.key.public_key()) {
    // Our own provider keeps what it signed; what others signed is kept here.
    store::JobRow row;
    row.id = id;
    row.state = "done";
    row.created = manifest->manifest.created;
    row.finished = world.clock.now_utc();
    row.document = document_of(*manifest, leg, outcome);
    row.manifest = outcome.manifest;
    row.receipt = outcome.receipt;
    const auto put = world.store.put_job(row);
    if (!put) world.log.warn("a receipt was not kept: {}", printable(put.error().text()));
  }
  kept_bytes += bytes_of(one);
  kept.insert_or_assign(id, std::move(one));
  kept_order.push_back(id);
  while (kept_order.size() > kKeptAsksMax || kept_bytes > kKeptBytesMax) {
    const auto oldest = kept.find(kept_order.front());
    if (oldest != kept.end()) {
      kept_bytes -= bytes_of(oldest->second);
      kept.erase(oldest);
    }
    kept_order.pop_front();
  }
}

/// Jobs that other nodes had and that came to no receipt: they read the prompt all the same.
void Service::State::keep_lost(const Leg& leg) {
  for (const Leg::Asked& lost : leg.lost()) {
    store::JobRow row;
    row.id = lost.entry.job_id;
    row.state = "failed";
    row.created = lost.created;
    row.finished = world.clock.now_utc();
    row.document = work_document(lost.entry);
    const auto put = world.store.put_job(row);
    if (!put) world.log.warn("a lost job was not noted: {}", printable(put.error().text()));
  }
}

void Service::State::conclude(Asking& asking, Leg& leg, const requester::Outcome& outcome,
                              const Way& way) {
  Finished finished;
  finished.total = world.clock.now() - way.begun;
  finished.earlier = asking.earlier(leg.job_id());
  const bool verified = outcome.verdict.ok();
  finished.verdict = verified ? Verdict::verified : Verdict::refused;
  if (verified) {
    finished.completion = outcome.verdict.verified->get().receipt.completion;
    if (way.model == nullptr) conversations.remember(way.conversation, outcome.provider);
  } else {
    finished.completion = {receipt::CompletionKind::failed, 0, "receipt_refused"};
    finished.failed_check = std::string(verify::check_name(*outcome.verdict.failed));
  }
  finished.message = error_note(leg.output());
  if (asking.holds() && !verified) {
    return asking.fail_with(
        {Code::verification_failed,
         "the answer was not verified and is held back: " + finished.failed_check,
         {}});
  }
  leg.release();
  asking.finish(std::move(finished));
}

std::shared_ptr<Leg> Service::State::add_leg(Asking& asking) {
  const std::weak_ptr<State> weak = weak_from_this();
  return asking.add_leg([weak, &asking](const Leg& leg, const requester::Outcome& outcome) {
    const auto self = weak.lock();
    if (self == nullptr || self->closed) return;
    self->keep(leg, asking.prompt(), outcome);
    if (outcome.verdict.ok()) return;
    self->world.log.warn("the receipt of {} was refused: {}",
                         identity::PeerId::from(outcome.provider).text(),
                         printable(outcome.verdict.text()));
  });
}

Duration Service::State::hedge_after(const identity::PublicKey& provider) const {
  return std::clamp(record.late_after(provider).value_or(kHedgeUnmeasured), kHedgeMin, kHedgeMax);
}

/// One run of the requester, and what follows from it if it is the one that is heard.
Task<void> Service::State::run_leg(RunningPtr running, std::shared_ptr<Asking> asking,
                                   std::shared_ptr<Leg> leg, Way way) {
  const std::shared_ptr<State> kept_alive = running->state;
  State& self = *kept_alive;
  requester::RequesterLimits limits = self.options.requester;
  if (way.model == nullptr) {
    limits.first_output_max = self.options.first_output_max_away;
    limits.output_silence_max = self.options.output_silence_max_away;
  }
  requester::Record* const record = way.model == nullptr ? &self.record : nullptr;
  requester::Requester asks({self.world.clock, self.world.random, self.world.key, *way.network,
                             self.world.executor, record},
                            limits);
  Result<requester::Outcome> outcome =
      co_await asks.run(std::move(way.request), *leg, *leg, leg->cancel);
  way.lease.reset();
  running.reset();
  if (self.closed) co_return;
  if (!outcome) leg->note_lost(outcome.error());
  self.keep_lost(*leg);
  const bool heard = asking->leg_ended(leg);
  if (!heard) co_return;
  if (!outcome) co_return asking->fail_with(outcome.error());
  self.conclude(*asking, *leg, *outcome, way);
}

/// Asks a second provider unless the first one spoke in time.
Task<void> Service::State::hedge(std::weak_ptr<Running> ask, std::shared_ptr<Asking> asking,
                                 Way way, Duration after) {
  RunningPtr running = ask.lock();
  if (running == nullptr) co_return;
  Clock& clock = running->state->world.clock;
  running.reset();  // what only waits is not under way
  const Result<void> slept = co_await clock.sleep_for(after);
  running = ask.lock();
  if (!slept || running == nullptr || asking->decided()) co_return;
  State& self = *running->state;
  if (self.closed) co_return;
  way.request.excluded = asking->asked();
  way.request.preferred.reset();
  std::shared_ptr<Leg> leg = self.add_leg(*asking);
  co_await run_leg(std::move(running), std::move(asking), std::move(leg), std::move(way));
}

Task<void> Service::State::run(RunningPtr running, std::shared_ptr<Asking> asking, Way way) {
  State& self = *running->state;
  if (way.model != nullptr) {
    const std::weak_ptr<Asking> weak = asking;
    ModelPool::Progress progress = [weak](double share) {
      if (const auto still = weak.lock()) {
        still->push(Progress{"load", static_cast<std::uint64_t>(share * 100), 100});
      }
    };
    LocalModelPtr model = way.model;
    Result<ModelPool::LeasePtr> got = co_await self.world.pool.acquire(
        std::move(model), way.wish, way.keep_alive, std::move(progress));
    if (!got) co_return asking->fail_with(got.error());
    way.lease = *std::move(got);
  }
  std::shared_ptr<Leg> leg = self.add_leg(*asking);
  if (way.hedge) {
    const std::weak_ptr<Running> ask = running;
    leg->on_first_attempt = [ask, asking, way](const identity::PublicKey& provider) {
      const RunningPtr still = ask.lock();
      if (still == nullptr) return;
      const Duration after = still->state->hedge_after(provider);
      asio::co_spawn(still->state->world.executor, hedge(ask, asking, way, after), asio::detached);
    };
  }
  co_await run_leg(std::move(running), std::move(asking), std::move(leg), std::move(way));
}

Task<Result<std::unique_ptr<Answer>>> Service::ask(Ask ask) {
  const auto state = state_;
  if (state->running >= state->options.asks_max) {
    co_return fail(Code::busy, "server busy: maximum pending requests exceeded",
                   "try again in a moment");
  }
  auto running = std::make_shared<State::Running>(state);  // from here, so that none slips through
  Result<State::Way> way = co_await state->choose(ask);
  if (!way) co_return fail(way.error());
  const bool holds = ask.require_verified;
  if (holds) way->request.checkpoint_bytes = kCheckpointBytes;
  auto asking = std::make_shared<Asking>(state->world.executor, state->world.key.public_key(),
                                         std::move(ask.prompt), holds);
  Task<void> runs = State::run(std::move(running), asking, *std::move(way));
  asio::co_spawn(state->world.executor, std::move(runs), asio::detached);
  std::unique_ptr<Answer> answer = std::make_unique<AskAnswer>(std::move(asking));
  co_return answer;
}

Task<Result<void>> Service::load(std::string model, KeepAlive keep_alive) {
  const auto state = state_;
  const Result<ModelName> name = ModelName::parse(model);
  LocalModelPtr found;
  if (name) found = co_await state->world.catalog.find(*name);
  if (found == nullptr) {
    co_return fail(Code::not_found, "model '" + printable(model, 80) + "' not found");
  }
  if (keep_alive && *keep_alive == Duration{0}) {
    state->world.pool.unload(found->content.id);
    co_return Result<void>{};
  }
  const ModelPool::Wish wish;
  Result<ModelPool::LeasePtr> lease =
      co_await state->world.pool.acquire(std::move(found), wish, keep_alive, nullptr);
  if (!lease) co_return fail(lease.error());
  co_return Result<void>{};
}

Models& Service::models() {
  return state_->world.models;
}

Task<Result<Lucid::Kept>> Service::receipt(std::string job_id) {
  const auto state = state_;
  const auto found = state->kept.find(job_id);
  if (found != state->kept.end()) co_return found->second;
  const Result<manifest::JobId> id = manifest::JobId::from_hex_text(job_id);
  if (!id) co_return fail(Code::not_found, "no receipt of job " + printable(job_id, 80));
  Kept out;
  if (const auto own = state->world.store.receipt_of(*id); own) {
    out.receipt = own->receipt;
    out.manifest = own->manifest;
    co_return out;
  }
  const Result<store::JobRow> row = state->world.store.job(job_id);
  if (!row || row->receipt.empty()) {
    co_return fail(Code::not_found, "no receipt of job " + job_id);
  }
  out.receipt = row->receipt;
  out.manifest = row->manifest;
  co_return out;
}

std::size_t Service::asks_running() const noexcept {
  return state_->running;
}

}  // namespace phase::lucid
