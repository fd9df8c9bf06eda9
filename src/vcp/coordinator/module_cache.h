// module_cache.h — what every place that keeps modules has: a thread that may block, and those used
// last in memory.
#pragma once

#include <list>
#include <utility>
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

/// A place that blocks: reads and writes in a thread of its own.
class CachedModules : public ModuleStore {
 public:
  [[nodiscard]] Task<Result<void>> keep(Sha256 sha256, std::shared_ptr<const Bytes> module,
                                        UtcTime now) override;
  [[nodiscard]] Task<Result<std::shared_ptr<const Bytes>>> get(Sha256 sha256, UtcTime now) override;
  [[nodiscard]] Task<Result<std::size_t>> sweep(UtcTime now, Duration unused,
                                                std::set<Sha256> needed) override;

 protected:
  /// Waits for the thread; every destructor begins with it.
  void stop() { thread_.join(); }
  // In the thread, and as ModuleStore has it. `read` need not compare the hash.
  [[nodiscard]] virtual Result<void> write(const Sha256& sha256, ByteView module, UtcTime now) = 0;
  [[nodiscard]] virtual Result<Bytes> read(const Sha256& sha256, UtcTime now) = 0;
  /// Those that went.
  [[nodiscard]] virtual Result<std::vector<Sha256>> remove(UtcTime now, Duration unused,
                                                           const std::set<Sha256>& needed) = 0;

 private:
  asio::thread_pool thread_{1};
  ModuleCache cache_;
};

}  // namespace phase::vcp
