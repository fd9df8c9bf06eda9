// temp_folder.h — a private folder that is gone with its object.
#pragma once

#include <filesystem>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace phase {

class TempFolder {
 public:
  /// Of mode 0700, in the system's folder for such (TMPDIR), its name beginning with `prefix`.
  /// Errors: those of fail_errno; the hint says TMPDIR.
  [[nodiscard]] static Result<TempFolder> make(std::string_view prefix);
  ~TempFolder();
  TempFolder(TempFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TempFolder& operator=(TempFolder&&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  explicit TempFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;  // empty: another object's by now
};

}  // namespace phase
