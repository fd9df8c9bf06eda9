#include "worker/inference/engine.h"

#include <algorithm>
#include <ctime>

#include "worker/inference/cpu_guard.h"

namespace phase::worker::inference {
namespace {

constexpr std::uint64_t kNsPerS = 1'000'000'000;
// Requests whose prompts are still arriving, or that wait: the parent lets no more in.
constexpr std::size_t kWaitingMax = kInferenceQueueMax + kSequencesMax;

// Of this thread, which does as much as each of the engine's others: the clock of the process
// stands still between ticks while a limit is watched (CpuGuard).
std::uint64_t thread_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kNsPerS + static_cast<std::uint64_t>(now.tv_nsec);
}

std::size_t shared_prefix(const std::vector<llama_token>& a, const std::vector<llama_token>& b) {
  const auto [end_a, end_b] = std::ranges::mismatch(a, b);
  return static_cast<std::size_t>(end_a - a.begin());
}

bool prompt_kind_embeds(job::PromptKind kind) {
  const auto value = static_cast<std::uint8_t>(kind);
  return value == 2 || value == 3;
}

}  // namespace

// Tokens of one step, each of one sequence.
struct Engine::Batch {
  explicit Batch(std::uint32_t tokens)
      : tokens_max(tokens), value(llama_batch_init(static_cast<std::int32_t>(tokens), 0, 1)) {}
  ~Batch() { llama_batch_free(value); }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  void clear() { value.n_tokens = 0; }
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(value.n_tokens); }
  [[nodiscard]] std::size_t room() const { return tokens_max - size(); }
  /// The row it got.
  int add(llama_token token, std::size_t position, std::size_t sequence, bool wants_logits) {
    const int row = value.n_tokens++;
    value.token[row] = token;
    value.pos[row] = static_cast<llama_pos>(position);
    value.n_seq_id[row] = 1;
    value.seq_id[row][0] = static_cast<llama_seq_id>(sequence);
    value.logits[row] = wants_logits ? 1 : 0;
    return row;
  }

  std::uint32_t tokens_max;
  llama_batch value;
};

Engine::Engine(Model model, Outbox& outbox)
    : model_(std::move(model)),
      outbox_(outbox),
      slots_(model_.options.sequences),
      embedder_(model_, outbox),
      batch_(std::make_unique<Batch>(model_.options.batch_tokens)) {}

Engine::~Engine() = default;

Result<void> Engine::take(const FromParent& message) {
  if (const auto* begin = std::get_if<Begin>(&message)) return take_begin(*begin);
  if (const auto* piece = std::get_if<PromptPiece>(&message)) return take_piece(*piece);
  if (const auto* told = std::get_if<Tell>(&message)) {
    tell(*told);
    return {};
  }
  return fail(Code::protocol, "a second model for one process");
}

Result<void> Engine::take_begin(const Begin& begin) {
  if (waiting_.size() >= kWaitingMax) return fail(Code::protocol, "too many requests");
  waiting_.push_back({begin, {}});
  waiting_.back().prompt.reserve(begin.prompt_bytes);
  return {};
}

Result<void> Engine::take_piece(const PromptPiece& piece) {
  for (Waiting& waiting : waiting_) {
    if (waiting.begin.id != piece.id) continue;
    if (piece.data.size() > waiting.begin.prompt_bytes - waiting.prompt.size()) {
      return fail(Code::protocol, "a prompt longer than announced");
    }
    waiting.prompt.insert(waiting.prompt.end(), piece.data.begin(), piece.data.end());
    return {};
  }
  return {};  // cancelled meanwhile
}

void Engine::tell(const Tell& tell) {
  const bool cancels = tell.word == Word::cancel;
  for (auto at = waiting_.begin(); at != waiting_.end(); ++at) {
    if (at->begin.id != tell.id) continue;
    at->paused = tell.word == Word::pause;
    if (!cancels) return;
    waiting_.erase(at);
    outbox_.say(Ended{tell.id, End::cancelled, 0, {}});
    return;
  }
  for (std::size_t i = 0; i < slots_.size(); i++) {
    Run* run = slots_[i].run.get();
    if (run == nullptr || run->id() != tell.id) continue;
    run->paused = tell.word == Word::pause;
    if (cancels) finish(i, End::cancelled, {});
    return;
  }
  embedder_.tell(tell);
}

