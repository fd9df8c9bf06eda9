// access.h — which Host and Origin headers a server answers to.
//
// A server on loopback is in reach of every page the person's browser shows. The Host keeps pages
// out whose name was made to point here (DNS rebinding); the Origin keeps out pages of other sites.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/http/message.h"

namespace phase::http {

/// Longest Origin that is looked at.
inline constexpr std::size_t kOriginBytesMax = 512;

/// As it stands: loopback names only, and no request of any web page.
struct AccessPolicy {
  /// Names a Host may have besides localhost, 127.0.0.1 and [::1], without port; `*` in one stands
  /// for any characters, so "*" alone lets every Host in.
  std::vector<std::string> hosts;
  /// True: an address of this machine's kind (loopback, private, link-local, unspecified) may be
  /// the Host. No name is resolved to get there, so no page can fake it.
  bool host_addresses = false;
  /// Origins pages may have, "https://chat.example.org" or "vscode-webview://*".
  std::vector<std::string> origins;
  /// True: pages that this server sent itself, whose Origin is its own Host.
  bool same_origin = false;
  /// Paths that GET and HEAD reach without a token where others need one: a page that asks for it.
  std::vector<std::string> open_paths;
  /// True: pages of allowed origins may send cookies (Fetch §3.2.5); no `*` in `origins` then.
  bool credentials = false;
  /// Response headers that scripts of allowed pages may read.
  std::string exposed_headers;

  [[nodiscard]] bool host_allowed(std::string_view host) const;
  [[nodiscard]] bool origin_allowed(std::string_view origin, std::string_view host) const;
  /// What a page of an allowed origin must be told to see an answer (Fetch §3.2).
  [[nodiscard]] Headers cors(std::string_view origin) const;
};

/// What Ollama lets in: loopback and private addresses, names that only a local resolver answers
/// (.localhost, .local, .internal), pages of loopback, of desktop programs, and of `origins`.
[[nodiscard]] AccessPolicy local_programs(std::vector<std::string> hosts,
                                          std::vector<std::string> origins);

/// `*` in the pattern stands for any characters, letters of either case are the same.
[[nodiscard]] bool fits(std::string_view pattern, std::string_view text) noexcept;

}  // namespace phase::http
