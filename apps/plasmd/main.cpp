// plasmd — runs WASM jobs for those its operator allows, and has the operator's jobs run elsewhere.
#include <csignal>
#include <iostream>

#include "commands.h"

namespace phase::plasmd {
namespace {

Result<int> run(const CommandLine& line) {
  switch (line.verb) {
    case Verb::version:
      std::cout << "plasmd version " PHASE_VERSION
                   "\nPhase: WASM jobs on machines you do not trust, with receipts that verify\n";
      return 0;
    case Verb::init:
      return init_command(line, process_environment);
    case Verb::start: {
      PHASE_TRY(const Settings settings, load_settings(line, process_environment));
      return start_command(settings);
    }
    case Verb::run:
    case Verb::execute_job: {
      PHASE_TRY(const Settings settings, load_settings(line, process_environment));
      return one_shot_command(line, settings);
    }
  }
  return fail(Code::internal, "no such command");
}

}  // namespace

int program(int argc, char** argv) {
  const auto parsed = parse_command_line(argc, argv);
  if (const int* const status = std::get_if<int>(&parsed)) {
    return *status;
  }
  const auto status = run(std::get<CommandLine>(parsed));
  if (!status) {
    std::cerr << "plasmd: " << status.error().text() << '\n';
    return code_exit_status(status.error().code);
  }
  return *status;
}

}  // namespace phase::plasmd

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that went away is an error of one write, not our end
  return phase::plasmd::program(argc, argv);
}
