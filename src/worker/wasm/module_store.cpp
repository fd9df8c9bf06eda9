#include "worker/wasm/module_store.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <mutex>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fcntl.h>
#include <sodium.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

namespace phase::worker {
namespace fs = std::filesystem;
using sandbox::FileDescriptor;

namespace {
constexpr ssize_t kMacBytes = sizeof(ModuleWriter::Mac);
}

struct ModuleWriter::State {
  crypto_generichash_state hash;
};

Result<ModuleWriter> ModuleWriter::make(const CacheKey& key, const Sha256& module,
                                        const Sha256& fingerprint, std::uint64_t bytes_max) {
  ModuleWriter writer;
  writer.bytes_max_ = bytes_max;
  writer.module_ = std::make_shared<SealedModule>();
  writer.module_->file.reset(::memfd_create("module", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!writer.module_->file.valid()) return fail_errno(errno, "making a memory file failed");
  writer.state_ = std::make_shared<State>();
  crypto_generichash_init(&writer.state_->hash, key.data(), key.size(), sizeof(Mac));
  crypto_generichash_update(&writer.state_->hash, module.value.data(), module.value.size());
  crypto_generichash_update(&writer.state_->hash, fingerprint.value.data(),
                            fingerprint.value.size());
  return writer;
}

Result<void> ModuleWriter::append(ByteView piece) {
  if (piece.size() > bytes_max_ - module_->bytes) {
    return fail(Code::too_large, "compile: the compiled module is too large");
  }
  module_->bytes += piece.size();
  crypto_generichash_update(&state_->hash, piece.data(), piece.size());
  while (!piece.empty()) {
    const ssize_t put = ::write(module_->file.get(), piece.data(), piece.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return fail_errno(errno, "writing a memory file failed");
    piece = piece.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

Result<ModuleWriter::Sealed> ModuleWriter::seal() && {
  constexpr int kSeals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  if (::fcntl(module_->file.get(), F_ADD_SEALS, kSeals) != 0) {
    return fail_errno(errno, "sealing a memory file failed");
  }
  Sealed sealed{std::move(module_), {}};
  crypto_generichash_final(&state_->hash, sealed.mac.data(), sealed.mac.size());
  return sealed;
}

// The folder, as one thread and (for small entries) the loop use it. File: MAC ‖ compiled module.
struct ModuleStore::Disk {
  struct File {
    std::uint64_t bytes = 0;
    std::uint64_t used = 0;  // order of use
  };

  [[nodiscard]] std::string path_of(const Sha256& module) const {
    return options.folder + "/" + module.hex() + suffix();
  }
  [[nodiscard]] std::string suffix() const {
    return "-" + options.fingerprint.hex().substr(0, 16) + ".compiled";
  }
  Result<void> scan();
  [[nodiscard]] std::optional<std::uint64_t> bytes_of(const Sha256& module);
  std::shared_ptr<const SealedModule> load(const Sha256& module);
  Result<std::shared_ptr<const SealedModule>> read(const Sha256& module, std::uint64_t bytes);
  Result<void> store(const Sha256& module, const ModuleWriter::Sealed& sealed);
  void forget(const Sha256& module);
  void make_room(std::uint64_t bytes);

  Options options;
  std::mutex mutex;  // over the three below
  std::unordered_map<Sha256, File, HashHasher> files;
  std::uint64_t bytes_total = 0;
  std::uint64_t used_next = 1;
};

Result<void> ModuleStore::Disk::scan() {
  std::error_code error;
  if (fs::create_directories(options.folder, error)) {
    fs::permissions(options.folder, fs::perms::owner_all, error);
  }
  if (error)
    return fail_errno(error.value(), "making the cache folder " + options.folder + " failed");
  for (const auto& entry : fs::directory_iterator(options.folder, error)) {
    const std::string name = entry.path().filename().string();
    const auto id = Sha256::from_hex_text(std::string_view(name).substr(0, 64));
    std::error_code ignored;
    if (!id || name.substr(64) != suffix() || files.size() >= kCacheEntriesMax) {
      // Left by another engine, or by a write that was interrupted. What is not ours by name stays.
      if (name.ends_with(".compiled") || name.ends_with(".partial")) fs::remove(entry, ignored);
      continue;
    }
    const std::uint64_t bytes = entry.file_size(ignored);
    if (ignored) continue;
    files[*id] = {bytes, used_next++};
    bytes_total += bytes;
  }
  if (error)
    return fail_errno(error.value(), "reading the cache folder " + options.folder + " failed");
  return {};
}

std::optional<std::uint64_t> ModuleStore::Disk::bytes_of(const Sha256& module) {
  const std::scoped_lock lock(mutex);
  const auto found = files.find(module);
  if (found == files.end()) return std::nullopt;
  found->second.used = used_next++;
  return found->second.bytes;
}

void ModuleStore::Disk::forget(const Sha256& module) {
  std::error_code ignored;
  fs::remove(path_of(module), ignored);
  const std::scoped_lock lock(mutex);
  if (const auto found = files.find(module); found != files.end()) {
    bytes_total -= found->second.bytes;
    files.erase(found);
  }
}

Result<std::shared_ptr<const SealedModule>> ModuleStore::Disk::read(const Sha256& module,
                                                                    std::uint64_t bytes) {
  const FileDescriptor file(::open(path_of(module).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid()) return fail_errno(errno, "opening a cache entry failed");
  ModuleWriter::Mac stated{};
  if (bytes <= stated.size() || ::read(file.get(), stated.data(), stated.size()) != kMacBytes) {
    return fail(Code::malformed, "a cache entry is too short");
  }
  PHASE_TRY(ModuleWriter writer,
            ModuleWriter::make(options.key, module, options.fingerprint, options.entry_bytes_max));
  Bytes buffer(256_KiB);
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "reading a cache entry failed");
    if (got == 0) break;
    PHASE_TRY_VOID(writer.append(ByteView(buffer).first(static_cast<std::size_t>(got))));
  }
  PHASE_TRY(ModuleWriter::Sealed sealed, std::move(writer).seal());
  if (!equal_constant_time(sealed.mac, stated)) {
    return fail(Code::verification_failed, "a cache entry is not authentic");
  }
  return std::move(sealed.module);
}

std::shared_ptr<const SealedModule> ModuleStore::Disk::load(const Sha256& module) {
  const auto bytes = bytes_of(module);
  if (!bytes) return nullptr;
  auto loaded = read(module, *bytes);
  if (loaded) return *std::move(loaded);
  spdlog::warn("worker: cache entry {}: {}; it will be compiled again", module.hex().substr(0, 16),
               loaded.error().message);
  forget(module);
  return nullptr;
}

void ModuleStore::Disk::make_room(std::uint64_t bytes) {
  for (;;) {
    Sha256 oldest;
    {
      const std::scoped_lock lock(mutex);
      const bool room =
          bytes_total + bytes <= options.disk_bytes_max && files.size() < kCacheEntriesMax;
      if (room || files.empty()) return;
      oldest =
          std::ranges::min_element(files, {}, [](const auto& f) { return f.second.used; })->first;
    }
    forget(oldest);
  }
}

Result<void> ModuleStore::Disk::store(const Sha256& module, const ModuleWriter::Sealed& sealed) {
  const std::uint64_t bytes = sealed.module->bytes + sealed.mac.size();
  if (bytes > options.disk_bytes_max) return {};
  make_room(bytes);
  const std::string path = path_of(module), partial = path + ".partial";
  const FileDescriptor file(
      ::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return fail_errno(errno, "making " + partial + " failed");
  if (::write(file.get(), sealed.mac.data(), sealed.mac.size()) != kMacBytes) {
    return fail_errno(errno, "writing " + partial + " failed");
  }
  // The kernel copies; a short copy (full disk) shows as a count.
  off_t at = 0;
  while (static_cast<std::uint64_t>(at) < sealed.module->bytes) {
    const ssize_t put = ::sendfile(file.get(), sealed.module->file.get(), &at,
                                   sealed.module->bytes - static_cast<std::uint64_t>(at));
    if (put <= 0) return fail_errno(errno, "writing " + partial + " failed");
  }
  // Not synced: after a crash a torn entry fails its MAC and is compiled again.
  if (::rename(partial.c_str(), path.c_str()) != 0) {
    return fail_errno(errno, "renaming " + partial + " failed");
  }
  const std::scoped_lock lock(mutex);
  File& entry = files[module];
  bytes_total += bytes - entry.bytes;
  entry = {bytes, used_next++};
  return {};
}

ModuleStore::ModuleStore(asio::any_io_executor executor, Options options)
    : executor_(std::move(executor)),
      options_(options),
      disk_(std::make_shared<Disk>()),
      thread_(std::make_unique<asio::thread_pool>(1)) {
  disk_->options = std::move(options);
}

ModuleStore::~ModuleStore() {
  thread_->join();
}

Result<std::unique_ptr<ModuleStore>> ModuleStore::open(asio::any_io_executor executor,
                                                       Options options) {
  std::unique_ptr<ModuleStore> store(new ModuleStore(std::move(executor), std::move(options)));
  PHASE_TRY_VOID(store->disk_->scan());
  return store;
}

Result<ModuleWriter> ModuleStore::writer(const Sha256& module) const {
  return ModuleWriter::make(options_.key, module, options_.fingerprint, options_.entry_bytes_max);
}

std::shared_ptr<const SealedModule> ModuleStore::in_memory(const Sha256& module) {
  const auto found = by_id_.find(module);
  if (found == by_id_.end()) return nullptr;
  recent_.splice(recent_.begin(), recent_, found->second);
  return found->second->module;
}

void ModuleStore::insert(const Sha256& module, std::shared_ptr<const SealedModule> sealed) {
  if (by_id_.contains(module)) return;
  memory_bytes_ += sealed->bytes;
  recent_.push_front({module, std::move(sealed)});
  by_id_[module] = recent_.begin();
  // The newest stays even when it alone is above the bound: it is about to be run.
  while (memory_bytes_ > options_.memory_bytes_max && recent_.size() > 1) {
    memory_bytes_ -= recent_.back().module->bytes;
    by_id_.erase(recent_.back().id);
    recent_.pop_back();
  }
}

bool ModuleStore::holds(const Sha256& module) {
  if (in_memory(module)) return true;
  const auto bytes = disk_->bytes_of(module);
  if (!bytes || *bytes > kCacheSyncBytesMax) return false;
  auto loaded = disk_->load(module);
  if (!loaded) return false;
  insert(module, std::move(loaded));
  return true;
}

Task<std::shared_ptr<const SealedModule>> ModuleStore::load(std::shared_ptr<Disk> disk,
                                                            Sha256 module) {
  co_return disk->load(module);
}

Task<std::shared_ptr<const SealedModule>> ModuleStore::find(Sha256 module) {
  if (auto found = in_memory(module)) co_return found;
  if (!disk_->bytes_of(module)) co_return nullptr;
  // Named, and no lambda: g++ 12 destroys the captures of one inside a co_await expression twice.
  Task<std::shared_ptr<const SealedModule>> work = load(disk_, module);
  auto loaded = co_await asio::co_spawn(*thread_, std::move(work), asio::use_awaitable);
  if (loaded) insert(module, loaded);
  co_return loaded;
}

void ModuleStore::keep(const Sha256& module, ModuleWriter::Sealed sealed) {
  insert(module, sealed.module);
  asio::post(*thread_, [disk = disk_, module, sealed = std::move(sealed)] {
    if (const auto stored = disk->store(module, sealed); !stored) {
      spdlog::warn("worker: {}", stored.error().message);
    }
  });
}

void ModuleStore::drop_memory() {
  by_id_.clear();
  recent_.clear();
  memory_bytes_ = 0;
}

void ModuleStore::finish_writing() {
  thread_->join();
  thread_ = std::make_unique<asio::thread_pool>(1);
}

}  // namespace phase::worker
