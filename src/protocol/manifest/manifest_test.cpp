// Goal: a manifest is the requester's word, exactly once, for a time.
#include "protocol/manifest/manifest.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/fuzz/arbitrary_documents.h"

namespace phase::manifest {
namespace {

Manifest plain() {
  Manifest out;
  job::WasmJob job;
  job.module = job::reference(Bytes{1});
  out.job = job;
  out.created = {1'000'000};
  out.expires = {1'600'000};
  return out;
}

identity::KeyPair test_key(std::uint8_t fill) {
  return identity::KeyPair::from_seed(Bytes(32, fill)).value();
}

RC_GTEST_PROP(Manifest, ReadsBackWhatItWrites, ()) {
  const Manifest value = arbitrary::manifest();
  const Bytes payload = encode_payload(value);
  const auto read = decode_payload(payload);
  RC_ASSERT(read.has_value());
  RC_ASSERT(*read == value);
  RC_ASSERT(encode_payload(*read) == payload);
  RC_ASSERT(check(value).has_value());
}

RC_GTEST_PROP(Manifest, WhatIsReadFromChangedBytesHasOneSpelling, ()) {
  Bytes payload = encode_payload(arbitrary::manifest());
  const auto at = static_cast<std::size_t>(arbitrary::number(0, payload.size() - 1));
  payload[at] = *rc::gen::arbitrary<std::uint8_t>();
  const auto read = decode_payload(payload);
  if (read) RC_ASSERT(encode_payload(*read) == payload);
}

RC_GTEST_PROP(Manifest, OpensWhatWasSignedAndKeepsItsBytes, ()) {
  const Manifest value = arbitrary::manifest();
  const identity::KeyPair key = arbitrary::key();
  const SignedManifest made = sign(value, key);
  const auto opened = open(made.envelope);
  RC_ASSERT(opened.has_value());
  RC_ASSERT(opened->manifest == value);
  RC_ASSERT(opened->requester == key.public_key());
  RC_ASSERT(opened->id == made.id);
  RC_ASSERT(opened->envelope == made.envelope);
}

RC_GTEST_PROP(Manifest, OneFlippedBitIsRefused, ()) {
  Bytes envelope = sign(arbitrary::manifest(), arbitrary::key()).envelope;
  const auto bit = static_cast<std::size_t>(arbitrary::number(0, envelope.size() * 8 - 1));
  envelope[bit / 8] = static_cast<std::uint8_t>(envelope[bit / 8] ^ (1U << (bit % 8)));
  RC_ASSERT(!open(envelope).has_value());
}

TEST(JobId, TellsNonceAndSignerApart) {
  Manifest other = plain();
  other.nonce[15] = 1;
  EXPECT_NE(sign(plain(), test_key(1)).id, sign(other, test_key(1)).id);
  EXPECT_NE(sign(plain(), test_key(1)).id, sign(plain(), test_key(2)).id);
  EXPECT_EQ(sign(plain(), test_key(1)).id, sign(plain(), test_key(1)).id);
}

TEST(Manifest, CheckRefusesWhatNobodyWouldOpen) {
  Manifest large = plain();
  std::get<job::WasmJob>(large.job).args.assign(20, std::string(4000, 'a'));
  EXPECT_EQ(check(large).error().code, Code::too_large);
  const SignedManifest made = sign(large, test_key(1));  // no crash, and nobody takes it
  EXPECT_EQ(open(made.envelope).error().code, Code::too_large);
  Manifest endless = plain();
  endless.expires = {endless.created.unix_ms + 3'600'001};
  EXPECT_EQ(check(endless).error().code, Code::malformed);
  Manifest no_time = plain();
  no_time.wall_limit_ms = 0;
  EXPECT_EQ(check(no_time).error().code, Code::malformed);
}

TEST(CheckTime, HoldsAtTheEdges) {
  const Manifest value = plain();
  EXPECT_TRUE(check_time(value, {value.created.unix_ms - 120'000}).has_value());
  EXPECT_EQ(check_time(value, {value.created.unix_ms - 120'001}).error().code,
            Code::invalid_argument);
  EXPECT_TRUE(check_time(value, {value.expires.unix_ms - 1}).has_value());
  EXPECT_EQ(check_time(value, value.expires).error().code, Code::expired);
}

TEST(CheckTime, DoesNotOverflow) {
  Manifest value = plain();
  value.created = {UINT64_MAX - 1};
  value.expires = {UINT64_MAX};
  EXPECT_EQ(check_time(value, {0}).error().code, Code::invalid_argument);
  EXPECT_TRUE(check_time(value, {UINT64_MAX - 1}).has_value());
  EXPECT_EQ(check_time(value, {UINT64_MAX}).error().code, Code::expired);
  value.expires = value.created;
  EXPECT_EQ(check_time(value, {UINT64_MAX - 1}).error().code, Code::invalid_argument);
  value.created = {0};
  EXPECT_EQ(check_time(value, {0}).error().code, Code::invalid_argument);
}

TEST(Level, NamesReadBack) {
  for (int i = 0; i <= static_cast<int>(Level::proof); ++i) {
    const auto level = static_cast<Level>(i);
    EXPECT_EQ(level_from_name(level_name(level)).value(), level);
  }
  for (const char* wrong : {"", "Signature", "re_execute", "proofs"}) {
    EXPECT_FALSE(level_from_name(wrong).has_value()) << wrong;
  }
}

}  // namespace
}  // namespace phase::manifest
