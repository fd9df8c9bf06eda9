// book_state.h — what a JobBook holds. Private to this folder.
#pragma once

#include <list>
#include <map>

#include <boost/asio/thread_pool.hpp>

#include "api/control/event_log.h"
#include "api/control/job_book.h"
#include "api/control/job_record.h"
#include "api/control/job_stdin.h"
#include "api/control/module_stage.h"
#include "base/waiters.h"

namespace phase::control {

/// One job in memory, running or over. Shared with the coroutines that run or follow it.
struct Job {
  Job(Clock& clock, const asio::any_io_executor& executor, const JobBookLimits& limits,
      std::shared_ptr<TranscriptBudget> budget)
      : log(std::move(budget)),
        changed(clock, executor),
        input(clock, executor, limits.stdin_buffer_max) {}

  JobFacts facts;  // of a running job; a finished one has `document`
  EventLog log;
  Waiters changed;  // something was added to the log
  JobStdin input;
  requester::CancelToken cancel;
  job::WasmJob job;                  // as asked; stdin filled in where it was given
  std::optional<ArtifactId> wanted;  // a module that is not here yet
  std::size_t notices = 0;           // progress and checkpoint events so far
  std::optional<Error> overrun;      // why we cancelled it ourselves
  Bytes manifest, receipt;           // envelopes
  bool finished = false;
  Document document;            // once finished
  bool transcript_kept = true;  // false: restored without its output
};

struct JobBook::State : std::enable_shared_from_this<JobBook::State> {
  State(World with, JobBookLimits bounds)
      : world(with),
        limits(bounds),
        budget(
            std::make_shared<TranscriptBudget>(TranscriptBudget{0, bounds.transcript_bytes_max})),
        stage(with.clock, limits),
        idle(with.clock, with.executor) {}

  World world;
  const JobBookLimits limits;
  bool closed = false;  // destroyed, or no more jobs are taken
  bool draining = false;
  std::shared_ptr<TranscriptBudget> budget;
  ModuleStage stage;
  std::map<std::string, std::shared_ptr<Job>> jobs;
  std::list<std::string> finished;  // ids in `jobs` that are over, oldest first
  std::size_t active = 0;
  Waiters idle;               // a job ended
  asio::thread_pool pool{1};  // hashing and rendering of large things

  // ── Running (job_run.cpp) ──
  /// Spawned, so it holds the state from its first moment: the book may go before it begins.
  [[nodiscard]] static Task<void> run(std::shared_ptr<State> self, std::shared_ptr<Job> job,
                                      requester::Request request, requester::Network* network);
  /// Gets the module a job names by its artifact id, and fills it in. Errors: those of
  /// ModuleKeeper::get, Code::busy when the stage is full.
  [[nodiscard]] static Task<Result<void>> bring(std::shared_ptr<State> self,
                                                std::shared_ptr<Job> job,
                                                requester::Request& request);
  /// Keeps a module on the disk where this node does, in the background.
  void keep(std::shared_ptr<const ModuleStage::Module> module);
  /// A staged module; null for one that must be brought. Errors: Code::not_found.
  [[nodiscard]] Result<std::shared_ptr<const ModuleStage::Module>> staged(
      const std::variant<Sha256, ArtifactId>& module);
  /// The job is over: its document and output go to the store, followers get `result`.
  [[nodiscard]] Task<void> finish(std::shared_ptr<Job> job,
                                  std::optional<requester::Outcome> outcome);
  [[nodiscard]] Task<bool> store_transcript(const Job& job);
  void set_state(Job& job, JobState state);
  /// Cancels a job that went above a limit of ours.
  void overrun(Job& job, std::string message);
  /// Forgets finished jobs, oldest first, until counts and bytes fit.
  void evict(std::size_t room_for_output);

  // ── Looking up (job_lookup.cpp) ──
  [[nodiscard]] std::shared_ptr<Job> in_memory(const std::string& id) const;
  /// From memory, or read back from the store. Errors: Code::not_found.
  [[nodiscard]] Task<Result<std::shared_ptr<Job>>> load(std::string id);
  [[nodiscard]] Task<Result<void>> load_transcript(const store::JobRow& row, Job& job);
  /// The result object; large ones are put together off the loop.
  [[nodiscard]] Task<std::string> render(std::shared_ptr<Job> job, bool transcript);
};

/// The state object of a job in memory.
[[nodiscard]] std::string state_json(const Job& job);

}  // namespace phase::control
