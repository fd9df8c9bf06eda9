#include "basics.h"
#include "describe.h"

namespace phase::vectors {
namespace {

json::object good(std::string_view name, const job::Job& job) {
  const Bytes bytes = job::encode(job);
  const job::Salt salt = counting<32>(0x80);
  const bool complete = job::complete(job);
  json::object out{{"name", name}, {"job", to_hex(bytes)}, {"value", describe(job)}};
  out["execution_id"] = nullptr;
  if (complete) {
    const job::ExecutionId id = job::execution_id(job);
    out["execution_id"] = id.hex();
    out["salt"] = to_hex(salt);
    out["salted_execution_id"] = job::salted(salt, id.bytes()).hex();
  }
  out["error"] = nullptr;
  return out;
}

class BadJobs {
 public:
  json::array take() { return std::move(cases_); }
  void add(std::string_view name, const Bytes& bytes, Code code = Code::malformed) {
    cases_.push_back(
        json::object{{"name", name}, {"job", to_hex(bytes)}, {"error", code_name(code)}});
  }
  /// The sample wasm job with one key of its body changed.
  void body(std::string_view name, std::uint64_t key, const Bytes& value,
            Code code = Code::malformed) {
    add(name, patched(wasm_, {{1, patched(value_at(wasm_, 1), {{key, value}})}}), code);
  }
  void inference(std::string_view name, std::uint64_t key, const Bytes& value,
                 Code code = Code::malformed) {
    add(name, patched(inference_, {{1, patched(value_at(inference_, 1), {{key, value}})}}), code);
  }
  [[nodiscard]] const Bytes& wasm() const { return wasm_; }
  [[nodiscard]] Bytes part(std::uint64_t key) const { return value_at(value_at(wasm_, 1), key); }

