#include "node/received.h"

namespace phase::node {

std::variant<provider::Admitted, provider::Refused> Received::admit(
    const provider::AdmissionRequest& request) {
  auto answer = policy_.admit(request);
  const job::ArtifactRef* const module = job::module_of(request.manifest.manifest.job);
  const bool wanted = sink_ && module != nullptr && !request.is_private &&
                      request.manifest.requester != self_ &&
                      std::holds_alternative<provider::Admitted>(answer);
  if (wanted) {
    if (awaited_.size() >= kAwaitedMax) awaited_.clear();
    awaited_.insert(module->id);
  }
  return answer;
}

Task<Result<void>> Received::prepare(const job::Job& job, ByteView module) {
  const job::ArtifactRef* const ref = job::module_of(job);
  const bool wanted = ref != nullptr && awaited_.erase(ref->id) > 0;
  Result<void> prepared = co_await worker_.prepare(job, module);
  if (prepared && wanted && sink_) sink_(*ref, module);
  co_return prepared;
}

}  // namespace phase::node
