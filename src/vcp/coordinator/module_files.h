// module_files.h — uploaded modules as files named by their hash; and the twin in memory.
#pragma once

#include <filesystem>
#include <list>
#include <map>

#include <boost/asio/thread_pool.hpp>

#include "vcp/coordinator/runner.h"

namespace phase::vcp {

/// Bytes of modules that are kept in memory besides.
inline constexpr std::uint64_t kModuleCacheBytesMax = 128_MiB;

/// Modules in memory, those used last; at most kModuleCacheBytesMax, or one.
class ModuleCache {
 public:
  /// Null: not here.
  [[nodiscard]] std::shared_ptr<const Bytes> find(const Sha256& sha256);
  void remember(const Sha256& sha256, std::shared_ptr<const Bytes> module);

 private:
  std::list<std::pair<Sha256, std::shared_ptr<const Bytes>>> modules_;  // newest first
  std::uint64_t bytes_ = 0;
};

class ModuleFiles final : public ModuleStore {
 public:
  /// `folder` exists. Reads and writes in a thread of its own.
  explicit ModuleFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}
  ~ModuleFiles() override { thread_.join(); }

  [[nodiscard]] Task<Result<void>> keep(Sha256 sha256,
                                        std::shared_ptr<const Bytes> module) override;
  [[nodiscard]] Task<Result<std::shared_ptr<const Bytes>>> get(Sha256 sha256) override;

 private:
  std::filesystem::path folder_;
  asio::thread_pool thread_{1};
  ModuleCache cache_;
};

class MemoryModules final : public ModuleStore {
 public:
  [[nodiscard]] Task<Result<void>> keep(Sha256 sha256,
                                        std::shared_ptr<const Bytes> module) override;
  [[nodiscard]] Task<Result<std::shared_ptr<const Bytes>>> get(Sha256 sha256) override;

 private:
  std::map<Sha256, std::shared_ptr<const Bytes>> modules_;
};

}  // namespace phase::vcp
