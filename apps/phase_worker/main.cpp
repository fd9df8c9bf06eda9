// phase-worker — the process that runs what strangers send. Started by a daemon, never by hand:
// descriptor 3 is the socket to whoever started it.
//
//   phase-worker --kind wasm|inference --isolation full|none [--devices LIST]
#include <cstdio>
#include <memory>
#include <optional>
#include <string_view>

#include <fcntl.h>
#include <sodium.h>

#include "worker/sandbox/control.h"
#include "worker/sandbox/zygote.h"
#include "worker/wasm/wasm_work.h"
#ifdef PHASE_INFERENCE
#include "worker/inference/inference_work.h"
#endif

namespace {

constexpr int kExitUsage = 64;  // EX_USAGE

struct Options {
  std::string_view kind, devices;
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
    } else if (name == "--devices") {
      options.devices = value;
    } else {
      return std::nullopt;
    }
  }
  const bool complete = argc % 2 == 1 && !options.kind.empty() && options.isolation;
  return complete ? std::optional(options) : std::nullopt;
}

// Nothing for a kind this program was built without.
std::unique_ptr<phase::sandbox::Work> work_of(const Options& options) {
  if (options.kind == "wasm") return std::make_unique<phase::worker::WasmWork>();
#ifdef PHASE_INFERENCE
  if (options.kind == "inference") {
    return std::make_unique<phase::worker::InferenceWork>(std::string(options.devices));
  }
#endif
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc, argv);
  const auto work = options ? work_of(*options) : nullptr;
  if (!work || ::fcntl(phase::sandbox::control::kSocketNumber, F_GETFD) < 0) {
    std::fputs(
        "phase-worker is started by plasmd, lucidd or phase, not by hand.\n"
        "usage: phase-worker --kind wasm|inference --isolation full|none [--devices LIST]   "
        "(descriptor 3: control socket)\n",
        stderr);
    return kExitUsage;
  }
  if (::sodium_init() < 0) return kExitUsage;
  const auto done = phase::sandbox::run_zygote(phase::sandbox::control::kSocketNumber,
                                               *options->isolation, *work);
  if (done) return 0;
  std::fprintf(stderr, "phase-worker: %s\n", done.error().text().c_str());
  return phase::code_exit_status(done.error().code);
}
