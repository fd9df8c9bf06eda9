#include "worker/sandbox/control.h"

#include <gtest/gtest.h>

namespace phase::sandbox::control {
namespace {

TEST(Control, RoundTrips) {
  const Hello hello{{"landlock", "seccomp"}, "rlimits: why", {1, 2, 3}};
  const auto read = decode(encode(hello));
  ASSERT_TRUE(read);
  EXPECT_EQ(std::get<Hello>(*read).layers, hello.layers);
  EXPECT_EQ(std::get<Hello>(*read).missing, hello.missing);
  EXPECT_EQ(std::get<Hello>(*read).about, hello.about);
  EXPECT_EQ(std::get<Forked>(*decode(encode(Forked{7}))).id, 7U);
  EXPECT_EQ(std::get<Refused>(*decode(encode(Refused{"no"}))).why, "no");
  const auto exited = std::get<Exited>(*decode(encode(Exited{9, 31, 0})));
  EXPECT_EQ(exited.id, 9U);
  EXPECT_EQ(exited.signal, 31);
  EXPECT_EQ(decode_fork(encode_fork(Role::compile)), Role::compile);
  EXPECT_EQ(decode_fork(encode_fork(Role::infer)), Role::infer);
  EXPECT_EQ(decode_fork(encode_fork(Role::accelerate)), Role::accelerate);
}

TEST(Control, RefusesTheRest) {
  EXPECT_FALSE(decode({}));
  EXPECT_FALSE(decode(to_bytes("text")));
  Bytes longer = encode(Forked{7});
  longer.push_back(0);
  EXPECT_FALSE(decode(longer));
  EXPECT_FALSE(decode_fork({}));
  EXPECT_FALSE(decode_fork(encode_fork(Role::zygote)));
  EXPECT_FALSE(decode_fork(Bytes{5}));
  EXPECT_FALSE(decode_fork(Bytes{1, 1}));
}

}  // namespace
}  // namespace phase::sandbox::control
