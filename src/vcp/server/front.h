// front.h — the address of a coordinator that does not lead: hands connections on to the one that
// does, byte by byte.
//
// So every coordinator's URL works, and TLS, uploads and event streams pass as they are.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace phase::vcp {

/// Connections that are handed on at once; more wait to be accepted.
inline constexpr std::size_t kFrontConnectionsMax = 4'096;
/// A connection waits so long for somebody to lead, and for the leader to take it.
inline constexpr auto kFrontPatience = 10s;

struct FrontAddress {
  std::string host;
  std::uint16_t port = 0;
};
/// Reads host:port, [v6]:port. Errors: Code::invalid_argument.
[[nodiscard]] Result<FrontAddress> front_address(std::string_view text);

/// What a connection begins with that is handed on: a NUL, "PHASE/1 <client's address> <HMAC-SHA256
/// of it under the key>", a line feed. So the leader counts and notes the client, not the front.
using FrontKey = std::array<std::uint8_t, 32>;
[[nodiscard]] std::string introduction(const FrontKey& key, std::string_view client);
/// The client's address, of such a line without its NUL and line feed; nothing: it is not ours.
[[nodiscard]] std::optional<std::string> introduced(const FrontKey& key, std::string_view line);

class Front {
 public:
  /// Listens. Errors: Code::already_exists (the port is in use), invalid_argument, io.
  [[nodiscard]] static Result<std::unique_ptr<Front>> start(asio::any_io_executor executor,
                                                            Clock& clock, FrontAddress listen,
                                                            const FrontKey& key);
  ~Front();  ///< ends its connections
  /// Where new connections go from now on.
  void set_leader(FrontAddress leader);
  [[nodiscard]] std::uint16_t port() const noexcept;

 private:
  struct State;
  explicit Front(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with the coroutines of connections
};

}  // namespace phase::vcp
