#include "mesh/remote_network.h"

#include <algorithm>
#include <set>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "base/event.h"
#include "mesh/node_document.h"

namespace phase::mesh {
namespace {

/// Architectures looked for when the requester names none.
constexpr std::array<std::string_view, 2> kUsualArchs = {"x86_64", "aarch64"};

bool offers(const offer::Capabilities& has, const requester::Wanted& wanted, UtcTime now) {
  return has.expires > now && (wanted.arch.empty() || has.arch == wanted.arch) &&
         std::ranges::find(has.kinds, wanted.kind) != has.kinds.end() &&
         (!wanted.model || std::ranges::find(has.models, *wanted.model) != has.models.end());
}

/// Keys under which providers of it announce themselves (spec/discovery.md §1).
std::vector<std::string> keys_of(const requester::Wanted& wanted) {
  if (wanted.model) return {model_key(*wanted.model)};
  std::vector<std::string_view> archs{wanted.arch};
  if (wanted.arch.empty()) archs = {kUsualArchs.begin(), kUsualArchs.end()};
  std::vector<std::string> keys;
  for (const auto& arch : archs) {
    for (std::uint8_t shard = 0; shard < kCapabilityShards; ++shard) {
      keys.push_back(capability_key(wanted.kind, arch, shard));
    }
  }
  return keys;
}

bool has_place(const requester::Candidate& candidate) {
  return candidate.capabilities.jobs_running < candidate.capabilities.jobs_max;
}

bool better(const requester::Candidate& a, const requester::Candidate& b) {
  if (has_place(a) != has_place(b)) {
    return has_place(a);
  }
  if (a.round_trip.has_value() != b.round_trip.has_value()) {
    return a.round_trip.has_value();
  }
  return a.round_trip.value_or(Duration{}) < b.round_trip.value_or(Duration{});
}

}  // namespace

std::string capability_key(std::string_view kind, std::string_view arch, std::uint8_t shard) {
  return "/phase/capability/2/" + std::string(kind) + "/" + std::string(arch) + "/" +
         std::to_string(shard);
}

std::string model_key(const Sha256& model) {
  return "/phase/model/2/" + model.hex();
}

std::string module_key(const ArtifactId& module) {
  return "/phase/module/2/" + module.hex();
}

std::uint8_t capability_shard(const identity::PublicKey& key) {
  return static_cast<std::uint8_t>(key.value.back() % kCapabilityShards);
}

/// One search for a kind and arch, shared by all who want it now.
struct Search {
  Instant ends;
  std::size_t outstanding = 0;          // look-ups and questions under way
  std::set<identity::PublicKey> asked;  // bounded by candidates_max
  std::vector<std::weak_ptr<Event>> waiters;
  std::optional<Instant> first_found;

  void tell() {
    std::erase_if(waiters, [](const auto& waiter) { return waiter.expired(); });
    for (const auto& waiter : waiters) {
      if (const auto event = waiter.lock()) {
        event->notify();
      }
    }
  }
};

struct RemoteNetwork::State : std::enable_shared_from_this<RemoteNetwork::State> {
  using Wanted = requester::Wanted;
  struct Known {
    offer::Capabilities capabilities;
    std::optional<Duration> round_trip;
    Instant asked_at;
  };

  State(World with, RemoteLimits bounds)
      : world(with), limits(bounds), asking(with.executor, bounds.asked_at_once) {}

  World world;
  const RemoteLimits limits;
  bool closed = false;
  Turnstile asking;
  std::unordered_map<identity::PublicKey, Known, HashHasher> known;
  std::unordered_map<identity::PublicKey, Instant, HashHasher> shunned;  // until
  std::map<Wanted, std::shared_ptr<Search>> searches;
  std::map<Wanted, Instant> searched;  // when the last one ended

  [[nodiscard]] std::vector<requester::Candidate> matching(const Wanted& wanted) const {
    std::vector<requester::Candidate> out;
    const UtcTime now = world.clock.now_utc();
    for (const auto& [key, has] : known) {
      if (offers(has.capabilities, wanted, now)) {
        out.push_back({key, has.capabilities, has.round_trip});
      }
    }
    std::ranges::sort(out, better);
    return out;
  }

