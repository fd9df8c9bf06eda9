// catalog_files.h — what the catalog's thread does: looks at folders, hashes, remembers facts.
// Private to this folder. Every function here may block.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <vector>

#include "base/files.h"
#include "lucid/catalog.h"

namespace phase::lucid {

enum class Origin : std::uint8_t { own, model_dir, ollama };

/// A name and the file that it means.
struct FoundFile {
  ModelName name;
  std::filesystem::path file;
  Origin origin = Origin::own;
  ModelRecipe recipe;
};

/// What tells that a file is the one that was hashed.
struct FileStamp {
  std::uint64_t device = 0, inode = 0, size = 0, modified_ns = 0;
  friend auto operator<=>(const FileStamp&, const FileStamp&) = default;
};
/// Errors: Code::not_found, permission_denied, io.
[[nodiscard]] Result<FileStamp> stamp(const std::filesystem::path& file);
[[nodiscard]] Result<FileStamp> stamp(int descriptor);

/// What is known of a file's bytes.
struct Facts {
  job::ArtifactRef content;
  worker::ModelInfo info;
};

struct Look {
  std::vector<FoundFile> files;
  std::vector<std::string> warnings;
};
/// Own names win over --model-dir, that over Ollama's folder. At most kModelsMax.
[[nodiscard]] Look look(const Catalog::Options& options);

/// Hashes a whole file. Errors: those of opening and reading.
[[nodiscard]] Result<job::ArtifactRef> hash_file(const std::filesystem::path& file);

[[nodiscard]] std::optional<Facts> read_facts(const std::filesystem::path& folder,
                                              const FileStamp& stamp);
[[nodiscard]] Result<void> write_facts(const std::filesystem::path& folder, const FileStamp& stamp,
                                       const Facts& facts);

using phase::read_file;
using phase::write_file;

/// Own names.
[[nodiscard]] std::filesystem::path name_path(const std::filesystem::path& data_dir,
                                              const ModelName& name);
[[nodiscard]] Result<void> write_name(const std::filesystem::path& data_dir, const ModelName& name,
                                      std::string_view sha256_hex, const ModelRecipe& recipe);
struct OwnName {
  std::string sha256_hex;
  ModelRecipe recipe;
};
/// Errors: Code::not_found, malformed.
[[nodiscard]] Result<OwnName> read_name(const std::filesystem::path& path);

/// "sha256:<64 hex>" or "sha256-<64 hex>" → the digits. Errors: Code::invalid_argument.
[[nodiscard]] Result<std::string> parse_digest(std::string_view text);

}  // namespace phase::lucid
