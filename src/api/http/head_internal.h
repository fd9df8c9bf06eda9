// head_internal.h — what a request's head says, and whether it may pass. No sockets, no Beast.
#pragma once

#include <utility>
#include <vector>

#include "api/http/state.h"

namespace phase::http {

/// Borrowed from the parser.
struct Head {
  std::string_view method, target;
  std::vector<std::pair<std::string_view, std::string_view>> fields;

  /// The value of a field that stands once; nothing when it is absent or stands twice.
  [[nodiscard]] std::optional<std::string_view> only(std::string_view name) const;
  [[nodiscard]] std::size_t count(std::string_view name) const;
};

/// Host, Origin, token. Errors: Code::permission_denied, Code::unauthorized.
[[nodiscard]] Result<void> check_access(const Head& head, const AccessPolicy& policy,
                                        const Tokens* tokens);
/// Fills the request and finds its route. Errors: Code::malformed, invalid_argument, not_found,
/// unsupported.
[[nodiscard]] Result<const Route*> find_route(const Head& head, const Router& router,
                                              Request& request);
/// The answer to a CORS preflight of an allowed page (Fetch §3.2.2); nothing for another request.
[[nodiscard]] std::optional<Response> preflight(const Head& head, const AccessPolicy& policy);
/// The origin of an allowed page, or empty.
[[nodiscard]] std::string page_origin(const Head& head);
/// Status line and fields of a reply. `length`: of the body; absent: `chunked` or until the end.
[[nodiscard]] std::string head_text(int status, std::string_view content_type,
                                    std::optional<std::size_t> length, bool chunked, bool keep,
                                    const Headers& first, const Headers& second);

}  // namespace phase::http
