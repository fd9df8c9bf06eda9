// module_store.h — compiled modules: in memory as sealed read-only files that children map, on disk
// under a MAC.
//
// Machine code is executed, so it must be what a compile child of ours sent. The file system is not
// trusted for that: every entry carries a keyed BLAKE2b over module hash, engine fingerprint and
// code; the key never reaches a worker. A changed, swapped or truncated entry is deleted and counts
// as absent. An entry can harm only runs of its own module. Belongs to one executor; disk work runs
// in a thread of its own.
#pragma once

#include <array>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include <boost/asio/thread_pool.hpp>

#include "base/clock.h"
#include "base/hash.h"
#include "base/result.h"
#include "worker/sandbox/descriptor.h"

namespace phase::worker {

using CacheKey = std::array<std::uint8_t, 32>;

/// Entries on disk; the least recently used go first.
inline constexpr std::size_t kCacheEntriesMax = 4096;
/// Largest entry that `holds` reads and checks at once, blocking for some milliseconds at most.
inline constexpr std::uint64_t kCacheSyncBytesMax = 4_MiB;

/// A compiled module in a sealed memory file: nobody can change it any more, mapping it shares it.
struct SealedModule {
  sandbox::FileDescriptor file;
  std::uint64_t bytes = 0;
};

/// Takes a compiled module piece by piece, hashing as it goes.
class ModuleWriter {
 public:
  /// Errors: Code::io.
  [[nodiscard]] static Result<ModuleWriter> make(const CacheKey& key, const Sha256& module,
                                                 const Sha256& fingerprint,
                                                 std::uint64_t bytes_max);
  /// Errors: Code::too_large, Code::io.
  [[nodiscard]] Result<void> append(ByteView piece);
  [[nodiscard]] std::uint64_t bytes() const noexcept { return module_->bytes; }
  using Mac = std::array<std::uint8_t, 32>;
  struct Sealed {
    std::shared_ptr<const SealedModule> module;
    Mac mac;
  };
  /// Errors: Code::io.
  [[nodiscard]] Result<Sealed> seal() &&;

 private:
  ModuleWriter() = default;
  struct State;
  std::shared_ptr<SealedModule> module_;
  std::shared_ptr<State> state_;
  std::uint64_t bytes_max_ = 0;
};

class ModuleStore {
 public:
  struct Options {
    std::string folder;  ///< made with mode 0700 when missing
    CacheKey key;
    Sha256 fingerprint;  ///< of the engine; entries of others are deleted
    std::uint64_t disk_bytes_max = 0;
    std::uint64_t memory_bytes_max = 0;
    std::uint64_t entry_bytes_max = 0;
  };
  /// Reads the folder's list. Errors: Code::io and what file system calls give.
  [[nodiscard]] static Result<std::unique_ptr<ModuleStore>> open(asio::any_io_executor executor,
                                                                 Options options);
  ~ModuleStore();

  /// True when the module is in memory, or was small enough to be read and found authentic just
  /// now.
  [[nodiscard]] bool holds(const Sha256& module);
  /// From memory or disk. Nothing when it is in neither, or not authentic.
  [[nodiscard]] Task<std::shared_ptr<const SealedModule>> find(Sha256 module);
  /// Keeps a module that a compile child sent: in memory at once, on disk when the thread gets
  /// there.
  void keep(const Sha256& module, ModuleWriter::Sealed sealed);
  [[nodiscard]] Result<ModuleWriter> writer(const Sha256& module) const;
  /// Forgets what is in memory (for tests and measurements).
  void drop_memory();
  /// Waits for disk work that was handed over. Blocks.
  void finish_writing();

 private:
  struct Disk;
  struct Entry {
    Sha256 id;
    std::shared_ptr<const SealedModule> module;
  };
  ModuleStore(asio::any_io_executor executor, Options options);
  static Task<std::shared_ptr<const SealedModule>> load(std::shared_ptr<Disk> disk, Sha256 module);
  void insert(const Sha256& module, std::shared_ptr<const SealedModule> sealed);
  std::shared_ptr<const SealedModule> in_memory(const Sha256& module);

  asio::any_io_executor executor_;
  Options options_;
  std::list<Entry> recent_;  // most recently used first
  std::unordered_map<Sha256, std::list<Entry>::iterator, HashHasher> by_id_;
  std::uint64_t memory_bytes_ = 0;
  std::shared_ptr<Disk> disk_;  // shared with work in the thread
  std::unique_ptr<asio::thread_pool> thread_;
};

}  // namespace phase::worker
