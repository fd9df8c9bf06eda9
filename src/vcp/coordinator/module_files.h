// module_files.h — uploaded modules as files named by their hash; and the twin in memory.
#pragma once

#include <filesystem>
#include <map>

#include "vcp/coordinator/module_cache.h"

namespace phase::vcp {

/// A use is the time of a file.
class ModuleFiles final : public CachedModules {
 public:
  /// `folder` exists.
  explicit ModuleFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}
  ~ModuleFiles() override { stop(); }

 private:
  [[nodiscard]] Result<void> write(const Sha256& sha256, ByteView module, UtcTime now) override;
  [[nodiscard]] Result<Bytes> read(const Sha256& sha256, UtcTime now) override;
  [[nodiscard]] Result<std::vector<Sha256>> remove(UtcTime now, Duration unused,
                                                   const std::set<Sha256>& needed) override;
  [[nodiscard]] std::filesystem::path path_of(const Sha256& sha256) const;

  std::filesystem::path folder_;
};

class MemoryModules final : public ModuleStore {
 public:
  [[nodiscard]] Task<Result<void>> keep(Sha256 sha256, std::shared_ptr<const Bytes> module,
                                        UtcTime now) override;
  [[nodiscard]] Task<Result<std::shared_ptr<const Bytes>>> get(Sha256 sha256, UtcTime now) override;
  [[nodiscard]] Task<Result<std::size_t>> sweep(UtcTime now, Duration unused,
                                                std::set<Sha256> needed) override;
  /// Not a use.
  [[nodiscard]] bool holds(const Sha256& sha256) const { return modules_.contains(sha256); }

 private:
  struct Held {
    std::shared_ptr<const Bytes> module;
    UtcTime used;
  };
  std::map<Sha256, Held> modules_;
};

}  // namespace phase::vcp
