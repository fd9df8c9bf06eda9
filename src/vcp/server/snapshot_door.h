// snapshot_door.h — how a backup gets copies of the databases that a running coordinator holds.
//
// A Unix socket in the data folder, mode 0600: whoever connects gets one snapshot, a folder inside
// the data folder that is removed when the connection ends. One at a time.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/descriptor.h"

namespace phase::vcp {

/// Names within a data folder, a snapshot and a backup.
inline constexpr const char* kStateFile = "fleet.db";
inline constexpr const char* kAccountsFile = "accounts/accounts.db";
/// For so long a snapshot stays at most.
inline constexpr auto kSnapshotLife = std::chrono::minutes(30);

/// The coordinator's side.
class SnapshotDoor {
 public:
  /// Copies both databases into an existing empty folder (accounts/ included).
  using Take = std::function<Task<Result<void>>(std::filesystem::path folder)>;
  /// `data_dir` belongs to this process (its databases are locked), so a socket there is a dead
  /// one's. Errors: Code::invalid_argument (the path is too long for a socket), io.
  [[nodiscard]] static Result<std::unique_ptr<SnapshotDoor>> open(
      asio::any_io_executor executor, const std::filesystem::path& data_dir, Take take);
  ~SnapshotDoor();

 private:
  struct State;
  explicit SnapshotDoor(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

/// The other side; blocks. The snapshot goes with it.
class Snapshot {
 public:
  /// Nothing when no coordinator runs there. Errors: what the coordinator says.
  [[nodiscard]] static Result<std::unique_ptr<Snapshot>> ask(const std::filesystem::path& data_dir);
  [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }

 private:
  Snapshot(FileDescriptor socket, std::filesystem::path folder)
      : socket_(std::move(socket)), folder_(std::move(folder)) {}
  FileDescriptor socket_;
  std::filesystem::path folder_;
};

}  // namespace phase::vcp
