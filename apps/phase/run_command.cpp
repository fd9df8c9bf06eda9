// `phase run`: through the daemon, or by a one-shot node where none runs and the job is local.
#include <optional>

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

Result<int> run_with_daemon(const Globals& globals, RunCommand& command, const Bytes& module,
                            sdk::Client& client) {
  PHASE_TRY(StdinChoice choice, choose_stdin(command.stdin_from));
  command.options.stdin_bytes = std::move(choice.given);
  SignalWatch signals([&client] { client.interrupt(); });
  RunView view(command);
  PHASE_TRY(sdk::SubmittedJob job, client.submit(module, command.options));
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
  PHASE_TRY(const Bytes module, read_file(command.module, job::kModuleBytesMax));
  auto client = connect(globals);
  if (client) {
    return run_with_daemon(globals, command, module, *client);
  }
  if (client.error().code != Code::unavailable || command.options.target != "local") {
    return fail(client.error());
  }
  return run_one_shot(std::move(command), module);
}

}  // namespace phase::cli
