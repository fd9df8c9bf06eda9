#include "lucid/inference_jobs.h"

#include <deque>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/json.hpp>

#include "base/event.h"

namespace phase::lucid {
namespace {

using receipt::Completion;
using receipt::CompletionKind;

/// Load progress is told in steps of this many per cent.
constexpr int kLoadStepPercent = 5;

/// Shared by the execution and the coroutine that drives it: either may go first.
struct Run : std::enable_shared_from_this<Run> {
  Run(asio::any_io_executor executor, ModelPool& pool_)
      : pool(pool_), input_ready(executor), output_ready(executor), room(executor) {}

  ModelPool& pool;
  LocalModelPtr model;
  worker::InferenceRequest request;
  bool holds_lease = false;
  bool input_complete = false;
  bool abandoned = false;
  std::optional<Completion> killed;
  std::unique_ptr<worker::Inference> inference;
  ModelPool::LeasePtr lease;
  std::deque<provider::WorkerEvent> events;
  bool over = false;  // WorkerExit is in `events` or was handed out
  int told_percent = -1;
  Event input_ready, output_ready, room;

  [[nodiscard]] bool stopped() const { return abandoned || killed.has_value(); }
  void push(provider::WorkerEvent event) {
    events.push_back(std::move(event));
    output_ready.notify();
  }
  void exit(Completion completion, receipt::Claimed claimed = {}) {
    if (std::exchange(over, true)) return;
    provider::WorkerExit last;
    last.completion = killed.value_or(std::move(completion));
    last.claimed = std::move(claimed);
    last.isolation = lease ? lease->model().isolation() : std::vector<std::string>{};
    push(std::move(last));
  }
  /// For people: why, as the last note (spec/inference.md §3).
  void note_error(const std::string& message) {
    if (message.empty()) return;
    const boost::json::object note{{"error", message}};
    push(job::OutputPiece{job::OutputStream::err, to_bytes(boost::json::serialize(note) + "\n")});
  }
  void tell_load(double share);
};

void Run::tell_load(double share) {
  const int percent = static_cast<int>(share * 100) / kLoadStepPercent * kLoadStepPercent;
  if (percent <= told_percent || over) return;
  told_percent = percent;
  push(provider::WorkerProgress{"load", static_cast<std::uint64_t>(percent), 100});
}

Completion completion_of(const Error& error) {
  switch (error.code) {
    case Code::malformed:
      return {CompletionKind::invalid, 0, "model_malformed"};
    case Code::too_large:
      return {CompletionKind::limited, 0, "memory"};
    case Code::busy:
      return {CompletionKind::failed, 0, "busy"};
    default:
      return {CompletionKind::failed, 0, "worker_lost"};
  }
}

/// Events of the engine, as long as somebody takes them.
Task<void> follow(std::shared_ptr<Run> run) {
  while (!run->abandoned) {
    if (run->events.size() >= kEventsAheadMax) {
      const bool woken = co_await run->room.wait();
      if (!woken) co_return;
      continue;
    }
    Result<worker::InferenceEvent> event = co_await run->inference->next();
    if (!event) co_return run->exit({CompletionKind::failed, 0, "worker_lost"});
    if (auto* piece = std::get_if<job::OutputPiece>(&*event)) {
      run->push(std::move(*piece));
    } else if (auto* stage = std::get_if<worker::InferenceProgress>(&*event)) {
      run->push(provider::WorkerProgress{std::move(stage->stage), stage->done, stage->total});
    } else {
      auto& end = std::get<worker::InferenceEnd>(*event);
      run->note_error(end.message);
      co_return run->exit(std::move(end.completion), std::move(end.claimed));
    }
  }
}

Task<void> drive(std::shared_ptr<Run> run) {
  while (!run->input_complete && !run->stopped()) {
    const bool woken = co_await run->input_ready.wait();
    if (!woken) co_return;
  }
  if (run->stopped()) co_return run->exit({CompletionKind::cancelled, 0, ""});
  ModelPool::Wish wish;
  wish.context_tokens = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(run->request.job.context_tokens, UINT32_MAX));
  wish.holds_lease = run->holds_lease;
  const std::weak_ptr<Run> weak = run;
  ModelPool::Progress progress = [weak](double share) {
    if (const auto still = weak.lock()) still->tell_load(share);
  };
  LocalModelPtr model = run->model;
  Result<ModelPool::LeasePtr> lease =
      co_await run->pool.acquire(std::move(model), wish, std::nullopt, std::move(progress));
  if (!lease) {
    run->note_error(lease.error().text());
    co_return run->exit(completion_of(lease.error()));
  }
  run->lease = *std::move(lease);
  if (run->stopped()) co_return run->exit({CompletionKind::cancelled, 0, ""});
  Result<std::unique_ptr<worker::Inference>> started =
      co_await run->lease->model().start(std::move(run->request));
  if (!started) {
    run->note_error(started.error().text());
    co_return run->exit(completion_of(started.error()));
  }
  if (run->stopped()) co_return run->exit({CompletionKind::cancelled, 0, ""});
  run->inference = *std::move(started);
  co_await follow(run);
  run->inference.reset();
  run->lease.reset();
}

class JobExecution final : public provider::Execution {
 public:
  explicit JobExecution(std::shared_ptr<Run> run) : run_(std::move(run)) {}
  ~JobExecution() override {
    run_->abandoned = true;
    if (run_->inference) run_->inference->stop({CompletionKind::cancelled, 0, ""});
    run_->input_ready.notify();
    run_->room.notify();
  }

