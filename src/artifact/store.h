// store.h — what a node keeps of artifacts on its disk: parts on their way in, whole ones by their
// flat hash, and the hash trees of those it serves. Everything here blocks: it runs in a pool, from
// any thread.
#pragma once

#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <mutex>

#include "artifact/partial.h"

namespace phase::artifact {

inline constexpr std::size_t kTreeBytesMax = 128_MiB;  ///< of trees in memory
inline constexpr std::size_t kTreeFilesMax = 8'192;    ///< oldest go first
inline constexpr std::size_t kPartialsMax = 64;        ///< left unfinished; oldest go first

class Store {
 public:
  struct Folders {
    std::filesystem::path own;    ///< made when missing: trees/, parts/
    std::filesystem::path blobs;  ///< whole ones, as sha256-<64 hex>; same file system
  };
  /// Errors: Code::io.
  [[nodiscard]] static Result<std::shared_ptr<Store>> open(Folders folders);

  /// One on its way in, begun or gone on with. Errors: those of Partial::open.
  [[nodiscard]] Result<std::unique_ptr<Partial>> partial(const ArtifactId& id);
  /// Whether a fetch of it was begun and not finished.
  [[nodiscard]] bool has_partial(const ArtifactId& id) const;
  [[nodiscard]] std::filesystem::path blob_path(const Sha256& sha256) const;
  /// Checks, moves it to its place, keeps its tree. Errors: those of Partial::finish.
  [[nodiscard]] Result<job::ArtifactRef> finish(Partial& partial, const std::atomic<bool>& stop);

  /// The tree of an artifact that is held. Errors: Code::not_found when nobody made it yet.
  [[nodiscard]] Result<std::shared_ptr<const Tree>> tree(const ArtifactId& id);
  /// Hashes a whole file and keeps its tree. Errors: Code::verification_failed when it is another
  /// artifact, Code::cancelled, Code::io.
  [[nodiscard]] Result<std::shared_ptr<const Tree>> make_tree(const ArtifactId& id, int file,
                                                              std::uint64_t length,
                                                              const std::atomic<bool>& stop);

 private:
  explicit Store(Folders folders) : folders_(std::move(folders)) {}
  [[nodiscard]] Result<void> keep(const std::shared_ptr<const Tree>& tree);
  void remember(const std::shared_ptr<const Tree>& tree);

  Folders folders_;
  std::mutex mutex_;                              // over what follows
  std::list<std::shared_ptr<const Tree>> trees_;  // used last in front
  std::size_t tree_bytes_ = 0;
};

}  // namespace phase::artifact
