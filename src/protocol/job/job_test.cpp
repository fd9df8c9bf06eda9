// Goal: a job has one encoding and one id, and limits are refused at decode, not found out later.
#include "protocol/job/job.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/fuzz/arbitrary_documents.h"

namespace phase::job {
namespace {

WasmJob least_job() {
  WasmJob job;
  job.module = reference(Bytes{1});
  job.stdin_commitment = commit({});
  return job;
}

RC_GTEST_PROP(Job, ReadsBackWhatItWrites, ()) {
  const Job job = arbitrary::job();
  const Bytes bytes = encode(job);
  const auto read = decode(bytes);
  RC_ASSERT(read.has_value());
  RC_ASSERT(*read == job);
  RC_ASSERT(encode(*read) == bytes);
  RC_ASSERT(check(job).has_value());
}

RC_GTEST_PROP(Job, WhatIsReadFromChangedBytesHasOneSpelling, ()) {
  Bytes bytes = encode(arbitrary::job());
  for (auto left = arbitrary::number(1, 3); left > 0; --left) {
    const auto at = static_cast<std::size_t>(arbitrary::number(0, bytes.size() - 1));
    bytes[at] = *rc::gen::arbitrary<std::uint8_t>();
  }
  const auto read = decode(bytes);
  if (read) RC_ASSERT(encode(*read) == bytes);
}

RC_GTEST_PROP(Job, EveryFieldIsInTheId, ()) {
  WasmJob a = arbitrary::wasm_job();
  if (!a.stdin_commitment) a.stdin_commitment = commit({});
  WasmJob b = a;
  switch (arbitrary::number(0, 7)) {
    case 0:
      b.args.push_back("x");
      break;
    case 1:
      b.env["PHASE_NEW_NAME"] = "";
      break;
    case 2:
      b.stdin_commitment->length ^= 1U;
      break;
    case 3:
      b.limits.fuel ^= 1U;
      break;
    case 4:
      b.clock_start_ns ^= 1U;
      break;
    case 5:
      b.random_seed[31] = static_cast<std::uint8_t>(b.random_seed[31] ^ 1U);
      break;
    case 6:
      b.entry += "x";
      break;
    default:
      b.module.id.value[0] = static_cast<std::uint8_t>(b.module.id.value[0] ^ 1U);
  }
  RC_ASSERT(execution_id(a) != execution_id(b));
  RC_ASSERT(execution_id(a) == execution_id(WasmJob(a)));
}

TEST(Job, CompleteOnlyWithItsInput) {
  WasmJob wasm = least_job();
  EXPECT_TRUE(complete(wasm));
  wasm.stdin_commitment.reset();
  EXPECT_FALSE(complete(wasm));
  InferenceJob inference;
  EXPECT_FALSE(complete(inference));
  inference.prompt = commit({});
  EXPECT_TRUE(complete(inference));
}

TEST(Job, CheckNamesWhatEncodeWouldHide) {
  EXPECT_TRUE(check(least_job()).has_value());
  WasmJob job = least_job();
  job.args.assign(257, "");
  EXPECT_EQ(check(job).error().code, Code::too_large);
  job = least_job();
  job.args.assign(12, std::string(4000, 'a'));  // each fits, together they do not
  EXPECT_EQ(check(job).error().code, Code::too_large);
  job = least_job();
  job.args = {std::string("a\0b", 3)};
  EXPECT_EQ(check(job).error().code, Code::malformed);
  job = least_job();
  job.args = {"\xFF"};
  EXPECT_EQ(check(job).error().code, Code::malformed);
  job = least_job();
  job.limits.fuel = 0;
  EXPECT_EQ(check(job).error().code, Code::malformed);
}

TEST(Job, LargestThatFitsIsTaken) {
  WasmJob job = least_job();
  job.args.assign(9, std::string(4096, 'a'));
  const std::size_t rest = kJobBytesMax - encode(job).size();
  job.args.push_back(std::string(rest - 3, 'b'));  // a head of three bytes
  ASSERT_EQ(encode(job).size(), kJobBytesMax);
  EXPECT_TRUE(check(job).has_value());
  job.args.back() += 'b';
  EXPECT_EQ(check(job).error().code, Code::too_large);
}

// SHA-256 as `sha256sum` prints it; the rest of a reference is pinned by spec/vectors.
TEST(Commitment, IsTheFlatHashAndTheLength) {
  EXPECT_EQ(commit(as_bytes("abc")).sha256.hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(commit(as_bytes("abc")).length, 3U);
  EXPECT_EQ(reference(as_bytes("abc")).sha256, commit(as_bytes("abc")).sha256);
}

RC_GTEST_PROP(Salted, DependsOnBothParts, ()) {
  const Salt salt = arbitrary::array<32>();
  const auto hash = arbitrary::hash<Sha256>();
  Salt other = salt;
  other[0] = static_cast<std::uint8_t>(other[0] ^ 1U);
  RC_ASSERT(salted(salt, hash.bytes()) != hash);
  RC_ASSERT(salted(salt, hash.bytes()) != salted(other, hash.bytes()));
  Bytes both = to_bytes(ByteView(salt));
  both.insert(both.end(), hash.value.begin(), hash.value.end());
  RC_ASSERT(salted(salt, hash.bytes()) == sha256(both));
}

}  // namespace
}  // namespace phase::job
