#include "api/dashboard/dashboard.h"

#include <algorithm>
#include <cstdlib>

#include "api/dashboard/assets_internal.h"
#include "api/http/assets.h"

namespace phase::dashboard {
namespace {

constexpr std::string_view kFirstPage = "index.html";
/// Vite puts a hash of the content into names below it.
constexpr std::string_view kHashedFolder = "assets/";
constexpr std::string_view kForever = "public, max-age=31536000, immutable";
constexpr std::string_view kRevalidated = "no-cache";
constexpr std::string_view kLeftOut =
    "This program was built without the dashboard (PHASE_DASHBOARD=OFF).\n"
    "The API is at /api/v1, its description at /swagger-ui.\n";

/// Only what this server sends, no script or style within the markup, no markup from strings.
std::string content_policy(const std::vector<std::string>& api_origins) {
  std::string connect = "'self'";
  for (const std::string& origin : api_origins) {
    connect += " " + origin;
  }
  return "default-src 'self'; connect-src " + connect +
         "; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
         "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
}

/// Only what may stand in a policy: a scheme of the web, then a host and a port.
bool is_origin(std::string_view text) {
  const std::size_t scheme = text.starts_with("https://") ? 8 : text.starts_with("http://") ? 7 : 0;
  const std::string_view host = text.substr(scheme);
  return scheme != 0 && !host.empty() && std::ranges::all_of(host, [](char letter) {
           return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                  (letter >= '0' && letter <= '9') || letter == '.' || letter == '-' ||
                  letter == ':' || letter == '[' || letter == ']';
         });
}

Task<http::Reply> left_out() {
  co_return http::Response{501, "text/plain; charset=utf-8", std::string{kLeftOut}};
}

std::string path_of(const http::Asset& asset) {
  return "/" + std::string{asset.name};
}

}  // namespace

Options read_environment() {
  const char* value = std::getenv("DASHBOARD_API_ORIGINS");
  std::string_view rest = value == nullptr ? "" : value;
  Options out;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    const std::string_view word = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::size_t first = std::min(word.find_first_not_of(' '), word.size());
    const std::size_t last = word.find_last_not_of(' ') + 1;
    if (first < last) {
      out.api_origins.emplace_back(word.substr(first, last - first));
    }
  }
  return out;
}

Result<void> add_routes(http::Router& router, const Options& options) {
  for (const std::string& origin : options.api_origins) {
    if (!is_origin(origin)) {
      return fail(Code::invalid_argument, "'" + origin + "' is not an origin",
                  "an origin is https://host or https://host:port, without a path");
    }
  }
  if (assets().empty()) {
    router.add({http::Method::get, "/", 0, [](http::Request) { return left_out(); }});
    return {};
  }
  const std::string policy = content_policy(options.api_origins);
  for (const http::Asset& asset : assets()) {
    const bool hashed = asset.name.starts_with(kHashedFolder);
    const http::AssetRules rules{policy, std::string{hashed ? kForever : kRevalidated}};
    if (asset.name == kFirstPage) {
      http::add_asset(router, "/", asset, rules);
    }
    http::add_asset(router, path_of(asset), asset, rules);
  }
  return {};
}

std::vector<std::string> open_paths() {
  std::vector<std::string> out{"/"};
  for (const http::Asset& asset : assets()) {
    out.push_back(path_of(asset));
  }
  return out;
}

}  // namespace phase::dashboard
