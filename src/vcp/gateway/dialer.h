// dialer.h — a connection to a destination: its name resolved, the addresses checked, then dialled.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/thread_pool.hpp>

#include "base/clock.h"
#include "base/stream.h"
#include "vcp/gateway/session.h"

namespace phase::vcp::gateway {

/// Of one name; what a resolver says beyond is left.
inline constexpr std::size_t kAddressesMax = 8;
/// Names being resolved at once, and waiting for that.
inline constexpr std::size_t kResolvingMax = 8;
inline constexpr std::size_t kLookupsMax = 256;

/// Blocks; called in a thread. Errors: Code::unavailable.
using Resolver =
    std::function<Result<std::vector<boost::asio::ip::address>>(const std::string& host)>;
[[nodiscard]] Resolver system_resolver();

class Dialer {
 public:
  /// `allow_private`: also addresses that are not of the public Internet (address.h).
  Dialer(Clock& clock, asio::any_io_executor executor, Resolver resolver, bool allow_private);
  ~Dialer();  // stops

  /// Ends its threads; waits for names being resolved, as long as the system's resolver takes.
  /// Before the executor goes. Idempotent.
  void stop();

  /// Errors: Code::permission_denied when every address is one that is not allowed,
  /// Code::unavailable (no such name, nobody there), Code::timed_out, Code::busy.
  [[nodiscard]] Task<Result<std::unique_ptr<ByteStream>>> dial(Destination to, Deadline deadline);

 private:
  struct Lookup;
  struct Shared;
  using Addresses = std::vector<boost::asio::ip::address>;
  static Task<void> look_up(std::shared_ptr<Shared> shared, std::shared_ptr<Lookup> lookup);
  [[nodiscard]] Task<Result<Addresses>> resolve(const Destination& to, Deadline deadline);

  Clock& clock_;
  asio::any_io_executor executor_;
  bool allow_private_;
  std::shared_ptr<Shared> shared_;  // shared with lookups that nobody waits for any more
  asio::thread_pool threads_{kResolvingMax};
};

}  // namespace phase::vcp::gateway
