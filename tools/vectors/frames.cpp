#include "basics.h"
#include "describe.h"

namespace phase::vectors {
namespace {

json::object good(std::string_view name, const offer::Frame& frame) {
  return {{"name", name},
          {"bytes", to_hex(offer::encode(frame))},
          {"value", describe(frame)},
          {"error", nullptr}};
}

/// `frame` is type and body; the length in front is right.
json::object bad(std::string_view name, std::string_view frame, Code code = Code::malformed) {
  const Bytes rest = from_hex(frame).value();
  Bytes bytes(4);
  for (std::size_t i = 0; i < 4; ++i) {
    bytes[i] = static_cast<std::uint8_t>(rest.size() >> (24 - 8 * i));
  }
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  return {{"name", name}, {"bytes", to_hex(bytes)}, {"error", code_name(code)}};
}

json::object bad_bytes(std::string_view name, std::string_view bytes, Code code) {
  return {{"name", name}, {"bytes", bytes}, {"error", code_name(code)}};
}

void add_good(json::array& cases) {
  const manifest::SignedManifest asked = manifest::sign(sample_manifest(), requester());
  const receipt::Receipt receipt =
      sample_receipt(asked, job::commit(sample_input()), summary_of(sample_transcript()));
  cases.push_back(good("open", offer::Open{asked.envelope, 0, {}, false}));
  cases.push_back(
      good("open with everything", offer::Open{asked.envelope, 65'536, counting<32>(0x80), true}));
  cases.push_back(good("accepted", offer::Accepted{asked.id, false}));
  cases.push_back(good("accepted, module held", offer::Accepted{asked.id, true}));
  for (int reason = 0; reason <= static_cast<int>(offer::RejectionReason::shutting_down);
       ++reason) {
    const auto r = static_cast<offer::RejectionReason>(reason);
    cases.push_back(good("rejected: " + std::string(offer::rejection_name(r)),
                         offer::Rejected{r, "for people", {}}));
  }
  cases.push_back(
      good("rejected, try later", offer::Rejected{offer::RejectionReason::busy, "", 1500}));
  cases.push_back(good("module", offer::ModuleData{sample_module()}));
  cases.push_back(good("module_end", offer::ModuleEnd{}));
  cases.push_back(good("stdin", offer::StdinData{sample_input()}));
  cases.push_back(good("stdin_end", offer::StdinEnd{}));
  cases.push_back(good("output", offer::Output{sample_transcript()[0]}));
  cases.push_back(good("output on stderr", offer::Output{sample_transcript()[1]}));
  cases.push_back(good("progress", offer::Progress{"running", 1, 2}));
  cases.push_back(good(
      "checkpoint",
      offer::CheckpointFrame{
          receipt::sign(receipt::Checkpoint{asked.id, 0, receipt.output}, provider()).envelope}));
  cases.push_back(good("heartbeat", offer::Heartbeat{}));
  cases.push_back(
      good("receipt", offer::ReceiptFrame{receipt::sign(receipt, provider()).envelope}));
  cases.push_back(good("cancel", offer::Cancel{}));
  cases.push_back(
      good("commit",
           offer::CommitFrame{receipt::sign(receipt::Commit{asked.id, {}}, provider()).envelope}));
  cases.push_back(good("reveal from the requester", offer::Reveal{}));
  cases.push_back(good("reveal from the provider", offer::Reveal{counting<32>(0xA0)}));
  cases.push_back(good("end", offer::End{}));
}

offer::Capabilities sample_node() {
  offer::Capabilities node;
  node.created = sample_manifest().created;
  node.expires = {node.created.unix_ms + 300'000};
  node.agent = "plasmd/0.1.0";
  node.arch = "x86_64";
  node.cpu_cores = 8;
  node.memory_bytes = 16ULL << 30U;
  node.kinds = {"wasm"};
  node.runtime = "wasmtime-48";
  node.region = "eu";
  node.models = {Sha256{counting<32>(0x40)}};
  node.jobs_running = 1;
  node.jobs_max = 4;
  node.isolation = {"landlock", "rlimits", "seccomp"};
  node.open = true;
  return node;
}

/// Of a node document: its value, and what a reader says at some moments and of another sender.
json::object node_case() {
  const offer::Capabilities node = sample_node();
  const Bytes envelope = offer::seal(node, provider());
  json::array moments;
  for (const std::int64_t offset : {-120'001, -120'000, 0, 299'999, 300'000}) {
    const UtcTime now{
        static_cast<std::uint64_t>(static_cast<std::int64_t>(node.created.unix_ms) + offset)};
    moments.push_back(json::object{
        {"now", now.unix_ms},
        {"error", error_of(offer::open_capabilities(envelope, provider().public_key(), now))}});
  }
  json::object out = good("node", offer::NodeFrame{envelope});
  out["node"] = describe(node);
  out["peer"] = provider().public_key().hex();
  out["times"] = moments;
  return out;
}

void add_bad(json::array& cases) {
  cases.push_back(bad_bytes("length 0", "00000000", Code::malformed));
  cases.push_back(bad_bytes("length above 98304", "0001800110", Code::too_large));
  cases.push_back(bad_bytes("length 2^32 - 1", "ffffffff10", Code::too_large));
  cases.push_back(bad_bytes("ends inside the length", "0000", Code::connection_closed));
  cases.push_back(bad_bytes("ends before the body", "0000000210", Code::connection_closed));
  cases.push_back(bad_bytes("nothing", "", Code::connection_closed));
  cases.push_back(bad("type 0", "00"));
  cases.push_back(bad("type 17", "11"));
  cases.push_back(bad("type 255", "ff"));
  cases.push_back(bad("end with a body", "1000"));
  cases.push_back(bad("cancel with a body", "0da0"));
  cases.push_back(bad("open without manifest", "01a0"));
  cases.push_back(bad("open with checkpoint interval 0",
                      "01a200410001"
                      "00"));
  cases.push_back(bad("open with commit-reveal false", "01a200410003f4"));
  cases.push_back(bad("open with a short salt", "01a2004100024100"));
  cases.push_back(bad("open with an unknown key", "01a20041000400"));
  cases.push_back(bad("open with bytes behind", "01a100410000"));
  cases.push_back(bad("accepted without module held", "02a1005820" + std::string(64, '0')));
  cases.push_back(bad("rejected for an unknown reason", "03a200636e6f770160"));
  cases.push_back(bad("output of stream 0", "080061"));
  cases.push_back(bad("output of stream 3", "080361"));
  cases.push_back(bad("output without a stream", "08"));
  cases.push_back(bad("output of no bytes", "0801"));
  cases.push_back(bad("module of no bytes", "04"));
  cases.push_back(bad("receipt of no bytes", "0c"));
  cases.push_back(bad("progress without total", "09a2006772756e6e696e670100"));
  cases.push_back(bad("reveal with a short nonce", "0fa1004100"));
}

}  // namespace

json::value frame_vectors() {
  json::array cases;
  add_good(cases);
  cases.push_back(node_case());
  add_bad(cases);
  return file("job-stream", "spec/job-stream.md", std::move(cases));
}

}  // namespace phase::vectors
