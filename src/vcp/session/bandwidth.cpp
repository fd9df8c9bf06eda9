// How much goes through a node's link, measured by the coordinator in both directions.
#include "vcp/session/sessions_internal.h"

namespace phase::vcp {
namespace {

/// What is left of `elapsed` when the way there and back is taken off. At least a quarter: a round
/// trip that shrank meanwhile must not make a link endlessly wide.
Duration net_of(Duration elapsed, Duration round_trip) {
  return std::max({elapsed - round_trip, elapsed / 4, Duration{1us}});
}

std::uint64_t kbps_of(std::uint64_t bytes, Duration time) {
  const double seconds = std::chrono::duration<double>(time).count();
  const double kbps = static_cast<double>(bytes) * 8 / 1000 / seconds;
  return static_cast<std::uint64_t>(std::min(kbps, static_cast<double>(kFleetBandwidthKbpsMax)));
}

}  // namespace

void Sessions::State::take_piece(const std::shared_ptr<Session>& session, const ProbeData& piece) {
  if (std::ranges::count(session->given_up, piece.nonce) > 0) return;
  if (!session->probe || session->probe->probe.nonce != piece.nonce ||
      session->probe->probe.direction != ProbeDirection::up) {
    broken(session, "data of no probe");
    return;
  }
  ProbeRun& run = *session->probe;
  run.received += piece.data.size();
  if (run.received > run.probe.bytes) {
    broken(session, "a probe too long");
  } else if (run.received == run.probe.bytes) {
    run.last_piece = sha256(piece.data);
  }
}

void Sessions::State::take_probe_end(const std::shared_ptr<Session>& session,
                                     const ProbeEnd& last) {
  if (std::ranges::count(session->given_up, last.nonce) > 0) return;
  if (!session->probe || session->probe->probe.nonce != last.nonce) {
    broken(session, "the end of no probe");
    return;
  }
  ProbeRun& run = *session->probe;
  const bool all = run.probe.direction == ProbeDirection::down || run.received == run.probe.bytes;
  if (!all || last.bytes != run.probe.bytes || last.last_piece != run.last_piece) {
    broken(session, "a probe answered before it was through");
    return;
  }
  run.complete = true;
  session->probe_moved.notify();
}

/// False when the stream broke.
Task<bool> Sessions::State::send_pieces(std::shared_ptr<State> self,
                                        std::shared_ptr<Session> session, Probe probe) {
  ProbeSource source(self->world.random, probe.nonce, probe.bytes);
  while (!source.done() && session->probe) {
    ProbeData piece = source.next();
    // Known before it is sent: the answer can come before the write returns.
    if (source.done() && session->probe) session->probe->last_piece = source.last_piece();
    FleetFrame frame = std::move(piece);
    const Result<void> sent = co_await Line::say(session->line, std::move(frame));
    if (!sent || session->ended) co_return false;
  }
  co_return true;
}

/// How long one probe took; absent when the session ended or it took too long.
Task<std::optional<Duration>> Sessions::State::probe_once(std::shared_ptr<State> self,
                                                          std::shared_ptr<Session> session,
                                                          Probe probe) {
  session->probe = ProbeRun{probe, 0, {}, false};
  const Instant began = self->world.clock.now();
  Alarm alarm(self->world.clock, self->world.executor);
  alarm.set(began + self->limits.probe_max, [weak = std::weak_ptr<Session>(session)] {
    if (const auto late = weak.lock(); late && late->probe) {
      if (late->given_up.size() >= kGivenUp) late->given_up.erase(late->given_up.begin());
      late->given_up.push_back(late->probe->probe.nonce);
      late->probe.reset();
      late->probe_moved.notify();
    }
  });
  FleetFrame ask = probe;
  const Result<void> asked = co_await Line::say(session->line, std::move(ask));
  if (!asked || session->ended) co_return std::nullopt;
  if (probe.direction == ProbeDirection::down) {
    const bool sent = co_await send_pieces(self, session, probe);
    if (!sent) co_return std::nullopt;
  }
  while (session->probe && !session->probe->complete && !session->ended) {
    const bool woken = co_await session->probe_moved.wait();
    if (!woken) co_return std::nullopt;
  }
  alarm.stop();
  const bool complete = session->probe && session->probe->complete;
  session->probe.reset();
  if (!complete) co_return std::nullopt;
  co_return self->world.clock.now() - began;
}

/// In kbit/s. Probes grow until one takes long enough to tell.
Task<std::optional<std::uint64_t>> Sessions::State::measure(std::shared_ptr<State> self,
                                                            std::shared_ptr<Session> session,
                                                            ProbeDirection direction) {
  std::uint64_t bytes = std::min(kProbeBytesFirst, self->limits.probe_bytes_max);
  while (true) {
    Probe probe{self->draw(), bytes, direction};
    const std::optional<Duration> took = co_await probe_once(self, session, probe);
    if (session->ended || self->closed) co_return std::nullopt;
    // Slower than the patience for it: no more than this goes through.
    if (!took) co_return kbps_of(bytes, self->limits.probe_max);
    const Duration round_trip = session->round_trip();
    if (*took - round_trip >= kProbeTimeMin || bytes >= self->limits.probe_bytes_max) {
      co_return kbps_of(bytes, net_of(*took, round_trip));
    }
    bytes = std::min(bytes * kProbeGrowth, self->limits.probe_bytes_max);
  }
}

Task<void> Sessions::State::probe_both(std::shared_ptr<State> self,
                                       std::shared_ptr<Session> session) {
  const bool entered = co_await self->probes.enter();
  if (!entered) co_return;
  std::optional<std::uint64_t> down, up;
  if (!session->ended) {
    down = co_await measure(self, session, ProbeDirection::down);
  }
  if (down && !session->ended) {
    up = co_await measure(self, session, ProbeDirection::up);
  }
  self->probes.leave();
  session->probing = false;
  session->next_probe = self->world.clock.now() + self->limits.probe_every;
  if (down && up && !session->ended && !self->closed) {
    self->world.sink.bandwidth(session->name, {*down, *up});
  }
}

}  // namespace phase::vcp
