#include "api/control/module_stage.h"

#include <algorithm>
#include <tuple>

namespace phase::control {

ModuleStage::Module::Module(Bytes data, job::ArtifactRef reference,
                            std::shared_ptr<std::uint64_t> total)
    : bytes(std::move(data)), ref(std::move(reference)), total_(std::move(total)) {
  *total_ += bytes.size();
}

ModuleStage::Module::~Module() {
  *total_ -= bytes.size();
}

Result<void> ModuleStage::add(Bytes bytes, const job::ArtifactRef& ref) {
  drop_expired();
  if (const auto known = staged_.find(ref.sha256); known != staged_.end()) {
    known->second.expires = clock_.now() + limits_.module_lifetime;
    return {};
  }
  while (staged_.size() >= limits_.modules_staged_max ||
         *bytes_ + bytes.size() > limits_.modules_bytes_max) {
    if (!drop_one()) {
      return fail(Code::busy, "the modules of running jobs leave no room for another",
                  "try again when a job ended");
    }
  }
  auto module = std::make_shared<const Module>(std::move(bytes), ref, bytes_);
  staged_.emplace(ref.sha256,
                  Staged{std::move(module), clock_.now() + limits_.module_lifetime, false});
  return {};
}

Result<std::shared_ptr<const ModuleStage::Module>> ModuleStage::take(const Sha256& sha256) {
  drop_expired();
  const auto found = staged_.find(sha256);
  if (found == staged_.end()) {
    return fail(Code::not_found, "no module " + sha256.hex() + " is here",
                "upload it first: POST /v1/modules");
  }
  found->second.used = true;
  found->second.expires = clock_.now() + limits_.module_lifetime;
  return found->second.module;
}

std::optional<Sha256> ModuleStage::find(const ArtifactId& id) const {
  for (const auto& [sha256, staged] : staged_) {
    if (staged.module->ref.id == id) {
      return sha256;
    }
  }
  return std::nullopt;
}

void ModuleStage::drop_expired() {
  const Instant now = clock_.now();
  std::erase_if(staged_, [now](const auto& entry) { return entry.second.expires <= now; });
}

bool ModuleStage::drop_one() {
  // One that nobody used yet was promised its time: it goes only when it is expired.
  auto best = staged_.end();
  for (auto at = staged_.begin(); at != staged_.end(); ++at) {
    const bool can_go = at->second.used && at->second.module.use_count() == 1;
    if (can_go && (best == staged_.end() || at->second.expires < best->second.expires)) {
      best = at;
    }
  }
  if (best == staged_.end()) {
    return false;
  }
  staged_.erase(best);
  return true;
}

}  // namespace phase::control
