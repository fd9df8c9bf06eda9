// backup.h — a coordinator's state as a folder of files that stands for itself, and back.
//
// A backup holds fleet.db and accounts/accounts.db as of one moment, the keys and secrets, the
// modules of tasks, and SHA256SUMS (as `sha256sum -c` reads it). Whoever has it is the coordinator:
// keep it as safe as the data folder. Everything here blocks.
#pragma once

#include <filesystem>

#include "base/result.h"

namespace phase::vcp {

struct BackupFacts {
  std::uint64_t files = 0, bytes = 0;
  std::uint64_t nodes = 0, tasks = 0, entries = 0;
  std::string ledger_head;  ///< hexadecimal
};

/// Copies the state of `data_dir` into the new folder `to`: through the coordinator when one runs
/// there (snapshot_door.h), else by itself. Errors: Code::already_exists, not_found (no state
/// there), busy, io, …; what was begun is removed.
[[nodiscard]] Result<BackupFacts> back_up(const std::filesystem::path& data_dir,
                                          const std::filesystem::path& to);

/// Checks every file of a backup and the whole ledger, then makes `data_dir` of it, which must not
/// hold anything. Errors: Code::already_exists, verification_failed (a file that was changed, is
/// missing or does not belong there), io, …; what was begun is removed.
[[nodiscard]] Result<BackupFacts> restore(const std::filesystem::path& from,
                                          const std::filesystem::path& data_dir);

}  // namespace phase::vcp
