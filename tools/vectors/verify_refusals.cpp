// One change at a time, and the check that names it.
#include "verify_internal.h"

namespace phase::vectors {
namespace {

using identity::Domain;
using verify::Check;

/// Appends cases that are refused by one named check.
class Refusals {
 public:
  explicit Refusals(json::array& cases) : cases_(cases) {}

  template <typename Change>
  void add(Check expected, std::string_view name, Change&& change) {
    Situation situation;
    change(situation);
    cases_.push_back(situation.to_case(name, expected));
  }
  /// The honest receipt with one field changed and signed by its provider.
  template <typename Change>
  void stated(Check expected, std::string_view name, Change&& change) {
    add(expected, name, [&](Situation& s) {
      change(s.stated);
      s.sign_receipt();
    });
  }

 private:
  json::array& cases_;
};

template <typename HashType>
void turn_bit(HashType& hash) {
  hash.value[31] = static_cast<std::uint8_t>(hash.value[31] ^ 1U);
}

void add_form_and_signature(Refusals& refuse) {
  refuse.add(Check::receipt_form, "no receipt", [](Situation& s) { s.receipt.clear(); });
  refuse.add(Check::receipt_form, "the manifest as receipt",
             [](Situation& s) { s.receipt = s.manifest; });
  refuse.add(Check::receipt_form, "receipt of version 3", [](Situation& s) {
    s.receipt =
        identity::seal(Domain::receipt,
                       patched(receipt::encode_payload(s.stated), {{0, uint_item(3)}}), provider());
  });
  refuse.add(Check::receipt_form, "receipt of version 3 with a broken signature", [](Situation& s) {
    s.receipt = last_bit_flipped(identity::seal(
        Domain::receipt, patched(receipt::encode_payload(s.stated), {{0, uint_item(3)}}),
        provider()));
  });
  refuse.add(Check::receipt_form, "a byte behind the receipt",
             [](Situation& s) { s.receipt.push_back(0); });
  refuse.add(Check::signature, "last bit turned",
             [](Situation& s) { s.receipt = last_bit_flipped(s.receipt); });
  refuse.add(Check::signature, "job id changed after signing", [](Situation& s) {
    const std::string before = s.stated.job_id.hex();
    turn_bit(s.stated.job_id);
    std::string hex = to_hex(s.receipt);
    hex.replace(hex.find(before), before.size(), s.stated.job_id.hex());
    s.receipt = from_hex(hex).value();
  });
}

void add_keys(Refusals& refuse) {
  refuse.add(Check::provider_key, "signed by another peer than the job went to",
             [](Situation& s) { s.receipt = receipt::sign(s.stated, stranger()).envelope; });
  refuse.add(Check::provider_key, "signed by the requester",
             [](Situation& s) { s.receipt = receipt::sign(s.stated, requester()).envelope; });
  refuse.add(Check::audience, "the job went to another than the manifest names", [](Situation& s) {
    s.went_to = stranger().public_key();
    s.receipt = receipt::sign(s.stated, stranger()).envelope;
  });
  refuse.add(Check::audience, "signed by another than the manifest names, provider not held",
             [](Situation& s) {
               s.went_to.reset();
               s.receipt = receipt::sign(s.stated, stranger()).envelope;
             });
}

void add_manifests(Refusals& refuse) {
  refuse.add(Check::manifest_form, "no manifest", [](Situation& s) { s.manifest.clear(); });
  refuse.add(Check::manifest_form, "the receipt as manifest",
             [](Situation& s) { s.manifest = s.receipt; });
  refuse.add(Check::manifest_form, "manifest that lives too long", [](Situation& s) {
    s.asked.expires = {s.asked.created.unix_ms + 3'600'001};
    s.remake();
  });
  refuse.add(Check::manifest_signature, "manifest with its last bit turned",
             [](Situation& s) { s.manifest = last_bit_flipped(s.manifest); });
  refuse.add(Check::job_id, "receipt for the same job under another nonce", [](Situation& s) {
    const Bytes receipt = s.receipt;
    s.asked.nonce = counting<16>(0x70);
    s.remake();
    s.receipt = receipt;
  });
  refuse.stated(Check::job_id, "another job id", [](receipt::Receipt& r) { turn_bit(r.job_id); });
}

void add_bindings(Refusals& refuse) {
  refuse.stated(Check::job_kind, "another kind of job",
                [](receipt::Receipt& r) { r.job_kind = 1; });
  refuse.stated(Check::module_hash, "another module id",
                [](receipt::Receipt& r) { turn_bit(r.subject_id); });
  refuse.stated(Check::module_hash, "another module sha256",
                [](receipt::Receipt& r) { turn_bit(r.subject_sha256); });
  refuse.stated(Check::execution_id, "another execution id",
                [](receipt::Receipt& r) { turn_bit(r.execution_id); });
  refuse.stated(Check::profile, "another profile",
                [](receipt::Receipt& r) { r.profile = job::Profile::det_1; });
  refuse.add(Check::execution_id, "execution of other args", [](Situation& s) {
    manifest::Manifest other = s.asked;
    std::get<job::WasmJob>(other.job).args = {"--count", "4"};
    s.stated.execution_id = job::execution_id(other.job);
    s.sign_receipt();
  });
}

void add_inputs(Refusals& refuse) {
  refuse.stated(Check::input_commitment, "another input",
                [](receipt::Receipt& r) { r.input = job::commit(as_bytes("hellO\n")); });
  refuse.stated(Check::input_commitment, "exited without reading all of a fixed stdin",
                [](receipt::Receipt& r) { r.input = job::commit(as_bytes("hel")); });
  refuse.stated(Check::input_commitment, "stopped, and read more than there was",
                [](receipt::Receipt& r) {
                  r.input = job::commit(as_bytes("hello\nhello\n"));
                  r.completion = {receipt::CompletionKind::limited, 0, "wall"};
                });
  refuse.add(Check::input_commitment, "streamed stdin, another one consumed", [](Situation& s) {
    s.stream_input();
    s.own_input = to_bytes("hello");
  });
  refuse.add(Check::input_commitment, "streamed stdin, exited, and the verifier does not hold it",
             [](Situation& s) {
               s.stream_input();
               s.own_input.reset();
             });
  refuse.add(Check::input_commitment, "fixed stdin, both sides agree on another", [](Situation& s) {
    s.own_input = to_bytes("other");
    s.stated.input = job::commit(*s.own_input);
    s.sign_receipt();
  });
  refuse.add(Check::input_commitment, "fixed stdin, the verifier holds another",
             [](Situation& s) { s.own_input = to_bytes("other"); });
  refuse.add(Check::execution_id, "streamed stdin, execution of another input", [](Situation& s) {
    s.stream_input();
    job::Job other = s.asked.job;
    std::get<job::WasmJob>(other).stdin_commitment = job::commit(as_bytes("x"));
    s.stated.execution_id = job::execution_id(other);
    s.sign_receipt();
  });
}

void add_private(Refusals& refuse) {
  const auto hide = [](Situation& s) {
    s.salt = counting<32>(0x80);
    s.remake();
  };
  refuse.add(Check::module_hash, "private receipt, wrong salt", [&](Situation& s) {
    hide(s);
    s.salt = counting<32>(0x81);
  });
  refuse.add(Check::module_hash, "private receipt, no salt at hand", [&](Situation& s) {
    hide(s);
    s.salt.reset();
  });
  refuse.add(Check::module_hash, "private job, receipt tells all",
             [](Situation& s) { s.salt = counting<32>(0x80); });
  refuse.add(Check::module_hash, "salted hashes in a receipt that does not say private",
             [&](Situation& s) {
               hide(s);
               s.stated.is_private = false;
               s.sign_receipt();
             });
  refuse.add(Check::execution_id, "private, streamed, stopped, input not at hand",
             [&](Situation& s) {
               hide(s);
               s.stream_input();
               s.stated.completion = {receipt::CompletionKind::failed, 0, "worker_lost"};
               s.sign_receipt();
               s.own_input.reset();
             });
}

void add_outputs(Refusals& refuse) {
  refuse.add(Check::output_length, "a byte of output less received",
             [](Situation& s) { s.transcript->back().data.pop_back(); });
  refuse.add(Check::output_length, "a piece of output more received", [](Situation& s) {
    s.transcript->push_back({job::OutputStream::err, to_bytes("x")});
  });
  refuse.stated(Check::output_length, "another count of segments",
                [](receipt::Receipt& r) { ++r.output.segments; });
  refuse.add(Check::output_commitment, "one byte of output differs",
             [](Situation& s) { s.transcript->front().data[0] = 'H'; });
  refuse.add(Check::output_commitment, "the same bytes on the other stream", [](Situation& s) {
    for (job::OutputPiece& piece : *s.transcript) {
      piece.stream =
          piece.stream == job::OutputStream::out ? job::OutputStream::err : job::OutputStream::out;
    }
  });
  refuse.add(Check::output_commitment, "the streams in another order",
             [](Situation& s) { std::swap(s.transcript->at(0), s.transcript->at(2)); });
}

void add_checkpoints_and_level(Refusals& refuse) {
  const auto point = [](const Situation& s, std::uint64_t sequence, std::size_t pieces,
                        const identity::KeyPair& key) {
    const auto all = sample_transcript();
    const auto end = all.begin() + static_cast<std::ptrdiff_t>(pieces);
    const receipt::Checkpoint said{s.stated.job_id, sequence, summary_of({all.begin(), end})};
    return receipt::sign(said, key).envelope;
  };
  refuse.add(Check::checkpoint, "checkpoint of other output",
             [&](Situation& s) { s.checkpoints = {{point(s, 0, 2, provider()), 1}}; });
  refuse.add(Check::checkpoint, "checkpoint signed by another",
             [&](Situation& s) { s.checkpoints = {{point(s, 0, 1, stranger()), 1}}; });
  refuse.add(Check::checkpoint, "checkpoint out of sequence",
             [&](Situation& s) { s.checkpoints = {{point(s, 1, 1, provider()), 1}}; });
  refuse.add(Check::checkpoint, "checkpoint of another job", [&](Situation& s) {
    Situation other;
    other.asked.nonce = counting<16>(0x70);
    other.remake();
    s.checkpoints = {{point(other, 0, 1, provider()), 1}};
  });
  refuse.add(Check::checkpoint, "no checkpoint",
             [](Situation& s) { s.checkpoints = {{s.receipt, 1}}; });
  refuse.add(Check::level, "more is asked than a signature shows",
             [](Situation& s) { s.level = manifest::Level::audit; });
}

}  // namespace

void add_refusals(json::array& cases) {
  Refusals refuse(cases);
  add_form_and_signature(refuse);
  add_keys(refuse);
  add_manifests(refuse);
  add_bindings(refuse);
  add_inputs(refuse);
  add_private(refuse);
  add_outputs(refuse);
  add_checkpoints_and_level(refuse);
}

}  // namespace phase::vectors
