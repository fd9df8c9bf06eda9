// schema.h — the tables of the state file and their history. Private to this folder.
#pragma once

#include "sql/database.h"

namespace phase::store {

/// Brings the file up to the newest schema this program knows.
/// Errors: Code::version_unknown for a newer file.
[[nodiscard]] Result<void> migrate(sql::Database& database);

}  // namespace phase::store
