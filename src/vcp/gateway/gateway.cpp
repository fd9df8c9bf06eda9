#include "vcp/gateway/gateway.h"

#include <algorithm>
#include <set>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/event.h"
#include "base/waiters.h"
#include "vcp/gateway/channel_internal.h"
#include "vcp/gateway/relay.h"
#include "vcp/gateway/session_book.h"

namespace phase::vcp::gateway {
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr int kBacklog = 512;
/// After an accept that failed (no descriptors left) we wait this long.
constexpr Duration kAcceptPause = 100ms;
/// Of a refused client, read and dropped so that it sees the answer.
constexpr std::size_t kLingerBytesMax = 64_KiB;
constexpr std::uint64_t kBytesPerMegabit = 125'000;
constexpr std::string_view kOk = "OK\n";

using SocketPtr = std::shared_ptr<tcp::socket>;

void close(tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.close(ignored);
}

/// The word of an ERROR line.
std::string_view refusal_word(Code code) {
  switch (code) {
    case Code::unauthorized:
      return "denied";
    case Code::permission_denied:
      return "destination";
    case Code::busy:
      return "busy";
    case Code::timed_out:
      return "timeout";
    case Code::malformed:
    case Code::too_large:
      return "malformed";
    default:
      return "unreachable";
  }
}

struct Opening {
  Handshake handshake;
  Bytes early;  ///< what came behind the line
};

/// Reads as much as comes, but no more than a line may have, and not after `deadline`.
Task<Result<Opening>> read_opening(ByteStream& client, Clock& clock, Deadline deadline) {
  Bytes bytes(kHandshakeBytesMax);
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const std::span<std::uint8_t> room = std::span(bytes).subspan(filled);
    const auto count = co_await client.read(room);
    if (clock.now() >= deadline.at) co_return fail(Code::timed_out, "no line came in time");
    if (!count) co_return fail(count.error());
    if (*count == 0) co_return fail(Code::malformed, "no line came");
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(filled);
    const auto end = begin + static_cast<std::ptrdiff_t>(*count);
    filled += *count;
    const auto newline = std::find(begin, end, std::uint8_t{'\n'});
    if (newline == end) continue;
    std::string_view line = as_text({bytes.begin(), newline});
    if (line.ends_with('\r')) line.remove_suffix(1);
    Opening out;
    PHASE_CO_TRY(out.handshake, parse_handshake(line));
    out.early.assign(newline + 1, end);
    co_return out;
  }
  co_return fail(Code::too_large, "the first line is longer than 4 KiB");
}

}  // namespace

struct Gateway::State : std::enable_shared_from_this<State> {
  State(World with, GatewayOptions chosen)
      : world(with),
        options(std::move(chosen)),
        dialer(with.clock, with.executor, options.resolver, options.allow_private),
        acceptor(with.executor),
        idle(with.clock, with.executor) {}

  /// One of the places of connections that are not relays; given back when it goes.
  struct Place {
    Place(std::shared_ptr<State> of, SocketPtr with, boost::asio::ip::address where);
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place();
    std::shared_ptr<State> state;  // shared with all that this gateway does
    SocketPtr socket;              // shared with the channel that reads from it
    boost::asio::ip::address address;
    Deadline deadline;
  };
  /// A relay and what its session must still say.
  struct Live {
    std::shared_ptr<Relay> relay;
    std::string session;
    Sha256 token;
    Destination destination;
    Instant since;
  };

  Result<void> listen();
  static Task<void> accept_loop(std::shared_ptr<State> self);
  static Task<void> serve(std::unique_ptr<Place> place);
  [[nodiscard]] Task<Result<std::unique_ptr<ByteStream>>> greet(const Place& place);
  [[nodiscard]] Task<Result<Opening>> hear(const Place& place, ByteStream& client);
  [[nodiscard]] Task<Result<std::unique_ptr<ByteStream>>> reach(const Handshake& handshake);
  [[nodiscard]] Result<const Session*> admit(const Handshake& handshake) const;
  [[nodiscard]] Task<void> refuse(const Place& place, ByteStream& client, const Error& why);
  [[nodiscard]] Task<void> carry(std::unique_ptr<ByteStream> client,
                                 std::unique_ptr<ByteStream> server, Opening opening);
  void ended(std::uint64_t number, Relay::End end);
  [[nodiscard]] std::shared_ptr<SessionFlow> flow_of(const Session& session);
  void settle();
  void replace(std::vector<Session> sessions);
  void close_all();

