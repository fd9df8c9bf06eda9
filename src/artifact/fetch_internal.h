// fetch_internal.h — one fetch: which chunks are there, who was asked for which. Private to this
// folder.
#pragma once

#include <atomic>
#include <functional>

#include <boost/asio/thread_pool.hpp>

#include "artifact/fetcher.h"

namespace phase::artifact {

struct Fetcher::Shared {
  Shared(World with, FetchLimits chosen) : world(with), limits(chosen) {}
  World world;
  FetchLimits limits;
  asio::thread_pool pool{2};
  bool closed = false;
  std::map<ArtifactId, std::weak_ptr<Job>> jobs;
  std::map<identity::PublicKey, Instant> shunned;

  void shun(const identity::PublicKey& peer);
  [[nodiscard]] bool is_shunned(const identity::PublicKey& peer) const;
};

/// Which chunks are there and which are asked for; at most two are asked for the same one.
class ChunkMap {
 public:
  struct Run {
    std::uint64_t first = 0, count = 0;
  };
  void reset(const std::vector<bool>& held);
  /// Chunks to ask for next, at most `window`; without any that nobody was asked for, some that
  /// one other was. Nothing: no use in asking now.
  [[nodiscard]] Run claim(std::uint64_t window);
  void release(const Run& run);
  void got(std::uint64_t index);
  [[nodiscard]] bool complete() const noexcept { return missing_ == 0; }

 private:
  [[nodiscard]] Run run_of(std::uint64_t first, std::uint64_t window, std::uint8_t claims) const;
  std::vector<bool> held_;
  std::vector<std::uint8_t> claims_;
  std::uint64_t missing_ = 0, cursor_ = 0;
};

class Fetcher::Job : public std::enable_shared_from_this<Fetcher::Job> {
 public:
  Job(std::shared_ptr<Shared> shared, const ArtifactId& id, std::string key);

  static Task<void> run(std::shared_ptr<Job> self);
  void join(const std::vector<identity::PublicKey>& known);
  void stop(Error why);
  [[nodiscard]] bool over() const noexcept { return error_ || progress_.content; }
  void told(const std::shared_ptr<Event>& event) { listeners_.push_back(event); }
  [[nodiscard]] Result<FetchProgress> state() const;
  [[nodiscard]] Shared& shared() noexcept { return *shared_; }

  std::size_t tickets = 0;

 private:
  struct Source {
    bool working = false, out = false, gave = false;
    std::size_t strikes = 0, busy = 0;
    std::uint64_t window = 0;
    Instant not_before;
    ByteStream* stream = nullptr;
  };
  using Key = identity::PublicKey;

  [[nodiscard]] Task<Result<void>> open();
  [[nodiscard]] Task<Result<void>> gather();
  [[nodiscard]] Task<Result<job::ArtifactRef>> conclude();
  void add(const std::vector<Key>& peers);
  void put_to_work();
  [[nodiscard]] bool complete() const { return length_ && chunks_.complete(); }
  [[nodiscard]] bool running() const { return !error_ && !shared_->closed; }
  static Task<void> look(std::shared_ptr<Job> self);
  static Task<void> work(std::shared_ptr<Job> self, Key peer);
  [[nodiscard]] static Task<Result<void>> converse(std::shared_ptr<Job> self, Key peer,
                                                   ByteStream& stream, Alarm& alarm);
  [[nodiscard]] static Task<Result<void>> window(std::shared_ptr<Job> self, Key peer,
                                                 ByteStream& stream, Alarm& alarm,
                                                 ChunkMap::Run run);
  [[nodiscard]] static Task<Result<void>> take(std::shared_ptr<Job> self, Key peer, Chunk chunk,
                                               std::uint64_t length);
  [[nodiscard]] Task<Result<void>> begin(std::uint64_t length);
  void blame(const Key& peer, const Error& error);
  void changed();
  void tell();

  std::shared_ptr<Shared> shared_;
  ArtifactId id_;
  std::string key_;
  std::unique_ptr<Partial> partial_;
  std::optional<std::uint64_t> length_;
  ChunkMap chunks_;
  std::map<Key, Source> sources_;
  std::size_t working_ = 0;
  bool looking_ = false;
  Instant looked_, progressed_;
  Turnstile beginning_;
  Event wake_;
  std::atomic<bool> stopped_ = false;
  FetchProgress progress_;
  std::optional<Error> error_, last_error_;
  std::vector<std::weak_ptr<Event>> listeners_;
};

}  // namespace phase::artifact
