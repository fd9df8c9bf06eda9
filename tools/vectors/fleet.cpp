#include "basics.h"
#include "vcp/session/frame.h"

namespace phase::vectors {
namespace {

using namespace vcp;  // NOLINT(google-build-using-namespace): the documents of this file

json::object frame_case(std::string_view name, const FleetFrame& frame) {
  return {{"name", name}, {"kind", "frame"}, {"bytes", to_hex(encode(frame))}, {"error", nullptr}};
}

Hello sample_hello() {
  Hello out;
  out.name = "node-us-1";
  out.region = "us-west";
  out.type = "compute";
  out.cpu_cores = 8;
  out.memory_bytes = 4ULL << 30U;
  out.bandwidth_claimed_kbps = 500'000;
  out.jobs_max = 8;
  out.agent = "ambient-vcp/0.1.0";
  return out;
}

Telemetry sample_telemetry() {
  Telemetry out;
  out.session = 0x0123456789abcdef;
  out.sequence = 1;
  out.created = {1'767'225'600'000};
  return out;
}

Telemetry full_telemetry() {
  Telemetry out = sample_telemetry();
  out.sequence = 2;
  out.cpu_millipercent = 12'500;
  out.memory_millipercent = 50'000;
  out.gpu_millipercent = 0;
  out.temperature_millicelsius = -4'250;
  out.power_milliwatts = 65'000;
  out.energy_millijoules = 1'300'000;
  out.jobs_running = 2;
  out.jobs_queued = 1;
  return out;
}

void add_frames(json::array& cases) {
  Hello hello = sample_hello();
  cases.push_back(frame_case("hello", hello));
  hello.join_token = "jt_example";
  hello.gpu = true;
  hello.observability_port = 9090;
  hello.draining = true;
  cases.push_back(frame_case("hello with everything", hello));
  cases.push_back(frame_case("welcome", Welcome{"node-us-1", 5000, 0x0123456789abcdef}));
  cases.push_back(frame_case("refused", Refused{RefusalReason::token_wrong, "not its token"}));
  cases.push_back(frame_case("ping", Ping{1}));
  cases.push_back(frame_case("pong", Pong{0xffffffffffffffff}));
  cases.push_back(frame_case("telemetry", TelemetryFrame{seal(full_telemetry(), provider())}));
  cases.push_back(frame_case("probe down", Probe{7, 65'536, ProbeDirection::down}));
  cases.push_back(frame_case("probe up", Probe{8, 1, ProbeDirection::up}));
  cases.push_back(frame_case("probe_data", ProbeData{8, Bytes(1, 'a')}));
  cases.push_back(frame_case("probe_end", ProbeEnd{8, 1, sha256(Bytes(1, 'a'))}));
  cases.push_back(frame_case("draining", Draining{}));
  cases.push_back(frame_case("bye", Bye{ByeReason::superseded}));
}

void add_bad_frames(json::array& cases) {
  const auto add = [&cases](std::string_view name, const FleetFrame& frame, Code code) {
    json::object bad = frame_case(name, frame);
    bad["error"] = code_name(code);
    cases.push_back(std::move(bad));
  };
  Hello hello = sample_hello();
  hello.name = "a b";
  add("a name with a space", hello, Code::invalid_argument);
  hello = sample_hello();
  hello.region.clear();
  add("an empty region", hello, Code::malformed);
  hello = sample_hello();
  hello.cpu_cores = kFleetCoresMax + 1;
  add("too many cores", hello, Code::too_large);
  add("a heartbeat of 99 ms", Welcome{"a", 99, 0}, Code::malformed);
  add("an unknown refusal", Refused{static_cast<RefusalReason>(8), ""}, Code::malformed);
  add("a probe of nothing", Probe{1, 0, ProbeDirection::up}, Code::malformed);
  add("a probe too long", Probe{1, kProbeBytesMax + 1, ProbeDirection::up}, Code::too_large);
  add("an empty piece", ProbeData{1, {}}, Code::malformed);
  add("telemetry too large", TelemetryFrame{Bytes(kTelemetryBytesMax + 1)}, Code::too_large);
  add("an unknown farewell", Bye{static_cast<ByeReason>(6)}, Code::malformed);
  json::object unknown{{"name", "an unknown type"},
                       {"kind", "frame"},
                       {"bytes", "0000000263a0"},
                       {"error", code_name(Code::malformed)}};
  cases.push_back(std::move(unknown));
}

json::object telemetry_case(std::string_view name, const Bytes& payload, const json::value& error) {
  return {{"name", name},
          {"kind", "telemetry"},
          {"payload", to_hex(payload)},
          {"envelope", to_hex(identity::seal(identity::Domain::telemetry, payload, provider()))},
          {"signer", provider().public_key().hex()},
          {"error", error}};
}

void add_telemetry(json::array& cases) {
  cases.push_back(
      telemetry_case("telemetry of nothing", encode_payload(sample_telemetry()), nullptr));
  const Bytes full = encode_payload(full_telemetry());
  cases.push_back(telemetry_case("telemetry of everything", full, nullptr));
  const auto bad = [&cases, &full](std::string_view name, std::uint64_t key, Bytes value,
                                   Code code) {
    const Bytes bent = patched(full, {{key, std::move(value)}});
    cases.push_back(telemetry_case(name, bent, json::value(code_name(code))));
  };
  bad("telemetry of version 2", 0, uint_item(2), Code::version_unknown);
  bad("telemetry without a sequence", 2, {}, Code::malformed);
  bad("more than 100 percent", 6, uint_item(kMilliPercentMax + 1), Code::too_large);
  bad("hotter than 200 degrees", 9, uint_item(200'001), Code::too_large);
  bad("an unknown key", 12, uint_item(0), Code::malformed);
}

}  // namespace

json::value fleet_vectors() {
  json::array cases;
  add_frames(cases);
  add_bad_frames(cases);
  add_telemetry(cases);
  return file("fleet", "spec/fleet.md", std::move(cases));
}

}  // namespace phase::vectors
