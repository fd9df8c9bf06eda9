#include "api/vcp/rate_limit.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <boost/asio/ip/address.hpp>

namespace phase::vcp::api {
namespace {

constexpr Duration kCleanEvery = 300s;
constexpr std::size_t kForwardedMax = 32;
constexpr double kMinuteNs = 60e9;

std::optional<std::vector<std::uint8_t>> bytes_of(std::string_view text) {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(std::string{text}, error);
  if (error) {
    return std::nullopt;
  }
  if (address.is_v4()) {
    const auto raw = address.to_v4().to_bytes();
    return std::vector<std::uint8_t>(raw.begin(), raw.end());
  }
  const auto v6 = address.to_v6();
  if (v6.is_v4_mapped()) {
    const auto raw = asio::ip::make_address_v4(asio::ip::v4_mapped, v6).to_bytes();
    return std::vector<std::uint8_t>(raw.begin(), raw.end());
  }
  const auto raw = v6.to_bytes();
  return std::vector<std::uint8_t>(raw.begin(), raw.end());
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

bool same_bits(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b,
               unsigned bits) {
  for (unsigned i = 0; i < bits; ++i) {
    const auto mask = static_cast<std::uint8_t>(0x80U >> i % 8);
    if ((a[i / 8] & mask) != (b[i / 8] & mask)) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string_view tier_name(Tier tier) noexcept {
  static constexpr std::string_view kNames[] = {"none",  "auth",    "node", "task",
                                                "proof", "general", "read"};
  return kNames[static_cast<std::size_t>(tier)];
}

const Rate& rate_of(const Rates& rates, Tier tier) noexcept {
  switch (tier) {
    case Tier::auth:
      return rates.auth;
    case Tier::node:
      return rates.node;
    case Tier::task:
      return rates.task;
    case Tier::proof:
      return rates.proof;
    case Tier::read:
      return rates.read;
    case Tier::none:
    case Tier::general:
      break;
  }
  return rates.general;
}

std::optional<Duration> RateLimiter::take(std::string_view subject, Tier tier, const Rate& rate,
                                          Instant now) {
  if (tier == Tier::none) {
    return std::nullopt;
  }
  if (buckets_.size() >= buckets_max_ || now - cleaned_ >= kCleanEvery) {
    make_room(now);
  }
  // Above the limit those that are new share one bucket.
  std::string name = std::string{tier_name(tier)} + " " + std::string{subject};
  if (buckets_.size() >= buckets_max_ && !buckets_.contains(name)) {
    name = std::string{tier_name(tier)};
  }
  const auto [found, made] = buckets_.try_emplace(std::move(name), Bucket{double(rate.burst), now});
  Bucket& bucket = found->second;
  const double per_ns = rate.per_minute / kMinuteNs;
  const auto passed = static_cast<double>(std::max<std::int64_t>((now - bucket.at).count(), 0));
  bucket.tokens = std::min(double(rate.burst), bucket.tokens + passed * per_ns);
  bucket.at = now;
  if (bucket.tokens >= 1) {
    bucket.tokens -= 1;
    return std::nullopt;
  }
  if (rate.per_minute == 0 || rate.burst == 0) {
    return std::chrono::hours(1);
  }
  return Duration{static_cast<std::int64_t>(std::ceil((1 - bucket.tokens) / per_ns))};
}

void RateLimiter::make_room(Instant now) {
  cleaned_ = now;
  std::erase_if(buckets_, [now](const auto& one) { return now - one.second.at > kBucketIdle; });
}

Result<AddressSet> AddressSet::parse(const std::vector<std::string>& cidrs) {
  AddressSet out;
  for (const std::string& text : cidrs) {
    const std::size_t slash = std::min(text.find('/'), text.size());
    const auto bytes = bytes_of(std::string_view{text}.substr(0, slash));
    unsigned bits = bytes ? static_cast<unsigned>(bytes->size()) * 8 : 0;
    const unsigned most = bits;
    bool good = bytes.has_value();
    if (good && slash < text.size()) {
      const char* end = text.data() + text.size();
      const auto [at, error] = std::from_chars(text.data() + slash + 1, end, bits);
      good = error == std::errc{} && at == end && bits <= most;
    }
    if (!good) {
      return fail(Code::invalid_argument, "this is no range of addresses: " + printable(text, 64),
                  "write it as 10.0.0.0/8");
    }
    out.ranges_.push_back({*bytes, bits});
  }
  return out;
}

bool AddressSet::contains(std::string_view address) const {
  const auto bytes = bytes_of(address);
  return bytes && std::ranges::any_of(ranges_, [&bytes](const Range& range) {
           return range.bytes.size() == bytes->size() && same_bits(range.bytes, *bytes, range.bits);
         });
}

std::string client_address(const std::string& peer, std::string_view forwarded,
                           std::string_view real, const AddressSet& trusted) {
  if (!trusted.contains(peer)) {
    return peer;
  }
  std::string client = peer;
  for (std::size_t i = 0; i < kForwardedMax && !forwarded.empty(); ++i) {
    const std::size_t comma = forwarded.rfind(',');
    const std::string_view last =
        trimmed(comma == std::string_view::npos ? forwarded : forwarded.substr(comma + 1));
    if (!bytes_of(last)) {
      return client;
    }
    client = std::string{last};
    if (!trusted.contains(client)) {
      return client;
    }
    forwarded = comma == std::string_view::npos ? std::string_view{} : forwarded.substr(0, comma);
  }
  const std::string_view only = trimmed(real);
  return client == peer && bytes_of(only) ? std::string{only} : client;
}

bool is_loopback(std::string_view address) {
  boost::system::error_code error;
  const auto parsed = asio::ip::make_address(std::string{address}, error);
  return !error && parsed.is_loopback();
}

}  // namespace phase::vcp::api
