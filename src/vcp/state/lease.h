// lease.h — which of several coordinators on one PostgreSQL database leads the fleet.
//
// The lead is a lock that belongs to the connection the leader writes its journal with: it ends
// with that connection, however the leader ends; of one that hangs the others end it. Each lead has
// a number, its epoch, in a row that the next leader changes and that every transaction of a leader
// locks for reading first; so what a former leader still sends is refused (a fencing token). Who
// leads, and where its API is, is told with NOTIFY.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "identity/identity.h"
#include "sql/postgres.h"

namespace phase::vcp {

/// A lead that became free without a word is noticed so soon.
inline constexpr auto kLeadLookedForEvery = 500ms;

/// A leader that did not say for so long that it is there hangs: its connection is ended.
inline constexpr auto kLeaderSilentMax = 20s;

struct Leader {
  std::uint64_t epoch = 0;
  std::string holder;   ///< a name for people: host and process
  std::string address;  ///< host:port of its API, as the others reach it
};

/// The lead: three connections of this leader, fenced. Whoever lets `journal` go gives it up.
struct Lead {
  std::uint64_t epoch = 0;
  std::string still_here;  ///< the statement by which a leader says so, every kServerAskedEvery
  sql::Postgres journal, accounts, modules;
};

class Lease {
 public:
  struct Options {
    std::string url;            ///< of the database
    std::string holder;         ///< at most 128 bytes
    std::string address;        ///< host:port
    identity::PublicKey fleet;  ///< the key that all coordinators of the fleet share
  };
  /// Nothing is dialled yet.
  Lease(asio::any_io_executor executor, Options options);
  ~Lease();  ///< `acquire` ends with Code::cancelled before
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  /// Waits until this coordinator leads. `heard` is called on the executor with each leader that is
  /// seen meanwhile. Errors: those of Postgres::connect; Code::invalid_argument when the database
  /// is another fleet's; Code::cancelled after `stop`. One call at a time.
  [[nodiscard]] Task<Result<Lead>> acquire(std::function<void(const Leader&)> heard);
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the thread that waits
};

}  // namespace phase::vcp
