// node_json.h — JSON of what is said about the node (spec/control-api.md). Private to this folder.
#pragma once

#include <string>

#include "api/control/job_book.h"
#include "api/control/node_view.h"

namespace phase::control {

[[nodiscard]] std::string status_json(const NodeStatus& status, std::size_t jobs_active);
[[nodiscard]] std::string peers_json(const std::vector<PeerEntry>& peers);
[[nodiscard]] std::string providers_json(const std::vector<requester::Candidate>& providers);
[[nodiscard]] std::string ping_json(const PingAnswer& answer);
[[nodiscard]] std::string module_json(const StagedModule& staged);
/// The peer of `{"peer": …}`. Errors: Code::invalid_argument.
[[nodiscard]] Result<std::string> parse_ping(std::string_view text);

}  // namespace phase::control
