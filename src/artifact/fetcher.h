// fetcher.h — gets artifacts from several peers at once, chunk by verified chunk, and goes on where
// it was. Normative: spec/artifact.md §3.
//
// One fetch for each artifact, whoever and how many want it; it stops when nobody wants it any
// more, and what came is kept. Belongs to one executor; hashes and disk in threads of its own.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <spdlog/logger.h>

#include "artifact/frame.h"
#include "artifact/peers.h"
#include "artifact/store.h"
#include "base/event.h"

namespace phase::artifact {

struct FetchLimits {
  std::size_t fetches_max = 8;                  ///< of different artifacts at once
  std::size_t peers_at_once = 8;                ///< of one fetch
  std::size_t peers_max = 64;                   ///< asked in one fetch
  std::uint64_t bytes_max = kArtifactBytesMax;  ///< a longer one ends with Code::too_large
  std::uint64_t window_first = 2;  ///< chunks of the first ask; doubled while a peer is quick
  Duration open_max = 5s;
  Duration chunk_max = 15s;     ///< from one frame of a window to the next
  Duration quick = 500ms;       ///< a window that took less is doubled
  Duration slow = 4s;           ///< one that took more is halved
  std::size_t strikes_max = 3;  ///< a peer that failed so often is left alone
  std::size_t busy_max = 120;   ///< answers `busy` of one peer before it is left alone
  Duration look_again = 2s;     ///< for more peers
  Duration nobody_max = 15s;    ///< nobody was there or gave anything: given up
  std::size_t finish_tries_max = 3;
  Duration shun = 600s;  ///< after a wrong chunk
  std::size_t shunned_max = 1'024;
};

struct FetchProgress {
  bool checking = false;  ///< all is there, the whole is being read again
  std::optional<std::uint64_t> total;
  std::uint64_t held = 0;                   ///< bytes, of earlier fetches too
  std::uint64_t fetched = 0;                ///< bytes of this one
  std::size_t peers = 0;                    ///< that gave something
  std::optional<Sha256> told_sha256;        ///< as a holder says; proven only at the end
  std::optional<job::ArtifactRef> content;  ///< the end
};

class Fetcher {
 public:
  struct World {
    Clock& clock;
    asio::any_io_executor executor;
    Peers& peers;
    std::shared_ptr<Store> store;
    spdlog::logger& log;
  };
  explicit Fetcher(World world, FetchLimits limits = {});
  ~Fetcher();

  class Job;
  /// A wish to have it. Destroyed: the fetch stops if nobody else wants it.
  class Ticket {
   public:
    explicit Ticket(std::shared_ptr<Job> job);
    ~Ticket();
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;
    /// What it is at, after something changed since the last call; nothing follows `content`.
    /// Errors: Code::not_found, unavailable when nobody gives it; Code::io with a way out when the
    /// disk is full; cancelled.
    [[nodiscard]] Task<Result<FetchProgress>> next();

   private:
    std::shared_ptr<Job> job_;
    std::shared_ptr<Event> event_;
    bool first_ = true;
  };
  /// `key`: of the DHT, where holders announce themselves. `known`: peers to ask first. Errors:
  /// Code::busy.
  [[nodiscard]] Result<std::unique_ptr<Ticket>> fetch(const ArtifactId& id, std::string key,
                                                      std::vector<identity::PublicKey> known);

  struct Shared;

 private:
  std::shared_ptr<Shared> shared_;  // with the fetches; they stop when it is closed
};

}  // namespace phase::artifact
