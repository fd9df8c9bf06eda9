// What the API is made of, without a socket.
#include <set>

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "api/vcp/api_server.h"
#include "api/vcp/operation.h"
#include "api/vcp/times.h"

namespace phase::vcp::api {
namespace {

// ── Times ──

TEST(VcpTimes, ReadWhatTheyWrite) {
  for (const std::uint64_t ms : {0ULL, 951'782'400'123ULL, 1'767'225'600'000ULL}) {
    EXPECT_EQ(parse_utc(utc_text({ms})), UtcTime{ms}) << utc_text({ms});
  }
  EXPECT_EQ(utc_text({951'782'400'123}), "2000-02-29T00:00:00.123Z");
  EXPECT_EQ(parse_utc("2000-02-29T01:30:00+01:30"), UtcTime{951'782'400'000});
  EXPECT_EQ(parse_utc("2000-02-28T23:00:00.5-01:00"), UtcTime{951'782'400'500});
}

TEST(VcpTimes, RefuseWhatIsNone) {
  for (const char* bad :
       {"", "2000", "2000-02-30T00:00:00Z", "2000-02-29", "2000-02-29T24:00:00Z",
        "2000-02-29T00:00:00", "2000-02-29T00:00:00.Z", "2000-02-29T00:00:00Zx",
        "1960-01-01T00:00:00Z", "2000-02-29T00:00:00+24:00", "2000-02-29T00:00:00.0000000001Z"}) {
    EXPECT_FALSE(parse_utc(bad)) << bad;
  }
}

// ── Rates ──

constexpr Instant at(std::int64_t ms) {
  return {ms * 1'000'000};
}

TEST(VcpRates, ABucketHasItsBurstAndFillsAtItsRate) {
  RateLimiter limiter;
  const Rate rate{30, 3};  // one in two seconds
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(limiter.take("user:1", Tier::task, rate, at(0)));
  }
  const auto wait = limiter.take("user:1", Tier::task, rate, at(0));
  ASSERT_TRUE(wait);
  EXPECT_EQ(*wait, 2s);
  EXPECT_FALSE(limiter.take("user:2", Tier::task, rate, at(0))) << "another one's";
  EXPECT_FALSE(limiter.take("user:1", Tier::node, rate, at(0))) << "another tier";
  EXPECT_TRUE(limiter.take("user:1", Tier::task, rate, at(1'999)));
  EXPECT_FALSE(limiter.take("user:1", Tier::task, rate, at(2'001)));
  EXPECT_FALSE(limiter.take("user:1", Tier::task, rate, at(1'000'000)));
  EXPECT_TRUE(limiter.take("user:1", Tier::task, {0, 0}, at(1'000'000))) << "no rate at all";
  EXPECT_FALSE(limiter.take("user:1", Tier::none, {0, 0}, at(0)));
}

TEST(VcpRates, BucketsAreBoundedAndIdleOnesGo) {
  RateLimiter limiter(10);
  const Rate rate{1, 1};
  for (int i = 0; i < 100; ++i) {
    static_cast<void>(limiter.take("address:" + std::to_string(i), Tier::auth, rate, at(0)));
  }
  EXPECT_LE(limiter.buckets(), 11U) << "the eleventh is that of all others";
  EXPECT_TRUE(limiter.take("address:new", Tier::auth, rate, at(1))) << "which is empty";
  EXPECT_FALSE(limiter.take("address:new", Tier::auth, rate, at(601'000)));
  EXPECT_EQ(limiter.buckets(), 1U);
}

TEST(VcpRates, OnlyTrustedProxiesSpeakForOthers) {
  const auto trusted = AddressSet::parse({"10.0.0.0/8", "::1/128", "192.0.2.7"});
  ASSERT_TRUE(trusted);
  EXPECT_TRUE(trusted->contains("10.255.0.1"));
  EXPECT_TRUE(trusted->contains("::ffff:10.1.2.3"));
  EXPECT_TRUE(trusted->contains("192.0.2.7"));
  EXPECT_FALSE(trusted->contains("192.0.2.8"));
  EXPECT_FALSE(trusted->contains("11.0.0.1"));
  EXPECT_FALSE(trusted->contains("::2"));
  EXPECT_FALSE(trusted->contains("x"));
  EXPECT_EQ(client_address("203.0.113.1", "198.51.100.1", "", *trusted), "203.0.113.1");
  EXPECT_EQ(client_address("10.0.0.1", "198.51.100.1, 10.0.0.2", "", *trusted), "198.51.100.1");
  EXPECT_EQ(client_address("10.0.0.1", "6.6.6.6, 198.51.100.1", "", *trusted), "198.51.100.1")
      << "what a client says of itself does not count";
  EXPECT_EQ(client_address("10.0.0.1", "nonsense", "", *trusted), "10.0.0.1");
  EXPECT_EQ(client_address("10.0.0.1", "", "198.51.100.1", *trusted), "198.51.100.1");
  for (const char* bad : {"10.0.0.0/33", "x", "10.0.0.0/", "10.0.0.0/-1", ""}) {
    EXPECT_FALSE(AddressSet::parse({bad})) << bad;
  }
}

// ── Schemas ──

std::vector<std::string> wrong(const Schema& schema, std::string_view text) {
  std::vector<FieldError> found;
  schema.check(json::parse(text), "", found);
  std::vector<std::string> out;
  for (const FieldError& one : found) out.push_back(one.field);
  return out;
}

TEST(VcpSchema, NamesEveryMemberThatIsWrong) {
  const Schema inner = Schema::object("Inner", {{"n", Schema::integer(1, 10)}});
  const Schema schema =
      Schema::object("Outer", {{"name", Schema::text(1, 4).form(Schema::Form::node_name)},
                               {"inner", inner},
                               optional("list", Schema::array(Schema::words({"a", "b"}), 2)),
                               optional("real", Schema::number(0, 1)),
                               optional("maybe", Schema::boolean().nullable())});
  using Names = std::vector<std::string>;
  EXPECT_EQ(wrong(schema, R"({"name":"n","inner":{"n":1}})"), Names{});
  EXPECT_EQ(wrong(schema, R"({"name":"n","inner":{"n":1},"list":["a","b"],"real":1,"maybe":null})"),
            Names{});
  EXPECT_EQ(wrong(schema, R"({"name":"a b","inner":{"n":11}})"), (Names{"name", "inner.n"}));
  EXPECT_EQ(wrong(schema, R"({"inner":{"n":1.0},"list":["a","c"]})"),
            (Names{"name", "inner.n", "list[1]"}));
  EXPECT_EQ(wrong(schema, R"({"name":"","inner":{"n":-1,"m":2},"x":1})"),
            (Names{"name", "inner.n", "inner.m", "x"}));
  EXPECT_EQ(wrong(schema, R"({"name":"n","inner":null,"real":1.5,"maybe":0,"list":[1,2,3]})"),
            (Names{"inner", "list", "real", "maybe"}));
  EXPECT_EQ(wrong(schema, "[]"), Names{"body"});
}

// ── The document ──

const json::object& object_at(const json::value& from, std::string_view pointer) {
  return from.at_pointer(pointer).as_object();
}

TEST(VcpOpenApi, SaysEveryOperationOnceAndRefersToWhatIsThere) {
  const auto operations = all_operations();
  const std::string text = openapi_document(operations);
  const json::value document = json::parse(text);
  EXPECT_EQ(document.at("openapi").as_string(), "3.1.0");
  std::set<std::string> ids, routes;
  for (const Operation& operation : operations) {
    EXPECT_TRUE(ids.insert(operation.id).second) << operation.id;
    EXPECT_TRUE(
        routes.insert(std::string{http::method_name(operation.method)} + operation.path).second);
    EXPECT_NE(operation.run, nullptr);
    EXPECT_FALSE(operation.summary.empty());
    const bool open = operation.who == Who::anybody;
    EXPECT_EQ(operation.scope.empty() || !open, true) << operation.id;
    EXPECT_TRUE(object_at(document, "/paths").contains(operation.path)) << operation.path;
  }
  const json::object& components = object_at(document, "/components/schemas");
  for (std::size_t at = text.find("#/components/schemas/"); at != std::string::npos;
       at = text.find("#/components/schemas/", at + 1)) {
    const std::size_t from = at + std::string_view{"#/components/schemas/"}.size();
    const std::string name = text.substr(from, text.find('"', from) - from);
    EXPECT_TRUE(components.contains(name)) << name;
  }
  EXPECT_TRUE(object_at(document, "/components/securitySchemes").contains("bearer"));
}

// Every name must mean one form: two schemas of one name would hide each other in the document.
TEST(VcpOpenApi, AComponentHasOneForm) {
  const auto operations = all_operations();
  json::object seen;
  for (const Operation& operation : operations) {
    std::vector<Schema> all;
    if (operation.body) all.push_back(*operation.body);
    for (const Answer& answer : operation.answers) {
      if (answer.body) all.push_back(*answer.body);
    }
    for (const Schema& schema : all) {
      json::object components;
      static_cast<void>(schema.describe(components));
      for (const auto& [name, form] : components) {
        const auto [found, made] = seen.emplace(name, form);
        EXPECT_EQ(found->value(), form) << name << " in " << operation.id;
      }
    }
  }
}

/// Sets a variable of the environment for one test.
class Variable {
 public:
  Variable(std::string name, const char* value) : name_(std::move(name)) {
    ::setenv(name_.c_str(), value, 1);
  }
  ~Variable() { ::unsetenv(name_.c_str()); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  std::string name_;
};

TEST(VcpEnvironment, SaysRatesOriginsProxiesAndThePort) {
  const Variable port("PORT", "10000"), rate("RATE_LIMIT_AUTH_RPM", "7");
  const Variable burst("RATE_LIMIT_TASK_BURST", "9");
  const Variable origins("CORS_ALLOWED_ORIGINS", "https://a.example, https://b.example");
  const Variable proxies("TRUSTED_PROXY_CIDRS", "10.0.0.0/8,fd00::/8");
  ApiOptions options;
  const auto read = read_environment(options);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(options.port, 10'000);
  EXPECT_EQ(options.rates.auth.per_minute, 7U);
  EXPECT_EQ(options.rates.task.burst, 9U);
  EXPECT_EQ(options.origins, (std::vector<std::string>{"https://a.example", "https://b.example"}));
  EXPECT_EQ(options.trusted_proxies, (std::vector<std::string>{"10.0.0.0/8", "fd00::/8"}));
}

TEST(VcpEnvironment, WhatCannotBeIsRefused) {
  const std::pair<const char*, const char*> wrong[] = {{"PORT", "65536"},
                                                       {"PORT", "-1"},
                                                       {"RATE_LIMIT_READ_RPM", "many"},
                                                       {"RATE_LIMIT_NODE_BURST", "1000001"},
                                                       {"CORS_ALLOWED_ORIGINS", "*"},
                                                       {"TRUSTED_PROXY_CIDRS", "10.0.0.0/33"}};
  for (const auto& [name, value] : wrong) {
    const Variable set(name, value);
    ApiOptions options;
    const auto refused = read_environment(options);
    ASSERT_FALSE(refused) << name << "=" << value;
    EXPECT_EQ(refused.error().code, Code::invalid_argument) << name;
  }
}

}  // namespace
}  // namespace phase::vcp::api
