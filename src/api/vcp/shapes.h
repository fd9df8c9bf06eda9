// shapes.h — the forms of what the API takes and gives.
#pragma once

#include "api/vcp/schema.h"

namespace phase::vcp::api::shapes {

// ── Taken ──
[[nodiscard]] Schema credentials(bool with_cookie);
[[nodiscard]] Schema registration();
[[nodiscard]] Schema bootstrap();
[[nodiscard]] Schema refresh();
[[nodiscard]] Schema new_key();
[[nodiscard]] Schema node_registration();
[[nodiscard]] Schema task_submission();
[[nodiscard]] Schema session_start();
[[nodiscard]] Schema new_policy();
[[nodiscard]] Schema strategy();
[[nodiscard]] Schema role_change();
[[nodiscard]] Schema throttle();
[[nodiscard]] Schema task_types();
[[nodiscard]] Schema node_types();

// ── Given ──
[[nodiscard]] Schema error();
[[nodiscard]] Schema health();
[[nodiscard]] Schema user();
[[nodiscard]] Schema session();
[[nodiscard]] Schema registered();
[[nodiscard]] Schema me();
[[nodiscard]] Schema api_key(bool with_secret);
[[nodiscard]] Schema validated_key();
[[nodiscard]] Schema node_info();
[[nodiscard]] Schema registered_node();
[[nodiscard]] Schema heartbeat();
[[nodiscard]] Schema activity();
[[nodiscard]] Schema task_info();
[[nodiscard]] Schema receipt();
[[nodiscard]] Schema module();
[[nodiscard]] Schema connect_session();
[[nodiscard]] Schema started_session();
[[nodiscard]] Schema gateway_sessions();
[[nodiscard]] Schema policy();
[[nodiscard]] Schema cluster_stats();
[[nodiscard]] Schema series_point();
[[nodiscard]] Schema mesh();
[[nodiscard]] Schema credits();
[[nodiscard]] Schema ledger_entry();
[[nodiscard]] Schema audit_entry();
/// An object with these texts.
[[nodiscard]] Schema texts(std::string name, const std::vector<std::string>& fields);

}  // namespace phase::vcp::api::shapes
