// One fetch: peers are put to work until all chunks are there, then the whole is checked.
#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "artifact/fetch_internal.h"
#include "base/pool_task.h"

namespace phase::artifact {
namespace {

/// A peer that failed is asked again after this, doubled for each time.
constexpr Duration kStrikePause = 500ms;
/// A busy peer is asked again after this.
constexpr Duration kBusyPause = 1s;
/// A fetch that was given up a moment ago closes its files first: tried so often, so far apart.
constexpr int kOpenTriesMax = 50;
constexpr Duration kOpenPause = 100ms;

}  // namespace

Fetcher::Job::Job(std::shared_ptr<Shared> shared, const ArtifactId& id, std::string key)
    : shared_(std::move(shared)),
      id_(id),
      key_(std::move(key)),
      beginning_(shared_->world.executor, 1),
      wake_(shared_->world.executor) {
  progressed_ = shared_->world.clock.now();
}

void Fetcher::Job::join(const std::vector<identity::PublicKey>& known) {
  add(known);
}

void Fetcher::Job::stop(Error why) {
  if (over()) return;
  error_ = std::move(why);
  stopped_ = true;
  for (auto& [key, source] : sources_) {
    if (source.stream != nullptr) source.stream->reset();
  }
  changed();
}

Result<FetchProgress> Fetcher::Job::state() const {
  if (error_) return fail(*error_);
  return progress_;
}

void Fetcher::Job::changed() {
  wake_.notify();
  tell();
}

/// So that who follows sees that it is alive, and notices when nobody follows.
void Fetcher::Job::tell() {
  std::erase_if(listeners_, [](const auto& weak) { return weak.expired(); });
  for (const auto& weak : listeners_) {
    if (const auto event = weak.lock()) event->notify();
  }
}

Task<void> Fetcher::Job::run(std::shared_ptr<Job> self) {
  Result<void> opened = co_await self->open();
  Result<job::ArtifactRef> done = fail(Code::internal, "nothing was fetched");
  if (!opened) {
    done = fail(opened.error());
  } else {
    done = co_await self->conclude();
  }
  self->partial_.reset();
  if (self->shared_->closed) co_return;
  if (!done) {
    self->stop(done.error());
    co_return;
  }
  self->stopped_ = true;
  self->progress_.content = *done;
  self->shared_->world.log.info("artifact {}: {} bytes, {} of them fetched now, from {} peers",
                                self->id_.hex(), done->length, self->progress_.fetched,
                                self->progress_.peers);
  self->changed();
}

Task<Result<void>> Fetcher::Job::open() {
  auto opens = [this] { return shared_->world.store->partial(id_); };
  Result<std::unique_ptr<Partial>> partial = co_await in_pool(shared_->pool, opens);
  for (int tries = 1; tries < kOpenTriesMax && running(); ++tries) {
    if (partial || partial.error().code != Code::busy) break;
    const auto slept = co_await shared_->world.clock.sleep_for(kOpenPause);
    if (!slept) break;
    partial = co_await in_pool(shared_->pool, opens);
  }
  if (!partial) co_return fail(partial.error());
  if (!running()) co_return fail(error_.value_or(Error{Code::cancelled, "the node stops", {}}));
  partial_ = *std::move(partial);
  if (!partial_->length() && id_ == artifact_id({})) {
    auto begins = [this] { return partial_->begin(0); };
    const Result<void> begun = co_await in_pool(shared_->pool, begins);
    if (!begun) co_return fail(begun.error());
  } else if (partial_->length()) {
    auto checks = [this] { return partial_->begin(*partial_->length()); };  // is there room?
    const Result<void> room = co_await in_pool(shared_->pool, checks);
    if (!room) co_return fail(room.error());
  }
  if (partial_->length()) {
    length_ = progress_.total = partial_->length();
    chunks_.reset(partial_->held());
    progress_.held = partial_->held_bytes();
  }
  changed();
  co_return Result<void>{};
}

Task<Result<job::ArtifactRef>> Fetcher::Job::conclude() {
  Result<job::ArtifactRef> done = fail(Code::internal, "nothing was fetched");
  for (std::size_t tries = 0; tries < shared_->limits.finish_tries_max; ++tries) {
    progress_.checking = false;
    Result<void> gathered = co_await gather();
    if (!gathered) co_return fail(gathered.error());
    progress_.checking = true;
    changed();
    auto finishes = [this] { return shared_->world.store->finish(*partial_, stopped_); };
    done = co_await in_pool(shared_->pool, finishes);
    if (done || done.error().code != Code::verification_failed) break;
    shared_->world.log.warn("{}; fetching them again", printable(done.error().text()));
    chunks_.reset(partial_->held());
    progress_.held = partial_->held_bytes();
  }
  co_return done;
}

/// Until all chunks are there.
Task<Result<void>> Fetcher::Job::gather() {
  Alarm alarm(shared_->world.clock, shared_->world.executor);
  progressed_ = shared_->world.clock.now();
  while (running() && !complete()) {
    const Instant now = shared_->world.clock.now();
    if (!looking_ && (looked_ == Instant{} || now - looked_ >= shared_->limits.look_again)) {
      looking_ = true;
      asio::co_spawn(shared_->world.executor, look(shared_from_this()), asio::detached);
    }
    put_to_work();
    tell();
    if (working_ == 0 && now - progressed_ >= shared_->limits.nobody_max) {
      if (last_error_) co_return fail(*last_error_);
      co_return fail(Code::unavailable, "nobody who can be reached gives artifact " + id_.hex(),
                     "start a node that shares it, or connect to one: --bootstrap-peer");
    }
    alarm.set(now + kStrikePause, [this, self = weak_from_this()] {
      if (!self.expired()) wake_.notify();
    });
    const bool woken = co_await wake_.wait();
    if (!woken) break;
  }
  alarm.stop();
  // Nobody writes any more when the whole is read.
  for (auto& [key, source] : sources_) {
    if (source.stream != nullptr) source.stream->reset();
  }
  const auto talks = [](const auto& entry) { return entry.second.stream != nullptr; };
  while (std::ranges::any_of(sources_, talks)) {
    const bool woken = co_await wake_.wait();
    if (!woken) break;
  }
  if (error_) co_return fail(*error_);
  if (shared_->closed) co_return fail(Code::cancelled, "the node stops");
  co_return Result<void>{};
}

void Fetcher::Job::add(const std::vector<Key>& peers) {
  for (const Key& peer : peers) {
    if (sources_.size() >= shared_->limits.peers_max) return;
    const auto [entry, is_new] = sources_.try_emplace(peer);
    if (is_new) entry->second.window = shared_->limits.window_first;
  }
}

Task<void> Fetcher::Job::look(std::shared_ptr<Job> self) {
  self->add(self->shared_->world.peers.connected());
  self->wake_.notify();
  std::string key = self->key_;
  const Deadline until =
      self->shared_->world.clock.deadline_after(self->shared_->limits.nobody_max);
  Result<std::vector<Key>> found =
      co_await self->shared_->world.peers.announced(std::move(key), until);
  if (found && self->running()) self->add(*found);
  self->looking_ = false;
  self->looked_ = self->shared_->world.clock.now();
  self->wake_.notify();
}

void Fetcher::Job::put_to_work() {
  const Instant now = shared_->world.clock.now();
  for (auto& [key, source] : sources_) {
    if (working_ >= shared_->limits.peers_at_once) return;
    if (source.working || source.out || now < source.not_before || shared_->is_shunned(key)) {
      continue;
    }
    source.working = true;
    ++working_;
    asio::co_spawn(shared_->world.executor, work(shared_from_this(), key), asio::detached);
  }
}

Task<void> Fetcher::Job::work(std::shared_ptr<Job> self, Key peer) {
  const FetchLimits& limits = self->shared_->limits;
  Clock& clock = self->shared_->world.clock;
  Source& source = self->sources_.at(peer);  // never erased
  const Deadline until = clock.deadline_after(limits.open_max);
  Result<void> done = fail(Code::cancelled, "stopped");
  Result<std::unique_ptr<ByteStream>> stream =
      co_await self->shared_->world.peers.open(peer, until);
  if (!stream) {
    done = fail(stream.error());
  } else if (self->running()) {
    source.stream = stream->get();
    Alarm alarm(clock, self->shared_->world.executor);
    done = co_await converse(self, peer, **stream, alarm);
    alarm.stop();
    source.stream = nullptr;
  }
  if (!done) self->blame(peer, done.error());
  source.working = false;
  --self->working_;
  self->wake_.notify();
}

void Fetcher::Job::blame(const Key& peer, const Error& error) {
  Source& source = sources_.at(peer);
  const Instant now = shared_->world.clock.now();
  if (!running() || complete()) return;
  if (error.code == Code::verification_failed) {
    shared_->world.log.warn("{} sent a wrong chunk and is left alone: {}",
                            identity::PeerId::from(peer).text(), printable(error.message));
    shared_->shun(peer);
    source.out = true;
    return;
  }
  if (error.code == Code::not_found) {
    source.not_before = now + shared_->limits.look_again;  // it may come to have it
    return;
  }
  shared_->world.log.debug("{} gives nothing now: {}", identity::PeerId::from(peer).text(),
                           printable(error.text()));
  source.window = shared_->limits.window_first;
  source.not_before = now + kStrikePause * (1U << std::min<std::size_t>(source.strikes, 6));
  if (++source.strikes >= shared_->limits.strikes_max) source.out = true;
}

/// Asks window after window until nothing is left to ask for.
Task<Result<void>> Fetcher::Job::converse(std::shared_ptr<Job> self, Key peer, ByteStream& stream,
                                          Alarm& alarm) {
  const FetchLimits& limits = self->shared_->limits;
  Clock& clock = self->shared_->world.clock;
  Source& source = self->sources_.at(peer);
  while (self->running() && !self->complete()) {
    ChunkMap::Run run{0, 1};  // any holder can prove the length with its first chunk
    if (self->length_) run = self->chunks_.claim(source.window);
    if (run.count == 0) {
      source.not_before = clock.now() + limits.quick;
      break;
    }
    const bool claimed = self->length_.has_value();
    const Instant begun = clock.now();
    Result<void> done = co_await window(self, peer, stream, alarm, run);
    if (claimed) self->chunks_.release(run);
    if (!done && done.error().code == Code::busy && ++source.busy < limits.busy_max) {
      source.not_before = clock.now() + kBusyPause;
      self->progressed_ = clock.now();  // it is there, and says so
      co_return Result<void>{};
    }
    if (!done) co_return done;
    const Duration took = clock.now() - begun;
    if (took < limits.quick) source.window = std::min(2 * source.window, kChunksPerAskMax);
    if (took > limits.slow) source.window = std::max<std::uint64_t>(source.window / 2, 1);
    source.strikes = 0;
  }
  const Frame end = End{};
  const Result<void> ended = co_await write_frame(stream, end);
  if (ended) stream.close_write();
  co_return Result<void>{};
}

/// One ask and its answer.
Task<Result<void>> Fetcher::Job::window(std::shared_ptr<Job> self, Key peer, ByteStream& stream,
                                        Alarm& alarm, ChunkMap::Run run) {
  Clock& clock = self->shared_->world.clock;
  const auto within = [&alarm, &clock, &stream, self] {
    alarm.set(clock.now() + self->shared_->limits.chunk_max, [s = &stream] { s->reset(); });
  };
  within();
  const Frame ask = Ask{self->id_, run.first, run.count};
  const Result<void> asked = co_await write_frame(stream, ask);
  if (!asked) co_return fail(asked.error());
  const Result<Frame> answer = co_await read_frame(stream);
  if (!answer) co_return fail(answer.error());
  if (std::holds_alternative<NotHere>(*answer)) {
    co_return fail(Code::not_found, "the peer does not have it, or not for us");
  }
  if (std::holds_alternative<Busy>(*answer)) co_return fail(Code::busy, "the peer is busy");
  const Held* const held = std::get_if<Held>(&*answer);
  if (held == nullptr || held->chunks == 0 || held->chunks > run.count) {
    co_return fail(Code::protocol, "the peer answers something else than chunks");
  }
  if (self->length_ && held->length != *self->length_) {
    co_return fail(Code::verification_failed, "the peer states another length");
  }
  const Held head = *held;
  for (std::uint64_t i = 0; i < head.chunks; ++i) {
    within();
    Result<Frame> frame = co_await read_frame(stream);
    alarm.stop();
    if (!frame) co_return fail(frame.error());
    auto* const chunk = std::get_if<Chunk>(&*frame);
    if (chunk == nullptr || chunk->index != run.first + i) {
      co_return fail(Code::protocol, "the peer sent another frame than the next chunk");
    }
    Chunk taken = std::move(*chunk);
    Result<void> kept = co_await take(self, peer, std::move(taken), head.length);
    if (!kept) co_return fail(kept.error());
    if (!self->progress_.told_sha256) self->progress_.told_sha256 = head.sha256;
  }
  co_return Result<void>{};
}

/// Checks a chunk and keeps it.
Task<Result<void>> Fetcher::Job::take(std::shared_ptr<Job> self, Key peer, Chunk chunk,
                                      std::uint64_t length) {
  if (!self->running()) co_return fail(Code::cancelled, "stopped");
  asio::thread_pool& pool = self->shared_->pool;
  auto checks = [&self, &chunk, length] {
    return verify_chunk(self->id_, length, chunk.index, chunk.data, chunk.proof);
  };
  const Result<Sha256> leaf = co_await in_pool(pool, checks);
  if (!leaf) co_return fail(leaf.error());
  if (!self->running()) co_return fail(Code::cancelled, "stopped");
  if (!self->length_) {
    const Result<void> begun = co_await self->begin(length);
    if (!begun) {
      self->stop(begun.error());
      co_return fail(begun.error());
    }
    if (!self->running()) co_return fail(Code::cancelled, "stopped");
  }
  auto puts = [&self, &chunk, &leaf] {
    return self->partial_->put(chunk.index, chunk.data, *leaf);
  };
  const Result<bool> kept = co_await in_pool(pool, puts);
  if (!kept) {
    Error error = kept.error();
    if (!error.hint.empty()) error.hint = "make room, then pull again: what came is kept";
    self->stop(error);
    co_return fail(std::move(error));
  }
  self->chunks_.got(chunk.index);
  Source& source = self->sources_.at(peer);
  if (!std::exchange(source.gave, true)) ++self->progress_.peers;
  if (*kept) {
    self->progress_.fetched += chunk.data.size();
    self->progress_.held = self->partial_->held_bytes();
    self->progressed_ = self->shared_->world.clock.now();
  }
  self->changed();
  co_return Result<void>{};
}

/// The length is proven. Several peers may prove it at once; the first begins.
Task<Result<void>> Fetcher::Job::begin(std::uint64_t length) {
  const auto self = shared_from_this();
  const bool entered = co_await beginning_.enter();
  if (!entered) co_return fail(Code::cancelled, "stopped");
  Result<void> begun;
  if (!running()) begun = fail(Code::cancelled, "stopped");
  if (begun && length > shared_->limits.bytes_max) {
    begun = fail(Code::too_large, "artifact " + id_.hex() + " has " + std::to_string(length) +
                                      " bytes; at most " +
                                      std::to_string(shared_->limits.bytes_max) + " are fetched");
  }
  if (begun && !length_) {
    auto begins = [this, length] { return partial_->begin(length); };
    begun = co_await in_pool(shared_->pool, begins);
    if (begun) {
      chunks_.reset(partial_->held());
      length_ = progress_.total = length;
    }
  }
  beginning_.leave();
  co_return begun;
}

}  // namespace phase::artifact
