#include "store/schema.h"

#include <array>
#include <string>

namespace phase::store {
namespace {

// Migration n brings version n-1 to n. Never edited once released; a change is a new entry.
constexpr std::array<const char*, 1> kMigrations = {R"sql(
CREATE TABLE facts (
  name TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE replays (
  job_id BLOB PRIMARY KEY,
  expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX replays_by_expiry ON replays (expires);

CREATE TABLE receipts (
  number INTEGER PRIMARY KEY,
  job_id BLOB NOT NULL UNIQUE,
  requester BLOB NOT NULL,
  manifest BLOB NOT NULL,
  receipt BLOB NOT NULL
) STRICT;

CREATE TABLE jobs (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL,
  created INTEGER NOT NULL,
  finished INTEGER,
  document TEXT NOT NULL,
  manifest BLOB NOT NULL,
  receipt BLOB NOT NULL,
  transcript_bytes INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_unfinished ON jobs (number) WHERE finished IS NULL;

CREATE TABLE transcripts (
  job INTEGER NOT NULL REFERENCES jobs (number) ON DELETE CASCADE,
  part INTEGER NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY (job, part)
) STRICT, WITHOUT ROWID;
)sql"};

}  // namespace

Result<void> migrate(sql::Database& database) {
  return sql::migrate(database, "store", kMigrations);
}

}  // namespace phase::store