bool Engine::busy() const {
  const bool waits = std::ranges::any_of(waiting_, [](const Waiting& w) { return w.complete(); });
  const bool free = std::ranges::any_of(slots_, [](const Slot& slot) { return !slot.run; });
  const bool runs =
      std::ranges::any_of(slots_, [](const Slot& slot) { return slot.run && !slot.run->paused; });
  return runs || (waits && free) || embedder_.busy();
}

// The sequence that has most of this prompt, of the same caller; else the one unused longest.
std::size_t Engine::choose_slot(const Run& run, std::size_t& shared) const {
  std::size_t best = slots_.size();
  shared = 0;
  for (std::size_t i = 0; i < slots_.size(); i++) {
    const Slot& slot = slots_[i];
    if (slot.run) continue;
    std::size_t common = 0;
    if (!run.caller().empty() && slot.caller == run.caller()) {
      // The last prompt token is computed in any case: its logits are needed.
      common =
          reusable(i, std::min(shared_prefix(slot.tokens, run.prompt()), run.prompt().size() - 1));
    }
    if (best == slots_.size() || common > shared ||
        (common == shared && slot.used < slots_[best].used)) {
      best = i;
      shared = common;
    }
  }
  return best;
}

// A model with a sliding window has forgotten what is far behind the end of its tokens.
std::size_t Engine::reusable(std::size_t slot, std::size_t shared) const {
  const llama_memory_t memory = llama_get_memory(model_.context.get());
  const auto sequence = static_cast<llama_seq_id>(slot);
  const llama_pos first = llama_memory_seq_pos_min(memory, sequence);
  const llama_pos window = llama_model_n_swa(model_.model.get());
  const auto needed = static_cast<llama_pos>(shared) - window;
  return first > 0 && (window == 0 || first > needed) ? 0 : shared;
}

void Engine::clear(std::size_t slot) {
  llama_memory_seq_rm(llama_get_memory(model_.context.get()), static_cast<llama_seq_id>(slot), -1,
                      -1);
  slots_[slot].tokens.clear();
  slots_[slot].caller.clear();
}

void Engine::start(std::unique_ptr<Run> run) {
  std::size_t shared = 0;
  const std::size_t at = choose_slot(*run, shared);
  Slot& slot = slots_[at];
  const bool kept = shared > 0 && llama_memory_seq_rm(llama_get_memory(model_.context.get()),
                                                      static_cast<llama_seq_id>(at),
                                                      static_cast<llama_pos>(shared), -1);
  if (!kept) {
    clear(at);
    shared = 0;
  }
  slot.tokens.resize(shared);
  slot.exact = SIZE_MAX;
  slot.caller = run->caller();
  run->start(shared, outbox_);
  slot.run = std::move(run);
}

void Engine::admit() {
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    const bool free = std::ranges::any_of(slots_, [](const Slot& slot) { return !slot.run; });
    const bool embeds = prompt_kind_embeds(at->begin.job.prompt_kind);
    if (!at->complete() || (!free && !embeds)) {
      ++at;
      continue;
    }
    Waiting waiting = std::move(*at);
    at = waiting_.erase(at);
    const CpuGuard guard(model_.options.request_cpu_seconds);
    if (embeds) {
      embedder_.take(waiting.begin, waiting.prompt);
      continue;
    }
    const std::uint32_t id = waiting.begin.id;
    auto run = prepare(model_, waiting.begin, waiting.prompt)
                   .and_then([this, &waiting](Prepared&& prepared) {
                     return Run::make(model_, std::move(waiting.begin), std::move(prepared));
                   });
    if (!run) {
      outbox_.say(Ended{id, run.error().end, 0, std::move(run.error().message)});
      continue;
    }
    (*run)->paused = waiting.paused;
    start(*std::move(run));
  }
}

void Engine::feed_prompt(Batch& batch, std::size_t at, std::size_t budget) {
  Slot& slot = slots_[at];
  Run& run = *slot.run;
  const std::size_t count = std::min(budget, run.prompt().size() - run.fed);
  for (std::size_t i = 0; i < count; i++) {
    const bool last = run.fed + 1 == run.prompt().size();
    const llama_token token = run.prompt()[run.fed++];
    const int row = batch.add(token, slot.tokens.size(), at, last);
    slot.tokens.push_back(token);
    if (last) run.row = row;
  }
}

