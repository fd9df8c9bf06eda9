#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "base/check.h"
#include "vcp/session/sessions_internal.h"

namespace phase::vcp {

std::string_view gone_name(GoneReason reason) noexcept {
  switch (reason) {
    case GoneReason::closed:
      return "closed";
    case GoneReason::silent:
      return "silent";
    case GoneReason::superseded:
      return "superseded";
    case GoneReason::dismissed:
      return "dismissed";
    case GoneReason::protocol:
      return "protocol";
    case GoneReason::stopped:
      return "stopped";
  }
  check_failed(__FILE__, __LINE__, "reason is known", {});
}

void Sessions::State::spawn(Task<void> task) {
  asio::co_spawn(world.executor, std::move(task), asio::detached);
}

void Sessions::State::end(const std::shared_ptr<Session>& session, GoneReason reason,
                          const std::string& detail, std::optional<ByeReason> bye) {
  if (session->ended) return;
  session->ended = true;
  session->probe.reset();
  session->probe_moved.notify();
  if (bye) {
    spawn(Line::farewell(session->line, Bye{*bye}));
    session->alarm.set(world.clock.now() + kFarewellMax,
                       [line = session->line] { line->stream->reset(); });
  } else {
    session->alarm.stop();
    session->line->stream->reset();
  }
  const auto found = joined.find(session->name);
  if (found != joined.end() && found->second == session) joined.erase(found);
  if (!closed) world.sink.gone(session->name, reason, detail);
}

void Sessions::State::broken(const std::shared_ptr<Session>& session, const std::string& detail) {
  end(session, GoneReason::protocol, detail, ByeReason::protocol);
}

void Sessions::State::beat(const std::shared_ptr<Session>& session) {
  const Instant now = world.clock.now();
  if (now - session->heard > limits.heartbeat * kHeartbeatsMissedMax) {
    end(session, GoneReason::silent, "nothing for 3 heartbeats", std::nullopt);
    return;
  }
  session->frames = 0;
  if (!session->ping) {
    session->ping = {draw(), now, !session->probe};
    spawn(Line::tell(session->line, Ping{session->ping->nonce}));
  }
  session->alarm.set(now + limits.heartbeat,
                     [weak = weak_from_this(), held = std::weak_ptr<Session>(session)] {
                       const auto self = weak.lock();
                       const auto due = held.lock();
                       if (self && due && !due->ended) self->beat(due);
                     });
}

void Sessions::State::take_pong(const std::shared_ptr<Session>& session, const Pong& pong) {
  if (!session->ping || session->ping->nonce != pong.nonce) {
    broken(session, "a pong without a ping");
    return;
  }
  const PingOut ping = *session->ping;
  session->ping.reset();
  if (!ping.counts || session->probe) return;
  auto& samples = session->round_trips;
  samples.push_back(world.clock.now() - ping.sent);
  if (samples.size() > kLatencySamples) samples.erase(samples.begin());
  world.sink.latency(session->name, session->round_trip());
  if (session->probing || world.clock.now() < session->next_probe) return;
  if (!world.sink.may_probe(session->name)) return;
  session->probing = true;
  spawn(probe_both(shared_from_this(), session));
}

void Sessions::State::take_telemetry(const std::shared_ptr<Session>& session,
                                     const TelemetryFrame& frame) {
  const Result<Telemetry> telemetry = open_telemetry(frame.envelope, session->key);
  if (!telemetry) {
    broken(session, telemetry.error().message);
    return;
  }
  const Result<void> in_order = session->order.take(*telemetry, world.clock.now_utc());
  if (in_order) {
    world.sink.telemetry(session->name, *telemetry);
  } else if (in_order.error().code == Code::expired) {
    world.sink.telemetry_refused(session->name, in_order.error());
  } else {
    broken(session, in_order.error().message);
  }
}

void Sessions::State::take(const std::shared_ptr<Session>& session, const FleetFrame& frame) {
  session->heard = world.clock.now();
  if (const auto* const piece = std::get_if<ProbeData>(&frame)) {
    take_piece(session, *piece);
    return;
  }
  if (++session->frames > kFramesPerHeartbeatMax) {
    broken(session, "too many frames within a heartbeat");
    return;
  }
  if (const auto* const telemetry = std::get_if<TelemetryFrame>(&frame)) {
    take_telemetry(session, *telemetry);
  } else if (const auto* const pong = std::get_if<Pong>(&frame)) {
    take_pong(session, *pong);
  } else if (const auto* const last = std::get_if<ProbeEnd>(&frame)) {
    take_probe_end(session, *last);
  } else if (std::holds_alternative<Draining>(frame)) {
    world.sink.draining(session->name);
  } else {
    broken(session, "a frame out of place");
  }
}

/// Hello, read in time.
Task<Result<Hello>> Sessions::State::hear_hello(std::shared_ptr<State> self,
                                                std::shared_ptr<Line> line) {
  Alarm alarm(self->world.clock, self->world.executor);
  alarm.set(self->world.clock.now() + self->limits.hello_max, [line] { line->stream->reset(); });
  ByteStream& stream = *line->stream;
  Result<FleetFrame> frame = co_await read_fleet(stream);
  alarm.stop();
  if (!frame) co_return fail(frame.error());
  auto* const hello = std::get_if<Hello>(&*frame);
  if (hello == nullptr) co_return fail(Code::protocol, "the first frame is not hello");
  co_return std::move(*hello);
}

/// Absent: welcome.
Task<std::optional<Refused>> Sessions::State::decide(std::shared_ptr<State> self, Hello hello,
                                                     identity::PublicKey peer) {
  if (self->stopped) {
    co_return Refused{RefusalReason::shutting_down, "the coordinator stops; try again later"};
  }
  if (self->joined.size() >= self->limits.sessions_max) {
    co_return Refused{RefusalReason::full, "the coordinator has all the nodes it can serve"};
  }
  std::optional<Refused> refused = co_await self->world.sink.join(std::move(hello), peer);
  if (!refused && self->stopped) {
    co_return Refused{RefusalReason::shutting_down, "the coordinator stops; try again later"};
  }
  co_return refused;
}

/// Reads on until the other side ends too, so that closing does not overtake the last word.
Task<void> Sessions::State::read_out(std::shared_ptr<State> self, std::shared_ptr<Line> line) {
  Alarm alarm(self->world.clock, self->world.executor);
  alarm.set(self->world.clock.now() + kFarewellMax, [line] { line->stream->reset(); });
  ByteStream& stream = *line->stream;
  std::vector<std::uint8_t> rest(4096);
  while (true) {
    const std::span<std::uint8_t> room(rest);
    const Result<std::size_t> count = co_await stream.read(room);
    if (!count || *count == 0) break;
  }
  alarm.stop();
}

std::shared_ptr<Sessions::State::Session> Sessions::State::admit(std::shared_ptr<Line> line,
                                                                 const Hello& hello,
                                                                 const identity::PublicKey& peer,
                                                                 std::uint64_t number) {
  const auto before = joined.find(hello.name);
  if (before != joined.end()) {
    const std::shared_ptr<Session> old = before->second;
    end(old, GoneReason::superseded, "the node joined again", ByeReason::superseded);
  }
  auto session = std::make_shared<Session>(world, std::move(line), hello.name, peer, number);
  session->heard = world.clock.now();
  joined[hello.name] = session;
  world.sink.joined(hello.name, peer, hello);
  if (hello.draining && !session->ended) world.sink.draining(hello.name);
  return session;
}

Task<void> Sessions::State::serve(std::shared_ptr<State> self, std::unique_ptr<ByteStream> stream,
                                  identity::PublicKey peer) {
  auto line = std::make_shared<Line>(self->world.executor, std::move(stream));
  if (self->pending >= self->limits.pending_max) {
    line->stream->reset();
    co_return;
  }
  ++self->pending;
  Result<Hello> hello = co_await hear_hello(self, line);
  if (!hello || self->closed) {
    --self->pending;
    line->stream->reset();
    co_return;
  }
  Hello asked = *hello;
  const std::optional<Refused> refused = co_await decide(self, std::move(asked), peer);
  --self->pending;
  if (self->closed) co_return;
  if (refused) {
    FleetFrame no = *refused;
    co_await Line::farewell(line, std::move(no));
    co_await read_out(self, line);
    co_return;
  }
  const std::uint64_t number = self->draw();
  const auto beat_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(self->limits.heartbeat);
  FleetFrame yes = Welcome{hello->name, static_cast<std::uint64_t>(beat_ms.count()), number};
  const Result<void> said = co_await Line::say(line, std::move(yes));
  if (!said || self->closed || self->stopped) {
    line->stream->reset();
    co_return;
  }
  const std::shared_ptr<Session> session = self->admit(line, *hello, peer, number);
  if (!session->ended) self->beat(session);
  co_await listen(self, session);
  const bool was_told = session->ended;
  if (was_told) co_await read_out(self, line);
}

Task<void> Sessions::State::listen(std::shared_ptr<State> self, std::shared_ptr<Session> session) {
  while (!session->ended) {
    ByteStream& from = *session->line->stream;
    const Result<FleetFrame> frame = co_await read_fleet(from);
    if (session->ended) co_return;
    if (frame) {
      self->take(session, *frame);
      continue;
    }
    const Code why = frame.error().code;
    if (why == Code::connection_closed || why == Code::cancelled) {
      self->end(session, GoneReason::closed, frame.error().message, std::nullopt);
    } else {
      self->broken(session, frame.error().message);
    }
  }
}

std::uint64_t Sessions::State::draw() {
  const auto bytes = world.random.array<8>();
  std::uint64_t out = 0;
  for (const std::uint8_t byte : bytes) out = (out << 8U) | byte;
  return out;
}

Sessions::Sessions(World world, SessionLimits limits)
    : state_(std::make_shared<State>(world, limits)) {
  PHASE_CHECK(limits.probe_bytes_max >= 1 && limits.probe_bytes_max <= kProbeBytesMax);
}

Sessions::~Sessions() {
  state_->closed = true;
  const auto all = state_->joined;
  for (const auto& [name, session] : all) {
    state_->end(session, GoneReason::stopped, {}, std::nullopt);
  }
}

Task<void> Sessions::serve(std::unique_ptr<ByteStream> stream, identity::PublicKey peer) {
  return State::serve(state_, std::move(stream), peer);
}

void Sessions::dismiss(const NodeName& name, ByeReason reason) {
  const auto found = state_->joined.find(name);
  if (found == state_->joined.end()) return;
  const std::shared_ptr<State::Session> session = found->second;
  state_->end(session, GoneReason::dismissed, std::string(bye_name(reason)), reason);
}

void Sessions::probe_soon(const NodeName& name) {
  const auto found = state_->joined.find(name);
  if (found != state_->joined.end()) found->second->next_probe = state_->world.clock.now();
}

void Sessions::stop() {
  state_->stopped = true;
  const auto all = state_->joined;
  for (const auto& [name, session] : all) {
    state_->end(session, GoneReason::stopped, "the coordinator stops", ByeReason::shutting_down);
  }
}

std::size_t Sessions::size() const noexcept {
  return state_->joined.size();
}

}  // namespace phase::vcp
