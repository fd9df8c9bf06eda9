// relay.h — bytes both ways between a client and its destination, until an end that has a reason.
//
// Over any two ByteStreams and any clock, so that it runs in virtual time, too. Belongs to one
// executor.
#pragma once

#include <memory>
#include <string_view>

#include "base/event.h"
#include "base/stream.h"
#include "vcp/gateway/token_bucket.h"

namespace phase::vcp::gateway {

/// Bytes read and not yet written, per direction.
inline constexpr std::size_t kPieceBytes = 16_KiB;
static_assert(kPieceBytes <= kBurstBytesMin, "a piece always fits into an empty connection's rate");

/// What all relays of one session share. Lives as long as the last of them.
struct SessionFlow {
  TokenBucket up, down;
  std::uint64_t bytes_up = 0, bytes_down = 0;  ///< relayed since the session was first used
  std::uint64_t relays = 0;                    ///< so many were begun
  std::size_t live = 0;
};

class Relay {
 public:
  enum class End : std::uint8_t {
    closed,   ///< both sides had said all
    idle,     ///< nothing came for too long
    expired,  ///< the session's time is over
    revoked,  ///< the session is gone, or does not lead there any more
    broken,   ///< one side went away mid-way
    stopped   ///< the gateway stops
  };
  struct Options {
    Duration idle_max = 600s;
    UtcTime expires;
  };
  Relay(Clock& clock, asio::any_io_executor executor, std::unique_ptr<ByteStream> client,
        std::unique_ptr<ByteStream> server, std::shared_ptr<SessionFlow> flow, Options options);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  /// Sends `early` to the server, then relays until the end. Once.
  [[nodiscard]] static Task<End> run(std::shared_ptr<Relay> self, Bytes early);
  /// Both sides are dropped at once; the first reason counts. Idempotent.
  void cut(End why);
  /// When the session was given another end.
  void set_expiry(UtcTime expires);
  [[nodiscard]] std::uint64_t bytes_up() const noexcept { return bytes_up_; }
  [[nodiscard]] std::uint64_t bytes_down() const noexcept { return bytes_down_; }

 private:
  static Task<void> pump_up(std::shared_ptr<Relay> self, Bytes early);
  static Task<void> pump_down(std::shared_ptr<Relay> self);
  /// One piece through the bucket. False: the relay is over.
  [[nodiscard]] Task<bool> pass(ByteStream& to, ByteView piece, TokenBucket& bucket);
  [[nodiscard]] Task<void> pump(ByteStream& from, ByteStream& to, TokenBucket& bucket,
                                std::uint64_t& own, std::uint64_t& all);
  void watch();
  void touch() { last_ = clock_.now(); }

  Clock& clock_;
  asio::any_io_executor executor_;
  std::unique_ptr<ByteStream> client_, server_;
  std::shared_ptr<SessionFlow> flow_;  // shared with the other relays of the session
  Options options_;
  Alarm alarm_;
  Event down_ended_;
  Instant last_;
  std::uint64_t bytes_up_ = 0, bytes_down_ = 0;
  bool over_ = false;
  End end_ = End::closed;
};

[[nodiscard]] std::string_view relay_end_name(Relay::End end) noexcept;

}  // namespace phase::vcp::gateway
