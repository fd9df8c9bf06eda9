#include "protocol/link/link.h"

#include <algorithm>
#include <cstring>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace phase::link {

/// The stream, read ahead, with a note of when the last byte came.
class Link::Watched final : public ByteStream {
 public:
  Watched(std::unique_ptr<ByteStream> inner, Clock& clock, Instant& heard)
      : inner_(std::move(inner)), clock_(clock), heard_(heard), ahead_(kReadAheadBytes) {}

  Task<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    if (begin_ == end_) {
      if (out.size() >= ahead_.size()) {
        const Result<std::size_t> direct = co_await inner_->read(out);
        heard_ = clock_.now();
        co_return direct;
      }
      const Result<std::size_t> filled = co_await inner_->read(ahead_);
      if (!filled) co_return fail(filled.error());
      heard_ = clock_.now();
      begin_ = 0;
      end_ = *filled;
    }
    const std::size_t n = std::min(out.size(), end_ - begin_);
    std::memcpy(out.data(), ahead_.data() + begin_, n);
    begin_ += n;
    co_return n;
  }
  Task<Result<void>> write(ByteView bytes) override { return inner_->write(bytes); }
  void close_write() override { inner_->close_write(); }
  void reset() override { inner_->reset(); }

 private:
  std::unique_ptr<ByteStream> inner_;
  Clock& clock_;
  Instant& heard_;
  Bytes ahead_;
  std::size_t begin_ = 0, end_ = 0;
};

std::shared_ptr<Link> Link::make(std::unique_ptr<ByteStream> stream, Clock& clock,
                                 asio::any_io_executor executor, LinkLimits limits) {
  return std::shared_ptr<Link>(new Link(std::move(stream), clock, std::move(executor), limits));
}

Link::Link(std::unique_ptr<ByteStream> stream, Clock& clock, asio::any_io_executor executor,
           LinkLimits limits)
    : clock_(clock),
      executor_(executor),
      limits_(limits),
      stream_(std::make_unique<Watched>(std::move(stream), clock, heard_)),
      turn_(executor, 1),
      alarm_(clock, executor),
      heard_(clock.now()),
      said_(clock.now()) {}

Link::~Link() = default;

void Link::watch() {
  heard_ = clock_.now();
  arm();
}

Task<Result<offer::Frame>> Link::read() {
  const std::shared_ptr<Link> self = shared_from_this();  // a reset may drop the session meanwhile
  heard_ = clock_.now();
  while (true) {
    if (reason_) co_return fail(*reason_);
    reading_ = true;
    Result<offer::Frame> frame = co_await offer::read_frame(*stream_);
    reading_ = false;
    if (!frame) co_return fail(reason_ ? *reason_ : std::move(frame).error());
    if (!std::holds_alternative<offer::Heartbeat>(*frame)) co_return frame;
  }
}

Task<Result<void>> Link::write(const offer::Frame& frame) {
  return write_bytes(shared_from_this(), offer::encode(frame));
}

Task<Result<void>> Link::write_bytes(std::shared_ptr<Link> /*self*/, Bytes bytes) {
  const bool entered = co_await turn_.enter();
  if (!entered) co_return fail(Code::cancelled, "writing was cancelled");
  if (reason_ || finished_) {
    turn_.leave();
    co_return fail(reason_ ? *reason_ : Error{Code::connection_closed, "the stream is closed", {}});
  }
  writing_since_ = clock_.now();
  Result<void> written = co_await stream_->write(bytes);
  writing_since_.reset();
  said_ = clock_.now();
  turn_.leave();
  if (!written && reason_) co_return fail(*reason_);
  co_return written;
}

void Link::reset(Error reason) {
  if (reason_) return;
  reason_ = std::move(reason);
  alarm_.stop();
  stream_->reset();
}

void Link::finish() {
  if (finished_) return;
  finished_ = true;
  if (!reason_) stream_->close_write();
}

void Link::arm() {
  if (reason_) return;
  Instant next = clock_.now() + limits_.heartbeat_interval;
  if (!writing_since_ && !finished_) next = std::min(next, said_ + limits_.heartbeat_interval);
  if (reading_) next = std::min(next, heard_ + limits_.silence_max);
  if (writing_since_ && limits_.stall_max) {
    next = std::min(next, *writing_since_ + *limits_.stall_max);
  }
  // The alarm belongs to this link: the action cannot outlive it.
  alarm_.set(next, [this] { tick(); });
}

void Link::tick() {
  const Instant now = clock_.now();
  if (reading_ && now >= heard_ + limits_.silence_max) {
    return reset({Code::timed_out, "the other side was silent for too long", {}});
  }
  if (writing_since_ && limits_.stall_max && now >= *writing_since_ + *limits_.stall_max) {
    return reset({Code::timed_out, "the other side does not read", {}});
  }
  if (!writing_since_ && !finished_ && now >= said_ + limits_.heartbeat_interval) {
    send_heartbeat();
  }
  arm();
}

void Link::send_heartbeat() {
  said_ = clock_.now();  // one on its way is enough
  asio::co_spawn(
      executor_,
      [self = shared_from_this()]() -> Task<void> {
        const offer::Frame beat = offer::Heartbeat{};
        static_cast<void>(co_await self->write(beat));  // a broken stream shows at the reader
      },
      asio::detached);
}

}  // namespace phase::link
