// Goal: peer ids and envelopes are what spec/envelope.md says, and nothing else is taken.
#include "identity/identity.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "base/cbor.h"
#include "tests/fuzz/arbitrary.h"

namespace phase::identity {
namespace {

KeyPair test_key(std::uint8_t fill) {
  return KeyPair::from_seed(Bytes(32, fill)).value();
}

TEST(PeerId, OfRfc8032Test1IsTheOneOfTheSpecification) {
  const auto key =
      PublicKey::from_hex_text("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  EXPECT_EQ(PeerId::from(*key).text(), "12D3KooWQK1wnefoLrcVHbbnf5tLzbopUd3K3bFAoJpA7YJgL5pV");
}

RC_GTEST_PROP(PeerId, ReadsBackWhatItWrites, ()) {
  const auto key = arbitrary::hash<PublicKey>();
  const PeerId id = PeerId::from(key);
  RC_ASSERT(id.text().starts_with("12D3KooW"));
  RC_ASSERT(PeerId::parse(id.text()).value() == id);
  RC_ASSERT(PeerId::parse(id.text()).value().key() == key);
}

RC_GTEST_PROP(PeerId, OneOtherLetterIsAnotherPeerOrNone, ()) {
  const PeerId id = PeerId::from(arbitrary::hash<PublicKey>());
  std::string text = id.text();
  char& letter = text[static_cast<std::size_t>(arbitrary::number(0, text.size() - 1))];
  letter = *rc::gen::distinctFrom(letter);
  const auto other = PeerId::parse(text);
  if (other) RC_ASSERT(other->key() != id.key());
}

TEST(KeyPair, SeedMustHave32Bytes) {
  for (const std::size_t size : {0U, 31U, 33U, 64U}) {
    EXPECT_EQ(KeyPair::from_seed(Bytes(size)).error().code, Code::malformed);
  }
}

TEST(KeyPair, MovesItsSecretAlong) {
  KeyPair first = test_key(1);
  const PublicKey key = first.public_key();
  KeyPair second = std::move(first);
  EXPECT_EQ(second.public_key(), key);
  EXPECT_EQ(to_bytes(second.seed()), Bytes(32, 1));
  EXPECT_TRUE(open(Domain::node, seal(Domain::node, {}, second)).has_value());
}

RC_GTEST_PROP(Envelope, OpensWhatWasSealed, ()) {
  const auto domain = static_cast<Domain>(arbitrary::number(0, 4));
  const Bytes payload = arbitrary::bytes(0, 300);
  const KeyPair key = arbitrary::key();
  const Bytes envelope = seal(domain, payload, key);
  const auto opened = open(domain, envelope);
  RC_ASSERT(opened.has_value());
  RC_ASSERT(opened->payload == payload);
  RC_ASSERT(opened->signer == key.public_key());
  RC_ASSERT(opened->signed_hash == signed_hash(domain, envelope).value());
  RC_ASSERT(seal(domain, payload, key) == envelope);
}

RC_GTEST_PROP(Envelope, IsRefusedInEveryOtherDomain, ()) {
  const auto domain = static_cast<Domain>(arbitrary::number(0, 4));
  const Bytes envelope = seal(domain, arbitrary::bytes(0, 60), arbitrary::key());
  for (int other = 0; other <= 4; ++other) {
    if (static_cast<Domain>(other) == domain) continue;
    RC_ASSERT(!open(static_cast<Domain>(other), envelope).has_value());
    RC_ASSERT(!signed_hash(static_cast<Domain>(other), envelope).has_value());
  }
}

TEST(Envelope, EveryFlippedBitIsRefused) {
  const Bytes envelope = seal(Domain::receipt, to_bytes("a payload"), test_key(2));
  for (std::size_t bit = 0; bit < envelope.size() * 8; ++bit) {
    Bytes changed = envelope;
    changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1U << (bit % 8)));
    EXPECT_FALSE(open(Domain::receipt, changed).has_value()) << "bit " << bit;
  }
}

TEST(Envelope, EveryShorterPieceIsRefused) {
  const Bytes envelope = seal(Domain::receipt, to_bytes("a payload"), test_key(2));
  for (std::size_t size = 0; size < envelope.size(); ++size) {
    EXPECT_FALSE(open(Domain::receipt, ByteView(envelope).first(size)).has_value());
  }
}

TEST(Envelope, AboveTheLimitIsRefusedUnread) {
  const KeyPair key = test_key(3);
  const std::size_t around = seal(Domain::receipt, Bytes(60'000), key).size() - 60'000;
  const auto sealed = [&](std::size_t size) {
    return seal(Domain::receipt, Bytes(size - around), key);
  };
  ASSERT_EQ(sealed(kEnvelopeBytesMax).size(), kEnvelopeBytesMax);
  EXPECT_TRUE(open(Domain::receipt, sealed(kEnvelopeBytesMax)).has_value());
  EXPECT_EQ(open(Domain::receipt, sealed(kEnvelopeBytesMax + 1)).error().code, Code::too_large);
}

TEST(Envelope, UnverifiedSaysWhatStandsThereAndOpenDoesNot) {
  Bytes envelope = seal(Domain::receipt, to_bytes("payload"), test_key(4));
  envelope.back() = static_cast<std::uint8_t>(envelope.back() ^ 1U);
  const auto form = read_unverified(Domain::receipt, envelope);
  ASSERT_TRUE(form.has_value());
  EXPECT_EQ(form->payload, to_bytes("payload"));
  EXPECT_EQ(form->signer, test_key(4).public_key());
  EXPECT_EQ(open(Domain::receipt, envelope).error().code, Code::verification_failed);
}

}  // namespace
}  // namespace phase::identity