  void remember(const identity::PublicKey& key, offer::Capabilities capabilities) {
    if (known.size() >= limits.documents_max && !known.contains(key)) {
      const UtcTime now = world.clock.now_utc();
      std::erase_if(known,
                    [now](const auto& entry) { return entry.second.capabilities.expires <= now; });
    }
    if (known.size() >= limits.documents_max && !known.contains(key)) {
      known.erase(std::ranges::min_element(
          known, {}, [](const auto& entry) { return entry.second.asked_at; }));
    }
    Known& entry = known[key];
    entry.capabilities = std::move(capabilities);
    entry.asked_at = world.clock.now();
  }

  void shun(const identity::PublicKey& key) {
    known.erase(key);
    const Instant now = world.clock.now();
    if (shunned.size() >= limits.documents_max) {
      std::erase_if(shunned, [now](const auto& entry) { return entry.second <= now; });
    }
    if (shunned.size() < limits.documents_max) {
      shunned[key] = now + limits.shun;
    }
  }
  [[nodiscard]] bool is_shunned(const identity::PublicKey& key) const {
    const auto found = shunned.find(key);
    return found != shunned.end() && world.clock.now() < found->second;
  }

  /// The search under way for this, or a new one. Null: too many others.
  [[nodiscard]] std::shared_ptr<Search> search(const Wanted& wanted);
  void consider(const std::shared_ptr<Search>& search, const Wanted& wanted,
                const identity::PublicKey& key);
  void one_less(const std::shared_ptr<Search>& search, const Wanted& wanted);
  static Task<void> look_up(std::shared_ptr<State> self, std::shared_ptr<Search> search,
                            Wanted wanted, std::string key);
  static Task<void> ask(std::shared_ptr<State> self, std::shared_ptr<Search> search, Wanted wanted,
                        identity::PublicKey key);
  [[nodiscard]] Task<Result<void>> learn(identity::PublicKey key);
  [[nodiscard]] Task<Result<void>> search_once(Wanted wanted, Deadline deadline, bool to_the_end);
};

std::shared_ptr<Search> RemoteNetwork::State::search(const Wanted& wanted) {
  if (const auto found = searches.find(wanted); found != searches.end()) {
    return found->second;
  }
  if (searches.size() >= limits.searches_max) {
    return nullptr;
  }
  auto search = std::make_shared<Search>();
  search->ends = world.clock.now() + limits.search_max;
  searches[wanted] = search;
  search->outstanding = 1;  // this function: nothing ends before all is begun
  if (limits.asks_connected) {
    for (const auto& peer : world.peer.peers()) {
      consider(search, wanted, peer.id.key());
    }
  }
  for (auto& key : keys_of(wanted)) {
    ++search->outstanding;
    asio::co_spawn(world.executor, look_up(shared_from_this(), search, wanted, std::move(key)),
                   asio::detached);
  }
  one_less(search, wanted);
  return search;
}

void RemoteNetwork::State::one_less(const std::shared_ptr<Search>& search, const Wanted& wanted) {
  if (--search->outstanding == 0) {
    searches.erase(wanted);
    if (searched.size() >= limits.documents_max) {
      searched.clear();
    }
    searched[wanted] = world.clock.now();
  }
  search->tell();
}

void RemoteNetwork::State::consider(const std::shared_ptr<Search>& search, const Wanted& wanted,
                                    const identity::PublicKey& key) {
  if (closed || key == world.self || search->asked.size() >= limits.candidates_max ||
      is_shunned(key) || !search->asked.insert(key).second) {
    return;
  }
  ++search->outstanding;
  asio::co_spawn(world.executor, ask(shared_from_this(), search, wanted, key), asio::detached);
}

Task<void> RemoteNetwork::State::look_up(std::shared_ptr<State> self,
                                         std::shared_ptr<Search> search, Wanted wanted,
                                         std::string key) {
  if (!self->closed) {
    const Deadline until{search->ends};
    const auto found = co_await self->world.peer.find_providers(std::move(key), until);
    if (found && !self->closed) {
      for (const auto& provider : *found) {
        self->consider(search, wanted, provider);
      }
    }
  }
  self->one_less(search, wanted);
}

Task<void> RemoteNetwork::State::ask(std::shared_ptr<State> self, std::shared_ptr<Search> search,
                                     Wanted wanted, identity::PublicKey key) {
  const bool entered = co_await self->asking.enter();
  if (entered) {
    if (!self->closed && self->world.clock.now() < search->ends) {
      const auto learned = co_await self->learn(key);
      if (!learned && !self->closed) {
        self->shun(key);
      }
    }
    self->asking.leave();
  }
  if (!self->closed && !search->first_found && !self->matching(wanted).empty()) {
    search->first_found = self->world.clock.now();
  }
  self->one_less(search, wanted);
}

Task<Result<void>> RemoteNetwork::State::learn(identity::PublicKey key) {
  const auto self = shared_from_this();
  const Deadline until = world.clock.deadline_after(limits.ask_max);
  auto stream = co_await world.peer.open(key, std::string(offer::kNodeProtocol), until);
  if (!stream) {
    co_return fail(stream.error());
  }
  auto document =
      co_await ask_document(world.clock, world.executor, std::move(*stream), key, until);
  if (!document) {
    co_return fail(document.error());
  }
  if (closed) {
    co_return fail(Code::cancelled, "the node stops");
  }
  const auto round_trip =
      co_await world.peer.ping(key, world.clock.deadline_after(limits.ping_max));
  if (closed) {
    co_return fail(Code::cancelled, "the node stops");
  }
  remember(key, *std::move(document));
  if (round_trip) {
    known[key].round_trip = *round_trip;
  }
  co_return Result<void>{};
}

Task<Result<void>> RemoteNetwork::State::search_once(Wanted wanted, Deadline deadline,
                                                     bool to_the_end) {
  const auto self = shared_from_this();
  const auto one = search(wanted);
  if (one == nullptr) {
    co_return fail(Code::busy, "too many searches for providers at once");
  }
  const auto event = std::make_shared<Event>(world.executor);
  one->waiters.push_back(event);
  Alarm alarm(world.clock, world.executor);
  const Instant last = std::min(deadline.at, one->ends);
  while (!closed && one->outstanding > 0) {
    const bool settles = one->first_found && !to_the_end;
    const Instant until = settles ? std::min(last, *one->first_found + limits.settle) : last;
    if (world.clock.now() >= until) {
      break;
    }
    alarm.set(until, [event] { event->notify(); });
    const bool woken = co_await event->wait();
    if (!woken) {
      break;
    }
  }
  alarm.stop();
  if (closed) {
    co_return fail(Code::cancelled, "the node stops");
  }
  co_return Result<void>{};
}

RemoteNetwork::RemoteNetwork(World world, RemoteLimits limits)
    : state_(std::make_shared<State>(world, limits)) {}

RemoteNetwork::~RemoteNetwork() {
  state_->closed = true;
}

Task<Result<std::vector<requester::Candidate>>> RemoteNetwork::find(requester::Wanted wanted,
                                                                    Deadline deadline) {
  const auto state = state_;
  auto at_hand = state->matching(wanted);
  const auto last = state->searched.find(wanted);
  const bool is_fresh = last != state->searched.end() &&
                        state->world.clock.now() - last->second < state->limits.fresh;
  if (is_fresh && !at_hand.empty() && has_place(at_hand.front())) {
    co_return at_hand;
  }
  for (Duration pause = state->limits.again;; pause *= 2) {
    PHASE_CO_TRY_VOID(co_await state->search_once(wanted, deadline, false));
    auto found = state->matching(wanted);
    const Instant next = state->world.clock.now() + pause;
    if (!found.empty() || next >= deadline.at) {
      co_return found;
    }
    PHASE_CO_TRY_VOID(co_await state->world.clock.sleep_until(next));
  }
}

Task<Result<std::vector<requester::Candidate>>> RemoteNetwork::list(requester::Wanted wanted,
                                                                    Deadline deadline) {
  const auto state = state_;
  PHASE_CO_TRY_VOID(co_await state->search_once(wanted, deadline, true));
  co_return state->matching(wanted);
}

Task<Result<std::unique_ptr<ByteStream>>> RemoteNetwork::open(identity::PublicKey provider,
                                                              std::string protocol,
                                                              Deadline deadline) {
  const auto state = state_;
  auto stream = co_await state->world.peer.open(provider, std::move(protocol), deadline);
  if (stream) {
    co_return std::move(*stream);
  }
  if (!state->closed) {
    state->shun(provider);
  }
  Error error = stream.error();
  error.message =
      "provider " + identity::PeerId::from(provider).text() + " was not reached: " + error.message;
  if (error.hint.empty()) {
    error.hint = "start a provider, or name a bootstrap peer or another provider";
  }
  co_return fail(std::move(error));
}

}  // namespace phase::mesh
