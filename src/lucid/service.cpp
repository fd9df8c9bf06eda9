#include "lucid/service.h"

#include <algorithm>
#include <deque>
#include <unordered_map>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/json.hpp>

#include "base/event.h"
#include "lucid/recipe.h"
#include "lucid/work_log.h"

namespace phase::lucid {
namespace {

/// With output held back until it is verified, a statement is wished this often.
constexpr std::uint64_t kCheckpointBytes = 16_KiB;

std::string last_of(const std::string& text, std::size_t count) {
  return text.size() > count ? text.substr(text.size() - count) : text;
}

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

/// An own job that another node was asked for, before anything of its end is known.
WorkEntry asked_of(const identity::PublicKey& provider, const manifest::Manifest& manifest) {
  WorkEntry out;
  out.peer = identity::PeerId::from(provider).text();
  if (const auto* job = std::get_if<job::InferenceJob>(&manifest.job)) {
    out.model = job->model_name;
    out.prompt_bytes = job->prompt ? job->prompt->length : 0;
  }
  return out;
}

/// One ask: the job's input, what is heard of it, and what waits to be taken.
class Asking final : public requester::Observer, public requester::StdinSource {
 public:
  Asking(asio::any_io_executor executor, const identity::PublicKey& self, Bytes prompt, bool holds)
      : self_(self), prompt_(std::move(prompt)), holds_(holds), ready_(std::move(executor)) {}

  // ── StdinSource ──
  Task<Result<Bytes>> read() override {
    if (std::exchange(read_, true)) co_return Bytes{};
    co_return prompt_;
  }
  bool rewind() override {
    read_ = false;
    return true;
  }

  // ── Observer ──
  void on_attempt(const identity::PublicKey& provider,
                  const manifest::SignedManifest& manifest) override {
    Route route;
    route.served_by = identity::PeerId::from(provider).text();
    route.routed_via = provider == self_ ? "local" : "peer:" + last_of(route.served_by, 8);
    route.job_id = manifest.id.hex();
    push(std::move(route));
    asking_.reset();
    if (provider == self_) return;
    asking_ = Asked{asked_of(provider, manifest.manifest), manifest.manifest.created};
    asking_->entry.job_id = manifest.id.hex();
  }
  /// From here on the other node has the prompt.
  void on_accepted() override {
    if (asking_) asking_->accepted = true;
  }
  void on_output(const job::OutputPiece& piece) override {
    output_.push_back(piece);
    (holds_ ? held_ : events_).emplace_back(piece);
    if (!holds_) ready_.notify();
  }
  void on_restart() override {
    output_.clear();
    held_.clear();
    push(Restart{});
  }
  void on_checkpoint(const receipt::Checkpoint&) override { release(); }
  void on_progress(const offer::Progress& progress) override {
    push(Progress{progress.stage, progress.done, progress.total});
  }
  void on_attempt_failed(const identity::PublicKey&, const Error& error) override {
    note_lost(error);
  }
  /// The job under way, if another node had it, ends without a receipt.
  void note_lost(const Error& error) {
    std::optional<Asked> lost = std::exchange(asking_, std::nullopt);
    if (!lost || !lost->accepted) return;  // who declines sees no prompt
    for (const auto& piece : output_) lost->entry.answer_bytes += piece.data.size();
    lost->entry.completion = std::string(code_name(error.code)) + ": " + error.message;
    lost->entry.verdict = "none";
    lost_.push_back(*std::move(lost));
  }

  void push(AnswerEvent event) {
    events_.push_back(std::move(event));
    ready_.notify();
  }
  void fail_with(Error error) {
    error_ = std::move(error);
    over_ = true;
    ready_.notify();
  }
  void finish(Finished finished) {
    push(std::move(finished));
    over_ = true;
  }
  /// What was held back is verified.
  void release() {
    for (auto& event : std::exchange(held_, {})) events_.push_back(std::move(event));
    ready_.notify();
  }
  Task<Result<AnswerEvent>> next(std::shared_ptr<Asking> self) {
    while (events_.empty() && !over_) {
      const bool woken = co_await ready_.wait();
      if (!woken) break;
    }
    static_cast<void>(self);
    if (events_.empty()) {
      if (error_) co_return fail(*error_);
      co_return fail(Code::internal, "nothing follows the end of an answer");
    }
    AnswerEvent event = std::move(events_.front());
    events_.pop_front();
    co_return event;
  }

