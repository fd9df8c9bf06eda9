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
  for (ConnectSession& row : batch.sessions) sessions_.insert_or_assign(row.id, row);
  for (DestinationPolicy& row : batch.policies) {
    const std::pair key(row.owner, row.id);
    policies_.erase(key);
    if (!row.rules.empty()) policies_.emplace(key, std::move(row));
  }
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
  for (const auto& [id, row] : sessions_) {
    const auto of = tasks_.find(row.task);
    if (of != tasks_.end() && !is_final(of->second.state)) out.sessions.push_back(row);
  }
  std::ranges::stable_sort(out.sessions, {}, [](const auto& row) { return row.created.unix_ms; });
  for (const auto& [key, row] : policies_) out.policies.push_back(row);
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

Task<Result<std::optional<ConnectSession>>> MemoryJournal::session(std::string id) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) co_return std::optional<ConnectSession>{};
  co_return std::optional<ConnectSession>{found->second};
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
