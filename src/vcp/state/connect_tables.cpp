// Sessions and policies of connect_only tasks to and from a database.
#include <algorithm>

#include "vcp/state/tables_internal.h"

namespace phase::vcp {
namespace {

constexpr std::string_view kSessionColumns =
    "SELECT connect_sessions.id, task, node, requester, tunnel, seconds, mbps, egress, policy, "
    "token_sha256, connect_sessions.state, created, expires, heard, ended, "
    "connect_sessions.reason FROM connect_sessions ";

/// An enumerator with `last` as its last. Errors: Code::malformed.
template <typename Word>
Result<Word> word(std::uint64_t number, Word last) {
  if (number > static_cast<std::uint64_t>(last)) {
    return fail(Code::malformed, "a session in the state has a word of a newer program");
  }
  return static_cast<Word>(number);
}

Result<ConnectSession> read_session(const sql::Statement& row) {
  ConnectSession out;
  out.id = row.text(0);
  out.task = row.text(1);
  out.node = row.text(2);
  out.requester = row.text(3);
  PHASE_TRY(out.tunnel, word(row.integer(4), Tunnel::quic));
  out.wish.seconds = row.integer(5);
  out.wish.mbps = row.integer(6);
  PHASE_TRY(out.wish.egress, word(row.integer(7), Egress::metered_general_egress));
  out.wish.policy = row.text(8);
  const Bytes token = row.blob(9);
  if (token.size() != out.token.value.size()) {
    return fail(Code::malformed, "a session in the state has a hash of another length");
  }
  std::ranges::copy(token, out.token.value.begin());
  PHASE_TRY(out.state, word(row.integer(10), SessionState::expired));
  out.created = UtcTime{row.integer(11)};
  out.expires = UtcTime{row.integer(12)};
  out.heard = UtcTime{row.integer(13)};
  if (!row.is_null(14)) out.ended = UtcTime{row.integer(14)};
  out.reason = row.text(15);
  return out;
}

/// No rule holds a line end.
std::string lines(const std::vector<std::string>& rules) {
  std::string out;
  for (const std::string& rule : rules) out += rule + '\n';
  return out;
}

std::vector<std::string> rules_of(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace

Result<void> Tables::prepare_connect() {
  PHASE_TRY(put_session_,
            database_.prepare(
                "INSERT INTO connect_sessions VALUES "
                "($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16) ON CONFLICT (id) DO "
                "UPDATE SET state=excluded.state, expires=excluded.expires, heard=excluded.heard, "
                "ended=excluded.ended, reason=excluded.reason"));
  PHASE_TRY(put_policy_,
            database_.prepare(
                "INSERT INTO destination_policies VALUES ($1,$2,$3,$4) ON CONFLICT (owner, id) DO "
                "UPDATE SET rules=excluded.rules, updated=excluded.updated"));
  PHASE_TRY(remove_policy_,
            database_.prepare("DELETE FROM destination_policies WHERE owner = $1 AND id = $2"));
  return {};
}

Result<void> Tables::put(const ConnectSession& row) {
  put_session_.bind(row.id).bind(row.task).bind(row.node).bind(row.requester);
  put_session_.bind(static_cast<std::uint64_t>(row.tunnel));
  put_session_.bind(row.wish.seconds).bind(row.wish.mbps);
  put_session_.bind(static_cast<std::uint64_t>(row.wish.egress)).bind(row.wish.policy);
  put_session_.bind(ByteView(row.token.value)).bind(static_cast<std::uint64_t>(row.state));
  put_session_.bind(row.created.unix_ms).bind(row.expires.unix_ms).bind(row.heard.unix_ms);
  if (row.ended) {
    put_session_.bind(row.ended->unix_ms);
  } else {
    put_session_.bind_null();
  }
  put_session_.bind(row.reason);
  return put_session_.run();
}

Result<void> Tables::put(const DestinationPolicy& row) {
  if (row.rules.empty()) {
    remove_policy_.bind(row.owner).bind(row.id);
    return remove_policy_.run();
  }
  put_policy_.bind(row.owner).bind(row.id).bind(lines(row.rules)).bind(row.updated.unix_ms);
  return put_policy_.run();
}

Result<void> Tables::load_sessions(Loaded& out) {
  PHASE_TRY(sql::Statement open,
            database_.prepare(std::string(kSessionColumns) +
                              "JOIN tasks ON tasks.id = task WHERE tasks.state < 2 "
                              "ORDER BY created, connect_sessions.id"));
  PHASE_TRY(bool there, open.step());
  while (there) {
    PHASE_TRY(ConnectSession row, read_session(open));
    out.sessions.push_back(std::move(row));
    PHASE_TRY(there, open.step());
  }
  PHASE_TRY(sql::Statement all,
            database_.prepare("SELECT owner, id, rules, updated FROM destination_policies "
                              "ORDER BY owner, id"));
  PHASE_TRY(there, all.step());
  while (there) {
    out.policies.push_back(
        {all.text(0), all.text(1), rules_of(all.text(2)), UtcTime{all.integer(3)}});
    PHASE_TRY(there, all.step());
  }
  return {};
}

Result<std::optional<ConnectSession>> Tables::session(const std::string& id) {
  PHASE_TRY(sql::Statement query,
            database_.prepare(std::string(kSessionColumns) + "WHERE connect_sessions.id = $1"));
  query.bind(id);
  PHASE_TRY(const bool there, query.step());
  if (!there) return std::optional<ConnectSession>{};
  PHASE_TRY(ConnectSession row, read_session(query));
  return std::optional<ConnectSession>{std::move(row)};
}

}  // namespace phase::vcp
