#include "lucid/model_pool.h"

#include <algorithm>
#include <map>
#include <set>

#include <unistd.h>

#include "base/event.h"
#include "lucid/echo.h"

namespace phase::lucid {
namespace {

/// What a model takes beyond its file before the engine says: buffers, and state of the sequences.
constexpr std::uint64_t kLoadMarginBytes = 64_MiB;

bool satisfies(const worker::EngineOptions& has, const worker::EngineOptions& wanted,
               const ModelPool::Wish& wish) {
  return (wish.context_tokens == 0 || has.context_tokens >= wanted.context_tokens) &&
         (!wish.batch_tokens || has.batch_tokens == wanted.batch_tokens) &&
         (!wish.threads || has.threads == wanted.threads) &&
         (!wish.gpu_layers || has.gpu_layers == wanted.gpu_layers);
}

}  // namespace

std::uint64_t memory_budget() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long bytes = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || bytes <= 0) return 4096_MiB;
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(bytes) / 4 * 3;
}

struct ModelPool::Slot {
  std::weak_ptr<State> pool;
  LocalModelPtr model;
  worker::EngineOptions asked;
  std::unique_ptr<worker::LoadedModel> loaded;  // null: being loaded
  std::size_t users = 0;
  Instant last_used;
  std::optional<Instant> expires;  // absent: never
  bool unload = false;
  std::uint64_t drains_for = 0;  // later tickets than this wait; 0: nobody waits for its end

  [[nodiscard]] bool open_to(std::uint64_t ticket) const {
    return drains_for == 0 || ticket <= drains_for;
  }
  [[nodiscard]] std::uint64_t bytes() const {
    return loaded != nullptr ? loaded->memory_bytes() : model->content.length + kLoadMarginBytes;
  }
};

struct ModelPool::State : std::enable_shared_from_this<ModelPool::State> {
  State(World with, Options chosen)
      : world(with), options(chosen), reaper(with.clock, with.executor) {}

  World world;
  Options options;
  std::map<ArtifactId, std::shared_ptr<Slot>> slots;
  std::vector<std::weak_ptr<Event>> waiting;
  std::size_t waiters = 0;
  std::uint64_t tickets = 0;
  std::set<std::uint64_t> contenders;  // who wants to load something, in order
  bool closed = false;
  Alarm reaper;

  [[nodiscard]] worker::EngineOptions engine_options(const Wish& wish) const;
  [[nodiscard]] bool make_room(std::uint64_t bytes);
  [[nodiscard]] Task<void> wait_for_change();
  /// One caller's place in the line, until it has what it wants.
  struct Turn {
    explicit Turn(std::shared_ptr<State> line, bool skips)
        : state(std::move(line)), ticket(skips ? 0 : ++state->tickets) {}
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    [[nodiscard]] bool first() const {
      return ticket == 0 || state->contenders.empty() || ticket <= *state->contenders.begin();
    }
    std::shared_ptr<State> state;
    std::uint64_t ticket;  // 0: stands in no line
  };
  /// Later ones wait for what this one needs.
  void claim(const Turn& turn, Slot& slot);
  void claim_room(const Turn& turn, std::uint64_t bytes);
  void changed();
  void drop(const ArtifactId& id);
  void reap();
  [[nodiscard]] Task<Result<void>> load(std::shared_ptr<Slot> slot, Progress progress);
  [[nodiscard]] Task<Result<void>> load_slot(LocalModelPtr model, worker::EngineOptions wanted,
                                             Progress progress);
  void released(Slot& slot, KeepAlive keep_alive);
};

ModelPool::ModelPool(World world, Options options) {
  if (options.memory_bytes_max == 0) options.memory_bytes_max = memory_budget();
  state_ = std::make_shared<State>(world, options);
}

ModelPool::~ModelPool() {
  state_->closed = true;
  state_->reaper.stop();
  state_->slots.clear();
  state_->changed();
}

ModelPool::Lease::Lease(std::shared_ptr<Slot> slot, KeepAlive keep_alive)
    : slot_(std::move(slot)), keep_alive_(keep_alive) {
  slot_->users++;
}

ModelPool::Lease::~Lease() {
  slot_->users--;
  if (const auto pool = slot_->pool.lock()) pool->released(*slot_, keep_alive_);
}

worker::LoadedModel& ModelPool::Lease::model() noexcept {
  return *slot_->loaded;
}

worker::EngineOptions ModelPool::State::engine_options(const Wish& wish) const {
  worker::EngineOptions out = options.engine;
  if (wish.context_tokens != 0) out.context_tokens = wish.context_tokens;
  if (wish.batch_tokens) out.batch_tokens = *wish.batch_tokens;
  if (wish.threads) out.threads = *wish.threads;
  if (wish.gpu_layers) out.gpu_layers = *wish.gpu_layers;
  return out;
}

