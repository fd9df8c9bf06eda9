#include "basics.h"
#include "describe.h"

namespace phase::vectors {
namespace {

using identity::Domain;
using receipt::CompletionKind;

receipt::Receipt first_receipt() {
  return sample_receipt(manifest::sign(sample_manifest(), requester()), job::commit(sample_input()),
                        summary_of(sample_transcript()));
}

json::object good(std::string_view name, const receipt::Receipt& value) {
  const receipt::SignedReceipt signed_receipt = receipt::sign(value, provider());
  return {{"name", name},
          {"kind", "receipt"},
          {"seed", to_hex(provider().seed())},
          {"envelope", to_hex(signed_receipt.envelope)},
          {"payload", to_hex(receipt::encode_payload(value))},
          {"provider", provider().public_key().hex()},
          {"value", describe(value)},
          {"error", nullptr}};
}

json::object statement(std::string_view name, std::string_view kind, const Bytes& envelope,
                       json::object value) {
  return {{"name", name},
          {"kind", kind},
          {"envelope", to_hex(envelope)},
          {"provider", provider().public_key().hex()},
          {"value", std::move(value)},
          {"error", nullptr}};
}

class BadReceipts {
 public:
  json::array take() { return std::move(cases_); }
  void add(std::string_view name, const Bytes& envelope, Code code = Code::malformed,
           std::string_view kind = "receipt") {
    cases_.push_back(json::object{{"name", name},
                                  {"kind", kind},
                                  {"envelope", to_hex(envelope)},
                                  {"error", code_name(code)}});
  }
  void changed(std::string_view name, const std::map<std::uint64_t, Bytes>& changes,
               Code code = Code::malformed) {
    add(name, identity::seal(Domain::receipt, patched(payload_, changes), provider()), code);
  }
  void hex(std::string_view name, std::uint64_t key, std::string_view value,
           Code code = Code::malformed) {
    changed(name, {{key, from_hex(value).value()}}, code);
  }
  [[nodiscard]] const Bytes& payload() const { return payload_; }

