#include "vcp/task/egress.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <boost/asio/ip/address.hpp>

namespace phase::vcp {
namespace {

namespace ip = boost::asio::ip;

constexpr std::array<std::string_view, 3> kEgresses = {"allowlist_domains", "protocol_limited",
                                                       "metered_general_egress"};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool is_digits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

bool is_label(std::string_view text) {
  return !text.empty() && text.size() <= kLabelBytesMax && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

/// Of lower case. A last label of digits, or 0x..., is what resolvers read as a number.
bool is_name(std::string_view host) {
  if (host.empty() || host.size() > kHostBytesMax) return false;
  std::string_view rest = host;
  while (true) {
    const std::size_t dot = rest.find('.');
    const std::string_view label = rest.substr(0, dot);
    if (!is_label(label)) return false;
    if (dot == std::string_view::npos) return !is_digits(label) && !label.starts_with("0x");
    rest.remove_prefix(dot + 1);
  }
}

tl::unexpected<Error> bad(std::string what) {
  return fail(Code::malformed, std::move(what));
}

/// A host, in the one spelling that is compared. Errors: Code::malformed.
Result<Destination> parse_host(std::string_view text) {
  Destination out;
  boost::system::error_code error;
  const ip::address address = ip::make_address(std::string(text), error);
  if (!error && text.find('%') == std::string_view::npos) {
    out.host = address.to_string();
    out.is_address = true;
    return out;
  }
  out.host = lower(text);
  if (out.host.ends_with('.')) out.host.pop_back();
  if (!is_name(out.host)) return bad("the destination's host is no name and no address");
  return out;
}

}  // namespace

std::string_view egress_name(Egress egress) noexcept {
  return kEgresses[static_cast<std::size_t>(egress)];
}

std::optional<Egress> egress_of(std::string_view name) noexcept {
  const auto found = std::ranges::find(kEgresses, name);
  if (found == kEgresses.end()) return std::nullopt;
  return static_cast<Egress>(found - kEgresses.begin());
}

std::string Destination::text() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<Destination> parse_destination(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad("a destination is host:port");
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const bool brackets = host.starts_with('[') && host.ends_with(']');
  if (brackets) host = host.substr(1, host.size() - 2);
  if (brackets != (host.find(':') != std::string_view::npos)) {
    return bad("an IPv6 address stands in brackets, nothing else does");
  }
  PHASE_TRY(Destination out, parse_host(host));
  const char* const end = port.data() + port.size();
  const auto [at, error] = std::from_chars(port.data(), end, out.port);
  if (!is_digits(port) || error != std::errc() || at != end || out.port == 0) {
    return bad("the destination's port is 1 to 65535");
  }
  return out;
}

Result<std::string> parse_rule(std::string_view text) {
  const bool wild = text.starts_with("*.");
  const auto host = parse_host(wild ? text.substr(2) : text);
  if (!host || (wild && host->is_address)) return bad("a rule is a host, or *.suffix");
  return (wild ? "*." : "") + host->host;
}

bool named_by(const std::vector<std::string>& rules, const Destination& destination) {
  return std::ranges::any_of(rules, [&destination](std::string_view rule) {
    if (!rule.starts_with("*.")) return rule == destination.host;
    if (destination.is_address) return false;
    const std::string_view host = destination.host;
    return host == rule.substr(2) || host.ends_with(rule.substr(1));
  });
}

}  // namespace phase::vcp
