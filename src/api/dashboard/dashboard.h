// dashboard.h — the pages of a coordinator: what web/dashboard builds, sent from the program.
#pragma once

#include <string>
#include <vector>

#include "api/http/message.h"

namespace phase::dashboard {

struct Options {
  /// Origins of other coordinators that the pages may also ask, "https://vcp.example.org". None:
  /// only the server that sent them.
  std::vector<std::string> api_origins;
};

/// What DASHBOARD_API_ORIGINS says: origins with commas between them. They are checked by
/// `add_routes`.
[[nodiscard]] Options read_environment();

/// GET `/`, `/index.html` (revalidated each time) and `/assets/…` (names by content, kept for a
/// year by browsers). Built with PHASE_DASHBOARD=OFF: `/` says so in plain text, status 501. The
/// pages hold no secret; what they show they ask of /api/v1. Errors: Code::invalid_argument for an
/// origin that is not scheme://host[:port].
[[nodiscard]] Result<void> add_routes(http::Router& router, const Options& options);

/// Paths of the files: the same for everybody, so they need no account.
[[nodiscard]] std::vector<std::string> open_paths();

}  // namespace phase::dashboard
