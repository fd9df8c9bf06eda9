// loaded_model_internal.h — a process with a model in it, seen from the parent.
#pragma once

#include <deque>
#include <map>
#include <memory>

#include "base/event.h"
#include "worker/inference/message.h"
#include "worker/sandbox/launcher.h"

namespace phase::worker::inference {

/// What waits to be read stays as the engine said it, a token at a time, up to so many pieces;
/// beyond that text is joined.
inline constexpr std::size_t kPiecesApartMax = 256;
/// Output of one request that nobody took yet: above the first its run is paused, below the second
/// it goes on.
inline constexpr std::size_t kUnreadPauseBytes = 1_MiB, kUnreadResumeBytes = 256_KiB;
/// What still comes of a request that was paused; a process that sends more is ended.
inline constexpr std::size_t kUnreadBytesMax = 64_MiB;
/// Prompts of one process that are on their way or wait; beyond it requests are refused.
inline constexpr std::size_t kPromptBytesWaitingMax = 256_MiB;
/// A stopped request whose process does not answer by then takes the process with it.
inline constexpr Duration kStopTimeout = 60s;

/// One request as the parent sees it. Shared by its handle, the model and the reading coroutine.
struct Request {
  explicit Request(const asio::any_io_executor& executor) : event(executor), patience(executor) {}

  std::uint32_t id = 0;
  std::deque<InferenceEvent> events;
  std::size_t unread_bytes = 0, prompt_bytes = 0;
  Event event;
  asio::steady_timer patience;
  std::optional<receipt::Completion> stopped;  ///< as whoever stopped it called it
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
  std::uint64_t begin_unix_ms = 0;
  bool paused = false, ended = false, over = false;
};

/// What is known of a model that was loaded.
struct Readiness {
  ModelInfo info;
  Loaded loaded;
};

/// Shared with coroutines, so that the model can be destroyed while one is suspended.
class Process : public std::enable_shared_from_this<Process> {
 public:
  Process(asio::any_io_executor executor, std::shared_ptr<sandbox::Child> child,
          std::vector<std::string> isolation, std::string runtime);

  /// Hands the model over and waits until it is ready.
  [[nodiscard]] Task<Result<void>> load(sandbox::FileDescriptor model, EngineOptions options,
                                        bool inspect, InferenceWorker::Progress progress);
  /// Reads what the process says, from now on.
  void serve();
  /// Ends the process and every request.
  void close();

  [[nodiscard]] Task<Result<std::shared_ptr<Request>>> begin(InferenceRequest request);
  [[nodiscard]] Task<Result<InferenceEvent>> next(std::shared_ptr<Request> request);
  void stop(const std::shared_ptr<Request>& request, receipt::Completion completion);
  /// The handle is gone.
  void drop(const std::shared_ptr<Request>& request);

  [[nodiscard]] const Readiness& readiness() const noexcept { return readiness_; }
  [[nodiscard]] std::size_t busy() const noexcept { return requests_.size(); }
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  [[nodiscard]] const std::vector<std::string>& isolation() const noexcept { return isolation_; }

 private:
  [[nodiscard]] Result<bool> take_loading(ByteView packet, Bytes& info,
                                          const InferenceWorker::Progress& progress);
  [[nodiscard]] Task<Error> why_it_died();
  [[nodiscard]] Task<std::string> why_it_is_gone();
  [[nodiscard]] Task<void> read_loop();
  [[nodiscard]] Result<void> take(ByteView packet);
  [[nodiscard]] Result<void> take_output(const Output& output);
  void take_moved(const Moved& moved);
  void take_ended(const Ended& ended);
  void end(Request& request, receipt::Completion completion, std::uint64_t cpu_us,
           std::string message);
  void lose(std::string_view why);
  void tell(std::uint32_t id, Word word);
  [[nodiscard]] Task<Result<void>> send_request(const Begin& begin, Bytes prompt);

  asio::any_io_executor executor_;
  std::shared_ptr<sandbox::Child> child_;
  std::vector<std::string> isolation_;
  std::string runtime_;
  Readiness readiness_;
  Bytes buffer_ = Bytes(sandbox::kMessageBytesMax);
  std::map<std::uint32_t, std::shared_ptr<Request>> requests_;
  std::uint32_t id_next_ = 1;
  std::size_t prompt_bytes_ = 0;
  bool ended_ = false, load_told_ = false;
};

}  // namespace phase::worker::inference
