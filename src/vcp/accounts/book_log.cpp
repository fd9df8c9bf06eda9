// What was done, how often who may ask, and what was answered.
#include "vcp/accounts/book.h"

namespace phase::vcp {
namespace {

using sql::Statement;
using sql::Transaction;

}  // namespace

Result<void> AccountBook::add_audit(const std::vector<AuditEntry>& entries) {
  PHASE_TRY(Transaction change, Transaction::begin(database_));
  PHASE_TRY(Statement insert,
            database_.prepare("INSERT INTO audit (at, user_id, action, resource, address, "
                              "user_agent, request_id, status, message) VALUES ($1, $2, $3, $4, "
                              "$5, $6, $7, $8, $9)"));
  for (const AuditEntry& entry : entries) {
    insert.bind(entry.at.unix_ms).bind(entry.user).bind(entry.action).bind(entry.resource);
    insert.bind(entry.address).bind(entry.user_agent).bind(entry.request_id);
    insert.bind(static_cast<std::uint64_t>(entry.status)).bind(entry.message);
    PHASE_TRY_VOID(insert.run());
  }
  PHASE_TRY(Statement trim, database_.prepare("DELETE FROM audit WHERE id <= (SELECT max(id) FROM "
                                              "audit) - $1"));
  trim.bind(limits_.audit_entries);
  PHASE_TRY_VOID(trim.run());
  return change.commit();
}

Result<std::vector<AuditEntry>> AccountBook::audit(std::size_t limit, std::uint64_t before) {
  PHASE_TRY(Statement select,
            database_.prepare("SELECT id, at, user_id, action, resource, address, user_agent, "
                              "request_id, status, message FROM audit WHERE id < $1 ORDER BY id "
                              "DESC LIMIT $2"));
  select.bind(before).bind(limit);
  std::vector<AuditEntry> out;
  PHASE_TRY(bool more, select.step());
  while (more) {
    AuditEntry entry;
    entry.id = select.integer(0);
    entry.at = {select.integer(1)};
    entry.user = select.text(2);
    entry.action = select.text(3);
    entry.resource = select.text(4);
    entry.address = select.text(5);
    entry.user_agent = select.text(6);
    entry.request_id = select.text(7);
    entry.status = static_cast<int>(select.integer(8));
    entry.message = select.text(9);
    out.push_back(std::move(entry));
    PHASE_TRY(more, select.step());
  }
  return out;
}

Result<void> AccountBook::set_throttle(const ThrottleOverride& rate, UtcTime now) {
  PHASE_TRY(Transaction change, Transaction::begin(database_));
  PHASE_TRY(Statement old, database_.prepare("DELETE FROM throttles WHERE expires <= $1"));
  old.bind(now.unix_ms);
  PHASE_TRY_VOID(old.run());
  PHASE_TRY(const std::uint64_t have, database_.integer("SELECT count(*) FROM throttles"));
  if (have >= limits_.overrides) {
    return fail(Code::busy, "there are as many throttle overrides as there may be");
  }
  PHASE_TRY(Statement put,
            database_.prepare("INSERT INTO throttles (subject, tier, per_minute, burst, expires) "
                              "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (subject, tier) DO UPDATE "
                              "SET per_minute = $3, burst = $4, expires = $5"));
  put.bind(rate.subject).bind(rate.tier);
  put.bind(std::uint64_t{rate.per_minute}).bind(std::uint64_t{rate.burst});
  if (rate.expires) {
    put.bind(rate.expires->unix_ms);
  } else {
    put.bind_null();
  }
  PHASE_TRY_VOID(put.run());
  return change.commit();
}

Result<std::vector<ThrottleOverride>> AccountBook::throttles(UtcTime now) {
  PHASE_TRY(Statement select,
            database_.prepare("SELECT subject, tier, per_minute, burst, expires FROM throttles "
                              "WHERE expires IS NULL OR expires > $1"));
  select.bind(now.unix_ms);
  std::vector<ThrottleOverride> out;
  PHASE_TRY(bool more, select.step());
  while (more) {
    ThrottleOverride rate{select.text(0), select.text(1),
                          static_cast<std::uint32_t>(select.integer(2)),
                          static_cast<std::uint32_t>(select.integer(3)), std::nullopt};
    if (!select.is_null(4)) {
      rate.expires = UtcTime{select.integer(4)};
    }
    out.push_back(std::move(rate));
    PHASE_TRY(more, select.step());
  }
  return out;
}

Result<Accounts::Begun> AccountBook::begin_request(std::string_view user, std::string_view key,
                                                   const Sha256& request, UtcTime now) {
  const auto life = static_cast<std::uint64_t>(limits_.answer_life / 1ms);
  PHASE_TRY(Transaction change, Transaction::begin(database_));
  PHASE_TRY(Statement find, database_.prepare("SELECT request, status, body FROM answers WHERE "
                                              "user_id = $1 AND name = $2 AND begun > $3"));
  const std::uint64_t oldest = now.unix_ms > life ? now.unix_ms - life : 0;
  find.bind(user).bind(key).bind(oldest);
  PHASE_TRY(const bool row, find.step());
  const std::string hash = request.hex();
  if (row) {
    if (find.text(0) != hash) {
      return fail(Code::already_exists, "this idempotency key was used for another request",
                  "use a new key for each request");
    }
    Accounts::Begun out;
    out.unfinished = find.is_null(1);
    if (!out.unfinished) {
      out.answer = KeptAnswer{static_cast<int>(find.integer(1)), find.text(2)};
    }
    return out;
  }
  find.reset();
  PHASE_TRY(const std::uint64_t have,
            count("SELECT count(*) FROM answers WHERE user_id = $1", user));
  if (have >= limits_.answers_per_user) {
    return fail(Code::busy, "this account used as many idempotency keys as it may in a day");
  }
  PHASE_TRY(Statement put,
            database_.prepare("INSERT INTO answers (user_id, name, request, begun) VALUES ($1, $2, "
                              "$3, $4) ON CONFLICT (user_id, name) DO UPDATE SET request = $3, "
                              "begun = $4, status = NULL, body = NULL"));
  put.bind(user).bind(key).bind(hash).bind(now.unix_ms);
  PHASE_TRY_VOID(put.run());
  PHASE_TRY_VOID(change.commit());
  return Accounts::Begun{};
}

Result<void> AccountBook::finish_request(std::string_view user, std::string_view key,
                                         const KeptAnswer& answer) {
  PHASE_TRY(Statement update, database_.prepare("UPDATE answers SET status = $1, body = $2 WHERE "
                                                "user_id = $3 AND name = $4"));
  update.bind(static_cast<std::uint64_t>(answer.status)).bind(std::string_view{answer.body});
  update.bind(user).bind(key);
  return update.run();
}

Result<void> AccountBook::forget_request(std::string_view user, std::string_view key) {
  PHASE_TRY(Statement drop, database_.prepare("DELETE FROM answers WHERE user_id = $1 AND name = "
                                              "$2 AND status IS NULL"));
  drop.bind(user).bind(key);
  return drop.run();
}

Result<void> AccountBook::sweep(UtcTime now) {
  const auto life = static_cast<std::uint64_t>(limits_.answer_life / 1ms);
  PHASE_TRY(Transaction change, Transaction::begin(database_));
  PHASE_TRY(Statement answers, database_.prepare("DELETE FROM answers WHERE begun <= $1"));
  answers.bind(now.unix_ms > life ? now.unix_ms - life : 0);
  PHASE_TRY_VOID(answers.run());
  PHASE_TRY(Statement families, database_.prepare("DELETE FROM families WHERE expires <= $1"));
  families.bind(now.unix_ms);
  PHASE_TRY_VOID(families.run());
  return change.commit();
}

}  // namespace phase::vcp
