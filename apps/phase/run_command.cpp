// `phase run`: through the daemon, or by a one-shot node where none runs and the job is local.
#include <optional>
#include <variant>

#include "base/artifact_text.h"
#include "run.h"
#include "signals.h"

namespace phase::cli {
namespace {

/// After Ctrl-C the provider gets this long to hand in its partial receipt.
constexpr Duration kCancelWait = 10s;
/// After the last event the result is there already.
constexpr Duration kResultWait = 30s;

/// Cancels and shows what was run so far.
int cancel(const Globals& globals, const sdk::SubmittedJob& job, RunView& view) {
  view.progress("cancelling");
  auto client = connect(globals);
  auto asked = client ? client->cancel(job.id) : Result<std::string>{fail(client.error())};
  if (!asked) {
    view.clear();
    complain("cannot cancel job " + job.id + ": " + asked.error().text());
    return kExitCancelled;
  }
  const auto result = client->result(job, kCancelWait);
  view.clear();
  if (!result) {
    complain("cancelled; no receipt came: " + result.error().text());
  } else if (result->receipt.empty()) {
    complain("cancelled; no provider had begun, so there is no receipt");
  } else {
    const auto concluded = view.conclude(*result, &job);
    if (!concluded) {
      complain("cancelled; " + concluded.error().text());
    }
    complain("cancelled; see the receipt: phase receipt show " + job.id);
  }
  return kExitCancelled;
}

/// Why following ended before the result.
struct Stopped {
  Error error;
  bool by_view = false;  ///< the output could not be printed, or differs
};

/// Follows a job to its end.
std::optional<Stopped> follow(sdk::Client& client, const std::string& id, RunView& view) {
  std::optional<Stopped> stopped;
  const auto followed = client.follow(id, [&view, &stopped](const sdk::JobEvent& event) {
    auto shown = view.event(event);
    if (!shown) {
      stopped = Stopped{std::move(shown).error(), true};
    }
    return !stopped;
  });
  if (!followed && !stopped) {
    stopped = Stopped{followed.error(), false};
  }
  return stopped;
}

/// Hands stdin to the job, with a connection of its own.
std::unique_ptr<StdinPump> start_pump(const Globals& globals, const StdinChoice& choice,
                                      sdk::SubmittedJob& job) {
  if (choice.descriptor < 0) {
    return nullptr;
  }
  auto connected = connect(globals);
  if (!connected) {
    return nullptr;  // following the job fails in the same way, and says so
  }
  auto client = std::make_shared<sdk::Client>(std::move(*connected));
  return std::make_unique<StdinPump>(
      choice.descriptor, choice.first,
      [client, &job](ByteView bytes, bool end) {
        return client->write_stdin(job, bytes, end).has_value();
      },
      [client] { client->interrupt(); });
}

/// The module's bytes, or the id by which the daemon knows it or gets it.
using Module = std::variant<Bytes, ArtifactId>;

Result<Module> choose_module(const std::filesystem::path& named) {
  const std::string text = named.string();
  std::error_code error;
  const bool by_id = looks_like_artifact(text) && !std::filesystem::exists(named, error);
  if (by_id) {
    PHASE_TRY(const ArtifactId id, parse_artifact(text));
    return Module{id};
  }
  PHASE_TRY(Bytes bytes, read_file(named, job::kModuleBytesMax));
  return Module{std::move(bytes)};
}

Result<int> run_with_daemon(const Globals& globals, RunCommand& command, const Module& module,
                            sdk::Client& client) {
  PHASE_TRY(StdinChoice choice, choose_stdin(command.stdin_from));
  command.options.stdin_bytes = std::move(choice.given);
  SignalWatch signals([&client] { client.interrupt(); });
  RunView view(command);
  const auto submit = [&](const auto& one) { return client.submit(one, command.options); };
  PHASE_TRY(sdk::SubmittedJob job, std::visit(submit, module));
  std::unique_ptr<StdinPump> pump = start_pump(globals, choice, job);
  const auto stopped = follow(client, job.id, view);
  if (pump != nullptr) {
    pump->stop();
  }
  if (signals.raised()) {
    return cancel(globals, job, view);
  }
  if (stopped) {
    view.clear();
    static_cast<void>(client.cancel(job.id));  // it may be over; what is wrong is said below
    const bool output_closed = stopped->by_view && stopped->error.code == Code::connection_closed;
    return output_closed ? Result<int>{kExitOutputClosed} : Result<int>{fail(stopped->error)};
  }
  PHASE_TRY(const sdk::JobResult result, client.result(job, kResultWait));
  return view.conclude(result, &job);
}

}  // namespace

Result<sdk::Client> connect(const Globals& globals) {
  sdk::Client::Options options;
  options.socket = globals.socket;
  return sdk::Client::connect(std::move(options));
}

Result<int> run_command(const Globals& globals, RunCommand command) {
  PHASE_TRY(const Module module, choose_module(command.module));
  auto client = connect(globals);
  if (client) {
    return run_with_daemon(globals, command, module, *client);
  }
  if (client.error().code != Code::unavailable || command.options.target != "local") {
    return fail(client.error());
  }
  const auto* const bytes = std::get_if<Bytes>(&module);
  return bytes == nullptr ? Result<int>{fail(client.error())}
                          : run_one_shot(std::move(command), *bytes);
}

}  // namespace phase::cli
