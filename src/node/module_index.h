// module_index.h — which modules lie in a node's artifact store, least recently used first out.
// Private to this folder. Belongs to one executor; reads and writes one small file.
#pragma once

#include <filesystem>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "protocol/job/job.h"

namespace phase::node {

/// Whatever their size, no more modules than this are kept.
inline constexpr std::size_t kModulesKeptMax = 4'096;
/// One line for each: id, hash, length.
inline constexpr std::size_t kIndexBytesMax = kModulesKeptMax * 160;

class ModuleIndex {
 public:
  explicit ModuleIndex(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  /// Reads what `text` wrote. A line that cannot be read is left out: its module is fetched or
  /// given again.
  void read(std::string_view text);
  /// What a restart needs to know; recently used last.
  [[nodiscard]] std::string text() const;

  /// The module; used now.
  [[nodiscard]] std::optional<job::ArtifactRef> use(const ArtifactId& id);
  [[nodiscard]] bool holds(const Sha256& sha256) const;
  /// One more, used now. Returns those that had to go for it, never itself.
  [[nodiscard]] std::vector<job::ArtifactRef> add(const job::ArtifactRef& ref);
  void drop(const ArtifactId& id);
  /// Recently used first.
  [[nodiscard]] const std::list<job::ArtifactRef>& all() const noexcept { return used_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  std::uint64_t bytes_max_;
  std::uint64_t bytes_ = 0;
  std::list<job::ArtifactRef> used_;
  std::map<ArtifactId, std::list<job::ArtifactRef>::iterator> by_id_;
};

}  // namespace phase::node