  [[nodiscard]] const Bytes& prompt() const noexcept { return prompt_; }
  [[nodiscard]] const std::vector<job::OutputPiece>& output() const noexcept { return output_; }
  [[nodiscard]] bool holds() const noexcept { return holds_; }
  /// A job that another node was asked for.
  struct Asked {
    WorkEntry entry;
    UtcTime created;
    bool accepted = false;
  };
  [[nodiscard]] const std::vector<Asked>& lost() const noexcept { return lost_; }
  requester::CancelToken cancel;

 private:
  identity::PublicKey self_;
  Bytes prompt_;
  bool holds_;
  bool read_ = false, over_ = false;
  std::optional<Error> error_;
  std::vector<job::OutputPiece> output_;
  std::deque<AnswerEvent> events_;
  std::deque<AnswerEvent> held_;
  std::optional<Asked> asking_;
  std::vector<Asked> lost_;  // as many as there are attempts
  Event ready_;
};

class AskAnswer final : public Answer {
 public:
  explicit AskAnswer(std::shared_ptr<Asking> asking) : asking_(std::move(asking)) {}
  ~AskAnswer() override { asking_->cancel.request(); }
  Task<Result<AnswerEvent>> next() override { return asking_->next(asking_); }

 private:
  std::shared_ptr<Asking> asking_;
};

std::uint64_t bytes_of(const Lucid::Kept& kept) {
  std::uint64_t out = kept.receipt.size() + kept.manifest.size() + kept.prompt.size();
  for (const auto& piece : kept.output) out += piece.data.size();
  return out;
}

std::string document_of(const manifest::SignedManifest& manifest, const Asking& asking,
                        const requester::Outcome& outcome) {
  WorkEntry entry = asked_of(outcome.provider, manifest.manifest);
  for (const auto& piece : asking.output()) entry.answer_bytes += piece.data.size();
  read_token_counts(asking.output(), entry);
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
    Instant begun;
  };
  [[nodiscard]] Task<Result<Way>> choose(Ask& ask);
  [[nodiscard]] job::InferenceJob make_job(const Ask& ask, const ArtifactId& id, std::string name,
                                           std::uint64_t tokens_max);
  static Task<void> run(std::shared_ptr<State> self, std::shared_ptr<Asking> asking, Way way);
  void keep(const Asking& asking, const requester::Outcome& outcome);
  void keep_lost(const Asking& asking);
  void conclude(Asking& asking, const requester::Outcome& outcome, Instant begun);

