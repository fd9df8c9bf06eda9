// views.h — what the API shows, as JSON. The forms stand in shapes.h.
#pragma once

#include <boost/json/object.hpp>

#include "vcp/accounts/account.h"
#include "vcp/coordinator/view.h"

namespace phase::vcp::api {

namespace json = boost::json;

/// `who` sees the owner of what is theirs; an administrator sees every owner.
[[nodiscard]] json::object node_json(const NodeView& node, const Principal& who);
[[nodiscard]] json::object task_json(const TaskView& task);
[[nodiscard]] json::object receipt_json(const RunReceipt& receipt);
[[nodiscard]] json::object session_json(const SessionView& session);
/// As a gateway reads it: spec/gateway.md §4.
[[nodiscard]] json::object gateway_session_json(const GatewaySession& session);
[[nodiscard]] json::object policy_json(const DestinationPolicy& policy);
[[nodiscard]] json::object stats_json(const ClusterStats& stats);
[[nodiscard]] json::object point_json(const SeriesPoint& point);
[[nodiscard]] json::object entry_json(const LedgerEntry& entry);
[[nodiscard]] json::object user_json(const User& user);
[[nodiscard]] json::object key_json(const ApiKey& key);
[[nodiscard]] json::object audit_json(const AuditEntry& entry);

}  // namespace phase::vcp::api
