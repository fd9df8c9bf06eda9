// ambient-vcp — a fleet: its coordinator, its nodes, and what a person asks of them.
#include <csignal>
#include <iostream>

#include "commands.h"

namespace phase::ambient_vcp {
namespace {

Result<int> run(const CommandLine& line) {
  switch (line.verb) {
    case Verb::node:
      return node_command(line);
    case Verb::coordinator:
      return coordinator_command(line);
    case Verb::health:
      return health_command(line);
    case Verb::info:
      return info_command(line);
    case Verb::backup:
      return backup_command(line);
    case Verb::restore:
      return restore_command(line);
    case Verb::ledger_check:
      return ledger_check_command(line);
    case Verb::gateway:
      return gateway_command(line);
  }
  return fail(Code::internal, "no such command");
}

int program(int argc, char** argv) {
  const auto parsed = parse_command_line(argc, argv);
  if (const int* const status = std::get_if<int>(&parsed)) return *status;
  const auto status = run(std::get<CommandLine>(parsed));
  if (!status) {
    std::cerr << "ambient-vcp: " << status.error().text() << '\n';
    return code_exit_status(status.error().code);
  }
  return *status;
}

}  // namespace
}  // namespace phase::ambient_vcp

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that went away is an error of one write, not our end
  return phase::ambient_vcp::program(argc, argv);
}
