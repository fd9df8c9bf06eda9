#include "artifact/partial.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace phase::artifact {
namespace {

namespace fs = std::filesystem;

// The journal: head, then entries of the same size, each with a check of its own. A torn tail ends
// it. An entry with the index below says: all before is on the disk.
constexpr std::string_view kMagic = "PHASEAR1";
constexpr std::size_t kHeadBytes = 8 + 32 + 8;
constexpr std::size_t kEntryBytes = 4 + 32 + 4;
constexpr std::uint32_t kSyncMark = 0xFFFFFFFF;

void append_be(Bytes& out, std::uint64_t value, unsigned bytes) {
  for (unsigned i = bytes; i-- > 0;) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}
std::uint64_t be(ByteView bytes) {
  std::uint64_t out = 0;
  for (const std::uint8_t byte : bytes) out = (out << 8U) | byte;
  return out;
}

Bytes head_of(const ArtifactId& id, std::uint64_t length) {
  Bytes out = to_bytes(kMagic);
  out.insert(out.end(), id.value.begin(), id.value.end());
  append_be(out, length, 8);
  return out;
}

Bytes entry_of(std::uint32_t index, const Sha256& leaf) {
  Bytes out;
  append_be(out, index, 4);
  out.insert(out.end(), leaf.value.begin(), leaf.value.end());
  const Sha256 check = sha256(out);
  out.insert(out.end(), check.value.begin(), check.value.begin() + 4);
  return out;
}

std::uint64_t size_of(int file) {
  struct stat found{};
  return ::fstat(file, &found) == 0 ? static_cast<std::uint64_t>(found.st_size) : 0;
}

}  // namespace

