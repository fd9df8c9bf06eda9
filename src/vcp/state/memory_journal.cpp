#include "vcp/state/memory_journal.h"

#include <algorithm>

namespace phase::vcp {

void MemoryJournal::append(Batch batch) {
  for (NodeRow& row : batch.nodes) nodes_.insert_or_assign(row.name, row);
  for (TaskRow& row : batch.tasks) {
    if (!tasks_.contains(row.spec.id)) order_.push_back(row.spec.id);
    tasks_.insert_or_assign(row.spec.id, row);
  }
  for (RunRow& row : batch.runs) runs_[row.task].insert_or_assign(row.attempt, row);
  std::ranges::move(batch.entries, std::back_inserter(entries_));
}

Task<Result<Loaded>> MemoryJournal::load() {
  Loaded out;
  for (const auto& [name, row] : nodes_) out.nodes.push_back(row);
  for (const TaskId& id : order_) {
    const TaskRow& row = tasks_.at(id);
    if (row.state == TaskState::completed) ++out.completed;
    if (row.state == TaskState::failed) ++out.failed;
    if (row.state == TaskState::cancelled) ++out.cancelled;
    if (is_final(row.state)) continue;
    out.tasks.push_back(row);
    const auto found = runs_.find(id);
    if (found == runs_.end()) continue;
    for (const auto& [attempt, run] : found->second) out.runs.push_back(run);
  }
  for (const Entry& entry : entries_) PHASE_CO_TRY_VOID(out.book.take(entry));
  co_return out;
}

Task<Result<void>> MemoryJournal::settled() {
  co_return Result<void>{};
}

Task<Result<std::optional<TaskRow>>> MemoryJournal::task(TaskId id) {
  const auto found = tasks_.find(id);
  if (found == tasks_.end()) co_return std::optional<TaskRow>{};
  co_return std::optional<TaskRow>{found->second};
}

Task<Result<std::vector<RunRow>>> MemoryJournal::runs(TaskId id) {
  std::vector<RunRow> out;
  const auto found = runs_.find(id);
  if (found != runs_.end()) {
    for (const auto& [attempt, row] : found->second) out.push_back(row);
  }
  co_return out;
}

Task<Result<TaskPage>> MemoryJournal::tasks(TaskQuery query) {
  TaskPage out;
  std::uint64_t last = 0;
  const std::uint64_t newest = query.before == 0 ? order_.size() : query.before - 1;
  for (std::uint64_t number = newest; number > 0; --number) {
    const TaskRow& row = tasks_.at(order_[number - 1]);
    const bool fits = (!query.owner || *query.owner == row.spec.owner) &&
                      (!query.state || *query.state == row.state) &&
                      (!query.type || *query.type == row.spec.type);
    if (!fits) continue;
    if (out.tasks.size() == query.limit) {
      out.next = last;
      break;
    }
    last = number;
    out.tasks.push_back(row);
  }
  co_return out;
}

Task<Result<std::vector<Entry>>> MemoryJournal::entries(std::string account, std::uint64_t sequence,
                                                        std::size_t limit) {
  std::vector<Entry> out;
  for (const Entry& entry : entries_) {
    if (out.size() == limit) break;
    const bool concerns =
        account.empty() || entry.transfer.from == account || entry.transfer.to == account;
    if (entry.sequence > sequence && concerns) out.push_back(entry);
  }
  co_return out;
}

}  // namespace phase::vcp