  Task<Result<void>> write_stdin(ByteView bytes) override {
    Bytes& prompt = run_->request.prompt;
    if (!run_->input_complete) prompt.insert(prompt.end(), bytes.begin(), bytes.end());
    co_return Result<void>{};
  }
  void close_stdin() override {
    run_->input_complete = true;
    run_->input_ready.notify();
  }
  Task<Result<provider::WorkerEvent>> next() override {
    const auto run = run_;
    while (run->events.empty()) {
      if (run->over) co_return fail(Code::internal, "nothing follows the end of a run");
      const bool woken = co_await run->output_ready.wait();
      if (!woken) co_return fail(Code::internal, "the run is gone");
    }
    provider::WorkerEvent event = std::move(run->events.front());
    run->events.pop_front();
    run->room.notify();
    co_return event;
  }
  void kill(Completion completion) override {
    if (run_->killed || run_->over) return;
    run_->killed = completion;
    if (run_->inference) {
      run_->inference->stop(std::move(completion));
    } else {
      run_->exit(std::move(completion));  // whatever is being waited for
    }
    run_->input_ready.notify();
    run_->room.notify();
  }

 private:
  std::shared_ptr<Run> run_;
};

}  // namespace

Result<void> InferenceJobs::takes(const job::Job& job) const {
  const auto* inference = std::get_if<job::InferenceJob>(&job);
  if (inference == nullptr) return fail(Code::unsupported, "this node runs inference jobs");
  if (catalog_.by_content(inference->model) == nullptr) {
    return fail(Code::not_found, "this node does not have the model " + inference->model.hex());
  }
  return {};
}

Task<Result<void>> InferenceJobs::prepare(const job::Job&, ByteView) {
  co_return fail(Code::unsupported, "inference jobs bring no module");
}

Task<Result<std::unique_ptr<provider::Execution>>> InferenceJobs::start(
    const job::Job& job, const provider::Caller& caller) {
  const auto& inference = std::get<job::InferenceJob>(job);
  auto run = std::make_shared<Run>(executor_, pool_);
  run->model = catalog_.by_content(inference.model);
  if (run->model == nullptr) co_return fail(Code::not_found, "the model went away");
  run->request.job = inference;
  run->holds_lease = caller.requester == self_;
  run->request.caller = caller.requester.hex();
  asio::co_spawn(executor_, drive(run), asio::detached);
  std::unique_ptr<provider::Execution> handle = std::make_unique<JobExecution>(std::move(run));
  co_return handle;
}

}  // namespace phase::lucid