 private:
  Bytes payload_ = receipt::encode_payload(first_receipt());
  json::array cases_;
};

void add_forms(BadReceipts& bad) {
  bad.changed("version 1", {{0, uint_item(1)}}, Code::version_unknown);
  for (const std::uint64_t key : {0U, 1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U, 9U, 12U}) {
    bad.changed("no key " + std::to_string(key), {{key, {}}});
  }
  bad.changed("an unknown key", {{14, uint_item(0)}});
  bad.changed("job id of 31 bytes", {{1, bytes_item(Bytes(31))}});
  bad.changed("job kind 2", {{3, uint_item(2)}}, Code::version_unknown);
  bad.changed("subject without sha256", {{4, patched(value_at(bad.payload(), 4), {{1, {}}})}});
  bad.changed("unknown profile", {{8, text_item("slow")}}, Code::version_unknown);
  bad.hex("private: false", 11, "f4");
  bad.hex("fuel null", 10, "f6");
  bad.hex("evidence that is empty", 13, "a0");
  bad.hex("evidence as text", 13, "a161616162");
  bad.hex("evidence out of order", 13,
          "a2626161406162"
          "40");
  bad.hex("claimed wall time as text", 12, "a1006131");
  bad.hex("claimed with a key twice", 12, "a200010002");
  bad.add("a bit of the signature turned",
          last_bit_flipped(receipt::sign(first_receipt(), provider()).envelope),
          Code::verification_failed);
  bad.add("sealed as a checkpoint", identity::seal(Domain::checkpoint, bad.payload(), provider()));
}

void add_completions(BadReceipts& bad) {
  bad.hex("completion 6", 7, "a10006", Code::version_unknown);
  bad.hex("exited without a code", 7, "a10000");
  bad.hex("exited with a reason", 7, "a3000001000263666f6f");
  bad.hex("trapped without a reason", 7, "a10001");
  bad.hex("trapped with an empty reason", 7, "a200010260");
  bad.hex("trapped with a code", 7, "a3000101000263666f6f");
  bad.hex("a reason with a capital", 7, "a200010263466f6f");
  bad.hex("a reason with a space", 7, "a20001026366206f");
  bad.hex("cancelled with a reason", 7, "a200030263666f6f");
  bad.changed("a reason above 64 bytes", {{7, item([](CborWriter& w) {
                                             w.map(2).uint(0).uint(1).uint(2);
                                             w.text(std::string(65, 'r'));
                                           })}},
              Code::too_large);
}

void add_isolation(BadReceipts& bad) {
  const auto layers = [&bad](std::string_view name, std::initializer_list<std::string_view> list) {
    bad.changed(name, {{9, item([&](CborWriter& w) {
                          w.array(list.size());
                          for (const std::string_view layer : list) w.text(layer);
                        })}});
  };
  layers("no isolation at all", {});
  layers("isolation out of order", {"seccomp", "landlock"});
  layers("isolation named twice", {"seccomp", "seccomp"});
  layers("none beside another layer", {"none", "seccomp"});
  layers("an empty layer", {""});
}

void add_good_receipts(json::array& cases) {
  cases.push_back(good("receipt of the manifest for one provider", first_receipt()));
  cases.push_back(good("private", salted_receipt(first_receipt(), counting<32>(0x80))));
  receipt::Receipt bare = first_receipt();
  bare.isolation = {"none"};
  bare.claimed = {};
  bare.completion.exit_code = -1;
  cases.push_back(good("no isolation, nothing claimed, exit code -1", bare));
  const receipt::Completion endings[] = {{CompletionKind::trapped, 0, "stack_overflow"},
                                         {CompletionKind::limited, 0, "fuel"},
                                         {CompletionKind::cancelled, 0, ""},
                                         {CompletionKind::invalid, 0, "entry_missing"},
                                         {CompletionKind::failed, 0, "worker_lost"}};
  for (const receipt::Completion& ending : endings) {
    receipt::Receipt ended = first_receipt();
    ended.completion = ending;
    cases.push_back(good(receipt::completion_name(ending.kind), ended));
  }
  receipt::Receipt checked = first_receipt();
  checked.profile = job::Profile::det_1;
  checked.fuel = UINT64_MAX;
  checked.evidence = {{"trace", {1, 2, 3}}, {"zz", {}}, {"a", {0}}};
  cases.push_back(good("det-1 with checkable fuel and evidence", checked));
  receipt::Receipt model = first_receipt();
  model.job_kind = 1;
  model.subject_sha256 = {};
  cases.push_back(good("of an inference job", model));
}

/// Keys of `claimed` that a reader does not know are ignored: the value is that of the payload
/// without them.
json::object with_unknown_claims() {
  const Bytes payload = patched(receipt::encode_payload(first_receipt()),
                                {{12, from_hex("a300190bb8181963666f6f18641a00010000").value()}});
  receipt::Receipt value = first_receipt();
  value.claimed = {};
  value.claimed.wall_us = 3000;
  json::object out = good("claimed with keys nobody knows", value);
  out["payload"] = to_hex(payload);
  out["envelope"] = to_hex(identity::seal(Domain::receipt, payload, provider()));
  return out;
}

void add_statements(json::array& cases) {
  const receipt::Receipt receipt = first_receipt();
  const receipt::Checkpoint checkpoint{receipt.job_id, 3, receipt.output};
  cases.push_back(statement("checkpoint", "checkpoint",
                            receipt::sign(checkpoint, provider()).envelope, describe(checkpoint)));
  const auto nonce = counting<32>(0xA0);
  const Sha256 value = receipt::commit_value(nonce, provider().public_key(),
                                             receipt.output.commitment, receipt.completion);
  const receipt::Commit commit{receipt.job_id, value};
  json::object committed =
      statement("commit", "commit", receipt::sign(commit, provider()).envelope, describe(commit));
  committed["nonce"] = to_hex(nonce);
  committed["output_commitment"] = receipt.output.commitment.hex();
  committed["completion"] = describe(receipt.completion);
  cases.push_back(std::move(committed));
}

void add_bad_statements(BadReceipts& bad) {
  const receipt::Receipt receipt = first_receipt();
  const Bytes checkpoint =
      receipt::sign(receipt::Checkpoint{receipt.job_id, 0, receipt.output}, provider()).envelope;
  const Bytes payload = identity::open(Domain::checkpoint, checkpoint).value().payload;
  const auto sealed = [&](const std::map<std::uint64_t, Bytes>& changes) {
    return identity::seal(Domain::checkpoint, patched(payload, changes), provider());
  };
  bad.add("checkpoint of version 3", sealed({{0, uint_item(3)}}), Code::version_unknown,
          "checkpoint");
  bad.add("checkpoint with a key too many", sealed({{4, uint_item(0)}}), Code::malformed,
          "checkpoint");
  bad.add("checkpoint without output", sealed({{3, {}}}), Code::malformed, "checkpoint");
  bad.add("a commit as checkpoint",
          receipt::sign(receipt::Commit{receipt.job_id, {}}, provider()).envelope, Code::malformed,
          "checkpoint");
  bad.add("a checkpoint as commit", checkpoint, Code::malformed, "commit");
}

}  // namespace

json::value receipt_vectors() {
  json::array cases;
  add_good_receipts(cases);
  cases.push_back(with_unknown_claims());
  add_statements(cases);
  BadReceipts bad;
  add_forms(bad);
  add_completions(bad);
  add_isolation(bad);
  add_bad_statements(bad);
  for (json::value& c : bad.take()) cases.push_back(std::move(c));
  return file("receipt", "spec/receipt.md", std::move(cases));
}

}  // namespace phase::vectors
