// assets.h — files that are in the program, as a server sends them.
#pragma once

#include <string>
#include <string_view>

#include "api/http/message.h"

namespace phase::http {

/// One file. Both views live as long as the program.
struct Asset {
  std::string_view name;  ///< "index.html", "assets/index-B3x.js"
  std::string_view bytes;
};

/// What a browser may do with a page's files.
struct AssetRules {
  std::string content_policy;  ///< Content-Security-Policy
  std::string cache_control = "no-cache";
};

/// By the end of the name; "application/octet-stream" when it is none we send.
[[nodiscard]] std::string_view asset_type(std::string_view name) noexcept;

/// 200 with the file, never sniffed, never framed, telling nobody where the reader came from.
[[nodiscard]] Response asset_response(const Asset& asset, const AssetRules& rules);

/// GET `path` answers with the file.
void add_asset(Router& router, std::string path, const Asset& asset, AssetRules rules);

}  // namespace phase::http
