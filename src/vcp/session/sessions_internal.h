// sessions_internal.h — the coordinator's half: what it keeps of each session. Private to this
// folder.
#pragma once

#include <map>
#include <vector>

#include "vcp/session/line_internal.h"
#include "vcp/session/session.h"

namespace phase::vcp {

struct Sessions::State : std::enable_shared_from_this<State> {
  /// What may still arrive of probes that were given up.
  static constexpr std::size_t kGivenUp = 8;

  /// A probe under way in one direction.
  struct ProbeRun {
    Probe probe;
    std::uint64_t received = 0;  ///< up: bytes so far
    Sha256 last_piece;           ///< down: what the node must know; up: of what came last
    bool complete = false;
  };
  struct PingOut {
    std::uint64_t nonce;
    Instant sent;
    bool counts;  ///< false beside a probe: it only says that both are there
  };
  struct Session {
    Session(const World& world, std::shared_ptr<Line> with, NodeName of,
            const identity::PublicKey& by, std::uint64_t number)
        : line(std::move(with)),
          name(std::move(of)),
          key(by),
          order(number),
          alarm(world.clock, world.executor),
          probe_moved(world.executor) {}
    /// Median of the last samples; there is at least one.
    [[nodiscard]] Duration round_trip() const {
      std::vector<Duration> sorted = round_trips;
      std::sort(sorted.begin(), sorted.end());
      return sorted[sorted.size() / 2];
    }

    std::shared_ptr<Line> line;
    NodeName name;
    identity::PublicKey key;
    TelemetryOrder order;
    Alarm alarm;  // each heartbeat; after the end, the last word's
    Instant heard, next_probe;
    std::optional<PingOut> ping;
    std::vector<Duration> round_trips;  // at most kLatencySamples
    std::uint32_t frames = 0;           // within this heartbeat
    bool probing = false;
    std::optional<ProbeRun> probe;
    std::vector<std::uint64_t> given_up;  // nonces of probes that took too long; at most kGivenUp
    Event probe_moved;
    bool ended = false;
  };

  State(World with, SessionLimits chosen)
      : world(with), limits(chosen), probes(with.executor, chosen.probes_at_once) {}

  void spawn(Task<void> task);
  [[nodiscard]] std::uint64_t draw();
  /// Idempotent. With `bye` the node is told.
  void end(const std::shared_ptr<Session>& session, GoneReason reason, const std::string& detail,
           std::optional<ByeReason> bye);
  void broken(const std::shared_ptr<Session>& session, const std::string& detail);
  void beat(const std::shared_ptr<Session>& session);

  void take(const std::shared_ptr<Session>& session, const FleetFrame& frame);
  void take_pong(const std::shared_ptr<Session>& session, const Pong& pong);
  void take_telemetry(const std::shared_ptr<Session>& session, const TelemetryFrame& frame);
  void take_piece(const std::shared_ptr<Session>& session, const ProbeData& piece);
  void take_probe_end(const std::shared_ptr<Session>& session, const ProbeEnd& last);

  static Task<void> serve(std::shared_ptr<State> self, std::unique_ptr<ByteStream> stream,
                          identity::PublicKey peer);
  static Task<Result<Hello>> hear_hello(std::shared_ptr<State> self, std::shared_ptr<Line> line);
  static Task<std::optional<Refused>> decide(std::shared_ptr<State> self, Hello hello,
                                             identity::PublicKey peer);
  static Task<void> read_out(std::shared_ptr<State> self, std::shared_ptr<Line> line);
  static Task<void> listen(std::shared_ptr<State> self, std::shared_ptr<Session> session);
  [[nodiscard]] std::shared_ptr<Session> admit(std::shared_ptr<Line> line, const Hello& hello,
                                               const identity::PublicKey& peer,
                                               std::uint64_t number);

  // ── Bandwidth (bandwidth.cpp) ──
  static Task<void> probe_both(std::shared_ptr<State> self, std::shared_ptr<Session> session);
  static Task<std::optional<std::uint64_t>> measure(std::shared_ptr<State> self,
                                                    std::shared_ptr<Session> session,
                                                    ProbeDirection direction);
  static Task<std::optional<Duration>> probe_once(std::shared_ptr<State> self,
                                                  std::shared_ptr<Session> session, Probe probe);
  static Task<bool> send_pieces(std::shared_ptr<State> self, std::shared_ptr<Session> session,
                                Probe probe);

  World world;
  SessionLimits limits;
  std::map<NodeName, std::shared_ptr<Session>> joined;
  Turnstile probes;
  std::size_t pending = 0;  // streams that did not join yet
  bool stopped = false;
  bool closed = false;  // the sink is gone
};

}  // namespace phase::vcp