 private:
  Bytes wasm_ = job::encode(sample_job());
  Bytes inference_ = job::encode(sample_inference());
  json::array cases_;
};

Bytes env_item(std::initializer_list<std::pair<std::string_view, std::string_view>> rows) {
  return item([&](CborWriter& w) {
    w.map(rows.size());
    for (const auto& [name, value] : rows) w.text(name).text(value);
  });
}

Bytes commitment_item(std::uint64_t length) {
  return item(
      [&](CborWriter& w) { w.map(2).uint(0).bytes(Sha256{}.bytes()).uint(1).uint(length); });
}

void add_outline(BadJobs& bad) {
  bad.add("nothing", {});
  bad.add("kind 2", patched(bad.wasm(), {{0, uint_item(2)}}), Code::version_unknown);
  bad.add("a wasm body under kind 1", patched(bad.wasm(), {{0, uint_item(1)}}));
  bad.add("no body", patched(bad.wasm(), {{1, {}}}));
  bad.add("a key too many", patched(bad.wasm(), {{2, uint_item(0)}}));
  Bytes behind = bad.wasm();
  behind.push_back(0xF6);
  bad.add("bytes behind", behind);
  Bytes cut = bad.wasm();
  cut.pop_back();
  bad.add("cut off", cut);
  for (std::uint64_t key = 0; key <= 8; ++key) {
    bad.body("no key " + std::to_string(key), key, {});
  }
  bad.body("an unknown key", 9, uint_item(0));
}

void add_values(BadJobs& bad) {
  const Bytes module = bad.part(0);
  bad.body("module of 0 bytes", 0, patched(module, {{2, uint_item(0)}}));
  bad.body("module above 50 MiB", 0, patched(module, {{2, uint_item(50_MiB + 1)}}),
           Code::too_large);
  bad.body("module id of 31 bytes", 0, patched(module, {{0, bytes_item(Bytes(31))}}));
  bad.body("empty entry", 1, text_item(""));
  bad.body("entry above 4096 bytes", 1, text_item(std::string(4097, 'e')), Code::too_large);
  bad.body("entry as bytes", 1, bytes_item(to_bytes("_start")));
  bad.body("an arg with NUL", 2,
           item([](CborWriter& w) { w.array(1).text(std::string_view("a\0b", 3)); }));
  bad.body("257 args", 2, item([](CborWriter& w) {
             w.array(257);
             for (int i = 0; i < 257; ++i) w.text("");
           }),
           Code::too_large);
  bad.body("stdin above 2^30 bytes", 4, commitment_item((1ULL << 30U) + 1), Code::too_large);
  bad.body("stdin as bytes", 4, bytes_item(to_bytes("hello")));
  bad.body("unknown profile", 6, text_item("det-2"), Code::version_unknown);
  bad.body("clock before 1970", 7, item([](CborWriter& w) { w.integer(-1); }));
  bad.body("seed of 16 bytes", 8, bytes_item(Bytes(16)));
}

void add_env_and_limits(BadJobs& bad) {
  bad.body("env in order of the alphabet, not of the encoding", 3,
           env_item({{"AA", "1"}, {"B", "2"}}));
  bad.body("env name twice", 3, env_item({{"A", "1"}, {"A", "2"}}));
  bad.body("empty env name", 3, env_item({{"", "1"}}));
  bad.body("env name with =", 3, env_item({{"A=B", "1"}}));
  bad.body("env value with NUL", 3, env_item({{"A", std::string_view("\0", 1)}}));
  const Bytes limits = bad.part(5);
  bad.body("fuel 0", 5, patched(limits, {{0, uint_item(0)}}));
  bad.body("memory above 2^32", 5, patched(limits, {{1, uint_item((1ULL << 32U) + 1)}}),
           Code::too_large);
  bad.body("limits without output", 5, patched(limits, {{3, {}}}));
  bad.body("limits with a key too many", 5, patched(limits, {{4, uint_item(1)}}));
}

void add_inference(BadJobs& bad) {
  bad.inference("prompt kind 4", 1, uint_item(4));
  bad.inference("prompt above 16 MiB", 2, commitment_item(16_MiB + 1), Code::too_large);
  bad.inference("sampling without seed", 3, {0xA0});
  bad.inference("sampling with a float", 3, from_hex("a2000001f93c00").value());
  bad.inference("0 tokens", 4, uint_item(0));
  bad.inference("17 stops", 6, item([](CborWriter& w) {
                  w.array(17);
                  for (int i = 0; i < 17; ++i) w.text("s");
                }),
                Code::too_large);
  bad.inference("an unknown key of inference", 8, uint_item(0));
}

}  // namespace

json::value job_vectors() {
  json::array cases;
  cases.push_back(good("wasm job", sample_job()));
  job::WasmJob streamed = sample_job();
  streamed.stdin_commitment.reset();
  cases.push_back(good("streamed stdin", streamed));
  job::WasmJob least;
  least.module = job::reference(Bytes{0});
  least.stdin_commitment = job::commit({});
  cases.push_back(good("least job", least));
  job::WasmJob env = sample_job();
  env.env = {{"ZZ", ""}, {"B", "\xC3\xBC"}, {"AAA", "="}, {"\xC3\xBC", "x"}};
  env.profile = job::Profile::det_1;
  env.limits = {UINT64_MAX, job::kMemoryBytesMax, UINT64_MAX, UINT64_MAX};
  env.clock_start_ns = UINT64_MAX;
  cases.push_back(good("env in encoding order, profile det-1, largest limits", env));
  cases.push_back(good("inference job", sample_inference()));
  job::InferenceJob guided = sample_inference();
  guided.prompt.reset();
  guided.prompt_kind = job::PromptKind::text;
  guided.grammar = job::commit(as_bytes("root ::= \"yes\""));
  guided.sampling = {};
  guided.sampling.repeat_last_n = INT64_MIN;
  cases.push_back(good("streamed prompt with a grammar", guided));
  BadJobs bad;
  add_outline(bad);
  add_values(bad);
  add_env_and_limits(bad);
  add_inference(bad);
  for (json::value& c : bad.take()) cases.push_back(std::move(c));
  return file("job", "spec/job.md", std::move(cases));
}

}  // namespace phase::vectors
