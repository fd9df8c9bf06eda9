#include "vcp/coordinator/module_cache.h"

#include <algorithm>
#include <functional>

#include "base/pool_task.h"

namespace phase::vcp {

std::shared_ptr<const Bytes> ModuleCache::find(const Sha256& sha256) {
  const auto found = std::ranges::find(modules_, sha256, &Held::sha256);
  if (found == modules_.end()) return nullptr;
  modules_.splice(modules_.begin(), modules_, found);
  return modules_.front().module;
}

bool ModuleCache::due(const Sha256& sha256, UtcTime now) const {
  const auto found = std::ranges::find(modules_, sha256, &Held::sha256);
  return found == modules_.end() || is_unused(found->used, now, kModuleUseEvery);
}

void ModuleCache::remember(const Sha256& sha256, std::shared_ptr<const Bytes> module, UtcTime now) {
  if (find(sha256) != nullptr) {
    modules_.front().used = now;
    return;
  }
  bytes_ += module->size();
  modules_.push_front({sha256, std::move(module), now});
  while (bytes_ > kModuleCacheBytesMax && modules_.size() > 1) {
    bytes_ -= modules_.back().module->size();
    modules_.pop_back();
  }
}

void ModuleCache::forget(const Sha256& sha256) {
  const auto found = std::ranges::find(modules_, sha256, &Held::sha256);
  if (found == modules_.end()) return;
  bytes_ -= found->module->size();
  modules_.erase(found);
}

Task<Result<void>> CachedModules::keep(Sha256 sha256, std::shared_ptr<const Bytes> module,
                                       UtcTime now) {
  if (!cache_.due(sha256, now)) co_return Result<void>{};
  const std::function<Result<void>()> put = [&] { return write(sha256, *module, now); };
  const auto written = co_await in_pool(thread_, put);
  if (written) cache_.remember(sha256, std::move(module), now);
  co_return written;
}

Task<Result<std::shared_ptr<const Bytes>>> CachedModules::get(Sha256 wanted, UtcTime now) {
  if (auto known = cache_.find(wanted)) {
    auto again = known;
    // A use that could not be written down is no reason to refuse it; the next one tries again.
    [[maybe_unused]] const auto noted = co_await keep(wanted, std::move(again), now);
    co_return known;
  }
  const std::function<Result<Bytes>()> look = [&]() -> Result<Bytes> {
    PHASE_TRY(Bytes found, read(wanted, now));
    if (sha256(found) != wanted)
      return fail(Code::io, "the module " + wanted.hex() + " was changed");
    return found;
  };
  auto found = co_await in_pool(thread_, look);
  if (!found) co_return fail(std::move(found).error());
  auto module = std::make_shared<const Bytes>(*std::move(found));
  cache_.remember(wanted, module, now);
  co_return module;
}

Task<Result<std::size_t>> CachedModules::sweep(UtcTime now, Duration unused,
                                               std::set<Sha256> needed) {
  const std::function<Result<std::vector<Sha256>>()> look = [&] {
    return remove(now, unused, needed);
  };
  const auto gone = co_await in_pool(thread_, look);
  if (!gone) co_return fail(gone.error());
  for (const Sha256& one : *gone) cache_.forget(one);
  co_return gone->size();
}

}  // namespace phase::vcp