void ModelPool::State::changed() {
  for (const auto& one : std::exchange(waiting, {})) {
    if (const auto event = one.lock()) event->notify();
  }
}

void ModelPool::State::drop(const ArtifactId& id) {
  const auto found = slots.find(id);
  if (found == slots.end()) return;
  world.log.info("model {} is let go", found->second->model->name.text());
  slots.erase(found);
  changed();
}

void ModelPool::State::released(Slot& slot, KeepAlive keep_alive) {
  if (closed) return;
  slot.last_used = world.clock.now();
  const Duration keep = keep_alive.value_or(options.keep_alive);
  slot.expires.reset();
  if (keep >= Duration{0}) slot.expires = slot.last_used + keep;
  if (slot.users == 0) {
    const bool gone = slot.loaded == nullptr || slot.loaded->ended();
    if (slot.unload || gone || keep == Duration{0}) {
      const ArtifactId id = slot.model->content.id;
      const auto found = slots.find(id);
      if (found != slots.end() && found->second.get() == &slot) return drop(id);
    }
    changed();
  }
  reap();
}

/// Lets go of what expired, and comes back for the next.
void ModelPool::State::reap() {
  const Instant now = world.clock.now();
  std::optional<Instant> next;
  std::vector<ArtifactId> over;
  for (const auto& [id, slot] : slots) {
    if (slot->users > 0 || slot->loaded == nullptr || !slot->expires) continue;
    if (*slot->expires <= now) {
      over.push_back(id);
    } else {
      next = next ? std::min(*next, *slot->expires) : *slot->expires;
    }
  }
  for (const ArtifactId& id : over) drop(id);
  if (next) reaper.set(*next, [this] { reap(); });
}

ModelPool::State::Turn::~Turn() {
  if (ticket == 0 || state->contenders.erase(ticket) == 0) return;
  for (const auto& [id, slot] : state->slots) {
    if (slot->drains_for == ticket) slot->drains_for = 0;
  }
  state->changed();
}

void ModelPool::State::claim(const Turn& turn, Slot& slot) {
  if (turn.ticket == 0) return;
  contenders.insert(turn.ticket);
  if (slot.drains_for == 0 || turn.ticket < slot.drains_for) slot.drains_for = turn.ticket;
}

/// As many busy models as it takes, the one that began its last work longest ago first.
void ModelPool::State::claim_room(const Turn& turn, std::uint64_t bytes) {
  if (turn.ticket == 0) return;
  contenders.insert(turn.ticket);
  std::vector<Slot*> busy;
  std::uint64_t used = bytes;
  for (const auto& [id, slot] : slots) {
    used += slot->bytes();
    if (slot->loaded != nullptr) busy.push_back(slot.get());
  }
  std::ranges::sort(busy, {}, [](const Slot* slot) { return slot->last_used; });
  std::size_t count = slots.size();
  for (Slot* const slot : busy) {
    const bool fits =
        used <= options.memory_bytes_max && (options.models_max == 0 || count < options.models_max);
    if (fits) return;
    claim(turn, *slot);
    used -= slot->bytes();
    --count;
  }
}

/// Lets go of idle models, longest unused first, until there is room. False: busy ones hold it.
bool ModelPool::State::make_room(std::uint64_t bytes) {
  const auto too_full = [&] {
    std::uint64_t used = 0;
    for (const auto& [id, slot] : slots) used += slot->bytes();
    return used + bytes > options.memory_bytes_max ||
           (options.models_max > 0 && slots.size() >= options.models_max);
  };
  while (too_full()) {
    const Slot* oldest = nullptr;
    for (const auto& [id, slot] : slots) {
      if (slot->users > 0 || slot->loaded == nullptr) continue;
      if (oldest == nullptr || slot->last_used < oldest->last_used) oldest = slot.get();
    }
    if (oldest == nullptr) return slots.empty();
    drop(oldest->model->content.id);
  }
  return true;
}

Task<void> ModelPool::State::wait_for_change() {
  const auto self = shared_from_this();
  const auto event = std::make_shared<Event>(world.executor);
  waiting.push_back(event);
  waiters++;
  const bool woken = co_await event->wait();
  static_cast<void>(woken);
  waiters--;
}

