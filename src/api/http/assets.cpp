#include "api/http/assets.h"

#include <array>

namespace phase::http {
namespace {

struct Ending {
  std::string_view text, type;
};
constexpr std::array<Ending, 9> kEndings{{
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".json", "application/json"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
    {".txt", "text/plain; charset=utf-8"},
}};

Task<Reply> send(const Asset asset, const AssetRules rules) {
  co_return asset_response(asset, rules);
}

}  // namespace

std::string_view asset_type(std::string_view name) noexcept {
  for (const Ending& ending : kEndings) {
    if (name.ends_with(ending.text)) {
      return ending.type;
    }
  }
  return "application/octet-stream";
}

Response asset_response(const Asset& asset, const AssetRules& rules) {
  Response out{200, std::string{asset_type(asset.name)}, std::string{asset.bytes}};
  out.headers = {{"Content-Security-Policy", rules.content_policy},
                 {"X-Content-Type-Options", "nosniff"},
                 {"X-Frame-Options", "DENY"},
                 {"Referrer-Policy", "no-referrer"},
                 {"Cross-Origin-Opener-Policy", "same-origin"},
                 {"Cross-Origin-Resource-Policy", "same-origin"},
                 {"Cache-Control", rules.cache_control}};
  return out;
}

void add_asset(Router& router, std::string path, const Asset& asset, AssetRules rules) {
  router.add(
      {Method::get, std::move(path), 0,
       [asset, rules = std::move(rules)](Request) -> Task<Reply> { return send(asset, rules); }});
}

}  // namespace phase::http
