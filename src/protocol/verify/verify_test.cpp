// Goal: a receipt is believed for its own run and for nothing else, and a refusal names the check.
// Method: an honest run of any job; then one thing at a time is another. The table of all checks,
// case by case, is spec/vectors/verify.json (tools/vectors/read_test.cpp).
#include "protocol/verify/verify.h"

#include <functional>
#include <set>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/fuzz/arbitrary_documents.h"

namespace phase::verify {
namespace {

job::OutputSummary summary_of(const std::vector<job::OutputPiece>& transcript) {
  job::OutputChain chain;
  for (const job::OutputPiece& piece : transcript) chain.append(piece.stream, piece.data);
  return chain.summary();
}

/// A run that happened as the manifest asked, private or not, with its stdin fixed or streamed.
struct Run {
  identity::KeyPair requester = arbitrary::key();
  identity::KeyPair provider = arbitrary::key();
  std::optional<job::Salt> salt = arbitrary::maybe([] { return arbitrary::array<32>(); });
  manifest::SignedManifest asked = make_manifest();
  job::Commitment input = make_input();
  std::vector<job::OutputPiece> transcript = arbitrary::transcript();
  receipt::Receipt stated = make_receipt();

  [[nodiscard]] Bytes receipt() const { return receipt::sign(stated, provider).envelope; }
  [[nodiscard]] Evidence evidence() const {
    Evidence out;
    out.manifest = asked.envelope;
    out.provider = provider.public_key();
    out.input = input;
    out.output = summary_of(transcript);
    out.salt = salt;
    return out;
  }
  [[nodiscard]] std::optional<Check> failed() const { return check(receipt(), evidence()).failed; }

