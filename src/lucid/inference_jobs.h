// inference_jobs.h — runs inference jobs of the job stream on models of the pool. Implements
// provider::Worker.
//
// The prompt comes as the job's input; the run begins when it is complete. Belongs to one executor.
#pragma once

#include <functional>
#include <memory>

#include "lucid/catalog.h"
#include "lucid/model_pool.h"
#include "protocol/provider/worker.h"

namespace phase::lucid {

/// Events of one run that wait to be sent; beyond it the engine's are left where they are.
inline constexpr std::size_t kEventsAheadMax = 64;

class InferenceJobs final : public provider::Worker {
 public:
  /// `self`: whose asks hold a lease of their model before they come here (Service).
  InferenceJobs(asio::any_io_executor executor, Catalog& catalog, ModelPool& pool,
                const identity::PublicKey& self)
      : executor_(std::move(executor)), catalog_(catalog), pool_(pool), self_(self) {}

  [[nodiscard]] Result<void> takes(const job::Job& job) const override;
  [[nodiscard]] bool holds_module(const job::Job&) const override { return false; }
  [[nodiscard]] Task<Result<void>> prepare(const job::Job& job, ByteView module) override;
  [[nodiscard]] Task<Result<std::unique_ptr<provider::Execution>>> start(
      const job::Job& job, const provider::Caller& caller) override;

 private:
  asio::any_io_executor executor_;
  Catalog& catalog_;
  ModelPool& pool_;
  identity::PublicKey self_;
};

}  // namespace phase::lucid