  World world;
  Options options;
  bool closed = false;
  std::size_t running = 0;
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

Task<Result<Service::State::Way>> Service::State::choose(Ask& ask) {
  const auto self = shared_from_this();
  Way way;
  way.begun = world.clock.now();
  way.keep_alive = ask.keep_alive;
  const Result<ModelName> name = ModelName::parse(ask.model);
  if (!name) co_return fail(Code::not_found, "model '" + printable(ask.model, 80) + "' not found");
  way.model = co_await world.catalog.find(*name);
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
    const bool may_leave = world.mesh != nullptr && !ask.local_only && options.resolve &&
                           options.may_leave && options.may_leave(*name);
    if (!may_leave) {
      const bool could = world.mesh == nullptr && !ask.local_only;
      co_return fail(
          Code::not_found, "model '" + printable(ask.model, 80) + "' not found",
          could ? "put its GGUF file into the model folder, or turn the mesh on: --mesh" : "");
    }
    Result<ArtifactId> found = co_await options.resolve(*name);
    if (!found) co_return fail(found.error());
    id = *found;
    way.network = world.mesh;
  }
  const bool here = way.model != nullptr;
  const job::Job job =
      make_job(ask, id, name->text(), here ? options.tokens_max : options.tokens_max_away);
  PHASE_CO_TRY_VOID(job::check(job));
  way.request.job = job;
  way.request.wall_limit_ms = here ? options.wall_limit_ms : options.wall_limit_away_ms;
  co_return way;
}

void Service::State::keep(const Asking& asking, const requester::Outcome& outcome) {
  const auto manifest = manifest::open(outcome.manifest);
  if (!manifest) return;
  const std::string id = manifest->id.hex();
  Kept one{outcome.receipt, outcome.manifest, asking.prompt(), asking.output()};
  if (outcome.provider != world.key.public_key()) {
    // Our own provider keeps what it signed; what others signed is kept here.
    store::JobRow row;
    row.id = id;
    row.state = "done";
    row.created = manifest->manifest.created;
    row.finished = world.clock.now_utc();
    row.document = document_of(*manifest, asking, outcome);
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
void Service::State::keep_lost(const Asking& asking) {
  for (const Asking::Asked& lost : asking.lost()) {
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

void Service::State::conclude(Asking& asking, const requester::Outcome& outcome, Instant begun) {
  Finished finished;
  finished.total = world.clock.now() - begun;
  const bool verified = outcome.verdict.ok();
  finished.verdict = verified ? Verdict::verified : Verdict::refused;
  if (verified) {
    finished.completion = outcome.verdict.verified->get().receipt.completion;
  } else {
    finished.completion = {receipt::CompletionKind::failed, 0, "receipt_refused"};
    finished.failed_check = std::string(verify::check_name(*outcome.verdict.failed));
    world.log.warn("the receipt of {} was refused: {}",
                   identity::PeerId::from(outcome.provider).text(),
                   printable(outcome.verdict.text()));
  }
  finished.message = error_note(asking.output());
  if (asking.holds() && !verified) {
    return asking.fail_with(
        {Code::verification_failed,
         "the answer was not verified and is held back: " + finished.failed_check,
         {}});
  }
  asking.release();
  asking.finish(std::move(finished));
}

Task<void> Service::State::run(std::shared_ptr<State> self, std::shared_ptr<Asking> asking,
                               Way way) {
  self->running++;
  ModelPool::LeasePtr lease;
  if (way.model != nullptr) {
    const std::weak_ptr<Asking> weak = asking;
    ModelPool::Progress progress = [weak](double share) {
      if (const auto still = weak.lock()) {
        still->push(Progress{"load", static_cast<std::uint64_t>(share * 100), 100});
      }
    };
    LocalModelPtr model = way.model;
    Result<ModelPool::LeasePtr> got = co_await self->world.pool.acquire(
        std::move(model), way.wish, way.keep_alive, std::move(progress));
    if (!got) {
      self->running--;
      co_return asking->fail_with(got.error());
    }
    lease = *std::move(got);
  }
  requester::Requester asks(
      {self->world.clock, self->world.random, self->world.key, *way.network, self->world.executor},
      self->options.requester);
  Result<requester::Outcome> outcome =
      co_await asks.run(std::move(way.request), *asking, *asking, asking->cancel);
  lease.reset();
  self->running--;
  if (self->closed) co_return;
  if (!outcome) asking->note_lost(outcome.error());
  self->keep_lost(*asking);
  if (!outcome) co_return asking->fail_with(outcome.error());
  self->keep(*asking, *outcome);
  self->conclude(*asking, *outcome, way.begun);
}

Task<Result<std::unique_ptr<Answer>>> Service::ask(Ask ask) {
  const auto state = state_;
  if (state->running >= kAsksWaitingMax) {
    co_return fail(Code::busy, "server busy: maximum pending requests exceeded",
                   "try again in a moment");
  }
  Result<State::Way> way = co_await state->choose(ask);
  if (!way) co_return fail(way.error());
  const bool holds = ask.require_verified;
  if (holds) way->request.checkpoint_bytes = kCheckpointBytes;
  auto asking = std::make_shared<Asking>(state->world.executor, state->world.key.public_key(),
                                         std::move(ask.prompt), holds);
  asio::co_spawn(state->world.executor, State::run(state, asking, *std::move(way)), asio::detached);
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
