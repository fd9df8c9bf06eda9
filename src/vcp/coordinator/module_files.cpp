#include "vcp/coordinator/module_files.h"

#include <algorithm>

#include "base/files.h"
#include "base/pool_task.h"

namespace phase::vcp {

std::shared_ptr<const Bytes> ModuleCache::find(const Sha256& sha256) {
  const auto found =
      std::ranges::find(modules_, sha256, &std::pair<Sha256, std::shared_ptr<const Bytes>>::first);
  if (found == modules_.end()) return nullptr;
  modules_.splice(modules_.begin(), modules_, found);
  return modules_.front().second;
}

void ModuleCache::remember(const Sha256& sha256, std::shared_ptr<const Bytes> module) {
  if (find(sha256) != nullptr) return;
  bytes_ += module->size();
  modules_.emplace_front(sha256, std::move(module));
  while (bytes_ > kModuleCacheBytesMax && modules_.size() > 1) {
    bytes_ -= modules_.back().second->size();
    modules_.pop_back();
  }
}

Task<Result<void>> ModuleFiles::keep(Sha256 sha256, std::shared_ptr<const Bytes> module) {
  if (cache_.find(sha256) != nullptr) co_return Result<void>{};
  const std::filesystem::path path = folder_ / (sha256.hex() + ".wasm");
  const std::function<Result<void>()> write = [&]() -> Result<void> {
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) return {};
    return write_file(path, as_text(*module));
  };
  const auto written = co_await in_pool(thread_, write);
  if (written) cache_.remember(sha256, std::move(module));
  co_return written;
}

Task<Result<std::shared_ptr<const Bytes>>> ModuleFiles::get(Sha256 wanted) {
  if (auto known = cache_.find(wanted)) co_return known;
  const std::filesystem::path path = folder_ / (wanted.hex() + ".wasm");
  const std::function<Result<std::string>()> read = [&] {
    return read_file(path, job::kModuleBytesMax);
  };
  const auto text = co_await in_pool(thread_, read);
  if (!text) co_return fail(text.error());
  auto module = std::make_shared<const Bytes>(to_bytes(*text));
  if (sha256(*module) != wanted) {
    co_return fail(Code::io, "the file " + path.string() + " was changed");
  }
  cache_.remember(wanted, module);
  co_return module;
}

Task<Result<void>> MemoryModules::keep(Sha256 sha256, std::shared_ptr<const Bytes> module) {
  modules_.insert_or_assign(sha256, std::move(module));
  co_return Result<void>{};
}

Task<Result<std::shared_ptr<const Bytes>>> MemoryModules::get(Sha256 sha256) {
  const auto found = modules_.find(sha256);
  if (found == modules_.end()) co_return fail(Code::not_found, "no module with this hash");
  co_return found->second;
}

}  // namespace phase::vcp
