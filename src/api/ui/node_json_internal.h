// node_json_internal.h — the node's view as JSON texts (README.md of this folder).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "lucid/node_view.h"

namespace phase::ui {

[[nodiscard]] std::string status_json(const lucid::NodeStatus& status);
[[nodiscard]] std::string peers_json(const std::vector<lucid::PeerView>& peers);
[[nodiscard]] std::string jobs_json(const std::vector<lucid::WorkEntry>& work);
[[nodiscard]] std::string policy_json(const lucid::OperatorPolicy& policy, const std::string& file);
/// {"paused": true or false}, nothing else. Errors: Code::invalid_argument, Code::malformed.
[[nodiscard]] Result<bool> read_pause(std::string_view text);

}  // namespace phase::ui
