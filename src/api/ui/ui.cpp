#include "api/ui/ui.h"

#include "api/http/assets.h"
#include "api/ui/assets_internal.h"
#include "api/ui/node_json_internal.h"

namespace phase::ui {
namespace {

using faces::FaceRef;
using http::Reply;
using http::Request;

constexpr std::string_view kFirstPage = "index.html";

/// Only what this server sends, and no script within the markup. Cross-origin pages may not frame
/// it: its buttons would be theirs to place.
constexpr std::string_view kContentPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' "
    "data:; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'; form-action "
    "'none'; frame-ancestors 'none'";

/// For who asked for something else below /api/lucid.
constexpr std::string_view kKnown =
    "GET /api/lucid/status, peers, jobs and policy, POST /api/lucid/pause";

std::string path_of(std::string_view name) {
  return name == kFirstPage ? "/ui" : "/ui/" + std::string{name};
}

http::Response fresh(std::string json) {
  http::Response out = http::json_response(200, std::move(json));
  out.headers.emplace_back("Cache-Control", "no-store");
  return out;
}

Task<Reply> get_status(lucid::NodeView& node, Request) {
  co_return fresh(status_json(node.status()));
}

Task<Reply> get_peers(lucid::NodeView& node, Request) {
  const std::vector<lucid::PeerView> peers = co_await node.peers();
  co_return fresh(peers_json(peers));
}

Task<Reply> get_jobs(lucid::NodeView& node, Request) {
  co_return fresh(jobs_json(node.work()));
}

Task<Reply> get_policy(lucid::NodeView& node, Request) {
  co_return fresh(policy_json(node.rules(), node.rules_file()));
}

Task<Reply> post_pause(lucid::NodeView& node, Request request) {
  const Result<bool> paused = read_pause(as_text(request.body));
  if (!paused) {
    co_return http::error_response(paused.error());
  }
  node.pause(*paused);
  co_return fresh(status_json(node.status()));
}

Task<Reply> stopping() {
  co_return http::error_response({Code::unavailable, "the server is stopping", {}});
}

template <typename Function>
http::Handler with(const FaceRef& face, lucid::NodeView& node, Function function) {
  return [face, &node, function](Request request) -> Task<Reply> {
    return face->closed ? stopping() : function(node, std::move(request));
  };
}

}  // namespace

void add_routes(http::Router& router, FaceRef face, lucid::NodeView& node) {
  using enum http::Method;
  for (const http::Asset& asset : assets()) {
    http::add_asset(router, path_of(asset.name), asset, {std::string{kContentPolicy}});
  }
  router.add_error_face("/api/lucid/", [](const Error& error, std::string_view) {
    if (error.code == Code::not_found) {
      return http::error_response({error.code, error.message, std::string{kKnown}});
    }
    return http::error_response(error);
  });
  router.add({get, "/api/lucid/status", 0, with(face, node, get_status)});
  router.add({get, "/api/lucid/peers", 0, with(face, node, get_peers)});
  router.add({get, "/api/lucid/jobs", 0, with(face, node, get_jobs)});
  router.add({get, "/api/lucid/policy", 0, with(face, node, get_policy)});
  router.add({post, "/api/lucid/pause", kPauseRequestBytesMax, with(face, node, post_pause)});
}

std::vector<std::string> open_paths() {
  std::vector<std::string> out;
  for (const http::Asset& asset : assets()) {
    out.push_back(path_of(asset.name));
  }
  return out;
}

}  // namespace phase::ui
