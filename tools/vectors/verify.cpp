#include <cstdio>

#include "base/check.h"
#include "describe.h"
#include "verify_internal.h"

namespace phase::vectors {

Situation::Situation() {
  remake();
}

void Situation::remake() {
  const manifest::SignedManifest signed_manifest = manifest::sign(asked, requester());
  manifest = signed_manifest.envelope;
  const auto output = summary_of(transcript.value_or(sample_transcript()));
  stated = sample_receipt(signed_manifest, job::commit(input), output);
  if (salt) stated = salted_receipt(std::move(stated), *salt);
  sign_receipt();
}

void Situation::stream_input() {
  std::get<job::WasmJob>(asked.job).stdin_commitment.reset();
  own_input = input;
  remake();
}

verify::Verdict Situation::verdict() const {
  verify::Evidence evidence;
  evidence.manifest = manifest;
  evidence.provider = went_to;
  evidence.salt = salt;
  if (own_input) evidence.input = job::commit(*own_input);
  if (transcript) evidence.output = summary_of(*transcript);
  std::vector<verify::SeenCheckpoint> seen;
  for (const SeenAfter& point : checkpoints) {
    const auto end = transcript->begin() + static_cast<std::ptrdiff_t>(point.pieces);
    seen.push_back({point.envelope, summary_of({transcript->begin(), end})});
  }
  evidence.checkpoints = seen;
  return verify::check(receipt, evidence, level);
}

json::object Situation::to_case(std::string_view name,
                                std::optional<verify::Check> expected) const {
  const verify::Verdict result = verdict();
  if (result.failed != expected) {
    std::fprintf(stderr, "verify vector '%s': %s: %s\n", std::string(name).c_str(),
                 result.text().c_str(), result.detail.c_str());
  }
  PHASE_CHECK(result.failed == expected);
  json::object out{{"name", name},
                   {"manifest", to_hex(manifest)},
                   {"receipt", to_hex(receipt)},
                   {"provider", went_to ? json::value(went_to->hex()) : json::value(nullptr)},
                   {"input", hex_or_null(own_input)},
                   {"salt", hex_or_null(salt)}};
  out["transcript"] = transcript ? json::value(describe(*transcript)) : json::value(nullptr);
  json::array seen;
  for (const SeenAfter& point : checkpoints) {
    seen.push_back(json::object{{"envelope", to_hex(point.envelope)}, {"pieces", point.pieces}});
  }
  out["checkpoints"] = seen;
  out["level"] = manifest::level_name(level);
  out["failed_check"] = nullptr;
  if (expected) out["failed_check"] = verify::check_name(*expected);
  out["output_checked"] = result.ok() && result.verified->output_checked();
  return out;
}

namespace {

void add_plain(json::array& cases) {
  cases.push_back(Situation().to_case("honest", std::nullopt));
  Situation unchecked;
  unchecked.transcript.reset();
  cases.push_back(unchecked.to_case("honest, output not at hand", std::nullopt));
  Situation by_audience;
  by_audience.went_to.reset();
  cases.push_back(by_audience.to_case("provider known by the audience alone", std::nullopt));
  Situation anyone;
  anyone.asked.audience.reset();
  anyone.went_to.reset();
  anyone.remake();
  cases.push_back(anyone.to_case("no provider named anywhere", std::nullopt));
  Situation chunked;
  chunked.transcript = std::vector<job::OutputPiece>{};
  for (const job::OutputPiece& piece : sample_transcript()) {
    for (const std::uint8_t byte : piece.data) {
      chunked.transcript->push_back({piece.stream, {byte}});
    }
  }
  cases.push_back(chunked.to_case("output received byte by byte", std::nullopt));
  Situation silent;
  silent.transcript = std::vector<job::OutputPiece>{};
  silent.remake();
  cases.push_back(silent.to_case("no output at all", std::nullopt));
  Situation unknown_claim;
  const Bytes payload =
      patched(receipt::encode_payload(unknown_claim.stated), {{12, from_hex("a1186400").value()}});
  unknown_claim.receipt = identity::seal(identity::Domain::receipt, payload, provider());
  cases.push_back(unknown_claim.to_case("a claim nobody knows", std::nullopt));
}

void add_inputs(json::array& cases) {
  Situation streamed;
  streamed.stream_input();
  cases.push_back(streamed.to_case("streamed stdin", std::nullopt));
  streamed.stated.completion = {receipt::CompletionKind::limited, 0, "fuel"};
  streamed.sign_receipt();
  streamed.own_input.reset();
  cases.push_back(streamed.to_case("streamed stdin not at hand, run stopped", std::nullopt));
  Situation early;
  early.input = to_bytes("hel");
  early.remake();
  early.stated.completion = {receipt::CompletionKind::trapped, 0, "unreachable"};
  early.sign_receipt();
  cases.push_back(early.to_case("fixed stdin, run ended before all of it came", std::nullopt));
  early.own_input = early.input;
  cases.push_back(early.to_case("the same, and the verifier holds what it sent", std::nullopt));
  Situation inference;
  inference.asked.job = sample_inference();
  inference.input = to_bytes(R"([{"role":"user","content":"hi"}])");
  inference.remake();
  cases.push_back(inference.to_case("inference job", std::nullopt));
}

void add_private(json::array& cases) {
  Situation hidden;
  hidden.salt = counting<32>(0x80);
  hidden.remake();
  cases.push_back(hidden.to_case("private job", std::nullopt));
  hidden.stream_input();
  cases.push_back(hidden.to_case("private job, streamed stdin", std::nullopt));
  hidden.checkpoints = {{receipt::sign(receipt::Checkpoint{hidden.stated.job_id, 0,
                                                           summary_of({sample_transcript()[0]})},
                                       provider())
                             .envelope,
                         1}};
  cases.push_back(hidden.to_case("private job, checkpoints are not salted", std::nullopt));
}

void add_checkpoints(json::array& cases) {
  Situation seen;
  for (std::size_t i = 0; i < 3; ++i) {
    const auto all = sample_transcript();
    const auto end = all.begin() + static_cast<std::ptrdiff_t>(i + 1);
    const receipt::Checkpoint point{seen.stated.job_id, i, summary_of({all.begin(), end})};
    seen.checkpoints.push_back({receipt::sign(point, provider()).envelope, i + 1});
  }
  cases.push_back(seen.to_case("three checkpoints", std::nullopt));
}

}  // namespace

json::value verify_vectors() {
  json::array cases;
  add_plain(cases);
  add_inputs(cases);
  add_private(cases);
  add_checkpoints(cases);
  add_refusals(cases);
  return file("verify", "spec/verify.md", std::move(cases));
}

}  // namespace phase::vectors