  World world;
  GatewayOptions options;
  SessionBook book;
  Dialer dialer;
  tcp::acceptor acceptor;
  Waiters idle;
  std::map<std::string, std::shared_ptr<SessionFlow>> flows;  // of sessions that were used
  std::map<std::uint64_t, Live> relays;
  std::set<SocketPtr> opening;                           // not relays yet
  std::map<boost::asio::ip::address, std::size_t> from;  // of those
  std::uint64_t begun = 0, refused = 0;
  bool stopping = false;
};

Gateway::State::Place::Place(std::shared_ptr<State> of, SocketPtr with,
                             boost::asio::ip::address where)
    : state(std::move(of)),
      socket(std::move(with)),
      address(std::move(where)),
      deadline(state->world.clock.deadline_after(state->options.limits.handshake_max)) {
  state->opening.insert(socket);
  ++state->from[address];
}

Gateway::State::Place::~Place() {
  state->opening.erase(socket);
  const auto count = state->from.find(address);
  if (count != state->from.end() && --count->second == 0) state->from.erase(count);
  state->idle.notify_all();
}

Result<void> Gateway::State::listen() {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(options.address, error);
  if (error) {
    return fail(Code::invalid_argument, "\"" + printable(options.address, 64) + "\" is no address",
                "--listen 0.0.0.0:7000");
  }
  const tcp::endpoint endpoint(address, options.port);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(kBacklog, error);
  if (!error) return {};
  const std::string what = "cannot listen on " + options.address + ":" +
                           std::to_string(options.port) + ": " + error.message();
  if (error == asio::error::address_in_use) return fail(Code::already_exists, what);
  if (error == asio::error::access_denied) return fail(Code::permission_denied, what);
  return fail(Code::io, what);
}

Task<void> Gateway::State::accept_loop(std::shared_ptr<State> self) {
  const GatewayLimits& limits = self->options.limits;
  while (!self->stopping) {
    auto [error, socket] = co_await self->acceptor.async_accept(kAwait);
    if (self->stopping) co_return;
    if (error) {
      const auto slept = co_await self->world.clock.sleep_for(kAcceptPause);
      if (!slept) co_return;
      continue;
    }
    boost::system::error_code gone;
    const auto address = socket.remote_endpoint(gone).address();
    if (gone) continue;
    const auto count = self->from.find(address);
    const std::size_t of_address = count == self->from.end() ? 0 : count->second;
    if (self->opening.size() >= limits.handshakes_max ||
        of_address >= limits.handshakes_per_address_max) {
      ++self->refused;
      continue;  // a word to it would need the place that there is not
    }
    socket.set_option(tcp::no_delay(true), gone);  // only slower when it fails
    auto held = std::make_shared<tcp::socket>(std::move(socket));
    auto place = std::make_unique<Place>(self, std::move(held), address);
    asio::co_spawn(self->world.executor, serve(std::move(place)), asio::detached);
  }
}

Task<Result<std::unique_ptr<ByteStream>>> Gateway::State::greet(const Place& place) {
  SocketPtr socket = place.socket;
  if (!options.tls) co_return plain_channel(std::move(socket));
  Alarm alarm(world.clock, world.executor);
  alarm.set(place.deadline.at, [socket] { close(*socket); });
  auto out = co_await tls_channel(socket, *options.tls);
  alarm.stop();
  co_return out;
}

Task<Result<Opening>> Gateway::State::hear(const Place& place, ByteStream& client) {
  const SocketPtr socket = place.socket;
  Alarm alarm(world.clock, world.executor);
  alarm.set(place.deadline.at, [socket] {
    boost::system::error_code ignored;
    socket->cancel(ignored);  // stays open for the answer
  });
  auto out = co_await read_opening(client, world.clock, place.deadline);
  alarm.stop();
  co_return out;
}

