#include "vcp/gateway/dialer.h"

#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/event.h"
#include "base/pool_task.h"
#include "vcp/gateway/address.h"
#include "vcp/gateway/channel_internal.h"

namespace phase::vcp::gateway {
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

Task<Result<std::unique_ptr<ByteStream>>> connect(Clock& clock, asio::any_io_executor executor,
                                                  tcp::endpoint to, Deadline deadline) {
  auto socket = std::make_shared<tcp::socket>(executor);
  Alarm alarm(clock, executor);
  alarm.set(deadline.at, [socket] {
    boost::system::error_code ignored;
    socket->close(ignored);
  });
  auto [error] = co_await socket->async_connect(to, kAwait);
  alarm.stop();
  if (clock.now() >= deadline.at) co_return fail(Code::timed_out, "nobody answered in time");
  if (error) co_return fail(Code::unavailable, "no connection: " + error.message());
  boost::system::error_code ignored;
  socket->set_option(tcp::no_delay(true), ignored);
  co_return plain_channel(std::move(socket));
}

}  // namespace

Resolver system_resolver() {
  return [](const std::string& host) -> Result<std::vector<boost::asio::ip::address>> {
    asio::io_context context;
    tcp::resolver resolver(context);
    boost::system::error_code error;
    const auto found = resolver.resolve(host, "", tcp::resolver::flags(), error);
    if (error) return fail(Code::unavailable, "the name does not resolve");
    std::vector<boost::asio::ip::address> out;
    for (const auto& entry : found) {
      if (out.size() < kAddressesMax) out.push_back(entry.endpoint().address());
    }
    return out;
  };
}

struct Dialer::Lookup {
  Lookup(asio::any_io_executor executor, std::string name)
      : host(std::move(name)), done(std::move(executor)) {}
  std::string host;
  Event done;
  bool known = false;
  Result<Addresses> answer;
};
struct Dialer::Shared {
  asio::thread_pool* threads = nullptr;
  Resolver resolver;
  std::size_t lookups = 0;
};

Dialer::Dialer(Clock& clock, asio::any_io_executor executor, Resolver resolver, bool allow_private)
    : clock_(clock),
      executor_(std::move(executor)),
      allow_private_(allow_private),
      shared_(std::make_shared<Shared>()) {
  shared_->threads = &threads_;
  shared_->resolver = std::move(resolver);
}

Dialer::~Dialer() {
  stop();
}

void Dialer::stop() {
  threads_.stop();
  threads_.join();
}

Task<void> Dialer::look_up(std::shared_ptr<Shared> shared, std::shared_ptr<Lookup> lookup) {
  auto ask = [shared, lookup] { return shared->resolver(lookup->host); };
  ++shared->lookups;
  Result<Addresses> answer = co_await in_pool(*shared->threads, ask);
  --shared->lookups;
  lookup->answer = std::move(answer);
  lookup->known = true;
  lookup->done.notify();
}

Task<Result<Dialer::Addresses>> Dialer::resolve(const Destination& to, Deadline deadline) {
  if (to.is_address) {
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address(to.host, error);
    if (error) co_return fail(Code::malformed, "that is no address");
    Addresses out{address};
    co_return out;
  }
  if (shared_->lookups >= kLookupsMax) co_return fail(Code::busy, "too many names to resolve");
  auto lookup = std::make_shared<Lookup>(executor_, to.host);
  asio::co_spawn(executor_, look_up(shared_, lookup), asio::detached);
  Alarm alarm(clock_, executor_);
  alarm.set(deadline.at, [lookup] { lookup->done.notify(); });
  co_await lookup->done.wait();
  alarm.stop();
  if (!lookup->known) co_return fail(Code::timed_out, "the name did not resolve in time");
  co_return std::move(lookup->answer);
}

Task<Result<std::unique_ptr<ByteStream>>> Dialer::dial(Destination to, Deadline deadline) {
  auto found = co_await resolve(to, deadline);
  if (!found) co_return fail(std::move(found).error());
  if (!allow_private_) {
    const std::size_t all = found->size();
    std::erase_if(*found, [](const auto& address) { return !is_public(address); });
    if (all > 0 && found->empty()) {
      co_return fail(Code::permission_denied, "the destination is not on the public Internet");
    }
  }
  Error last{Code::unavailable, "the name has no address", {}};
  for (const auto& address : *found) {
    const tcp::endpoint endpoint(address, to.port);
    auto made = co_await connect(clock_, executor_, endpoint, deadline);
    if (made) co_return made;
    last = made.error();
    if (last.code == Code::timed_out) break;
  }
  co_return fail(std::move(last));
}

}  // namespace phase::vcp::gateway
