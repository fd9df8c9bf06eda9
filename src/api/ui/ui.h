// ui.h — the page at /ui, and what it asks of the node besides Ollama's API: /api/lucid/….
#pragma once

#include <string>
#include <vector>

#include "api/faces/face.h"
#include "api/http/message.h"
#include "lucid/node_view.h"

namespace phase::ui {

/// Body of a request to pause.
inline constexpr std::uint64_t kPauseRequestBytesMax = 1_KiB;

/// GET /ui and its files; GET /api/lucid/{status,peers,jobs,policy}; POST /api/lucid/pause.
/// Handlers use `node` until `face->closed`.
void add_routes(http::Router& router, faces::FaceRef face, lucid::NodeView& node);

/// Paths of the page: the same for everybody, so no API key is needed to load it.
[[nodiscard]] std::vector<std::string> open_paths();

}  // namespace phase::ui
