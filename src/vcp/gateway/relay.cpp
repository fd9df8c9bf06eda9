#include "vcp/gateway/relay.h"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace phase::vcp::gateway {
namespace {

/// Wall time may be set anew: the end of a session is looked at this often at least.
constexpr Duration kLookEvery = 10s;

}  // namespace

std::string_view relay_end_name(Relay::End end) noexcept {
  constexpr std::string_view kNames[] = {"closed",  "idle",   "expired",
                                         "revoked", "broken", "stopped"};
  return kNames[static_cast<std::size_t>(end)];
}

Relay::Relay(Clock& clock, asio::any_io_executor executor, std::unique_ptr<ByteStream> client,
             std::unique_ptr<ByteStream> server, std::shared_ptr<SessionFlow> flow, Options options)
    : clock_(clock),
      executor_(executor),
      client_(std::move(client)),
      server_(std::move(server)),
      flow_(std::move(flow)),
      options_(options),
      alarm_(clock, executor),
      down_ended_(executor),
      last_(clock.now()) {}

void Relay::cut(End why) {
  if (over_) return;
  over_ = true;
  end_ = why;
  alarm_.stop();
  client_->reset();
  server_->reset();
}

void Relay::set_expiry(UtcTime expires) {
  options_.expires = expires;
  watch();
}

void Relay::watch() {
  if (over_) return;
  const Instant now = clock_.now();
  const UtcTime utc = clock_.now_utc();
  if (utc >= options_.expires) return cut(End::expired);
  if (now - last_ >= options_.idle_max) return cut(End::idle);
  const std::uint64_t left_ms = std::min<std::uint64_t>(
      options_.expires.unix_ms - utc.unix_ms,
      std::chrono::duration_cast<std::chrono::milliseconds>(kLookEvery).count());
  const Instant next =
      std::min(last_ + options_.idle_max, now + std::chrono::milliseconds(left_ms));
  alarm_.set(next, [this] { watch(); });
}

Task<bool> Relay::pass(ByteStream& to, ByteView piece, TokenBucket& bucket) {
  const Duration wait = bucket.take(piece.size(), clock_.now());
  if (wait > Duration::zero()) {
    const auto slept = co_await clock_.sleep_for(wait);
    if (!slept) co_return false;
  }
  if (over_) co_return false;
  const auto written = co_await to.write(piece);
  if (!written || over_) co_return false;
  touch();
  co_return true;
}

Task<void> Relay::pump(ByteStream& from, ByteStream& to, TokenBucket& bucket, std::uint64_t& own,
                       std::uint64_t& all) {
  Bytes buffer(kPieceBytes);
  while (!over_) {
    const std::span<std::uint8_t> room(buffer);
    const auto count = co_await from.read(room);
    if (over_) co_return;
    if (!count) co_return cut(End::broken);
    touch();
    if (*count == 0) co_return to.close_write();
    const ByteView piece(buffer.data(), *count);
    const bool passed = co_await pass(to, piece, bucket);
    if (!passed) co_return cut(End::broken);
    own += piece.size();
    all += piece.size();
  }
}

Task<void> Relay::pump_up(std::shared_ptr<Relay> self, Bytes early) {
  if (!early.empty()) {
    const ByteView piece(early);
    const bool passed = co_await self->pass(*self->server_, piece, self->flow_->up);
    if (!passed) co_return self->cut(End::broken);
    self->bytes_up_ += piece.size();
    self->flow_->bytes_up += piece.size();
  }
  co_await self->pump(*self->client_, *self->server_, self->flow_->up, self->bytes_up_,
                      self->flow_->bytes_up);
}

Task<void> Relay::pump_down(std::shared_ptr<Relay> self) {
  co_await self->pump(*self->server_, *self->client_, self->flow_->down, self->bytes_down_,
                      self->flow_->bytes_down);
  self->down_ended_.notify();
}

Task<Relay::End> Relay::run(std::shared_ptr<Relay> self, Bytes early) {
  self->touch();
  self->watch();
  asio::co_spawn(self->executor_, pump_down(self), asio::detached);
  co_await pump_up(self, std::move(early));
  co_await self->down_ended_.wait();
  self->over_ = true;  // nothing is reset: what was written last is still on its way
  self->alarm_.stop();
  co_return self->end_;
}

}  // namespace phase::vcp::gateway
