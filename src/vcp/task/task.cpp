#include "vcp/task/task.h"

#include <algorithm>
#include <utility>

namespace phase::vcp {
namespace {

constexpr std::array<std::string_view, 6> kTypes = {"federated_learning", "zk_proof",
                                                    "wasm_execution",     "computation",
                                                    "connect_only",       "feen_connectivity"};
constexpr std::array<std::string_view, 5> kTaskStates = {"pending", "running", "completed",
                                                         "failed", "cancelled"};
constexpr std::array<std::string_view, 7> kRunStates = {
    "assigned", "running", "committed", "verified", "refuted", "failed", "superseded"};

}  // namespace

std::string_view task_type_name(TaskType type) noexcept {
  return kTypes[static_cast<std::size_t>(type)];
}

std::optional<TaskType> task_type_of(std::string_view name) noexcept {
  const auto found = std::ranges::find(kTypes, name);
  if (found == kTypes.end()) return std::nullopt;
  return static_cast<TaskType>(found - kTypes.begin());
}

std::string_view task_state_name(TaskState state) noexcept {
  return kTaskStates[static_cast<std::size_t>(state)];
}

std::string_view run_state_name(RunState state) noexcept {
  return kRunStates[static_cast<std::size_t>(state)];
}

}  // namespace phase::vcp
