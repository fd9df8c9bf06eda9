// ambient-vcp backup and restore: a coordinator's state as a folder that stands for itself.
#include <cinttypes>
#include <cstdio>

#include "commands.h"
#include "vcp/server/backup.h"

namespace phase::ambient_vcp {
namespace {

void say(const char* what, const std::filesystem::path& where, const vcp::BackupFacts& facts) {
  std::printf("%s %s: %" PRIu64 " files, %" PRIu64 " bytes; %" PRIu64 " nodes, %" PRIu64
              " tasks, %" PRIu64 " ledger entries, head %s\n",
              what, where.c_str(), facts.files, facts.bytes, facts.nodes, facts.tasks,
              facts.entries, facts.ledger_head.c_str());
}

}  // namespace

Result<int> backup_command(const CommandLine& line) {
  PHASE_TRY(const auto folder, coordinator_folder(line.coordinator));
  const auto to = std::filesystem::absolute(line.backup);
  PHASE_TRY(const auto facts, vcp::back_up(folder, to));
  say("backed up to", to, facts);
  return 0;
}

Result<int> restore_command(const CommandLine& line) {
  PHASE_TRY(const auto folder, coordinator_folder(line.coordinator));
  PHASE_TRY(const auto facts, vcp::restore(std::filesystem::absolute(line.backup), folder));
  say("restored into", folder, facts);
  return 0;
}

}  // namespace phase::ambient_vcp
