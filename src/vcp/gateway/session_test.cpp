#include "vcp/gateway/session.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "vcp/gateway/address.h"
#include "vcp/gateway/session_book.h"
#include "vcp/gateway/token_bucket.h"

namespace phase::vcp::gateway {
namespace {

namespace json = boost::json;

json::object entry(const std::string& id = "s-1") {
  return {{"session_id", id},
          {"session_token", "cs_secret"},
          {"egress_profile", "allowlist_domains"},
          {"destination_policy_id", "web"},
          {"allowed_destinations", json::array{"Example.org", "*.example.net"}},
          {"expires_at_epoch_seconds", 2'000'000'000}};
}
std::string list(const json::object& one) {
  return json::serialize(json::array{one});
}
Session session_of(Egress egress, std::vector<std::string> allowed) {
  Session out;
  out.egress = egress;
  out.allowed = std::move(allowed);
  return out;
}
Destination to(const std::string& text) {
  return parse_destination(text).value();
}

TEST(GatewaySessions, AreReadAsAListOrAsTheCoordinatorAnswersThem) {
  const auto plain = parse_sessions(list(entry()));
  ASSERT_TRUE(plain) << plain.error().text();
  ASSERT_EQ(plain->size(), 1U);
  const Session& session = plain->front();
  EXPECT_EQ(session.id, "s-1");
  EXPECT_EQ(session.token, sha256(as_bytes("cs_secret")));
  EXPECT_EQ(session.policy, "web");
  EXPECT_EQ(session.allowed, (std::vector<std::string>{"example.org", "*.example.net"}));
  EXPECT_EQ(session.expires.unix_ms, 2'000'000'000'000U);
  EXPECT_EQ(session.mbps, 0U);

  json::object hashed = entry();
  hashed.erase("session_token");
  hashed["session_token_sha256"] = sha256(as_bytes("cs_secret")).hex();
  hashed["bandwidth_limit_mbps"] = 25;
  const auto answer =
      parse_sessions(json::serialize(json::object{{"sessions", json::array{hashed}}}));
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(answer->front().token, session.token);
  EXPECT_EQ(answer->front().mbps, 25U);
  EXPECT_TRUE(parse_sessions("[]")->empty());
  EXPECT_TRUE(parse_sessions(R"({"sessions":[]})")->empty());
}

TEST(GatewaySessions, WhatIsNotUnderstoodIsRefusedByName) {
  const auto broken = [](const char* name, json::value value) {
    json::object one = entry();
    one[name] = std::move(value);
    const auto out = parse_sessions(list(one));
    return out ? std::string("taken") : out.error().message;
  };
  EXPECT_NE(broken("bandwidth_limit_mbp", 1).find("bandwidth_limit_mbp"), std::string::npos);
  EXPECT_NE(broken("session_token_sha256", json::string(64, '0')).find("another token"),
            std::string::npos);
  EXPECT_NE(broken("session_token_sha256", "12").find("64"), std::string::npos);
  EXPECT_NE(broken("egress_profile", "any").find("egress_profile"), std::string::npos);
  EXPECT_NE(broken("session_id", "").find("session_id"), std::string::npos);
  EXPECT_NE(broken("bandwidth_limit_mbps", 0).find("bandwidth"), std::string::npos);
  EXPECT_NE(broken("bandwidth_limit_mbps", 1.5).find("bandwidth"), std::string::npos);
  EXPECT_NE(broken("expires_at_epoch_seconds", -1).find("expires"), std::string::npos);
  EXPECT_NE(broken("expires_at_epoch_seconds", UINT64_MAX).find("expires"), std::string::npos);
  for (const char* rule :
       {"*", "*.", "", "a b", "*.192.0.2.1", "http://a", "a/b", "a.*.b", "127.1"}) {
    EXPECT_NE(broken("allowed_destinations", json::array{rule}), "taken") << rule;
  }
  for (const char* text :
       {"", "{", "1", "{}", R"({"sessions":1})", "[1]", "[{}]", R"({"sessions":[],"x":1})"}) {
    EXPECT_FALSE(parse_sessions(text)) << text;
  }
  EXPECT_FALSE(parse_sessions(json::serialize(json::array{entry(), entry()}))) << "twice";
  EXPECT_EQ(parse_sessions(std::string(kSessionsBytesMax + 1, ' ')).error().code, Code::too_large);
}

TEST(GatewayDestination, HasOneSpelling) {
  EXPECT_EQ(to("Example.ORG.:443").text(), "example.org:443");
  EXPECT_EQ(to("192.0.2.1:80").text(), "192.0.2.1:80");
  EXPECT_TRUE(to("192.0.2.1:80").is_address);
  EXPECT_EQ(to("[2001:DB8:0::1]:80").text(), "[2001:db8::1]:80");
  EXPECT_FALSE(to("localhost:1").is_address);
  for (const char* text : {"",
                           ":",
                           "a",
                           "a:",
                           ":1",
                           "a:0",
                           "a:65536",
                           "a:-1",
                           "a:+1",
                           "a: 1",
                           "a:1 ",
                           "::1:80",
                           "[a]:1",
                           "[::1]",
                           "[::1]:",
                           "127.1:80",
                           "2130706433:80",
                           "0x7f000001:80",
                           "0x7f.1:80",
                           "a.1:80",
                           "a..b:80",
                           ".a:80",
                           "a b:80",
                           "a\n:80",
                           "fe80::1%eth0:80",
                           "[fe80::1%1]:80",
                           "a@b:80",
                           "a/b:80",
                           "1.2.3.4.5:80",
                           "0177.0.0.1:80",
                           "\xC3\xA9.org:80"}) {
    EXPECT_FALSE(parse_destination(text)) << text;
  }
  EXPECT_FALSE(parse_destination(std::string(kLabelBytesMax + 1, 'a') + ":80"));
  EXPECT_TRUE(parse_destination(std::string(kLabelBytesMax, 'a') + ":80"));
}

TEST(GatewayDestination, IsAllowedByTheSessionsRules) {
  const Session listed =
      session_of(Egress::allowlist_domains, {"example.org", "*.example.net", "192.0.2.1"});
  EXPECT_TRUE(listed.allows(to("EXAMPLE.org:443")));
  EXPECT_TRUE(listed.allows(to("example.net:443")));
  EXPECT_TRUE(listed.allows(to("a.b.example.net:443")));
  EXPECT_TRUE(listed.allows(to("192.0.2.1:1")));
  EXPECT_FALSE(listed.allows(to("www.example.org:443")));
  EXPECT_FALSE(listed.allows(to("example.org.evil.com:443"))) << "a prefix is not enough";
  EXPECT_FALSE(listed.allows(to("badexample.net:443"))) << "nor the end of a label";
  EXPECT_FALSE(listed.allows(to("192.0.2.2:1")));
  EXPECT_FALSE(session_of(Egress::allowlist_domains, {}).allows(to("a.org:1")));
  const Session named = session_of(Egress::protocol_limited, {});
  EXPECT_TRUE(named.allows(to("a.org:1")));
  EXPECT_FALSE(named.allows(to("192.0.2.1:1")));
  EXPECT_FALSE(named.allows(to("[2001:db8::1]:1")));
  EXPECT_TRUE(session_of(Egress::metered_general_egress, {}).allows(to("192.0.2.1:1")));
}

TEST(GatewayHandshake, IsThreeTextsInAnObject) {
  const auto good = parse_handshake(
      R"({"session_id":"s","session_token":"cs_AbC","destination":"a.org:1","more":1})");
  ASSERT_TRUE(good) << good.error().text();
  EXPECT_EQ(good->token, sha256(as_bytes("cs_AbC"))) << "letters keep their case";
  for (const char* line :
       {"", "{}", "[]", "GET / HTTP/1.1", R"({"session_id":"s","session_token":"t"})",
        R"({"session_id":1,"session_token":"t","destination":"a.org:1"})",
        R"({"session_id":"","session_token":"t","destination":"a.org:1"})",
        R"({"session_id":"s","session_token":"t","destination":"a.org"})"}) {
    EXPECT_EQ(parse_handshake(line).error().code, Code::malformed) << line;
  }
  EXPECT_EQ(parse_handshake(std::string(kHandshakeBytesMax, ' ')).error().code, Code::too_large);
}

TEST(SessionBook, DoesNotTellWhichPartWasWrong) {
  SessionBook book;
  book.replace(parse_sessions(list(entry())).value());
  const UtcTime now{1'999'999'999'999};
  Handshake good{"s-1", sha256(as_bytes("cs_secret")), to("example.org:443")};
  ASSERT_TRUE(book.admit(good, now));
  Handshake unknown = good, wrong = good, elsewhere = good;
  unknown.session_id = "s-2";
  wrong.token = sha256(as_bytes("cs_other"));
  elsewhere.destination = to("other.org:443");
  const Error first = book.admit(unknown, now).error();
  EXPECT_EQ(first.code, Code::unauthorized);
  for (const auto& said : {book.admit(wrong, now), book.admit(good, UtcTime{now.unix_ms + 1})}) {
    ASSERT_FALSE(said);
    EXPECT_EQ(said.error().code, first.code);
    EXPECT_EQ(said.error().text(), first.text());
  }
  EXPECT_EQ(book.admit(elsewhere, now).error().code, Code::permission_denied);
  Handshake zero{"s-2", Sha256{}, to("example.org:443")};
  EXPECT_EQ(book.admit(zero, now).error().code, Code::unauthorized);
  book.replace({});
  EXPECT_FALSE(book.admit(good, now));
}

TEST(GatewayAddress, OnlyThePublicInternetIsPublic) {
  const auto is = [](const char* text) { return is_public(boost::asio::ip::make_address(text)); };
  for (const char* text : {"0.0.0.0",
                           "10.1.2.3",
                           "100.64.0.1",
                           "100.127.255.255",
                           "127.0.0.1",
                           "127.255.255.255",
                           "169.254.169.254",
                           "172.16.0.1",
                           "172.31.255.255",
                           "192.0.0.1",
                           "192.0.2.1",
                           "192.168.1.1",
                           "198.18.0.1",
                           "198.51.100.1",
                           "203.0.113.9",
                           "224.0.0.1",
                           "240.0.0.1",
                           "255.255.255.255",
                           "::",
                           "::1",
                           "::ffff:127.0.0.1",
                           "::ffff:10.0.0.1",
                           "::127.0.0.1",
                           "fe80::1",
                           "fec0::1",
                           "fc00::1",
                           "fd12::1",
                           "ff02::1",
                           "2001:db8::1",
                           "2001::1",
                           "2002:7f00:1::1",
                           "64:ff9b::7f00:1",
                           "64:ff9b::a00:1",
                           "64:ff9b:1::1",
                           "100::1",
                           "3fff::1"}) {
    EXPECT_FALSE(is(text)) << text;
  }
  for (const char* text : {"1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1",
                           "223.255.255.255", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8",
                           "64:ff9b::808:808", "2002:808:808::1"}) {
    EXPECT_TRUE(is(text)) << text;
  }
}

RC_GTEST_PROP(TokenBucket, NeverLetsMoreThroughThanItsRate, ()) {
  const auto rate = *rc::gen::inRange<std::uint64_t>(1'000, 100'000'000);
  const auto pieces = *rc::gen::nonEmpty(
      rc::gen::container<std::vector<std::uint64_t>>(rc::gen::inRange<std::uint64_t>(1, 16'385)));
  TokenBucket bucket(rate);
  Instant now{0};
  std::uint64_t sent = 0;
  for (const std::uint64_t piece : pieces) {
    now = now + bucket.take(piece, now);
    sent += piece;
    const double seconds = std::chrono::duration<double>(now - Instant{0}).count();
    const double most = static_cast<double>(std::max(rate / 10, kBurstBytesMin)) +
                        seconds * static_cast<double>(rate);
    RC_ASSERT(static_cast<double>(sent) <= most * 1.000001 + 1);
  }
}

TEST(TokenBucket, WithoutARateIsNoLimit) {
  TokenBucket bucket;
  EXPECT_EQ(bucket.take(1'000'000'000, Instant{0}), Duration::zero());
  bucket.set_rate(1'000);
  EXPECT_GT(bucket.take(1'000'000, Instant{0}), 10s);
}

}  // namespace
}  // namespace phase::vcp::gateway