Result<std::unique_ptr<Partial>> Partial::open(fs::path stem, const ArtifactId& id) {
  std::unique_ptr<Partial> out(new Partial(std::move(stem), id));
  PHASE_TRY(out->log_, open_file(out->log_path(), O_RDWR | O_CREAT));
  if (::flock(out->log_.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(Code::busy, "another process fetches artifact " + id.hex(),
                "stop it, or use another data folder");
  }
  PHASE_TRY(out->data_, open_file(out->data_path(), O_RDWR | O_CREAT));
  PHASE_TRY_VOID(out->resume());
  return out;
}

Result<void> Partial::resume() {
  const std::uint64_t size = size_of(log_.get());
  const std::uint64_t size_max =
      kHeadBytes + 4 * (chunk_count(kArtifactBytesMax) + 1) * kEntryBytes;
  if (size < kHeadBytes || size > size_max) return {};
  Bytes bytes(static_cast<std::size_t>(size));
  PHASE_TRY_VOID(read_at(log_.get(), bytes, 0, log_path()));
  return recall(bytes);
}

Result<void> Partial::recall(ByteView bytes) {
  const std::uint64_t length = be(bytes.subspan(40, 8));
  const Bytes head = head_of(id_, length);
  if (length > kArtifactBytesMax || !std::ranges::equal(head, bytes.first(kHeadBytes))) return {};
  length_ = length;
  leaves_.resize(chunk_count(length));
  log_bytes_ = kHeadBytes;
  std::vector<std::uint64_t> unsynced;
  for (ByteView rest = bytes.subspan(kHeadBytes); rest.size() >= kEntryBytes;
       rest = rest.subspan(kEntryBytes)) {
    const auto index = static_cast<std::uint32_t>(be(rest.first(4)));
    const Sha256 leaf = Sha256::from(rest.subspan(4, 32)).value();
    const Bytes whole = entry_of(index, leaf);
    if (!std::ranges::equal(whole, rest.first(kEntryBytes))) break;
    if (index == kSyncMark) {
      unsynced.clear();
    } else if (index < leaves_.size()) {
      if (!leaves_[index]) held_bytes_ += chunk_bytes(length, index);
      leaves_[index] = leaf;
      unsynced.push_back(index);
    }
    log_bytes_ += kEntryBytes;
  }
  for (const std::uint64_t index : unsynced) {
    if (leaves_[index] && !stands(index)) forget(index);
  }
  return rewrite();
}

bool Partial::stands(std::uint64_t index) const {
  Bytes data(chunk_bytes(*length_, index));
  const auto read =
      read_at(data_.get(), data, index * kArtifactChunkBytes, "a chunk that was fetched before");
  return read && tree_leaf(data) == *leaves_[index];
}

void Partial::forget(std::uint64_t index) {
  leaves_[index].reset();
  held_bytes_ -= chunk_bytes(*length_, index);
}

/// The journal anew: what is there and nothing else, synced.
Result<void> Partial::rewrite() {
  if (::fdatasync(data_.get()) != 0) return fail_write(errno, data_path());
  Bytes all = head_of(id_, *length_);
  for (std::uint64_t index = 0; index < leaves_.size(); ++index) {
    if (!leaves_[index]) continue;
    const Bytes entry = entry_of(static_cast<std::uint32_t>(index), *leaves_[index]);
    all.insert(all.end(), entry.begin(), entry.end());
  }
  const Bytes mark = entry_of(kSyncMark, Sha256{});
  all.insert(all.end(), mark.begin(), mark.end());
  // Entries of the same size in place of others: a cut in between leaves entries that check out,
  // each true or read again, or an end.
  PHASE_TRY_VOID(write_at(log_.get(), all, 0, log_path()));
  if (::ftruncate(log_.get(), static_cast<off_t>(all.size())) != 0) {
    return fail_write(errno, log_path());
  }
  if (::fdatasync(log_.get()) != 0) return fail_write(errno, log_path());
  log_bytes_ = all.size();
  unsynced_bytes_ = 0;
  return {};
}

Result<void> Partial::begin(std::uint64_t length) {
  if (length > kArtifactBytesMax) {
    return fail(Code::too_large, "an artifact of " + std::to_string(length) + " bytes; at most " +
                                     std::to_string(kArtifactBytesMax) + " are fetched");
  }
  const std::uint64_t missing = length - std::min<std::uint64_t>(length, held_bytes_);
  struct statvfs disk{};
  if (::fstatvfs(data_.get(), &disk) == 0) {
    const std::uint64_t free = static_cast<std::uint64_t>(disk.f_bavail) * disk.f_frsize;
    if (free < missing + kDiskReserveBytes) {
      return fail(Code::io,
                  "no room on the disk: " + std::to_string(missing) + " bytes are still to come, " +
                      std::to_string(free) + " are free at " + stem_.parent_path().string(),
                  "make room, then pull again: what came is kept");
    }
  }
  if (length_) return {};
  length_ = length;
  leaves_.assign(chunk_count(length), std::nullopt);
  if (::ftruncate(data_.get(), 0) != 0) return fail_write(errno, data_path());
  PHASE_TRY_VOID(rewrite());
  return sync_folder(stem_.parent_path());
}

std::vector<bool> Partial::held() const {
  const std::lock_guard lock(mutex_);
  std::vector<bool> out(leaves_.size());
  for (std::size_t i = 0; i < leaves_.size(); ++i) out[i] = leaves_[i].has_value();
  return out;
}

Result<void> Partial::append(std::uint32_t index, const Sha256& leaf) {
  PHASE_TRY_VOID(write_at(log_.get(), entry_of(index, leaf), log_bytes_, log_path()));
  log_bytes_ += kEntryBytes;
  return {};
}

Result<void> Partial::sync() {
  if (::fdatasync(data_.get()) != 0) return fail_write(errno, data_path());
  PHASE_TRY_VOID(append(kSyncMark, Sha256{}));
  if (::fdatasync(log_.get()) != 0) return fail_write(errno, log_path());
  unsynced_bytes_ = 0;
  return {};
}

Result<bool> Partial::put(std::uint64_t index, ByteView data, const Sha256& leaf) {
  {
    const std::lock_guard lock(mutex_);
    if (!length_ || index >= leaves_.size() || data.size() != chunk_bytes(*length_, index)) {
      return fail(Code::internal, "a chunk that has no place");
    }
    if (leaves_[index]) return false;
  }
  PHASE_TRY_VOID(write_at(data_.get(), data, index * kArtifactChunkBytes, data_path()));
  const std::lock_guard lock(mutex_);
  if (leaves_[index]) return false;  // another thread wrote the same bytes
  PHASE_TRY_VOID(append(static_cast<std::uint32_t>(index), leaf));
  leaves_[index] = leaf;
  held_bytes_ += data.size();
  unsynced_bytes_ += data.size();
  if (unsynced_bytes_ >= kUnsyncedBytesMax) PHASE_TRY_VOID(sync());
  return true;
}

Result<Partial::Finished> Partial::finish(const std::function<fs::path(const Sha256&)>& place,
                                          const std::atomic<bool>& stop) {
  Sha256Stream flat;
  Bytes data;
  std::vector<Sha256> leaves;
  std::uint64_t damaged = 0;
  for (std::uint64_t index = 0; index < leaves_.size(); ++index) {
    if (stop) return fail(Code::cancelled, "the fetch was stopped");
    if (!leaves_[index]) return fail(Code::internal, "an artifact with chunks missing");
    data.resize(chunk_bytes(*length_, index));
    const auto read = read_at(data_.get(), data, index * kArtifactChunkBytes, data_path());
    leaves.push_back(read ? tree_leaf(data) : Sha256{});
    flat.update(data);
    if (leaves.back() != *leaves_[index]) {
      forget(index);
      ++damaged;
    }
  }
  auto tree = std::make_shared<const Tree>(*length_, std::move(leaves));
  if (damaged > 0 || tree->id() != id_) {
    if (damaged == 0) leaves_.assign(leaves_.size(), std::nullopt);
    if (damaged == 0) held_bytes_ = 0;
    PHASE_TRY_VOID(rewrite());
    return fail(Code::verification_failed, "the disk gave back other bytes than were written, in " +
                                               std::to_string(damaged) + " chunks of artifact " +
                                               id_.hex());
  }
  if (::fsync(data_.get()) != 0) return fail_write(errno, data_path());
  const Sha256 sha256 = flat.finish();
  const fs::path target = place(sha256);
  if (::rename(data_path().c_str(), target.c_str()) != 0) {
    return fail_errno(errno, "keeping " + target.string() + " failed");
  }
  PHASE_TRY_VOID(sync_folder(target.parent_path()));
  std::error_code error;
  fs::remove(log_path(), error);
  return Finished{{id_, sha256, *length_}, std::move(tree)};
}

}  // namespace phase::artifact