Result<const Session*> Gateway::State::admit(const Handshake& handshake) const {
  PHASE_TRY(const Session* session, book.admit(handshake, world.clock.now_utc()));
  const auto flow = flows.find(handshake.session_id);
  if (relays.size() >= options.limits.relays_max ||
      (flow != flows.end() && flow->second->live >= options.limits.relays_per_session_max)) {
    return fail(Code::busy, "too many relays; close one, or try again later");
  }
  return session;
}

Task<Result<std::unique_ptr<ByteStream>>> Gateway::State::reach(const Handshake& handshake) {
  const auto session = admit(handshake);
  if (!session) co_return fail(session.error());
  const Deadline deadline = world.clock.deadline_after(options.limits.connect_max);
  Destination to = handshake.destination;
  auto server = co_await dialer.dial(std::move(to), deadline);
  if (!server) co_return server;
  const auto again = admit(handshake);  // much may have happened since
  if (!again) co_return fail(again.error());
  co_return server;
}

Task<void> Gateway::State::refuse(const Place& place, ByteStream& client, const Error& why) {
  ++refused;
  world.log.debug("refused {}: {}", place.address.to_string(), why.message);
  if (why.code == Code::connection_closed) co_return;
  const SocketPtr socket = place.socket;
  Alarm alarm(world.clock, world.executor);
  alarm.set(world.clock.now() + options.limits.linger_max, [socket] { close(*socket); });
  const std::string line =
      "ERROR " + std::string(refusal_word(why.code)) + ": " + why.message + "\n";
  const auto written = co_await client.write(as_bytes(line));
  client.close_write();
  Bytes waste(kHandshakeBytesMax);
  std::size_t dropped = 0;
  bool more = written.has_value();
  while (more && dropped < kLingerBytesMax) {
    const std::span<std::uint8_t> room(waste);
    const auto count = co_await client.read(room);
    more = count && *count > 0;
    if (more) dropped += *count;
  }
  alarm.stop();
}

Task<void> Gateway::State::serve(std::unique_ptr<Place> place) {
  const std::shared_ptr<State> self = place->state;
  auto client = co_await self->greet(*place);
  if (!client) {
    ++self->refused;
    co_return;
  }
  auto opening = co_await self->hear(*place, **client);
  if (!opening) {
    co_await self->refuse(*place, **client, opening.error());
    co_return;
  }
  auto server = co_await self->reach(opening->handshake);
  if (!server) {
    co_await self->refuse(*place, **client, server.error());
    co_return;
  }
  if (self->opening.erase(place->socket) == 0) co_return;  // everything is closed
  place.reset();
  co_await self->carry(*std::move(client), *std::move(server), *std::move(opening));
}

std::shared_ptr<SessionFlow> Gateway::State::flow_of(const Session& session) {
  auto& flow = flows[session.id];
  if (flow == nullptr) {
    flow = std::make_shared<SessionFlow>();
    flow->up = flow->down = TokenBucket(session.mbps * kBytesPerMegabit);
  }
  return flow;
}

Task<void> Gateway::State::carry(std::unique_ptr<ByteStream> client,
                                 std::unique_ptr<ByteStream> server, Opening said) {
  const auto self = shared_from_this();
  const Session* const session = book.find(said.handshake.session_id);
  if (session == nullptr) co_return;  // admitted just now, so it is there
  auto flow = flow_of(*session);
  const Relay::Options how{options.limits.idle_max, session->expires};
  ByteStream& to_client = *client;
  auto relay = std::make_shared<Relay>(world.clock, world.executor, std::move(client),
                                       std::move(server), flow, how);
  const std::uint64_t number = ++begun;
  relays.emplace(number, Live{relay, said.handshake.session_id, said.handshake.token,
                              said.handshake.destination, world.clock.now()});
  ++flow->relays;
  ++flow->live;
  world.log.info("relay {} begins: session={} destination={}", number,
                 printable(said.handshake.session_id), said.handshake.destination.text());
  const auto greeted = co_await to_client.write(as_bytes(kOk));
  if (!greeted) relay->cut(Relay::End::broken);
  const Relay::End end = co_await Relay::run(relay, std::move(said.early));
  --flow->live;
  ended(number, end);
}

