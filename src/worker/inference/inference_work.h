// inference_work.h — the inside of a worker process of kind `inference`: one child reads one model
// and serves requests until its parent is gone. Talks as message.h says. Linked by
// apps/phase_worker.
#pragma once

#include <string>
#include <utility>

#include "worker/sandbox/zygote.h"

namespace phase::worker {

class InferenceWork final : public sandbox::Work {
 public:
  /// `devices`: which accelerators, as their driver counts them ("0,1"); empty: all it recommends,
  /// which no driver in software is.
  explicit InferenceWork(std::string devices = {}) : devices_(std::move(devices)) {}
  Result<Bytes> prepare() override;
  /// True in builds with CUDA, HIP, Vulkan or Metal.
  bool has_devices() const override;
  Result<void> open_devices() override;
  sandbox::Limits limits(sandbox::Role role) const override;
  int run(sandbox::Role role, int socket) override;

 private:
  std::string devices_;
};

}  // namespace phase::worker
