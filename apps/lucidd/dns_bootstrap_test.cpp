#include "dns_bootstrap.h"

#include <gtest/gtest.h>

namespace phase::lucidd {
namespace {

constexpr std::string_view kPeer = "12D3KooWJ6vTjo6yFgEc9YbFWp8hd3JYfpaE2CxhYKvWcPozaNJB";

/// An answer with one TXT record of these strings.
Bytes answer_of(const std::vector<std::string>& strings) {
  Bytes data;
  for (const std::string& text : strings) {
    data.push_back(static_cast<std::uint8_t>(text.size()));
    data.insert(data.end(), text.begin(), text.end());
  }
  Bytes out{0, 1, 0x81, 0x80, 0, 0, 0, 1, 0, 0, 0, 0};
  const Bytes record{1,
                     'x',
                     0,
                     0,
                     16,
                     0,
                     1,
                     0,
                     0,
                     0,
                     60,
                     static_cast<std::uint8_t>(data.size() >> 8),
                     static_cast<std::uint8_t>(data.size())};
  out.insert(out.end(), record.begin(), record.end());
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

TEST(DnsBootstrap, TakesEachStringThatIsAnAddressOfAPeer) {
  const std::string good = "/ip4/192.0.2.1/tcp/4001/p2p/" + std::string{kPeer};
  const auto found = read_txt_answer(
      answer_of({" " + good + " ", "dnsaddr=" + good, "v=spf1 -all", "/ip4/192.0.2.1/tcp/4001",
                 "/ip4/192.0.2.1/tcp/4001/p2p/", "/ip4/1.2.3.4/p2p/\x01", ""}));
  ASSERT_TRUE(found) << found.error().text();
  EXPECT_EQ(*found, (std::vector<std::string>{good, good}));
}

TEST(DnsBootstrap, TakesSixtyFourAtMost) {
  const std::vector<std::string> many(100, "/ip4/1.2.3.4/tcp/1/p2p/x");
  EXPECT_EQ(read_txt_answer(answer_of(many))->size(), kDnsAddressesMax);
}

TEST(DnsBootstrap, RefusesAnswersThatAreNone) {
  EXPECT_EQ(read_txt_answer({}).error().code, Code::malformed);
  Bytes cut = answer_of({"/ip4/1.2.3.4/tcp/1/p2p/x"});
  cut.resize(cut.size() - 3);
  EXPECT_EQ(read_txt_answer(cut).error().code, Code::malformed);
  Bytes lies = answer_of({"/ip4/1.2.3.4/tcp/1/p2p/x"});
  lies[25] = 200;  // the string claims more than the record has
  EXPECT_TRUE(read_txt_answer(lies)->empty());
}

TEST(DnsBootstrap, ReadsServers) {
  EXPECT_EQ(parse_dns_server("127.0.0.1:5353")->port, 5353);
  EXPECT_EQ(parse_dns_server("9.9.9.9")->port, 53);
  for (const char* bad :
       {"", "dns.example", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:99999", "1.2.3.4:5x"}) {
    EXPECT_EQ(parse_dns_server(bad).error().code, Code::invalid_argument) << bad;
  }
  EXPECT_TRUE(names_a_server("# a\nsearch x\n nameserver 10.0.0.1\n"));
  EXPECT_FALSE(names_a_server("search x\n#nameserver 10.0.0.1\nnameserver\n"));
}

TEST(DnsBootstrap, ASystemWithoutServersIsSaidUnlessThereIsAFallback) {
  DnsOptions options;
  options.resolv_conf = "/nowhere/resolv.conf";
  EXPECT_TRUE(bootstrap_addresses(options)->problems.empty()) << "nothing was asked for";
  options.domains = {"bootstrap.example"};
  const auto skipped = bootstrap_addresses(options);
  ASSERT_TRUE(skipped);
  ASSERT_EQ(skipped->problems.size(), 1u);
  EXPECT_NE(skipped->problems[0].find("--dns-fallback"), std::string::npos);
  options.server = "no server";
  EXPECT_EQ(bootstrap_addresses(options).error().code, Code::invalid_argument);
}

}  // namespace
}  // namespace phase::lucidd