void Gateway::State::ended(std::uint64_t number, Relay::End end) {
  const auto found = relays.find(number);
  const Live& live = found->second;
  const std::chrono::duration<double> lasted = world.clock.now() - live.since;
  world.log.info(
      "relay {} ended: session={} destination={} reason={} up_bytes={} down_bytes={} "
      "seconds={:.3f}",
      number, printable(live.session), live.destination.text(), relay_end_name(end),
      live.relay->bytes_up(), live.relay->bytes_down(), lasted.count());
  relays.erase(found);
  settle();
  idle.notify_all();
}

/// Says what sessions that are over have relayed.
void Gateway::State::settle() {
  const UtcTime now = world.clock.now_utc();
  std::erase_if(flows, [this, now](const auto& entry) {
    const auto& [id, flow] = entry;
    const Session* const session = book.find(id);
    const bool over = stopping || session == nullptr || now >= session->expires;
    if (!over || flow->live > 0) return false;
    world.log.info("session ended: session={} relays={} up_bytes={} down_bytes={}", printable(id),
                   flow->relays, flow->bytes_up, flow->bytes_down);
    return true;
  });
}

void Gateway::State::replace(std::vector<Session> sessions) {
  book.replace(std::move(sessions));
  for (auto& [number, live] : relays) {
    const Session* const session = book.find(live.session);
    const bool stands =
        session != nullptr && session->token == live.token && session->allows(live.destination);
    if (stands) {
      live.relay->set_expiry(session->expires);
    } else {
      live.relay->cut(Relay::End::revoked);
    }
  }
  for (auto& [id, flow] : flows) {
    const Session* const session = book.find(id);
    if (session == nullptr) continue;
    flow->up.set_rate(session->mbps * kBytesPerMegabit);
    flow->down.set_rate(session->mbps * kBytesPerMegabit);
  }
  settle();
}

void Gateway::State::close_all() {
  stopping = true;
  boost::system::error_code ignored;
  acceptor.close(ignored);
  for (const SocketPtr& socket : opening) close(*socket);
  opening.clear();
  for (auto& [number, live] : relays) live.relay->cut(Relay::End::stopped);
}

Gateway::Gateway(std::shared_ptr<State> state) : state_(std::move(state)) {}

Gateway::~Gateway() {
  state_->close_all();
  state_->dialer.stop();
}

Result<std::unique_ptr<Gateway>> Gateway::start(World world, GatewayOptions options,
                                                std::vector<Session> sessions) {
  auto state = std::make_shared<State>(world, std::move(options));
  PHASE_TRY_VOID(state->listen());
  state->book.replace(std::move(sessions));
  asio::co_spawn(world.executor, State::accept_loop(state), asio::detached);
  return std::unique_ptr<Gateway>(new Gateway(std::move(state)));
}

std::uint16_t Gateway::port() const noexcept {
  boost::system::error_code ignored;
  return state_->acceptor.local_endpoint(ignored).port();
}

void Gateway::replace_sessions(std::vector<Session> sessions) {
  state_->replace(std::move(sessions));
}

void Gateway::stop_accepting() {
  state_->stopping = true;
  boost::system::error_code ignored;
  state_->acceptor.close(ignored);
}

Task<void> Gateway::drain(Deadline deadline) {
  const std::shared_ptr<State> state = state_;
  stop_accepting();
  while (!(state->relays.empty() && state->opening.empty()) &&
         state->world.clock.now() < deadline.at) {
    const bool woken = co_await state->idle.wait(deadline);
    if (!woken) co_return;
  }
  state->close_all();
  // What was cut ends by itself: each wait of a relay is short, and no new one begins.
  while (!state->relays.empty()) {
    const bool woken = co_await state->idle.wait();
    if (!woken) co_return;
  }
  state->settle();
}

Gateway::Figures Gateway::figures() const noexcept {
  return {state_->book.size(), state_->opening.size(), state_->relays.size(), state_->begun,
          state_->refused};
}

}  // namespace phase::vcp::gateway
