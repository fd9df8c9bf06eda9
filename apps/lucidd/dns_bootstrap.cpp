#include "dns_bootstrap.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>

namespace phase::lucidd {
namespace {

constexpr std::size_t kResolvConfBytesMax = 64_KiB;
constexpr std::size_t kAddressBytesMax = 512;
constexpr std::string_view kDnsaddr = "dnsaddr=";

/// A multiaddr that names a peer.
bool is_usable(std::string_view text) {
  constexpr std::string_view kPeer = "/p2p/";
  const std::size_t at = text.find(kPeer);
  return text.size() <= kAddressBytesMax && text.starts_with('/') && at != std::string_view::npos &&
         at + kPeer.size() < text.size() && text[at + kPeer.size()] != '/' &&
         std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// The strings of one record: a length byte each.
void take_strings(const unsigned char* at, std::size_t size, std::vector<std::string>& out) {
  const ByteView data{at, size};
  std::size_t from = 0;
  while (from < size && out.size() < kDnsAddressesMax) {
    const std::size_t length = data[from++];
    if (length > size - from) return;
    std::string_view text = trimmed(as_text(data.subspan(from, length)));
    if (text.starts_with(kDnsaddr)) text = trimmed(text.substr(kDnsaddr.size()));
    if (is_usable(text)) out.emplace_back(text);
    from += length;
  }
}

/// The state of one resolver; closed when it goes.
class Resolver {
 public:
  Resolver() : good_(::res_ninit(&state_) == 0) {
    state_.retrans = kDnsSeconds;
    state_.retry = kDnsTries;
  }
  ~Resolver() {
    if (good_) ::res_nclose(&state_);
  }
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  void use(const DnsServer& server) {
    state_.nscount = 1;
    state_.nsaddr_list[0] = {};
    state_.nsaddr_list[0].sin_family = AF_INET;
    state_.nsaddr_list[0].sin_port = htons(server.port);
    ::inet_pton(AF_INET, server.address.c_str(), &state_.nsaddr_list[0].sin_addr);
  }
  Result<Bytes> ask(const std::string& name) {
    if (!good_) return fail(Code::unavailable, "no DNS resolver");
    Bytes answer(kDnsAnswerBytesMax);
    const int size = ::res_nquery(&state_, name.c_str(), C_IN, T_TXT, answer.data(),
                                  static_cast<int>(answer.size()));
    if (size < 0) {
      const bool none = state_.res_h_errno == HOST_NOT_FOUND || state_.res_h_errno == NO_DATA;
      return fail(none ? Code::not_found : Code::unavailable,
                  name + ": " + ::hstrerror(state_.res_h_errno));
    }
    answer.resize(std::min(static_cast<std::size_t>(size), answer.size()));
    return answer;
  }

 private:
  struct __res_state state_{};
  bool good_;
};

bool system_names_a_server(const std::string& path) {
  std::ifstream file(path);
  std::string text(kResolvConfBytesMax, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return names_a_server(text);
}

}  // namespace

Result<DnsServer> parse_dns_server(std::string_view text) {
  DnsServer out;
  const std::size_t colon = text.find(':');
  out.address = std::string{text.substr(0, colon)};
  in_addr parsed{};
  bool good = ::inet_pton(AF_INET, out.address.c_str(), &parsed) == 1;
  if (colon != std::string_view::npos) {
    const std::string_view port = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
    good = good && error == std::errc{} && end == port.data() + port.size() && out.port != 0;
  }
  if (!good) {
    return fail(
        Code::invalid_argument,
        "--dns-server " + printable(text, 64) + " is not an IPv4 address with or without port",
        "9.9.9.9, 127.0.0.1:5353");
  }
  return out;
}

bool names_a_server(std::string_view resolv_conf) {
  while (!resolv_conf.empty()) {
    const std::size_t end = std::min(resolv_conf.find('\n'), resolv_conf.size());
    const std::string_view line = trimmed(resolv_conf.substr(0, end));
    resolv_conf.remove_prefix(std::min(end + 1, resolv_conf.size()));
    constexpr std::string_view kWord = "nameserver";
    if (line.starts_with(kWord) && line.size() > kWord.size() + 1) return true;
  }
  return false;
}

Result<std::vector<std::string>> read_txt_answer(ByteView answer) {
  ns_msg message{};
  if (answer.size() > kDnsAnswerBytesMax ||
      ::ns_initparse(answer.data(), static_cast<int>(answer.size()), &message) != 0) {
    return fail(Code::malformed, "the DNS server's answer has not the form of one");
  }
  std::vector<std::string> out;
  const int count = ns_msg_count(message, ns_s_an);
  for (int i = 0; i < count && out.size() < kDnsAddressesMax; ++i) {
    ns_rr record{};
    if (::ns_parserr(&message, ns_s_an, i, &record) != 0) {
      return fail(Code::malformed, "a record of the DNS server's answer has not the form of one");
    }
    if (ns_rr_type(record) == ns_t_txt) take_strings(ns_rr_rdata(record), ns_rr_rdlen(record), out);
  }
  return out;
}

Result<std::vector<std::string>> txt_addresses(const std::string& domain, const DnsServer* server) {
  Resolver resolver;
  if (server != nullptr) resolver.use(*server);
  std::vector<std::string> out;
  std::optional<Error> problem;
  for (const std::string& name : {domain, "_dnsaddr." + domain}) {
    const Result<Bytes> answer = resolver.ask(name);
    if (!answer) {
      problem = problem.value_or(answer.error());
      if (answer.error().code == Code::unavailable) break;  // the next question fares no better
      continue;
    }
    PHASE_TRY(const auto found, read_txt_answer(*answer));
    out.insert(out.end(), found.begin(), found.end());
  }
  out.resize(std::min(out.size(), kDnsAddressesMax));
  if (out.empty()) {
    return fail(problem.value_or(
        Error{Code::not_found, domain + " has no TXT record with a peer's address", {}}));
  }
  return out;
}

Result<DnsFound> bootstrap_addresses(const DnsOptions& options) {
  DnsFound out;
  if (options.domains.empty()) return out;
  std::optional<DnsServer> server;
  if (!options.server.empty()) {
    PHASE_TRY(server, parse_dns_server(options.server));
  } else if (!system_names_a_server(options.resolv_conf)) {
    if (!options.fallback) {
      out.problems.push_back(
          options.resolv_conf +
          " names no DNS server: --bootstrap-dns is skipped (--dns-fallback asks "
          "1.1.1.1, --dns-server another)");
      return out;
    }
    server = DnsServer{kDnsFallbackServer};
  }
  for (const std::string& domain : options.domains) {
    const auto found = txt_addresses(domain, server ? &*server : nullptr);
    if (!found) {
      out.problems.push_back("--bootstrap-dns " + printable(domain, 255) + ": " +
                             printable(found.error().message));
      continue;
    }
    out.addresses.insert(out.addresses.end(), found->begin(), found->end());
  }
  return out;
}

}  // namespace phase::lucidd
