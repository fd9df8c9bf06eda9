// partial.h — an artifact on its way in: a sparse file of verified chunks, and a journal of which
// are there.
//
// What the journal names survives a kill at any moment; after a loss of power what was not synced
// yet is read again and checked by its leaf hash. Everything here blocks: it runs in a pool. `put`
// may be called from several threads, the rest by one at a time.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <mutex>
#include <vector>

#include "artifact/tree.h"
#include "base/files.h"
#include "protocol/job/job.h"

namespace phase::artifact {

/// Bytes that may have to be checked again after a loss of power.
inline constexpr std::uint64_t kUnsyncedBytesMax = 64_MiB;
/// Left free on the disk beyond what is fetched.
inline constexpr std::uint64_t kDiskReserveBytes = 4_MiB;

class Partial {
 public:
  /// Goes on with what is at `stem`.data and `stem`.log, or begins. Errors: Code::busy when another
  /// process fetches it, Code::io.
  [[nodiscard]] static Result<std::unique_ptr<Partial>> open(std::filesystem::path stem,
                                                             const ArtifactId& id);

  /// Absent until `begin`.
  [[nodiscard]] std::optional<std::uint64_t> length() const noexcept { return length_; }
  /// `length` is proven by a chunk, or by the id of nothing. Errors: Code::too_large, Code::io when
  /// the disk has no room.
  [[nodiscard]] Result<void> begin(std::uint64_t length);
  [[nodiscard]] std::uint64_t held_bytes() const noexcept { return held_bytes_; }
  /// Which chunks are there; by index.
  [[nodiscard]] std::vector<bool> held() const;

  /// Keeps a chunk that `verify_chunk` passed. False: it was there. Errors: Code::io; what was kept
  /// before stays.
  [[nodiscard]] Result<bool> put(std::uint64_t index, ByteView data, const Sha256& leaf);

  struct Finished {
    job::ArtifactRef content;
    std::shared_ptr<const Tree> tree;
  };
  /// Reads the whole again, checks it, and moves it to `place(flat hash)`. `stop`: gives up soon,
  /// with Code::cancelled. Errors: Code::verification_failed when chunks are not what was written:
  /// they are forgotten and can be put again.
  [[nodiscard]] Result<Finished> finish(
      const std::function<std::filesystem::path(const Sha256&)>& place,
      const std::atomic<bool>& stop);

 private:
  Partial(std::filesystem::path stem, const ArtifactId& id) : stem_(std::move(stem)), id_(id) {}
  [[nodiscard]] Result<void> resume();
  [[nodiscard]] Result<void> recall(ByteView bytes);
  [[nodiscard]] bool stands(std::uint64_t index) const;
  [[nodiscard]] Result<void> append(std::uint32_t index, const Sha256& leaf);
  [[nodiscard]] Result<void> sync();
  [[nodiscard]] Result<void> rewrite();
  void forget(std::uint64_t index);
  [[nodiscard]] std::string data_path() const { return stem_.string() + ".data"; }
  [[nodiscard]] std::string log_path() const { return stem_.string() + ".log"; }

  std::filesystem::path stem_;
  ArtifactId id_;
  FileDescriptor data_, log_;
  std::optional<std::uint64_t> length_;
  mutable std::mutex mutex_;  // over all below
  std::vector<std::optional<Sha256>> leaves_;
  std::uint64_t log_bytes_ = 0, unsynced_bytes_ = 0;
  std::atomic<std::uint64_t> held_bytes_ = 0;
};

}  // namespace phase::artifact
