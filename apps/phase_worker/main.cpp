// phase-worker — the process that runs what strangers send. Started by a daemon, never by hand:
// descriptor 3 is the socket to whoever started it.
//
//   phase-worker --kind wasm --isolation full|none
#include <cstdio>
#include <optional>
#include <string_view>

#include <fcntl.h>
#include <sodium.h>

#include "worker/sandbox/control.h"
#include "worker/sandbox/zygote.h"
#include "worker/wasm/wasm_work.h"

namespace {

constexpr int kExitUsage = 64;  // EX_USAGE

struct Options {
  std::string_view kind;
  std::optional<phase::sandbox::Isolation> isolation;
};

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i], value = argv[i + 1];
    if (name == "--kind") {
      options.kind = value;
    } else if (name == "--isolation") {
      const auto isolation = phase::sandbox::isolation_from(value);
      if (!isolation) return std::nullopt;
      options.isolation = *isolation;
    } else {
      return std::nullopt;
    }
  }
  const bool complete = argc % 2 == 1 && options.kind == "wasm" && options.isolation;
  return complete ? std::optional(options) : std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options || ::fcntl(phase::sandbox::control::kSocketNumber, F_GETFD) < 0) {
    std::fputs(
        "phase-worker is started by plasmd, lucidd or phase, not by hand.\n"
        "usage: phase-worker --kind wasm --isolation full|none   (descriptor 3: control socket)\n",
        stderr);
    return kExitUsage;
  }
  if (::sodium_init() < 0) return kExitUsage;
  phase::worker::WasmWork work;
  const auto done =
      phase::sandbox::run_zygote(phase::sandbox::control::kSocketNumber, *options->isolation, work);
  if (done) return 0;
  std::fprintf(stderr, "phase-worker: %s\n", done.error().text().c_str());
  return phase::code_exit_status(done.error().code);
}
