// session.h — one conversation of a node with its coordinator, both halves, over a byte stream.
// Normative: spec/fleet.md.
//
// The coordinator measures itself what a node could gain by lying about: latency (ping, each
// heartbeat) and bandwidth (probes both ways). What it learns goes to a SessionSink. Streams, clock
// and randomness are passed in, so the same object files serve sockets and the simulation. All
// coroutines run on the executor given; everything belongs to it.
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/random.h"
#include "base/stream.h"
#include "identity/identity.h"
#include "vcp/session/frame.h"

namespace phase::vcp {

/// A node is lost when nothing was heard of it for so many heartbeats; so is a coordinator.
inline constexpr int kHeartbeatsMissedMax = 3;
/// Latency is the median of so many round trips.
inline constexpr std::size_t kLatencySamples = 3;
/// A probe counts when it took so long: shorter ones say more of the scheduler than of the link.
inline constexpr Duration kProbeTimeMin = 20ms;
inline constexpr std::uint64_t kProbeBytesFirst = 64_KiB;  ///< then four times as many
inline constexpr std::uint64_t kProbeGrowth = 4;

struct SessionLimits {
  Duration heartbeat = 5s;      ///< told to the node in `welcome`
  Duration hello_max = 10s;     ///< stream opened → hello complete
  Duration probe_every = 600s;  ///< and once after joining
  Duration probe_max = 5s;      ///< one probe; a slower link has no more than was measured
  std::uint64_t probe_bytes_max = 8_MiB;  ///< one probe in one direction; at most kProbeBytesMax
  std::size_t probes_at_once = 4;     ///< of all nodes: probes that share a link measure each other
  std::size_t sessions_max = 20'000;  ///< more are refused as `full`
  std::size_t pending_max = 1'000;    ///< streams that did not join yet; more are reset
};

/// Frames of a node within one heartbeat, data of a probe that was asked for not counted.
inline constexpr std::uint32_t kFramesPerHeartbeatMax = 16;
/// From a last word to the end of the stream.
inline constexpr Duration kFarewellMax = 2s;

/// What goes through the link, in kbit/s, as the coordinator measured it.
struct MeasuredBandwidth {
  std::uint64_t down_kbps = 0;  ///< coordinator to node
  std::uint64_t up_kbps = 0;    ///< node to coordinator
  [[nodiscard]] std::uint64_t effective_kbps() const noexcept {
    return down_kbps < up_kbps ? down_kbps : up_kbps;
  }
};

enum class GoneReason : std::uint8_t {
  closed,      ///< the connection ended
  silent,      ///< nothing for kHeartbeatsMissedMax heartbeats
  superseded,  ///< the same node came again; `joined` of the new session follows
  dismissed,   ///< by dismiss()
  protocol,    ///< it broke the protocol; the detail says how
  stopped,     ///< this coordinator stops
};
[[nodiscard]] std::string_view gone_name(GoneReason reason) noexcept;

/// What the coordinator does with what sessions learn. Called on the executor, never from inside a
/// call into Sessions except as said. Per node: joined, then the rest in any order, then gone,
/// exactly once; then perhaps joined again.
class SessionSink {
 public:
  virtual ~SessionSink() = default;
  /// May this node join? Form and sizes of `hello` were checked; `key` is whom the transport
  /// authenticated. Absent: welcome. Durable before it returns (the first join binds the key and
  /// uses up the token), and safe to ask again: the node may be lost before it hears the answer.
  [[nodiscard]] virtual Task<std::optional<Refused>> join(Hello hello, identity::PublicKey key) = 0;
  virtual void joined(const NodeName& name, const identity::PublicKey& key, const Hello& hello) = 0;
  /// Signature, order and freshness were checked.
  virtual void telemetry(const NodeName& name, const Telemetry& telemetry) = 0;
  /// A document that is good but for its time: the clocks differ too much. The session goes on.
  virtual void telemetry_refused(const NodeName& name, const Error& why) = 0;
  /// Median of the last kLatencySamples round trips. Each heartbeat.
  virtual void latency(const NodeName& name, Duration round_trip) = 0;
  virtual void bandwidth(const NodeName& name, MeasuredBandwidth measured) = 0;
  /// The node takes no new jobs from now on.
  virtual void draining(const NodeName& name) = 0;
  virtual void gone(const NodeName& name, GoneReason reason, const std::string& detail) = 0;
  /// False while jobs use the node's link or all its places: a probe would disturb them and measure
  /// them. Asked before each probe; asked again a heartbeat later.
  [[nodiscard]] virtual bool may_probe(const NodeName& name) const = 0;
};

/// The coordinator's half: every session with every node.
class Sessions {
 public:
  struct World {
    Clock& clock;
    Random& random;
    SessionSink& sink;
    asio::any_io_executor executor;
  };
  Sessions(World world, SessionLimits limits);
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;
  ~Sessions();  ///< drops what `stop` did not; the sink hears nothing more

  /// Serves one stream of kFleetProtocol to its end. `peer`: whom the transport authenticated.
  /// Whatever the peer does costs this stream only.
  [[nodiscard]] Task<void> serve(std::unique_ptr<ByteStream> stream, identity::PublicKey peer);

  /// Says bye and ends the session, if there is one. `gone` is called from inside.
  void dismiss(const NodeName& name, ByeReason reason);
  /// Measures the bandwidth soon instead of at its time; for instance when a node turns idle.
  void probe_soon(const NodeName& name);
  /// Says bye to all; new ones are refused. `gone` is called from inside, for each.
  void stop();

  [[nodiscard]] std::size_t size() const noexcept;  ///< joined sessions

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the coroutines that serve
};

/// How a session ended, seen by the node.
struct SessionEnd {
  enum class Kind : std::uint8_t {
    refused,  ///< `refused` says why
    bye,      ///< `bye` says why
    lost,     ///< the connection broke or the coordinator fell silent
    left,     ///< this node left, by stop()
  };
  Kind kind = Kind::lost;
  std::optional<Refused> refused;
  std::optional<ByeReason> bye;
  bool joined = false;  ///< it was welcome before it ended
  std::string detail;
};

/// The node's half: one session.
class NodeSession {
 public:
  struct World {
    Clock& clock;
    Random& random;
    const identity::KeyPair& key;
    asio::any_io_executor executor;
    /// Read at each heartbeat; session, sequence and created are filled in here.
    std::function<Telemetry()> measure;
    std::function<void(const Welcome&)> on_welcome = {};
  };
  explicit NodeSession(World world);
  NodeSession(const NodeSession&) = delete;
  NodeSession& operator=(const NodeSession&) = delete;
  ~NodeSession();

  /// Says hello and takes part until the session ends. Call once.
  [[nodiscard]] Task<SessionEnd> run(std::unique_ptr<ByteStream> stream, Hello hello);
  /// Tells the coordinator to send no more. Idempotent; in force for the next hello too.
  void drain();
  /// Leaves: run() returns soon. Idempotent.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the coroutines of run()
};

}  // namespace phase::vcp