 private:
  manifest::SignedManifest make_manifest() {
    manifest::Manifest out = arbitrary::manifest();
    if (out.audience) out.audience = provider.public_key();
    return manifest::sign(out, requester);
  }
  job::Commitment make_input() {
    const job::Job& job = asked.manifest.job;
    const auto* wasm = std::get_if<job::WasmJob>(&job);
    const auto& fixed =
        wasm != nullptr ? wasm->stdin_commitment : std::get<job::InferenceJob>(job).prompt;
    return fixed.value_or(job::commit(as_bytes("streamed")));
  }
  [[nodiscard]] Sha256 shown(ByteView hash) const {
    return salt ? job::salted(*salt, hash) : Sha256::from(hash).value();
  }
  receipt::Receipt make_receipt() {
    receipt::Receipt out = arbitrary::receipt();
    job::Job job = asked.manifest.job;
    out.is_private = salt.has_value();
    out.job_id = asked.id;
    out.job_kind = static_cast<std::uint8_t>(job.index());
    out.profile = job::Profile::fast;
    if (auto* wasm = std::get_if<job::WasmJob>(&job)) {
      wasm->stdin_commitment = input;
      out.subject_id = shown(wasm->module.id.bytes());
      out.subject_sha256 = shown(wasm->module.sha256.bytes());
      out.profile = wasm->profile;
    } else {
      std::get<job::InferenceJob>(job).prompt = input;
      out.subject_id = shown(std::get<job::InferenceJob>(job).model.bytes());
      out.subject_sha256 = shown(Sha256{}.bytes());
    }
    out.execution_id.value = shown(job::execution_id(job).bytes()).value;
    out.input = {shown(input.sha256.bytes()), input.length};
    out.output = summary_of(transcript);
    out.output.commitment.value = shown(out.output.commitment.bytes()).value;
    return out;
  }
};

template <typename HashType>
void turn_bit(HashType& hash) {
  hash.value[5] = static_cast<std::uint8_t>(hash.value[5] ^ 4U);
}

RC_GTEST_PROP(Verify, BelievesAnHonestRun, ()) {
  const Run run;
  const Verdict verdict = check(run.receipt(), run.evidence());
  RC_ASSERT(verdict.detail == "signed by " + run.provider.peer_id().text());
  RC_ASSERT(verdict.ok());
  RC_ASSERT(verdict.text() == "receipt verified");
  RC_ASSERT(verdict.level == manifest::Level::signature);
  RC_ASSERT(verdict.verified->output_checked());
  RC_ASSERT(verdict.verified->get().receipt == run.stated);
}

RC_GTEST_PROP(Verify, RefusesOneFlippedBitOfTheReceipt, ()) {
  const Run run;
  Bytes receipt = run.receipt();
  const auto bit = static_cast<std::size_t>(arbitrary::number(0, receipt.size() * 8 - 1));
  receipt[bit / 8] = static_cast<std::uint8_t>(receipt[bit / 8] ^ (1U << (bit % 8)));
  const Verdict verdict = check(receipt, run.evidence());
  RC_ASSERT(!verdict.ok());
  RC_ASSERT(verdict.failed == Check::receipt_form || verdict.failed == Check::signature);
}

RC_GTEST_PROP(Verify, RefusesOneFlippedBitOfTheManifest, ()) {
  const Run run;
  Bytes manifest = run.asked.envelope;
  const auto bit = static_cast<std::size_t>(arbitrary::number(0, manifest.size() * 8 - 1));
  manifest[bit / 8] = static_cast<std::uint8_t>(manifest[bit / 8] ^ (1U << (bit % 8)));
  Evidence evidence = run.evidence();
  evidence.manifest = manifest;
  const Verdict verdict = check(run.receipt(), evidence);
  RC_ASSERT(verdict.failed == Check::manifest_form || verdict.failed == Check::manifest_signature);
}

RC_GTEST_PROP(Verify, NamesTheFieldThatIsAnother, ()) {
  Run run;
  const auto expect = [&run](Check expected, const std::function<void(receipt::Receipt&)>& change) {
    const receipt::Receipt honest = run.stated;
    change(run.stated);
    RC_ASSERT(run.failed() == expected);
    run.stated = honest;
  };
  expect(Check::job_id, [](auto& r) { turn_bit(r.job_id); });
  expect(Check::job_kind, [](auto& r) { r.job_kind ^= 1U; });
  expect(Check::module_hash, [](auto& r) { turn_bit(r.subject_id); });
  expect(Check::module_hash, [](auto& r) { turn_bit(r.subject_sha256); });
  expect(Check::module_hash, [](auto& r) { r.is_private = !r.is_private; });
  expect(Check::input_commitment, [](auto& r) { turn_bit(r.input.sha256); });
  expect(Check::input_commitment, [](auto& r) { ++r.input.length; });
  expect(Check::execution_id, [](auto& r) { turn_bit(r.execution_id); });
  expect(Check::profile, [](auto& r) {
    r.profile = r.profile == job::Profile::fast ? job::Profile::det_1 : job::Profile::fast;
  });
  expect(Check::output_length, [](auto& r) { ++r.output.length; });
  expect(Check::output_length, [](auto& r) { ++r.output.segments; });
  expect(Check::output_commitment, [](auto& r) { turn_bit(r.output.commitment); });
}

RC_GTEST_PROP(Verify, NamesAnotherProviderAndAnotherManifest, ()) {
  const Run run;
  const Run other;
  RC_PRE(run.provider.public_key() != other.provider.public_key());
  const Bytes by_other = receipt::sign(run.stated, other.provider).envelope;
  RC_ASSERT(check(by_other, run.evidence()).failed == Check::provider_key);
  Evidence sent_elsewhere = run.evidence();
  sent_elsewhere.provider = other.provider.public_key();
  const bool named = run.asked.manifest.audience.has_value();
  const Verdict verdict = check(by_other, sent_elsewhere);
  RC_ASSERT(verdict.failed == (named ? std::optional(Check::audience) : std::nullopt));
  Evidence evidence = run.evidence();
  manifest::Manifest again = run.asked.manifest;
  again.nonce[0] = static_cast<std::uint8_t>(again.nonce[0] ^ 1U);
  const manifest::SignedManifest twin = manifest::sign(again, run.requester);
  evidence.manifest = twin.envelope;
  RC_ASSERT(check(run.receipt(), evidence).failed == Check::job_id);
}

RC_GTEST_PROP(Verify, DoesNotDependOnHowOutputWasCut, ()) {
  Run run;
  std::vector<job::OutputPiece> cut;
  for (const job::OutputPiece& piece : run.transcript) {
    const auto at = static_cast<std::ptrdiff_t>(arbitrary::number(0, piece.data.size()));
    cut.push_back({piece.stream, Bytes(piece.data.begin(), piece.data.begin() + at)});
    cut.push_back({piece.stream, Bytes(piece.data.begin() + at, piece.data.end())});
  }
  run.transcript = cut;
  RC_ASSERT(!run.failed().has_value());
}

RC_GTEST_PROP(Verify, WithoutTheOutputSaysSo, ()) {
  Run run;
  Evidence evidence = run.evidence();
  evidence.output.reset();
  const Verdict verdict = check(run.receipt(), evidence);
  RC_ASSERT(verdict.ok());
  RC_ASSERT(!verdict.verified->output_checked());
  RC_ASSERT(verdict.detail.ends_with("; output not checked"));
}

RC_GTEST_PROP(Verify, AnotherSaltOrNoneRefusesAPrivateReceipt, ()) {
  const Run run;
  Evidence evidence = run.evidence();
  if (evidence.salt) {
    (*evidence.salt)[0] = static_cast<std::uint8_t>((*evidence.salt)[0] ^ 1U);
    RC_ASSERT(check(run.receipt(), evidence).failed == Check::module_hash);
    evidence.salt.reset();
  } else {
    evidence.salt = job::Salt{};
  }
  RC_ASSERT(check(run.receipt(), evidence).failed == Check::module_hash);
}

RC_GTEST_PROP(Verify, LevelsAboveSignatureAreNotReached, ()) {
  const Run run;
  const auto level = static_cast<manifest::Level>(arbitrary::number(1, 5));
  RC_ASSERT(check(run.receipt(), run.evidence(), level).failed == Check::level);
}

TEST(Verify, NamesOfChecksAreDistinct) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Check::level); ++i) {
    names.insert(check_name(static_cast<Check>(i)));
  }
  EXPECT_EQ(names.size(), 16U);
  Verdict verdict;
  verdict.failed = Check::output_commitment;
  EXPECT_EQ(verdict.text(), "receipt refused: output_commitment");
}

}  // namespace
}  // namespace phase::verify
