// memory_journal.h — the journal's twin for simulations: durable at once; can be kept
// while its owner dies.
#pragma once

#include <map>

#include "base/clock.h"
#include "vcp/state/journal.h"

namespace phase::vcp {

class MemoryJournal final : public Journal {
 public:
  [[nodiscard]] Task<Result<Loaded>> load() override;
  void append(Batch batch) override;
  [[nodiscard]] Task<Result<void>> settled() override;
  [[nodiscard]] std::size_t waiting() const override { return 0; }
  [[nodiscard]] Task<Result<std::optional<TaskRow>>> task(TaskId id) override;
  [[nodiscard]] Task<Result<std::vector<RunRow>>> runs(TaskId id) override;
  [[nodiscard]] Task<Result<TaskPage>> tasks(TaskQuery query) override;
  [[nodiscard]] Task<Result<std::optional<ConnectSession>>> session(std::string id) override;
  [[nodiscard]] Task<Result<std::vector<Entry>>> entries(std::string account,
                                                         std::uint64_t sequence,
                                                         std::size_t limit) override;

  [[nodiscard]] const std::vector<Entry>& ledger() const noexcept { return entries_; }
  [[nodiscard]] const std::map<TaskId, TaskRow>& all_tasks() const noexcept { return tasks_; }
  [[nodiscard]] const std::map<TaskId, std::map<std::uint32_t, RunRow>>& all_runs() const noexcept {
    return runs_;
  }

 private:
  std::map<NodeName, NodeRow> nodes_;
  std::map<TaskId, TaskRow> tasks_;
  std::vector<TaskId> order_;
  std::map<TaskId, std::map<std::uint32_t, RunRow>> runs_;
  std::vector<Entry> entries_;
  std::map<std::string, ConnectSession> sessions_;
  std::map<std::pair<UserId, std::string>, DestinationPolicy> policies_;
};

}  // namespace phase::vcp
