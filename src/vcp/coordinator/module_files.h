// module_files.h — uploaded modules as files named by their hash; and the twin in memory.
#pragma once

#include <filesystem>
#include <list>
#include <map>
#include <vector>

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
  /// Whether a use at `now` is to be written down where the module is kept.
  [[nodiscard]] bool due(const Sha256& sha256, UtcTime now) const;
  /// Its use at `now` is written down.
  void remember(const Sha256& sha256, std::shared_ptr<const Bytes> module, UtcTime now);
  void forget(const Sha256& sha256);

 private:
  struct Held {
    Sha256 sha256;
    std::shared_ptr<const Bytes> module;
    UtcTime used;
  };
  std::list<Held> modules_;  // newest first
  std::uint64_t bytes_ = 0;
};

/// A use is the time of a file.
class ModuleFiles final : public ModuleStore {
 public:
  /// `folder` exists. Reads and writes in a thread of its own.
  explicit ModuleFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}
  ~ModuleFiles() override { thread_.join(); }

  [[nodiscard]] Task<Result<void>> keep(Sha256 sha256, std::shared_ptr<const Bytes> module,
                                        UtcTime now) override;
  [[nodiscard]] Task<Result<std::shared_ptr<const Bytes>>> get(Sha256 sha256, UtcTime now) override;
  [[nodiscard]] Task<Result<std::size_t>> sweep(UtcTime now, Duration unused,
                                                std::set<Sha256> needed) override;

 private:
  [[nodiscard]] std::filesystem::path path_of(const Sha256& sha256) const;
  // Of the thread:
  [[nodiscard]] Result<void> write(const Sha256& sha256, ByteView module, UtcTime now) const;
  [[nodiscard]] Result<std::vector<Sha256>> remove(UtcTime now, Duration unused,
                                                   const std::set<Sha256>& needed) const;

  std::filesystem::path folder_;
  asio::thread_pool thread_{1};
  ModuleCache cache_;
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
