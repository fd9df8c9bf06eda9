#include "vcp/session/frame.h"

#include <algorithm>

#include "base/cbor_fields.h"
#include "base/check.h"
#include "base/framing.h"

namespace phase::vcp {
namespace {

/// Values are on the wire; never reused (spec/fleet.md §2).
enum class FrameType : std::uint8_t {
  hello = 1,
  telemetry = 2,
  pong = 3,
  probe_data = 4,
  probe_end = 5,
  draining = 6,
  welcome = 16,
  refused = 17,
  ping = 18,
  probe = 19,
  bye = 20,
};

// ── Writing ──

FrameType write_body(CborWriter& out, const Hello& hello) {
  std::uint64_t count = 9;
  for (const bool there :
       {hello.join_token.has_value(), hello.observability_port.has_value(), hello.draining}) {
    count += there ? 1 : 0;
  }
  out.map(count).uint(0).text(hello.name).uint(1).text(hello.region).uint(2).text(hello.type);
  if (hello.join_token) out.uint(3).text(*hello.join_token);
  out.uint(4).uint(hello.cpu_cores).uint(5).uint(hello.memory_bytes).uint(6).boolean(hello.gpu);
  out.uint(7).uint(hello.bandwidth_claimed_kbps).uint(8).uint(hello.jobs_max);
  out.uint(9).text(hello.agent);
  if (hello.observability_port) out.uint(10).uint(*hello.observability_port);
  if (hello.draining) out.uint(11).boolean(true);
  return FrameType::hello;
}
FrameType write_body(CborWriter& out, const Welcome& welcome) {
  out.map(3).uint(0).text(welcome.name).uint(1).uint(welcome.heartbeat_ms);
  out.uint(2).uint(welcome.session);
  return FrameType::welcome;
}
FrameType write_body(CborWriter& out, const Refused& refused) {
  out.map(2).uint(0).uint(static_cast<std::uint64_t>(refused.reason)).uint(1).text(refused.text);
  return FrameType::refused;
}
FrameType write_body(CborWriter& out, const Ping& ping) {
  out.map(1).uint(0).uint(ping.nonce);
  return FrameType::ping;
}
FrameType write_body(CborWriter& out, const Pong& pong) {
  out.map(1).uint(0).uint(pong.nonce);
  return FrameType::pong;
}
FrameType write_body(CborWriter& out, const TelemetryFrame& telemetry) {
  out.map(1).uint(0).bytes(telemetry.envelope);
  return FrameType::telemetry;
}
FrameType write_body(CborWriter& out, const Probe& probe) {
  out.map(3).uint(0).uint(probe.nonce).uint(1).uint(probe.bytes);
  out.uint(2).uint(static_cast<std::uint64_t>(probe.direction));
  return FrameType::probe;
}
FrameType write_body(CborWriter& out, const ProbeData& piece) {
  out.map(2).uint(0).uint(piece.nonce).uint(1).bytes(piece.data);
  return FrameType::probe_data;
}
FrameType write_body(CborWriter& out, const ProbeEnd& end) {
  out.map(3).uint(0).uint(end.nonce).uint(1).uint(end.bytes).uint(2).bytes(end.last_piece.bytes());
  return FrameType::probe_end;
}
FrameType write_body(CborWriter& out, const Draining&) {
  out.map(0);
  return FrameType::draining;
}
FrameType write_body(CborWriter& out, const Bye& bye) {
  out.map(1).uint(0).uint(static_cast<std::uint64_t>(bye.reason));
  return FrameType::bye;
}

// ── Reading ──

Result<std::string> text_at(CborMap& map, std::uint64_t key, std::size_t least, std::size_t most) {
  PHASE_TRY(CborReader * at, map.required(key));
  PHASE_TRY(const std::string_view text, at->text());
  if (text.size() < least || text.size() > most) {
    return fail(Code::malformed, "fleet frame: key " + std::to_string(key) + " has " +
                                     std::to_string(least) + " to " + std::to_string(most) +
                                     " bytes");
  }
  return std::string(text);
}

Result<NodeName> name_at(CborMap& map, std::uint64_t key) {
  PHASE_TRY(std::string name, text_at(map, key, 1, kNodeNameBytesMax));
  PHASE_TRY_VOID(check_node_name(name));
  return name;
}

/// 1 … `last` of an enumeration.
Result<std::uint64_t> choice_at(CborMap& map, std::uint64_t key, std::uint64_t last) {
  PHASE_TRY(const std::uint64_t value, uint_at(map, key));
  if (value < 1 || value > last) {
    return fail(Code::malformed, "fleet frame: key " + std::to_string(key) + " is unknown");
  }
  return value;
}

Result<FleetFrame> read_hello(CborReader& reader, CborMap& map) {
  Hello out;
  PHASE_TRY(out.name, name_at(map, 0));
  PHASE_TRY(out.region, text_at(map, 1, 1, kRegionBytesMax));
  PHASE_TRY(out.type, text_at(map, 2, 1, kRegionBytesMax));
  if (map.optional(3)) {
    PHASE_TRY(const std::string_view token, reader.text());
    if (token.empty() || token.size() > kJoinTokenBytesMax) {
      return fail(Code::malformed, "a join token has 1 to 128 bytes");
    }
    out.join_token = token;
  }
  PHASE_TRY(out.cpu_cores, uint_at(map, 4, kFleetCoresMax));
  PHASE_TRY(out.memory_bytes, uint_at(map, 5, kFleetMemoryBytesMax));
  PHASE_TRY(CborReader * at_gpu, map.required(6));
  PHASE_TRY(out.gpu, at_gpu->boolean());
  PHASE_TRY(out.bandwidth_claimed_kbps, uint_at(map, 7, kFleetBandwidthKbpsMax));
  PHASE_TRY(out.jobs_max, uint_at(map, 8, kTelemetryJobsMax));
  PHASE_TRY(out.agent, text_at(map, 9, 0, kFleetTextBytesMax));
  if (map.optional(10)) {
    PHASE_TRY(const std::uint64_t port, reader.uint());
    if (port < 1 || port > 65'535) return fail(Code::malformed, "a port is 1 to 65535");
    out.observability_port = static_cast<std::uint16_t>(port);
  }
  if (map.optional(11)) {
    PHASE_TRY(out.draining, reader.boolean());
    if (!out.draining) return fail(Code::malformed, "hello: draining is true or absent");
  }
  return out;
}

Result<FleetFrame> read_welcome(CborMap& map) {
  Welcome out;
  PHASE_TRY(out.name, name_at(map, 0));
  PHASE_TRY(out.heartbeat_ms, uint_at(map, 1, kHeartbeatMsMax));
  if (out.heartbeat_ms < kHeartbeatMsMin) {
    return fail(Code::malformed, "a heartbeat is at least 100 ms");
  }
  PHASE_TRY(out.session, uint_at(map, 2));
  return out;
}

Result<FleetFrame> read_refused(CborMap& map) {
  constexpr auto kLast = static_cast<std::uint64_t>(RefusalReason::shutting_down);
  Refused out;
  PHASE_TRY(const std::uint64_t reason, choice_at(map, 0, kLast));
  out.reason = static_cast<RefusalReason>(reason);
  PHASE_TRY(out.text, text_at(map, 1, 0, kFleetTextBytesMax));
  return out;
}

Result<FleetFrame> read_telemetry(CborMap& map) {
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(const ByteView envelope, at->bytes());
  if (envelope.size() > kTelemetryBytesMax) {
    return fail(Code::too_large, "a telemetry document is too large");
  }
  return TelemetryFrame{to_bytes(envelope)};
}

Result<FleetFrame> read_probe(CborMap& map) {
  Probe out;
  PHASE_TRY(out.nonce, uint_at(map, 0));
  PHASE_TRY(out.bytes, uint_at(map, 1, kProbeBytesMax));
  if (out.bytes == 0) return fail(Code::malformed, "a probe of 0 bytes");
  PHASE_TRY(const std::uint64_t way, choice_at(map, 2, 2));
  out.direction = static_cast<ProbeDirection>(way);
  return out;
}

Result<FleetFrame> read_probe_data(CborMap& map) {
  ProbeData out;
  PHASE_TRY(out.nonce, uint_at(map, 0));
  PHASE_TRY(CborReader * at, map.required(1));
  PHASE_TRY(const ByteView data, at->bytes());
  if (data.empty() || data.size() > kProbePieceBytes) {
    return fail(Code::malformed, "a piece of a probe has 1 to 65536 bytes");
  }
  out.data = to_bytes(data);
  return out;
}

Result<FleetFrame> read_probe_end(CborMap& map) {
  ProbeEnd out;
  PHASE_TRY(out.nonce, uint_at(map, 0));
  PHASE_TRY(out.bytes, uint_at(map, 1, kProbeBytesMax));
  PHASE_TRY(out.last_piece, hash_at<Sha256>(map, 2));
  return out;
}

Result<FleetFrame> read_body(FrameType type, CborReader& reader, CborMap& map) {
  switch (type) {
    case FrameType::hello:
      return read_hello(reader, map);
    case FrameType::telemetry:
      return read_telemetry(map);
    case FrameType::pong: {
      PHASE_TRY(const std::uint64_t nonce, uint_at(map, 0));
      return Pong{nonce};
    }
    case FrameType::probe_data:
      return read_probe_data(map);
    case FrameType::probe_end:
      return read_probe_end(map);
    case FrameType::draining:
      return Draining{};
    case FrameType::welcome:
      return read_welcome(map);
    case FrameType::refused:
      return read_refused(map);
    case FrameType::ping: {
      PHASE_TRY(const std::uint64_t nonce, uint_at(map, 0));
      return Ping{nonce};
    }
    case FrameType::probe:
      return read_probe(map);
    case FrameType::bye: {
      PHASE_TRY(const std::uint64_t reason,
                choice_at(map, 0, static_cast<std::uint64_t>(ByeReason::protocol)));
      return Bye{static_cast<ByeReason>(reason)};
    }
  }
  return fail(Code::malformed, "a fleet frame of an unknown type");
}

}  // namespace

std::string_view refusal_name(RefusalReason reason) noexcept {
  switch (reason) {
    case RefusalReason::unknown_node:
      return "unknown_node";
    case RefusalReason::token_needed:
      return "token_needed";
    case RefusalReason::token_wrong:
      return "token_wrong";
    case RefusalReason::key_wrong:
      return "key_wrong";
    case RefusalReason::rejected:
      return "rejected";
    case RefusalReason::full:
      return "full";
    case RefusalReason::shutting_down:
      return "shutting_down";
  }
  check_failed(__FILE__, __LINE__, "reason is known", {});
}

bool refusal_retryable(RefusalReason reason) noexcept {
  return reason == RefusalReason::full || reason == RefusalReason::shutting_down;
}

std::string_view bye_name(ByeReason reason) noexcept {
  switch (reason) {
    case ByeReason::superseded:
      return "superseded";
    case ByeReason::removed:
      return "removed";
    case ByeReason::rejected:
      return "rejected";
    case ByeReason::shutting_down:
      return "shutting_down";
    case ByeReason::protocol:
      return "protocol";
  }
  check_failed(__FILE__, __LINE__, "reason is known", {});
}

Bytes encode(const FleetFrame& frame) {
  CborWriter body;
  const FrameType type =
      std::visit([&body](const auto& some) { return write_body(body, some); }, frame);
  Bytes out{static_cast<std::uint8_t>(type)};
  out.insert(out.end(), body.view().begin(), body.view().end());
  return framed(out);
}

Result<FleetFrame> decode_fleet(ByteView type_and_body) {
  if (type_and_body.empty()) return fail(Code::malformed, "a frame of 0 bytes");
  if (type_and_body.size() > kFleetFrameBytesMax) {
    return fail(Code::too_large, "a fleet frame is too large");
  }
  CborReader reader(type_and_body.subspan(1));
  PHASE_TRY(CborMap map, CborMap::open(reader));
  PHASE_TRY(FleetFrame frame, read_body(static_cast<FrameType>(type_and_body[0]), reader, map));
  PHASE_TRY_VOID(map.close());
  PHASE_TRY_VOID(reader.finish());
  return frame;
}

Task<Result<FleetFrame>> read_fleet(ByteStream& stream) {
  const Result<Bytes> bytes = co_await read_framed(stream, kFleetFrameBytesMax);
  if (!bytes) co_return fail(bytes.error());
  co_return decode_fleet(*bytes);
}

Task<Result<void>> write_fleet(ByteStream& stream, FleetFrame frame) {
  const Bytes bytes = encode(frame);
  co_return co_await stream.write(bytes);
}

}  // namespace phase::vcp
