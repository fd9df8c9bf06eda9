// phase — has WASM jobs done, and checks receipts.
#include <csignal>
#include <cstdio>

#include "command_line.h"
#include "console.h"

int main(int argc, char** argv) {
  // A reader of our output that goes away shows as an error of write, not as our death in the
  // middle of a job.
  std::signal(SIGPIPE, SIG_IGN);
  const auto code = phase::cli::run_command_line(argc, argv);
  if (!code) {
    phase::cli::complain(phase::printable(code.error().message, 2048));
    if (!code.error().hint.empty()) {
      phase::cli::complain("hint: " + phase::printable(code.error().hint, 2048));
    }
    return phase::code_exit_status(code.error().code);
  }
  return *code;
}
