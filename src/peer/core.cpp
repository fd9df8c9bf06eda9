#include <cerrno>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fcntl.h>

#include "base/check.h"
#include "base/descriptor.h"
#include "peer/core_internal.h"

namespace phase::peer {

struct Core::Waiter {
  explicit Waiter(const asio::any_io_executor& executor) : done(executor) {}
  Event done;
  std::optional<Result<Outcome>> outcome;

  void complete(Result<Outcome> result) {
    outcome = std::move(result);
    done.notify();
  }
};

namespace {

tl::unexpected<Error> gone() {
  return fail(Code::cancelled, "the network is shutting down");
}

}  // namespace

Core::Core(asio::any_io_executor executor, Network network)
    : executor_(std::move(executor)),
      network_(std::move(network)),
      streams_(executor_),
      signal_(executor_),
      ready_(std::make_shared<Waiter>(executor_)) {}

Result<void> Core::run() {
  // A copy, because the descriptor closes what it watches and the original belongs to the network.
  FileDescriptor copy(::fcntl(network_->event_fd(), F_DUPFD_CLOEXEC, 0));
  if (copy.get() < 0) return fail_errno(errno, "cannot watch the network");
  boost::system::error_code error;
  signal_.assign(copy.get(), error);
  if (error) return fail(Code::io, "cannot watch the network: " + error.message());
  static_cast<void>(copy.release());
  asio::co_spawn(executor_, take_events(shared_from_this()), asio::detached);
  return {};
}

void Core::stop() {
  if (stopped()) return;
  network_.reset();
  streams_.close_all();
  boost::system::error_code ignored;
  signal_.close(ignored);
  handlers_.clear();
  routing_ = nullptr;
  ready_->complete(gone());
  const auto waiters = std::exchange(waiters_, {});
  for (const auto& [request, waiter] : waiters) waiter->complete(gone());
}

Task<void> Core::take_events(std::shared_ptr<Core> self) {
  while (!self->stopped()) {
    auto [error] = co_await self->signal_.async_wait(asio::posix::descriptor_base::wait_read,
                                                     asio::as_tuple(asio::use_awaitable));
    if (error) co_return;
    while (!self->stopped()) {  // a handler may end the peer
      std::optional<NetworkEvent> event = self->network_->next_event();
      if (!event) break;
      self->dispatch(std::move(*event));
    }
  }
}

void Core::dispatch(NetworkEvent event) {
  switch (event.kind) {
    case NetworkEvent::Kind::completed: {
      const auto waiting = waiters_.find(event.request);
      // Nobody waits any more: a stream that came is reset with the event.
      if (waiting == waiters_.end()) return;
      const std::shared_ptr<Waiter> waiter = waiting->second;
      waiters_.erase(waiting);
      return waiter->complete(std::move(event.outcome));
    }
    case NetworkEvent::Kind::inbound:
      return accept(std::move(event));
    case NetworkEvent::Kind::ready:
      return ready_->complete(std::move(event.outcome));
    case NetworkEvent::Kind::routing:
      if (routing_) routing_();
      return;
    case NetworkEvent::Kind::readable:
      return streams_.readable(event.stream_id);
    case NetworkEvent::Kind::writable:
      return streams_.writable(event.stream_id);
    case NetworkEvent::Kind::warning:
      return;  // kept by the network, see `warnings`
  }
}

void Core::accept(NetworkEvent event) {
  PHASE_CHECK(event.outcome.has_value() && event.outcome->peers.size() == 1);
  const auto handler = handlers_.find(event.text);
  if (handler == handlers_.end()) return;
  const identity::PublicKey peer = event.outcome->peers.front();
  auto stream = streams_.make(std::move(event.outcome->stream));
  const Peer::StreamHandler call = handler->second;  // the call may end the peer
  call(std::move(stream), peer);
}

Task<Result<void>> Core::ready() {
  const std::shared_ptr<Waiter> waiter = ready_;
  if (!waiter->outcome) static_cast<void>(co_await waiter->done.wait());
  if (!waiter->outcome) co_return gone();
  if (!*waiter->outcome) co_return fail(waiter->outcome->error());
  co_return Result<void>{};
}

void Core::handle(std::string protocol, Peer::StreamHandler handler) {
  if (stopped()) return;
  const Result<void> handled = network_->handle(protocol);
  PHASE_CHECK(handled.has_value());  // the name is ours, and so is their number
  handlers_.insert_or_assign(std::move(protocol), std::move(handler));
}

Task<Result<Outcome>> Core::command(std::shared_ptr<Core> self, Start start) {
  if (self->stopped()) co_return gone();
  const std::uint64_t request = ++self->last_request_;
  PHASE_CO_TRY_VOID(start(*self->network_, request));
  const auto waiter = std::make_shared<Waiter>(self->executor_);
  self->waiters_.emplace(request, waiter);
  static_cast<void>(co_await waiter->done.wait());
  self->waiters_.erase(request);
  if (!waiter->outcome) co_return fail(Code::cancelled, "waiting for the network was cancelled");
  co_return std::move(*waiter->outcome);
}

// The starts below are named, not temporaries of the co_await: g++ 12 destroys those twice.

Task<Result<std::unique_ptr<ByteStream>>> Core::open(identity::PublicKey peer, std::string protocol,
                                                     Duration timeout) {
  const auto self = shared_from_this();
  Start start = [peer, protocol, timeout](Network& net, std::uint64_t request) {
    return net.open(request, peer, protocol, timeout);
  };
  PHASE_CO_TRY(Outcome outcome, co_await command(self, std::move(start)));
  if (self->stopped()) co_return gone();
  co_return self->streams_.make(std::move(outcome.stream));
}

Task<Result<identity::PublicKey>> Core::dial(std::string multiaddr, Duration timeout) {
  Start start = [multiaddr, timeout](Network& net, std::uint64_t request) {
    return net.dial(request, multiaddr, timeout);
  };
  PHASE_CO_TRY(Outcome outcome, co_await command(shared_from_this(), std::move(start)));
  PHASE_CHECK(outcome.peers.size() == 1);
  co_return outcome.peers.front();
}

Task<Result<void>> Core::provide(std::string key, Duration timeout) {
  Start start = [key, timeout](Network& net, std::uint64_t request) {
    return net.provide(request, key, timeout);
  };
  const Result<Outcome> outcome = co_await command(shared_from_this(), std::move(start));
  if (!outcome) co_return fail(outcome.error());
  co_return Result<void>{};
}

Task<Result<std::vector<identity::PublicKey>>> Core::find(std::string key, Duration timeout) {
  Start start = [key, timeout](Network& net, std::uint64_t request) {
    return net.find(request, key, timeout);
  };
  PHASE_CO_TRY(Outcome outcome, co_await command(shared_from_this(), std::move(start)));
  co_return std::move(outcome.peers);
}

Task<Result<Duration>> Core::ping(identity::PublicKey peer, Duration timeout) {
  Start start = [peer, timeout](Network& net, std::uint64_t request) {
    return net.ping(request, peer, timeout);
  };
  PHASE_CO_TRY(const Outcome outcome, co_await command(shared_from_this(), std::move(start)));
  co_return outcome.round_trip;
}

}  // namespace phase::peer
