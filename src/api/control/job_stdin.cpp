#include "api/control/job_stdin.h"

#include <algorithm>

namespace phase::control {
namespace {

constexpr std::size_t kPieceBytes = 64_KiB;

tl::unexpected<Error> went_away() {
  return fail(Code::cancelled, "the writer of stdin went away");
}

/// Lets the next writer in, however this one ends.
class Turn {
 public:
  Turn(bool& flag, Waiters& changed) : flag_(flag), changed_(changed) { flag_ = true; }
  ~Turn() {
    flag_ = false;
    changed_.notify_all();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  bool& flag_;
  Waiters& changed_;
};

}  // namespace

JobStdin::JobStdin(Clock& clock, asio::any_io_executor executor, std::size_t buffer_max)
    : buffer_max_(buffer_max), changed_(clock, std::move(executor)) {}

void JobStdin::give(Bytes all) {
  kept_ = std::move(all);
  given_ = true;
  ended_ = true;
}

Task<Result<Bytes>> JobStdin::read() {
  while (waiting() == 0 && !ended_ && !stopped_) {
    if (!co_await changed_.wait()) {
      co_return fail(Code::cancelled, "nobody waits for stdin any more");
    }
  }
  const std::size_t count = stopped_ ? 0 : std::min(waiting(), kPieceBytes);
  const auto from = kept_.begin() + static_cast<std::ptrdiff_t>(position_);
  Bytes piece(from, from + static_cast<std::ptrdiff_t>(count));
  position_ += count;
  if (!given_ && position_ > buffer_max_) {
    kept_.erase(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(position_));
    position_ = 0;
    replayable_ = false;
  }
  changed_.notify_all();
  co_return piece;
}

bool JobStdin::rewind() {
  if (replayable_) {
    position_ = 0;
  }
  return replayable_;
}

Task<Result<void>> JobStdin::write(Bytes bytes, bool end) {
  while (writing_ && !stopped_) {
    if (!co_await changed_.wait()) {
      co_return went_away();
    }
  }
  if (stopped_) {
    co_return Result<void>{};
  }
  if (ended_) {
    co_return fail(Code::invalid_argument, given_
                                               ? "the job's stdin was given when it was submitted"
                                               : "the job's stdin was ended before");
  }
  const Turn turn(writing_, changed_);
  ByteView rest = bytes;
  while (!rest.empty() && !stopped_) {
    const std::size_t room = buffer_max_ - std::min(buffer_max_, waiting());
    if (room == 0 && !co_await changed_.wait()) {
      co_return went_away();
    }
    const ByteView piece = rest.first(std::min(room, rest.size()));
    kept_.insert(kept_.end(), piece.begin(), piece.end());
    rest = rest.subspan(piece.size());
    changed_.notify_all();
  }
  ended_ = ended_ || end;
  co_return Result<void>{};
}

void JobStdin::stop() {
  stopped_ = true;
  kept_.clear();
  position_ = 0;
  changed_.notify_all();
}

}  // namespace phase::control
