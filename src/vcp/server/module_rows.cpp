#include "vcp/server/module_rows.h"

#include <algorithm>
#include <array>
#include <chrono>

namespace phase::vcp {
namespace {

constexpr std::array<const char*, 2> kSchema = {
    "CREATE TABLE modules (sha256 BLOB NOT NULL PRIMARY KEY, bytes BLOB NOT NULL)",
    "ALTER TABLE modules ADD COLUMN used BIGINT NOT NULL DEFAULT 0"};

/// Looked at in one go; what is beyond goes the next day.
constexpr std::uint64_t kSweptMax = 100'000;

}  // namespace

Result<std::unique_ptr<ModuleRows>> ModuleRows::open(sql::Postgres database) {
  PHASE_TRY_VOID(sql::migrate(database, "modules", kSchema));
  return std::unique_ptr<ModuleRows>(new ModuleRows(std::move(database)));
}

/// False: it is not there.
Result<bool> ModuleRows::note(const Sha256& sha256, UtcTime now) {
  PHASE_TRY(sql::Statement change,
            database_.prepare("UPDATE modules SET used = $1 WHERE sha256 = $2"));
  change.bind(now.unix_ms).bind(ByteView(sha256.value));
  PHASE_TRY_VOID(change.run());
  return database_.changes() > 0;
}

Result<void> ModuleRows::write(const Sha256& sha256, ByteView module, UtcTime now) {
  PHASE_TRY(const bool there, note(sha256, now));
  if (there) return {};
  PHASE_TRY(sql::Statement put,
            database_.prepare("INSERT INTO modules (sha256, bytes, used) VALUES ($1, $2, $3) ON "
                              "CONFLICT (sha256) DO UPDATE SET used = excluded.used"));
  put.bind(ByteView(sha256.value)).bind(module).bind(now.unix_ms);
  return put.run();
}

Result<Bytes> ModuleRows::read(const Sha256& wanted, UtcTime now) {
  PHASE_TRY(sql::Statement query, database_.prepare("SELECT bytes FROM modules WHERE sha256 = $1"));
  query.bind(ByteView(wanted.value));
  PHASE_TRY(const bool there, query.step());
  if (!there) return fail(Code::not_found, "no module with this hash");
  Bytes out = query.blob(0);
  PHASE_TRY_VOID(note(wanted, now));
  return out;
}

Result<std::vector<Sha256>> ModuleRows::remove(UtcTime now, Duration unused,
                                               const std::set<Sha256>& needed) {
  PHASE_TRY(sql::Statement begun, database_.prepare("UPDATE modules SET used = $1 WHERE used = 0"));
  begun.bind(now.unix_ms);
  PHASE_TRY_VOID(begun.run());
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(unused).count();
  const auto length = static_cast<std::uint64_t>(limit);
  const std::uint64_t last = now.unix_ms > length ? now.unix_ms - length : 0;
  PHASE_TRY(sql::Statement old, database_.prepare("SELECT sha256 FROM modules WHERE used <= $1 "
                                                  "ORDER BY used LIMIT $2"));
  old.bind(last).bind(kSweptMax + needed.size());
  std::vector<Sha256> candidates, out;
  PHASE_TRY(bool there, old.step());
  while (there) {
    const Bytes name = old.blob(0);
    Sha256 one;
    if (name.size() != one.value.size()) return fail(Code::io, "a module's hash is none");
    std::ranges::copy(name, one.value.begin());
    if (!needed.contains(one)) candidates.push_back(one);
    PHASE_TRY(there, old.step());
  }
  // Whoever leads meanwhile may have used it.
  PHASE_TRY(sql::Statement drop,
            database_.prepare("DELETE FROM modules WHERE sha256 = $1 AND used <= $2"));
  for (const Sha256& one : candidates) {
    drop.bind(ByteView(one.value)).bind(last);
    PHASE_TRY_VOID(drop.run());
    if (database_.changes() > 0) out.push_back(one);
  }
  return out;
}

}  // namespace phase::vcp
