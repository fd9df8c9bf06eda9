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
constexpr std::array<std::string_view, 8> kRunStates = {
    "assigned", "running", "committed", "verified", "refuted", "failed", "superseded", "ended"};

bool in_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

}  // namespace

Result<void> check_node_name(std::string_view name) {
  if (name.empty() || name.size() > kNodeNameBytesMax || !std::ranges::all_of(name, in_name)) {
    return fail(Code::invalid_argument,
                "a node's name has 1 to 64 letters, digits, '-' and '_', not '" +
                    printable(name, kNodeNameBytesMax) + "'");
  }
  return {};
}

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
