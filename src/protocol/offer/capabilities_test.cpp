// Goal: a node's word about itself is believed only from that node, and only while it is fresh.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "protocol/offer/frame.h"
#include "tests/fuzz/arbitrary_documents.h"

namespace phase::offer {
namespace {

Capabilities arbitrary_node() {
  Capabilities out;
  out.created = {arbitrary::number(200'000, UINT64_MAX / 2)};
  out.expires = {out.created.unix_ms + arbitrary::number(1, 300'000)};
  out.agent = arbitrary::text(0, 12);
  out.arch = arbitrary::text(1, 8);
  out.cpu_cores = arbitrary::number();
  out.memory_bytes = arbitrary::number();
  for (auto left = arbitrary::number(0, 2); left > 0; --left) out.kinds.push_back("wasm");
  out.runtime = arbitrary::text(0, 10);
  out.region = arbitrary::maybe([] { return arbitrary::text(0, 5); });
  for (auto left = arbitrary::number(0, 3); left > 0; --left) {
    out.models.push_back(arbitrary::hash<Sha256>());
  }
  if (arbitrary::coin()) {
    for (std::size_t i = 0; i < out.models.size(); ++i) {
      out.model_names.push_back(arbitrary::text(1, 9));
    }
  }
  out.jobs_running = arbitrary::number();
  out.jobs_max = arbitrary::number();
  out.isolation = {"landlock", "seccomp"};
  out.open = arbitrary::coin();
  return out;
}

RC_GTEST_PROP(Capabilities, ReadBackWhileFresh, ()) {
  const Capabilities node = arbitrary_node();
  const identity::KeyPair key = arbitrary::key();
  const Bytes envelope = seal(node, key);
  const auto read = [&](UtcTime now) { return open_capabilities(envelope, key.public_key(), now); };
  RC_ASSERT(read(node.created).value() == node);
  RC_ASSERT(read({node.expires.unix_ms - 1}).value() == node);
  RC_ASSERT(read(node.expires).error().code == Code::expired);
  RC_ASSERT(read({node.created.unix_ms - 120'000}).has_value());
  RC_ASSERT(read({node.created.unix_ms - 120'001}).error().code == Code::expired);
}

RC_GTEST_PROP(Capabilities, OfAnotherKeyOrWithAFlippedBitAreRefused, ()) {
  const Capabilities node = arbitrary_node();
  const identity::KeyPair key = arbitrary::key();
  Bytes envelope = seal(node, key);
  identity::PublicKey other = key.public_key();
  other.value[0] = static_cast<std::uint8_t>(other.value[0] ^ 1U);
  RC_ASSERT(open_capabilities(envelope, other, node.created).error().code ==
            Code::verification_failed);
  const auto bit = static_cast<std::size_t>(arbitrary::number(0, envelope.size() * 8 - 1));
  envelope[bit / 8] = static_cast<std::uint8_t>(envelope[bit / 8] ^ (1U << (bit % 8)));
  RC_ASSERT(!open_capabilities(envelope, key.public_key(), node.created).has_value());
}

TEST(Capabilities, LongerThanTheirLifetimeAreRefused) {
  Capabilities node;
  node.arch = "x86_64";
  node.created = {1000};
  const auto key = identity::KeyPair::from_seed(Bytes(32, 1)).value();
  for (const std::uint64_t expires : {0ULL, 1000ULL, 301'001ULL}) {
    node.expires = {expires};
    const auto read = open_capabilities(seal(node, key), key.public_key(), node.created);
    EXPECT_EQ(read.error().code, Code::malformed) << expires;
  }
  node.expires = {301'000};
  EXPECT_TRUE(open_capabilities(seal(node, key), key.public_key(), node.created).has_value());
}

}  // namespace
}  // namespace phase::offer
