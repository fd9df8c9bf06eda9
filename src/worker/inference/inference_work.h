// inference_work.h — the inside of a worker process of kind `inference`: one child reads one model
// and serves requests until its parent is gone. Talks as message.h says. Linked by
// apps/phase_worker.
#pragma once

#include "worker/sandbox/zygote.h"

namespace phase::worker {

class InferenceWork final : public sandbox::Work {
 public:
  Result<Bytes> prepare() override;
  sandbox::Limits limits(sandbox::Role role) const override;
  int run(sandbox::Role role, int socket) override;
};

}  // namespace phase::worker
