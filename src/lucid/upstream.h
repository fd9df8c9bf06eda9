// upstream.h — models that a llama-server of the operator runs: `--worker llama-server --upstream`.
//
// This node neither sees the weights nor fences the server in: receipts say isolation "upstream",
// and a model's content id is of what the server says of it, not of its bytes. Belongs to one
// executor.
#pragma once

#include <vector>

#include "lucid/catalog.h"
#include "lucid/upstream_http.h"

namespace phase::lucid {

/// A server that is still loading its model is waited for this long at start.
inline constexpr Duration kUpstreamLoadMax = 120s;
inline constexpr std::size_t kUpstreamModelsMax = 64;

/// The server's models, ready to be leased. Errors: Code::unavailable with what to do,
/// Code::protocol when it is no llama-server.
[[nodiscard]] Task<Result<std::vector<LocalModelPtr>>> upstream_models(
    asio::any_io_executor executor, Clock& clock, UpstreamUrl url);

/// What GET /v1/models and GET /props say of a server's models. Errors: Code::protocol.
[[nodiscard]] Result<std::vector<LocalModel>> read_upstream_models(std::string_view models,
                                                                   std::string_view props);

}  // namespace phase::lucid
