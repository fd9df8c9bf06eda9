#include "vcp/health/telemetry.h"

#include "base/cbor_fields.h"

namespace phase::vcp {
namespace {

constexpr std::uint64_t kVersion = 1;
/// Keys of the map; on the wire, never reused (spec/fleet.md §4).
enum Key : std::uint64_t {
  kKeyVersion = 0,
  kKeySession = 1,
  kKeySequence = 2,
  kKeyCreated = 3,
  kKeyJobsRunning = 4,
  kKeyJobsQueued = 5,
  kKeyCpu = 6,
  kKeyMemory = 7,
  kKeyGpu = 8,
  kKeyTemperature = 9,
  kKeyPower = 10,
  kKeyEnergy = 11,
};
constexpr std::uint64_t kRequiredKeys = 6;

Result<void> take_optional(CborReader& reader, CborMap& map, std::uint64_t key, std::uint64_t max,
                           std::optional<std::uint64_t>& out) {
  if (!map.optional(key)) return {};
  PHASE_TRY(const std::uint64_t value, reader.uint());
  if (value > max) {
    return fail(Code::too_large,
                "telemetry: key " + std::to_string(key) + " is above " + std::to_string(max));
  }
  out = value;
  return {};
}

Result<void> take_temperature(CborReader& reader, CborMap& map, Telemetry& out) {
  if (!map.optional(kKeyTemperature)) return {};
  PHASE_TRY(const std::int64_t value, reader.integer());
  if (value < kMilliCelsiusMin || value > kMilliCelsiusMax) {
    return fail(Code::too_large, "telemetry: a temperature outside of -50 to 200 degrees");
  }
  out.temperature_millicelsius = value;
  return {};
}

}  // namespace

Bytes encode_payload(const Telemetry& telemetry) {
  CborWriter out;
  std::uint64_t count = kRequiredKeys;
  for (const bool there :
       {telemetry.cpu_millipercent.has_value(), telemetry.memory_millipercent.has_value(),
        telemetry.gpu_millipercent.has_value(), telemetry.temperature_millicelsius.has_value(),
        telemetry.power_milliwatts.has_value(), telemetry.energy_millijoules.has_value()}) {
    count += there ? 1 : 0;
  }
  out.map(count).uint(kKeyVersion).uint(kVersion);
  out.uint(kKeySession).uint(telemetry.session).uint(kKeySequence).uint(telemetry.sequence);
  out.uint(kKeyCreated).uint(telemetry.created.unix_ms);
  out.uint(kKeyJobsRunning).uint(telemetry.jobs_running);
  out.uint(kKeyJobsQueued).uint(telemetry.jobs_queued);
  const auto put = [&out](std::uint64_t key, const std::optional<std::uint64_t>& value) {
    if (value) out.uint(key).uint(*value);
  };
  put(kKeyCpu, telemetry.cpu_millipercent);
  put(kKeyMemory, telemetry.memory_millipercent);
  put(kKeyGpu, telemetry.gpu_millipercent);
  if (telemetry.temperature_millicelsius) {
    out.uint(kKeyTemperature).integer(*telemetry.temperature_millicelsius);
  }
  put(kKeyPower, telemetry.power_milliwatts);
  put(kKeyEnergy, telemetry.energy_millijoules);
  return out.take();
}

Result<Telemetry> decode_payload(ByteView payload) {
  if (payload.size() > kTelemetryBytesMax) {
    return fail(Code::too_large, "a telemetry document has at most " +
                                     std::to_string(kTelemetryBytesMax) + " bytes");
  }
  CborReader reader(payload);
  PHASE_TRY(CborMap map, CborMap::open(reader));
  PHASE_TRY(const std::uint64_t version, uint_at(map, kKeyVersion));
  if (version != kVersion) {
    return fail(Code::version_unknown, "telemetry of version " + std::to_string(version));
  }
  Telemetry out;
  PHASE_TRY(out.session, uint_at(map, kKeySession));
  PHASE_TRY(out.sequence, uint_at(map, kKeySequence));
  PHASE_TRY(out.created.unix_ms, uint_at(map, kKeyCreated));
  PHASE_TRY(out.jobs_running, uint_at(map, kKeyJobsRunning, kTelemetryJobsMax));
  PHASE_TRY(out.jobs_queued, uint_at(map, kKeyJobsQueued, kTelemetryJobsMax));
  PHASE_TRY_VOID(take_optional(reader, map, kKeyCpu, kMilliPercentMax, out.cpu_millipercent));
  PHASE_TRY_VOID(take_optional(reader, map, kKeyMemory, kMilliPercentMax, out.memory_millipercent));
  PHASE_TRY_VOID(take_optional(reader, map, kKeyGpu, kMilliPercentMax, out.gpu_millipercent));
  PHASE_TRY_VOID(take_temperature(reader, map, out));
  PHASE_TRY_VOID(take_optional(reader, map, kKeyPower, kMilliWattsMax, out.power_milliwatts));
  PHASE_TRY_VOID(take_optional(reader, map, kKeyEnergy, kMilliJoulesMax, out.energy_millijoules));
  PHASE_TRY_VOID(map.close());
  PHASE_TRY_VOID(reader.finish());
  return out;
}

Bytes seal(const Telemetry& telemetry, const identity::KeyPair& key) {
  return identity::seal(identity::Domain::telemetry, encode_payload(telemetry), key);
}

Result<Telemetry> open_telemetry(ByteView envelope, const identity::PublicKey& key) {
  if (envelope.size() > kTelemetryBytesMax) {
    return fail(Code::too_large, "a telemetry document has at most " +
                                     std::to_string(kTelemetryBytesMax) + " bytes");
  }
  PHASE_TRY(const identity::OpenedEnvelope opened,
            identity::open(identity::Domain::telemetry, envelope));
  if (opened.signer != key) {
    return fail(Code::unauthorized,
                "telemetry signed by " + opened.signer.hex() + ", not by the node that sent it");
  }
  return decode_payload(opened.payload);
}

Result<void> TelemetryOrder::take(const Telemetry& telemetry, UtcTime now) {
  if (telemetry.session != session_) {
    return fail(Code::replayed, "telemetry of another session");
  }
  if (telemetry.sequence <= last_) {
    return fail(Code::replayed, "telemetry " + std::to_string(telemetry.sequence) +
                                    " after telemetry " + std::to_string(last_));
  }
  const std::uint64_t a = telemetry.created.unix_ms, b = now.unix_ms;
  const std::uint64_t apart = a > b ? a - b : b - a;
  const auto most = std::chrono::duration_cast<std::chrono::milliseconds>(kTelemetrySkewMax);
  if (apart > static_cast<std::uint64_t>(most.count())) {
    return fail(Code::expired, "telemetry whose clock is off by " + std::to_string(apart) + " ms",
                "set the clocks of node and coordinator");
  }
  last_ = telemetry.sequence;
  return {};
}

}  // namespace phase::vcp
