// lucidd — language models at Ollama's and OpenAI's API: on this machine or the mesh, with
// receipts.
#include <csignal>
#include <iostream>

#include "client.h"
#include "daemon.h"
#include "name_commands.h"

namespace phase::lucidd {
namespace {

Result<int> run(const CommandLine& line, const std::filesystem::path& program_folder) {
  switch (line.verb) {
    case Verb::version:
      std::cout
          << "lucidd version " PHASE_VERSION
             "\nPhase: language models on your machine or the mesh, with receipts that verify\n";
      return 0;
    case Verb::policy_show:
      std::cout << lucid::default_policy_text();
      return 0;
    case Verb::policy_check: {
      PHASE_TRY(const auto policy, lucid::read_policy(*line.policy_file));
      std::cout << line.policy_file->string() << " is right: "
                << (policy.allow_unauthenticated_jobs ? "anybody may send jobs"
                    : policy.authorized_submitters.empty()
                        ? "nobody else may send jobs"
                        : std::to_string(policy.authorized_submitters.size()) +
                              " submitters may send jobs")
                << '\n';
      return 0;
    }
    case Verb::status:
    case Verb::pause:
    case Verb::resume:
    case Verb::pull: {
      PHASE_TRY(const Remote remote, load_remote(line, process_environment));
      PHASE_TRY_VOID(run_verb(line, remote));
      return 0;
    }
    case Verb::names:
    case Verb::pin:
    case Verb::unpin:
    case Verb::unshare: {
      PHASE_TRY(const auto folder, data_folder(line, process_environment));
      return name_command(line, folder);
    }
    case Verb::serve: {
      PHASE_TRY(const Settings settings, load_settings(line, process_environment, program_folder));
      return serve(settings);
    }
  }
  return fail(Code::internal, "no such command");
}

}  // namespace

int program(int argc, char** argv) {
  const auto parsed = parse_command_line(argc, argv);
  if (const int* const status = std::get_if<int>(&parsed)) return *status;
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto status = run(std::get<CommandLine>(parsed), self.parent_path());
  if (!status) {
    std::cerr << "lucidd: " << status.error().text() << '\n';
    return code_exit_status(status.error().code);
  }
  return *status;
}

}  // namespace phase::lucidd

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that went away is an error of one write, not our end
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow, likewise
  return phase::lucidd::program(argc, argv);
}
