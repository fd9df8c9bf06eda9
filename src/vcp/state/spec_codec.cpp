#include "vcp/state/spec_codec.h"

#include "base/cbor.h"

namespace phase::vcp {
namespace {

constexpr std::uint64_t kVersion = 1;

void encode_connect(const ConnectWish& wish, CborWriter& writer) {
  writer.array(4).uint(wish.seconds).uint(wish.mbps);
  writer.uint(static_cast<std::uint64_t>(wish.egress)).text(wish.policy);
}

Result<ConnectWish> decode_connect(CborReader& reader) {
  PHASE_TRY(const std::uint64_t parts, reader.array());
  if (parts != 4) return fail(Code::malformed, "a task row with another wish to connect");
  ConnectWish out;
  PHASE_TRY(out.seconds, reader.uint());
  PHASE_TRY(out.mbps, reader.uint());
  PHASE_TRY(const std::uint64_t egress, reader.uint());
  if (egress > static_cast<std::uint64_t>(Egress::metered_general_egress)) {
    return fail(Code::malformed, "a task row with an egress of a newer program");
  }
  out.egress = static_cast<Egress>(egress);
  PHASE_TRY(const std::string_view policy, reader.text());
  out.policy = policy;
  return out;
}

}  // namespace

Bytes encode_spec(const Spec& spec) {
  const Requirements& wants = spec.requirements;
  CborWriter writer;
  writer.map(10U + (wants.deadline ? 1U : 0U) + (wants.allow_peers ? 1U : 0U));
  writer.uint(0).uint(kVersion);
  writer.uint(1).uint(wants.min_nodes);
  writer.uint(2).uint(wants.max_execution_seconds);
  writer.uint(3).boolean(wants.gpu);
  writer.uint(4).uint(wants.health_min_permille);
  writer.uint(5).uint(wants.bandwidth_kbps_min);
  writer.uint(6).uint(wants.latency_us_max);
  writer.uint(7).array(2).uint(wants.cpu_cores).uint(wants.memory_mb);
  writer.uint(8).text(wants.region);
  if (!spec.connect) writer.uint(9).bytes(job::encode(job::Job(spec.work.job)));
  if (wants.deadline) writer.uint(10).uint(wants.deadline->unix_ms);
  if (wants.allow_peers) writer.uint(11).boolean(true);
  if (spec.connect) {
    writer.uint(12);
    encode_connect(*spec.connect, writer);
  }
  return writer.take();
}

Result<void> decode_spec(ByteView bytes, Spec& spec) {
  CborReader reader(bytes);
  PHASE_TRY(CborMap map, CborMap::open(reader));
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(const std::uint64_t version, at->uint());
  if (version != kVersion) return fail(Code::version_unknown, "a task row of a newer program");
  Requirements& wants = spec.requirements;
  const auto number = [&](std::uint64_t key) -> Result<std::uint64_t> {
    PHASE_TRY(CborReader * value, map.required(key));
    return value->uint();
  };
  PHASE_TRY(const std::uint64_t nodes, number(1));
  wants.min_nodes = static_cast<std::uint32_t>(nodes);
  PHASE_TRY(wants.max_execution_seconds, number(2));
  PHASE_TRY(at, map.required(3));
  PHASE_TRY(wants.gpu, at->boolean());
  PHASE_TRY(const std::uint64_t health, number(4));
  wants.health_min_permille = static_cast<std::uint32_t>(health);
  PHASE_TRY(wants.bandwidth_kbps_min, number(5));
  PHASE_TRY(wants.latency_us_max, number(6));
  PHASE_TRY(at, map.required(7));
  PHASE_TRY(const std::uint64_t parts, at->array());
  if (parts != 2) return fail(Code::malformed, "a task row with another machine");
  PHASE_TRY(const std::uint64_t cores, at->uint());
  wants.cpu_cores = static_cast<std::uint32_t>(cores);
  PHASE_TRY(wants.memory_mb, at->uint());
  PHASE_TRY(at, map.required(8));
  PHASE_TRY(const std::string_view region, at->text());
  wants.region = region;
  const bool runs = map.optional(9);
  if (runs) {
    PHASE_TRY(const ByteView encoded, reader.bytes());
    PHASE_TRY(job::Job work, job::decode(encoded));
    if (!std::holds_alternative<job::WasmJob>(work)) {
      return fail(Code::malformed, "a task row with a job of another kind");
    }
    spec.work.job = std::get<job::WasmJob>(std::move(work));
  }
  if (map.optional(10)) {
    PHASE_TRY(const std::uint64_t deadline, reader.uint());
    wants.deadline = UtcTime{deadline};
  }
  wants.allow_peers = false;
  if (map.optional(11)) {
    PHASE_TRY(wants.allow_peers, reader.boolean());
    if (!wants.allow_peers) return fail(Code::malformed, "a task row that says what it leaves out");
  }
  spec.connect.reset();
  if (map.optional(12)) {
    PHASE_TRY(spec.connect, decode_connect(reader));
  }
  if (runs == spec.connect.has_value()) {
    return fail(Code::malformed, "a task row with a job and a wish to connect, or with neither");
  }
  PHASE_TRY_VOID(map.close());
  return reader.finish();
}

}  // namespace phase::vcp