Task<Result<void>> ModelPool::State::load(std::shared_ptr<Slot> slot, Progress progress) {
  const auto self = shared_from_this();
  const LocalModelPtr model = slot->model;
  if (model->opens) {
    slot->loaded = model->opens();
    co_return Result<void>{};
  }
  if (model->is_echo()) {
    slot->loaded = make_echo(model->info);
    co_return Result<void>{};
  }
  if (world.worker == nullptr) co_return fail(Code::unavailable, "this node loads no models");
  Result<sandbox::FileDescriptor> weights = world.catalog.open_weights(*model);
  if (!weights && weights.error().code == Code::verification_failed) {
    // Written anew: the same bytes, perhaps, or under another name too.
    co_await world.catalog.refresh();
    if (closed) co_return fail(Code::unavailable, "the node stops");
    const LocalModelPtr again = world.catalog.by_content(model->content.id);
    if (again != nullptr) weights = world.catalog.open_weights(*again);
  }
  if (!weights) co_return fail(weights.error());
  const Instant begin = world.clock.now();
  Result<std::unique_ptr<worker::LoadedModel>> loaded =
      co_await world.worker->load(*std::move(weights), slot->asked, std::move(progress));
  if (!loaded) co_return fail(loaded.error());
  slot->loaded = *std::move(loaded);
  world.log.info("model {} loaded in {} ms, {} MiB", model->name.text(),
                 (world.clock.now() - begin) / Duration{1ms}, slot->bytes() / 1_MiB);
  co_return Result<void>{};
}

Task<Result<void>> ModelPool::State::load_slot(LocalModelPtr model, worker::EngineOptions wanted,
                                               Progress progress) {
  const auto self = shared_from_this();
  const ArtifactId id = model->content.id;
  const auto slot = std::make_shared<Slot>();
  slot->pool = self;
  slot->model = std::move(model);
  slot->asked = wanted;
  slot->last_used = world.clock.now();
  slots[id] = slot;
  const Result<void> loaded = co_await load(slot, std::move(progress));
  if (!loaded) {
    if (!closed) drop(id);
    co_return loaded;
  }
  changed();
  co_return Result<void>{};
}

Task<Result<ModelPool::LeasePtr>> ModelPool::acquire(LocalModelPtr model, Wish wish,
                                                     KeepAlive keep_alive, Progress progress) {
  const auto state = state_;
  const ArtifactId id = model->content.id;
  const worker::EngineOptions wanted = state->engine_options(wish);
  const std::uint64_t bytes = model->content.length + kLoadMarginBytes;
  const State::Turn turn(state, wish.holds_lease);
  while (!state->closed) {
    const auto found = state->slots.find(id);
    if (found != state->slots.end() && found->second->loaded != nullptr) {
      const auto slot = found->second;
      const bool ended = slot->loaded->ended();
      if (!ended && slot->open_to(turn.ticket) && satisfies(slot->asked, wanted, wish)) {
        co_return std::make_shared<Lease>(slot, keep_alive);
      }
      if (ended || (slot->users == 0 && turn.first())) {
        state->drop(id);
        continue;
      }
      if (!satisfies(slot->asked, wanted, wish)) state->claim(turn, *slot);
    } else if (found == state->slots.end()) {
      const bool room = turn.first() && state->make_room(bytes);
      if (room) {
        const Result<void> loaded = co_await state->load_slot(model, wanted, progress);
        if (!loaded) co_return fail(loaded.error());
        continue;
      }
      state->claim_room(turn, bytes);
    }
    if (state->waiters >= kAsksWaitingMax) {
      co_return fail(Code::busy, "server busy: too many requests wait for a model",
                     "try again in a moment");
    }
    co_await state->wait_for_change();
  }
  co_return fail(Code::unavailable, "the node stops");
}

void ModelPool::unload(const ArtifactId& id) {
  const auto found = state_->slots.find(id);
  if (found == state_->slots.end()) return;
  found->second->unload = true;
  if (found->second->users == 0 && found->second->loaded != nullptr) state_->drop(id);
}

std::vector<RunningModel> ModelPool::running() const {
  std::vector<RunningModel> out;
  const Instant now = state_->world.clock.now();
  const std::uint64_t now_ms = state_->world.clock.now_utc().unix_ms;
  for (const auto& [id, slot] : state_->slots) {
    if (slot->loaded == nullptr) continue;
    RunningModel one;
    one.model = describe(*slot->model);
    one.memory_bytes = slot->bytes();
    one.gpu_bytes = slot->loaded->gpu_bytes();
    one.context_length = slot->loaded->options().context_tokens;
    if (slot->expires) {
      const auto left = std::max<std::int64_t>((*slot->expires - now).count(), 0);
      one.expires_unix_ns = now_ms * 1'000'000 + static_cast<std::uint64_t>(left);
    }
    out.push_back(std::move(one));
  }
  return out;
}

std::size_t ModelPool::busy() const noexcept {
  std::size_t out = state_->waiters;
  for (const auto& [id, slot] : state_->slots) out += slot->users;
  return out;
}

}  // namespace phase::lucid
