#include "api/http/access.h"

#include <algorithm>

#include <arpa/inet.h>

namespace phase::http {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

/// The name or address of a Host, without its port; empty when the port is no number.
std::string_view without_port(std::string_view host) {
  std::size_t end = host.size();
  if (host.starts_with('[')) {
    end = host.find(']');
    end = end == std::string_view::npos ? 0 : end + 1;
  } else {
    end = std::min(host.find(':'), host.size());
  }
  std::string_view port = host.substr(end);
  if (port.empty()) {
    return host;
  }
  const bool good =
      port.size() > 1 && port.size() <= 6 && port.front() == ':' &&
      std::ranges::all_of(port.substr(1), [](char c) { return c >= '0' && c <= '9'; });
  return good ? host.substr(0, end) : std::string_view{};
}

bool v4_is_near(const std::uint8_t* at) {
  return at[0] == 127 || at[0] == 10 || (at[0] == 172 && (at[1] & 0xf0) == 16) ||
         (at[0] == 192 && at[1] == 168) || (at[0] == 169 && at[1] == 254) ||
         (at[0] == 0 && at[1] == 0 && at[2] == 0 && at[3] == 0);
}

/// Loopback, private (RFC 1918, RFC 4193), link-local or unspecified.
bool address_is_near(std::string_view host) {
  std::array<std::uint8_t, 16> raw{};
  if (host.starts_with('[') && host.ends_with(']')) {
    const std::string text{host.substr(1, host.size() - 2)};
    if (::inet_pton(AF_INET6, text.c_str(), raw.data()) != 1) {
      return false;
    }
    const bool zeros = std::all_of(raw.begin(), raw.end() - 1, [](auto b) { return b == 0; });
    return (zeros && raw[15] <= 1) || (raw[0] & 0xfe) == 0xfc ||
           (raw[0] == 0xfe && (raw[1] & 0xc0) == 0x80);
  }
  return ::inet_pton(AF_INET, std::string{host}.c_str(), raw.data()) == 1 && v4_is_near(raw.data());
}

bool any_fits(const std::vector<std::string>& patterns, std::string_view text) {
  return std::ranges::any_of(patterns, [text](const std::string& p) { return fits(p, text); });
}

}  // namespace

bool fits(std::string_view pattern, std::string_view text) noexcept {
  // The usual walk with one place to return to: linear in practice, quadratic at worst.
  std::size_t p = 0, t = 0, star = std::string_view::npos, back = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      back = t;
    } else if (p < pattern.size() && lower(pattern[p]) == lower(text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++back;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool AccessPolicy::host_allowed(std::string_view host) const {
  if (host_is_loopback(host)) {
    return true;
  }
  const std::string_view name = without_port(host);
  if (name.empty()) {
    return std::ranges::find(hosts, "*") != hosts.end();
  }
  return any_fits(hosts, name) || (host_addresses && address_is_near(name));
}

bool AccessPolicy::origin_allowed(std::string_view origin, std::string_view host) const {
  if (origin.empty() || origin.size() > kOriginBytesMax) {
    return false;
  }
  if (any_fits(origins, origin)) {
    return true;
  }
  const auto own = [origin, host](std::string_view scheme) {
    return same(origin.substr(0, scheme.size()), scheme) &&
           same(origin.substr(std::min(scheme.size(), origin.size())), host);
  };
  return same_origin && !host.empty() && (own("http://") || own("https://"));
}

Headers AccessPolicy::cors(std::string_view origin) const {
  Headers out{{"Access-Control-Allow-Origin", std::string{origin}}, {"Vary", "Origin"}};
  if (credentials) {
    out.emplace_back("Access-Control-Allow-Credentials", "true");
  }
  if (!exposed_headers.empty()) {
    out.emplace_back("Access-Control-Expose-Headers", exposed_headers);
  }
  return out;
}

AccessPolicy local_programs(std::vector<std::string> hosts, std::vector<std::string> origins) {
  AccessPolicy policy;
  policy.hosts = std::move(hosts);
  policy.hosts.insert(policy.hosts.end(), {"*.localhost", "*.local", "*.internal"});
  policy.host_addresses = true;
  policy.origins = std::move(origins);
  for (const std::string_view scheme : {"http://", "https://"}) {
    for (const std::string_view name : {"localhost", "127.0.0.1", "0.0.0.0", "[::1]"}) {
      policy.origins.push_back(std::string{scheme}.append(name));
      policy.origins.push_back(std::string{scheme}.append(name).append(":*"));
    }
  }
  policy.origins.insert(policy.origins.end(), {"app://*", "file://*", "tauri://*",
                                               "vscode-webview://*", "vscode-file://*"});
  policy.same_origin = true;
  return policy;
}

}  // namespace phase::http
