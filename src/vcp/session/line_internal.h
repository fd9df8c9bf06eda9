// line_internal.h — one stream of a session, and whose turn it is to write. Private to this folder.
#pragma once

#include <algorithm>
#include <memory>

#include "base/event.h"
#include "vcp/session/frame.h"

namespace phase::vcp {

/// Shared by the coroutines of one session. Frames are written whole, one after the other.
struct Line {
  Line(const asio::any_io_executor& executor, std::unique_ptr<ByteStream> with)
      : stream(std::move(with)), turn(executor, 1) {}

  static Task<Result<void>> say(std::shared_ptr<Line> line, FleetFrame frame) {
    const bool mine = co_await line->turn.enter();
    if (!mine) co_return fail(Code::cancelled, "the session ended");
    ByteStream& stream = *line->stream;
    Result<void> said = co_await write_fleet(stream, std::move(frame));
    line->turn.leave();
    co_return said;
  }
  /// The same, where nobody waits for the end.
  static Task<void> tell(std::shared_ptr<Line> line, FleetFrame frame) {
    const Result<void> told = co_await say(line, std::move(frame));
    if (!told) line->stream->reset();
  }
  /// A last word, then nothing more from here.
  static Task<void> farewell(std::shared_ptr<Line> line, FleetFrame frame) {
    const Result<void> told = co_await say(line, std::move(frame));
    if (told) {
      line->stream->close_write();
    } else {
      line->stream->reset();
    }
  }

  std::unique_ptr<ByteStream> stream;
  Turnstile turn;
};

/// Data of a probe in one direction: one block, its last piece unlike the others, so that it cannot
/// be known before it arrived.
class ProbeSource {
 public:
  ProbeSource(Random& random, std::uint64_t nonce, std::uint64_t bytes)
      : nonce_(nonce), left_(bytes), block_(kProbePieceBytes) {
    random.fill(block_);
    secret_ = random.array<32>();
  }
  [[nodiscard]] bool done() const { return left_ == 0; }
  /// The next piece; not after done().
  [[nodiscard]] ProbeData next() {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, kProbePieceBytes));
    left_ -= size;
    ProbeData out{nonce_,
                  Bytes(block_.begin(), block_.begin() + static_cast<std::ptrdiff_t>(size))};
    if (left_ == 0) {
      std::copy_n(secret_.begin(), std::min(secret_.size(), size), out.data.begin());
      last_ = sha256(out.data);
    }
    return out;
  }
  [[nodiscard]] const Sha256& last_piece() const { return last_; }  ///< after done()

 private:
  std::uint64_t nonce_, left_;
  Bytes block_;
  std::array<std::uint8_t, 32> secret_{};
  Sha256 last_;
};

}  // namespace phase::vcp