// Drops the older half behind what is kept, when the model's positions can be moved.
bool Engine::make_room(std::size_t at) {
  Slot& slot = slots_[at];
  const Prepared& prepared = slot.run->prepared();
  if (slot.tokens.size() < prepared.context_tokens) return true;
  const llama_memory_t memory = llama_get_memory(model_.context.get());
  if (!prepared.shift || !llama_memory_can_shift(memory)) return false;
  const std::size_t keep = std::min<std::size_t>(prepared.keep, slot.tokens.size() - 2);
  const std::size_t dropped = (slot.tokens.size() - keep) / 2;
  const auto sequence = static_cast<llama_seq_id>(at);
  const auto from = static_cast<llama_pos>(keep), to = static_cast<llama_pos>(keep + dropped);
  if (dropped == 0 || !llama_memory_seq_rm(memory, sequence, from, to)) return false;
  llama_memory_seq_add(memory, sequence, to, -1, from - to);
  slot.tokens.erase(slot.tokens.begin() + from, slot.tokens.begin() + to);
  // What comes behind was computed with the dropped tokens in sight.
  slot.exact = std::min(slot.exact, keep);
  return true;
}

void Engine::feed_next(Batch& batch, std::size_t at) {
  Slot& slot = slots_[at];
  const llama_token token = slot.run->next_token();
  slot.run->row = batch.add(token, slot.tokens.size(), at, true);
  slot.tokens.push_back(token);
}

// First a token of every run that has one, so that none waits for another's prompt; the rest of the
// batch is prompts, in turn.
void Engine::fill(Batch& batch) {
  batch.clear();
  for (std::size_t i = 0; i < slots_.size(); i++) {
    Run* run = slots_[i].run.get();
    if (run == nullptr) continue;
    run->row = -1;
    if (run->paused || run->prompting()) continue;
    if (make_room(i)) {
      feed_next(batch, i);
    } else {
      finish(i, End::context, {});
    }
  }
  turn_ = (turn_ + 1) % slots_.size();
  for (std::size_t i = 0; i < slots_.size() && batch.room() > 0; i++) {
    const std::size_t at = (turn_ + i) % slots_.size();
    const Run* run = slots_[at].run.get();
    if (run != nullptr && !run->paused && run->prompting()) feed_prompt(batch, at, batch.room());
  }
}

void Engine::decode(Batch& batch) {
  const std::uint64_t before = thread_ns();
  const std::int32_t rc = llama_decode(model_.context.get(), batch.value);
  if (rc != 0) {
    // The runs of this batch have lost their place; the others have not.
    const std::string why = "decoding failed: " + EngineLog::take();
    std::vector<bool> hit(slots_.size());
    for (int row = 0; row < batch.value.n_tokens; row++) {
      hit[static_cast<std::size_t>(batch.value.seq_id[row][0])] = true;
    }
    for (std::size_t i = 0; i < slots_.size(); i++) {
      if (!hit[i] || !slots_[i].run) continue;
      finish(i, rc == 1 ? End::memory : End::engine_failed, why);
      clear(i);
    }
    return;
  }
  choose(before);
}

// A token of every run whose logits are there.
void Engine::choose(std::uint64_t began_ns) {
  std::vector<std::size_t> rows;
  bool constrained = false;
  for (std::size_t i = 0; i < slots_.size(); i++) {
    const Run* run = slots_[i].run.get();
    if (run == nullptr || run->row < 0) continue;
    rows.push_back(i);
    constrained = constrained || !run->prepared().sampling.grammar.empty();
  }
  std::optional<CpuGuard> guard;
  if (constrained) guard.emplace(model_.options.request_cpu_seconds);
  const std::uint64_t share =
      (thread_ns() - began_ns) * model_.options.threads / std::max<std::size_t>(rows.size(), 1);
  for (const std::size_t i : rows) {
    Slot& slot = slots_[i];
    const std::uint64_t own = thread_ns();
    slot.run->cpu_ns += share;
    const bool ended = slot.run->advance(model_, outbox_);
    if (!ended) {
      slot.run->cpu_ns += thread_ns() - own;
      continue;
    }
    slot.run.reset();
    slot.used = steps_;
    if (slot.caller.empty()) clear(i);
  }
}

void Engine::finish(std::size_t at, End end, std::string message) {
  slots_[at].run->finish(end, std::move(message), outbox_);
  slots_[at].run.reset();
  slots_[at].used = steps_;
  if (slots_[at].caller.empty()) clear(at);
}

void Engine::step() {
  steps_++;
  admit();
  if (embedder_.busy()) embedder_.step();
  fill(*batch_);
  if (batch_->size() > 0) decode(*batch_);
  outbox_.flush();
}

}  // namespace phase::worker::inference
