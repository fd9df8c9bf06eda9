// run.h — parts of `phase run` that both ways share: through the daemon, and by a one-shot node.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "command.h"
#include "console.h"
#include "sdk/cpp/client.h"

namespace phase::cli {

/// Reads a descriptor in a thread and hands the pieces on. `stop` makes it end soon, whatever it
/// waits for.
class StdinPump {
 public:
  /// Takes a piece, or the end (empty, true). Returning false ends the pump.
  using Sink = std::function<bool(ByteView bytes, bool end)>;
  /// `descriptor` stays the caller's. `unblock` makes a sink that waits return.
  /// `first` was read from the descriptor before.
  StdinPump(int descriptor, Bytes first, Sink sink, std::function<void()> unblock);
  ~StdinPump() { stop(); }
  StdinPump(const StdinPump&) = delete;
  StdinPump& operator=(const StdinPump&) = delete;
  void stop();

 private:
  void pump();
  int descriptor_;
  Bytes first_;
  Sink sink_;
  std::function<void()> unblock_;
  int stop_;  // an eventfd
  std::thread thread_;
};

/// Where the module's stdin comes from.
struct StdinChoice {
  std::optional<Bytes> given;  ///< all of it
  int descriptor = -1;         ///< else: read on from here
  Bytes first;                 ///< what was read from it already
};
/// What ends within kStdinPatience and 8 MiB is read at once, so that the manifest can name it; the
/// rest is streamed.
[[nodiscard]] Result<StdinChoice> choose_stdin(const std::string& from);

/// What the one who waits sees: prints events, then the verdict.
class RunView {
 public:
  explicit RunView(const RunCommand& command)
      : command_(command),
        progress_(!command.quiet && !command.json),
        printer_(progress_, command.json) {}

  /// One event. Errors: those of LivePrinter.
  [[nodiscard]] Result<void> event(const sdk::JobEvent& event);
  /// The end of a job. Prints, saves, and returns the exit code. `asked`: absent for a job of
  /// somebody else's.
  [[nodiscard]] Result<int> conclude(const sdk::JobResult& result, const sdk::SubmittedJob* asked);
  void progress(std::string_view text) { progress_.show(text); }
  void clear() { progress_.clear(); }

 private:
  void show_state(const std::string& json);
  /// The exit code for a verified receipt, saying what is not a plain exit.
  [[nodiscard]] int verified(const sdk::JobResult& result);
  [[nodiscard]] Result<void> save(const sdk::JobResult& result,
                                  const sdk::SubmittedJob* asked) const;
  const RunCommand& command_;
  Progress progress_;
  LivePrinter printer_;
};

/// `plasmd execute-job` as a child: for local jobs while no daemon runs.
[[nodiscard]] Result<int> run_one_shot(RunCommand command, const Bytes& module);

/// What a person reads of a completion: "exit 0", "trapped: unreachable".
[[nodiscard]] std::string completion_text(const receipt::Completion& completion);
/// The result object with our verdict in place of the daemon's.
[[nodiscard]] std::string result_json(const sdk::JobResult& result);

}  // namespace phase::cli
