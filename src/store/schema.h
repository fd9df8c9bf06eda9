// schema.h — the tables of the state file and their history. Private to this folder.
#pragma once

#include "store/database.h"

namespace phase::store {

/// The newest schema this program knows, as `user_version`.
inline constexpr std::uint64_t kSchemaVersion = 1;

/// Brings the file up to kSchemaVersion, one transaction per version.
/// Errors: Code::version_unknown for a newer file.
[[nodiscard]] Result<void> migrate(Database& database);

}  // namespace phase::store
