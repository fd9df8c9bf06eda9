// Goal: a receipt says what its provider said, to the bit, and can be taken for nothing else.
#include "protocol/receipt/receipt.h"

#include <set>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/cbor.h"
#include "tests/fuzz/arbitrary_documents.h"

namespace phase::receipt {
namespace {

identity::KeyPair test_key(std::uint8_t fill) {
  return identity::KeyPair::from_seed(Bytes(32, fill)).value();
}

Bytes flipped(Bytes bytes, std::size_t bit) {
  bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ (1U << (bit % 8)));
  return bytes;
}

RC_GTEST_PROP(Receipt, ReadsBackWhatItWrites, ()) {
  const Receipt value = arbitrary::receipt();
  const Bytes payload = encode_payload(value);
  const auto read = decode_payload(payload);
  RC_ASSERT(read.has_value());
  RC_ASSERT(*read == value);
  RC_ASSERT(encode_payload(*read) == payload);
}

RC_GTEST_PROP(Receipt, OpensWhatWasSignedAndKeepsItsBytes, ()) {
  const Receipt value = arbitrary::receipt();
  const identity::KeyPair key = arbitrary::key();
  const SignedReceipt made = sign(value, key);
  const auto opened = open(made.envelope);
  RC_ASSERT(opened.has_value());
  RC_ASSERT(opened->receipt == value);
  RC_ASSERT(opened->provider == key.public_key());
  RC_ASSERT(opened->envelope == made.envelope);
  RC_ASSERT(!open_checkpoint(made.envelope).has_value());
  RC_ASSERT(!open_commit(made.envelope).has_value());
  RC_ASSERT(!manifest::open(made.envelope).has_value());
}

TEST(Receipt, EveryFlippedBitIsRefused) {
  Receipt value;
  value.claimed.runtime = "wasmtime-48";
  value.evidence["trace"] = {1, 2, 3};
  const Bytes envelope = sign(value, test_key(1)).envelope;
  ASSERT_TRUE(open(envelope).has_value());
  for (std::size_t bit = 0; bit < envelope.size() * 8; ++bit) {
    EXPECT_FALSE(open(flipped(envelope, bit)).has_value()) << "bit " << bit;
  }
}

TEST(Receipt, IsolationIsWrittenInOrderAndNeverSilent) {
  Receipt value;
  value.isolation = {"seccomp", "landlock", "seccomp"};
  const SignedReceipt made = sign(value, test_key(1));
  EXPECT_EQ(made.receipt.isolation, (std::vector<std::string>{"landlock", "seccomp"}));
  EXPECT_EQ(open(made.envelope)->receipt, made.receipt);
  value.isolation.clear();
  EXPECT_EQ(open(sign(value, test_key(1)).envelope)->receipt.isolation,
            std::vector<std::string>{"none"});
}

TEST(Receipt, IsBoundedWithoutItsEvidenceAndEvidenceByTheEnvelope) {
  Receipt value;
  value.evidence["proof"] = Bytes(40'000);
  EXPECT_TRUE(open(sign(value, test_key(1)).envelope).has_value());
  value.evidence["proof"] = Bytes(identity::kEnvelopeBytesMax);
  EXPECT_EQ(open(sign(value, test_key(1)).envelope).error().code, Code::too_large);
  value.evidence.clear();
  // Claims that nobody knows are ignored, and cannot make the receipt larger than it may be.
  Bytes payload = encode_payload(value);
  ASSERT_EQ(payload.back(), 0xA0) << "the empty map of claims stands last";
  payload.pop_back();
  CborWriter claims;
  claims.map(1).uint(100).bytes(Bytes(kReceiptBytesMax));
  payload.insert(payload.end(), claims.view().begin(), claims.view().end());
  EXPECT_EQ(decode_payload(payload).error().code, Code::too_large);
}

TEST(Completion, NamesAreTheWordsOfTheSpecification) {
  std::set<std::string_view> names;
  for (int kind = 0; kind <= 5; ++kind) {
    names.insert(completion_name(static_cast<CompletionKind>(kind)));
  }
  EXPECT_EQ(names, (std::set<std::string_view>{"exited", "trapped", "limited", "cancelled",
                                               "invalid", "failed"}));
}

RC_GTEST_PROP(Checkpoint, OpensWhatWasSignedAndNothingElse, ()) {
  const Checkpoint value{arbitrary::hash<manifest::JobId>(), arbitrary::number(),
                         arbitrary::summary()};
  const identity::KeyPair key = arbitrary::key();
  const Bytes envelope = sign(value, key).envelope;
  RC_ASSERT(open_checkpoint(envelope)->checkpoint == value);
  RC_ASSERT(open_checkpoint(envelope)->provider == key.public_key());
  RC_ASSERT(!open(envelope).has_value());
  const auto bit = static_cast<std::size_t>(arbitrary::number(0, envelope.size() * 8 - 1));
  RC_ASSERT(!open_checkpoint(flipped(envelope, bit)).has_value());
}

RC_GTEST_PROP(Commit, OpensWhatWasSignedAndNothingElse, ()) {
  const Commit value{arbitrary::hash<manifest::JobId>(), arbitrary::hash<Sha256>()};
  const identity::KeyPair key = arbitrary::key();
  const Bytes envelope = sign(value, key).envelope;
  RC_ASSERT(open_commit(envelope)->commit == value);
  RC_ASSERT(!open_checkpoint(envelope).has_value());
  const auto bit = static_cast<std::size_t>(arbitrary::number(0, envelope.size() * 8 - 1));
  RC_ASSERT(!open_commit(flipped(envelope, bit)).has_value());
}

RC_GTEST_PROP(CommitValue, BindsEveryPart, ()) {
  const auto nonce = arbitrary::array<32>();
  const auto provider = arbitrary::hash<identity::PublicKey>();
  const auto output = arbitrary::hash<job::OutputCommitment>();
  const Completion ending = arbitrary::completion();
  const Sha256 value = commit_value(nonce, provider, output, ending);
  auto other_nonce = nonce;
  other_nonce[0] = static_cast<std::uint8_t>(other_nonce[0] ^ 1U);
  RC_ASSERT(commit_value(other_nonce, provider, output, ending) != value);
  auto other_provider = provider;
  other_provider.value[7] = static_cast<std::uint8_t>(other_provider.value[7] ^ 1U);
  RC_ASSERT(commit_value(nonce, other_provider, output, ending) != value);
  auto other_output = output;
  other_output.value[7] = static_cast<std::uint8_t>(other_output.value[7] ^ 1U);
  RC_ASSERT(commit_value(nonce, provider, other_output, ending) != value);
  Completion other = ending;
  if (other.kind == CompletionKind::exited) {
    other.exit_code ^= 1;
  } else {
    other.kind = CompletionKind::exited;
  }
  RC_ASSERT(commit_value(nonce, provider, output, other) != value);
}

}  // namespace
}  // namespace phase::receipt
