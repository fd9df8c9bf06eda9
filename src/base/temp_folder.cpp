#include "base/temp_folder.h"

#include <cerrno>
#include <cstdlib>

namespace phase {

namespace fs = std::filesystem;

Result<TempFolder> TempFolder::make(std::string_view prefix) {
  std::error_code error;
  std::string name = (fs::temp_directory_path(error) / prefix).string() + "-XXXXXX";
  if (error || ::mkdtemp(name.data()) == nullptr) {
    return fail_errno(error ? error.value() : errno, "cannot make a temporary folder",
                      "set TMPDIR");
  }
  return TempFolder(std::move(name));
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

}  // namespace phase
