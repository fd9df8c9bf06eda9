// link.h — one conversation of the job stream: whole frames over a byte stream, writes in turn,
// heartbeats, and giving up on a silent or stuck other side. Normative: spec/job-stream.md.
//
// Used by provider and requester alike; knows frames, not their order. Belongs to one executor.
#pragma once

#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/event.h"
#include "base/stream.h"
#include "protocol/offer/frame.h"

namespace phase::link {

struct LinkLimits {
  Duration heartbeat_interval = 5s;  ///< a heartbeat after so long without another frame
  Duration silence_max = 20s;        ///< no byte for so long while we read: given up
  /// One frame not taken by the other side for so long: given up. Absent: for as long as it takes
  /// (a guest may leave its stdin unread).
  std::optional<Duration> stall_max;
};

/// Bytes read ahead from the stream: small frames cost one read together.
inline constexpr std::size_t kReadAheadBytes = 16_KiB;

class Link : public std::enable_shared_from_this<Link> {
 public:
  /// Shared by the session and by the coroutines that read, write and watch for it.
  [[nodiscard]] static std::shared_ptr<Link> make(std::unique_ptr<ByteStream> stream, Clock& clock,
                                                  asio::any_io_executor executor,
                                                  LinkLimits limits);
  ~Link();

  /// Starts heartbeats and the watch over silence; ends with `reset` or `finish`.
  void watch();

  /// The next frame that is not a heartbeat. One reader at a time; while nobody reads, silence is
  /// not counted. Errors: those of offer::read_frame, or the reason given to `reset`.
  [[nodiscard]] Task<Result<offer::Frame>> read();
  /// Writes a frame after those before it. Suspends while the other side is slow.
  /// Errors: Code::connection_closed, or the reason given to `reset`.
  [[nodiscard]] Task<Result<void>> write(const offer::Frame& frame);

  /// Drops the stream; what reads or writes now fails with `reason` (the first one stays).
  void reset(Error reason);
  /// Our last frame is written: what was sent is still delivered, nothing more comes from here.
  void finish();
  [[nodiscard]] bool broken() const noexcept { return reason_.has_value(); }

 private:
  class Watched;
  Link(std::unique_ptr<ByteStream> stream, Clock& clock, asio::any_io_executor executor,
       LinkLimits limits);
  [[nodiscard]] Task<Result<void>> write_bytes(std::shared_ptr<Link> self, Bytes bytes);
  void tick();
  void arm();
  void send_heartbeat();

  Clock& clock_;
  asio::any_io_executor executor_;
  LinkLimits limits_;
  std::unique_ptr<Watched> stream_;
  Turnstile turn_;  // one writer at a time
  Alarm alarm_;
  std::optional<Error> reason_;
  bool finished_ = false;
  bool reading_ = false;
  std::optional<Instant> writing_since_;
  Instant heard_, said_;
};

}  // namespace phase::link
