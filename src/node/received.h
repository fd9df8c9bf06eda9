// received.h — sees the modules that others send with their jobs. Private to this folder.
//
// Stands between a provider and its policy and worker: admission says whose job it is, preparation
// brings the bytes. Belongs to one executor.
#pragma once

#include <functional>
#include <set>

#include "protocol/provider/provider.h"

namespace phase::node {

/// Modules of admitted jobs that may still be sent; above it the earlier ones are not looked for.
inline constexpr std::size_t kAwaitedMax = 256;

class Received final : public provider::AdmissionPolicy, public provider::Worker {
 public:
  /// A module of somebody else's job that is not private; it compiled.
  using Sink = std::function<void(const job::ArtifactRef& ref, ByteView module)>;
  /// Both outlive this. `self`: whose own jobs are none of its business.
  Received(const identity::PublicKey& self, provider::AdmissionPolicy& policy,
           provider::Worker& worker)
      : self_(self), policy_(policy), worker_(worker) {}
  /// Empty: nobody wants them.
  void tell(Sink sink) { sink_ = std::move(sink); }

  [[nodiscard]] std::variant<provider::Admitted, provider::Refused> admit(
      const provider::AdmissionRequest& request) override;

  [[nodiscard]] Result<void> takes(const job::Job& job) const override {
    return worker_.takes(job);
  }
  [[nodiscard]] bool holds_module(const job::Job& job) const override {
    return worker_.holds_module(job);
  }
  [[nodiscard]] Task<Result<void>> prepare(const job::Job& job, ByteView module) override;
  [[nodiscard]] Task<Result<std::unique_ptr<provider::Execution>>> start(
      const job::Job& job, const provider::Caller& caller) override {
    return worker_.start(job, caller);
  }

 private:
  identity::PublicKey self_;
  provider::AdmissionPolicy& policy_;
  provider::Worker& worker_;
  Sink sink_;
  std::set<ArtifactId> awaited_;
};

}  // namespace phase::node
