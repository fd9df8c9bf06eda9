// dns_bootstrap.h — addresses of first peers from DNS TXT records.
//
// Each character string of a TXT record of the domain is one multiaddr with /p2p/<peer id>, as the
// earlier lucidd published them; the `dnsaddr=` records of _dnsaddr.<domain> (libp2p's own form)
// are read too. Strings are not joined. DNS answers are not authenticated: who is dialled proves
// the key that the address names, so a false record costs a connection, not trust.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace phase::lucidd {

/// Addresses taken of one domain.
inline constexpr std::size_t kDnsAddressesMax = 64;
inline constexpr std::size_t kDnsAnswerBytesMax = 65'535;
/// Seconds for one question to one server, and how often it is put.
inline constexpr int kDnsSeconds = 2, kDnsTries = 2;
/// Whom --dns-fallback asks.
inline constexpr const char* kDnsFallbackServer = "1.1.1.1";

struct DnsServer {
  std::string address;  ///< IPv4
  std::uint16_t port = 53;
};
/// "1.2.3.4" or "1.2.3.4:53". Errors: Code::invalid_argument.
[[nodiscard]] Result<DnsServer> parse_dns_server(std::string_view text);

/// True when a text of the form of resolv.conf(5) names a server.
[[nodiscard]] bool names_a_server(std::string_view resolv_conf);

/// The usable addresses in a DNS answer of TXT records (RFC 1035 §3.3.14): at most
/// kDnsAddressesMax. Errors: Code::malformed.
[[nodiscard]] Result<std::vector<std::string>> read_txt_answer(ByteView answer);

/// Asks, blocking for at most a few seconds. `server` absent: the system's. Errors:
/// Code::unavailable, not_found, malformed.
[[nodiscard]] Result<std::vector<std::string>> txt_addresses(const std::string& domain,
                                                             const DnsServer* server);

struct DnsOptions {
  std::vector<std::string> domains;
  std::string server;     ///< empty: the system's
  bool fallback = false;  ///< kDnsFallbackServer when the system names none
  std::string resolv_conf = "/etc/resolv.conf";
};
/// What the domains say, and why one did not. Errors: Code::invalid_argument for a server that is
/// none.
struct DnsFound {
  std::vector<std::string> addresses;
  std::vector<std::string> problems;  ///< for the log
};
[[nodiscard]] Result<DnsFound> bootstrap_addresses(const DnsOptions& options);

}  // namespace phase::lucidd
