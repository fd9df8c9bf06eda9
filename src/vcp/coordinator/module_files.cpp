#include "vcp/coordinator/module_files.h"

#include <algorithm>

#include "base/files.h"
#include "base/pool_task.h"

namespace phase::vcp {

void ModuleFiles::remember(const Sha256& sha256, std::shared_ptr<const Bytes> module) {
  const auto found =
      std::ranges::find(cache_, sha256, &std::pair<Sha256, std::shared_ptr<const Bytes>>::first);
  if (found != cache_.end()) {
    cache_.splice(cache_.begin(), cache_, found);
    return;
  }
  cached_ += module->size();
  cache_.emplace_front(sha256, std::move(module));
  while (cached_ > kModuleCacheBytesMax && cache_.size() > 1) {
    cached_ -= cache_.back().second->size();
    cache_.pop_back();
  }
}

Task<Result<void>> ModuleFiles::keep(Sha256 sha256, std::shared_ptr<const Bytes> module) {
  for (const auto& [known, bytes] : cache_) {
    if (known == sha256) co_return Result<void>{};
  }
  const std::filesystem::path path = folder_ / (sha256.hex() + ".wasm");
  const std::function<Result<void>()> write = [&]() -> Result<void> {
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) return {};
    return write_file(path, as_text(*module));
  };
  const auto written = co_await in_pool(thread_, write);
  if (written) remember(sha256, std::move(module));
  co_return written;
}

Task<Result<std::shared_ptr<const Bytes>>> ModuleFiles::get(Sha256 wanted) {
  for (const auto& [known, bytes] : cache_) {
    if (known != wanted) continue;
    const std::shared_ptr<const Bytes> out = bytes;
    remember(wanted, out);
    co_return out;
  }
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
  remember(wanted, module);
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
