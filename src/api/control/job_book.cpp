#include "api/control/job_book.h"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

#include "api/control/book_state.h"

namespace phase::control {
namespace {

/// Smaller ones are hashed at once: 1 MiB takes some 3 ms.
constexpr std::size_t kHashInlineBytes = 1_MiB;
/// After a drain's deadline running jobs are cancelled and get this long to hand in their receipts.
constexpr Duration kCancelGrace = 2s;

std::string target_text(const Submission& submission) {
  switch (submission.target) {
    case Target::local:
      return "local";
    case Target::remote:
      return "remote";
    case Target::peer:
      break;
  }
  return identity::PeerId::from(*submission.provider).text();
}

/// Jobs that were running when the last process ended cannot be told what became of them.
Result<void> mark_cut_off(store::Store& store, UtcTime now) {
  PHASE_TRY(const auto rows, store.unfinished_jobs());
  const Error error{Code::connection_closed, "the daemon stopped while the job was running",
                    "submit it again; a receipt may still be with its provider"};
  for (store::JobRow row : rows) {
    auto document = fail_document(row.document, error, now);
    row.document = document ? std::move(*document) : std::string{"{}"};
    row.state = state_name(JobState::failed);
    row.finished = now;
    PHASE_TRY_VOID(store.put_job(row));
  }
  return {};
}

}  // namespace

JobBook::JobBook(std::shared_ptr<State> state) : state_(std::move(state)) {}

JobBook::~JobBook() {
  state_->closed = true;
  for (const auto& [id, job] : state_->jobs) {
    if (!job->finished) {
      job->cancel.request();
      job->input.stop();
    }
    job->changed.notify_all();
  }
  state_->idle.notify_all();
}

Result<std::unique_ptr<JobBook>> JobBook::open(World world, JobBookLimits limits) {
  PHASE_TRY_VOID(mark_cut_off(world.store, world.clock.now_utc()));
  return std::unique_ptr<JobBook>(new JobBook(std::make_shared<State>(world, limits)));
}

Task<Result<StagedModule>> JobBook::stage(Bytes module, bool keep) {
  const std::shared_ptr<State> state = state_;
  if (module.empty() || module.size() > job::kModuleBytesMax) {
    co_return fail(Code::too_large, "a module has 1 to " + std::to_string(job::kModuleBytesMax) +
                                        " bytes, not " + std::to_string(module.size()));
  }
  StagedModule staged;
  if (module.size() <= kHashInlineBytes) {
    staged.ref = job::reference(module);
  } else {
    staged.ref = co_await asio::co_spawn(
        state->pool, [&module]() -> Task<job::ArtifactRef> { co_return job::reference(module); },
        asio::use_awaitable);
  }
  if (state->closed) {
    co_return fail(Code::unavailable, "the daemon is stopping");
  }
  ModuleKeeper* const keeper = state->world.modules;
  if (keep && keeper == nullptr) {
    co_return fail(Code::unsupported, "this node keeps no modules", "start a daemon: plasmd start");
  }
  PHASE_CO_TRY_VOID(state->stage.add(std::move(module), staged.ref));
  if (!keep) {
    co_return staged;
  }
  PHASE_CO_TRY(const auto held, state->stage.take(staged.ref.sha256));
  std::shared_ptr<const Bytes> bytes(held, &held->bytes);
  PHASE_CO_TRY_VOID(co_await keeper->keep(std::move(bytes), staged.ref));
  staged.shared_with = keeper->shared_with();
  co_return staged;
}

Result<std::string> JobBook::submit(Submission submission) {
  State& s = *state_;
  if (s.closed || s.draining) {
    return fail(Code::unavailable, "the daemon is stopping and takes no more jobs",
                "try again when it is back");
  }
  if (s.active >= s.limits.jobs_active_max) {
    return fail(Code::busy, std::to_string(s.active) + " jobs run already",
                "try again when one ended");
  }
  PHASE_TRY(const auto module, s.staged(submission.module));
  auto job = std::make_shared<Job>(s.world.clock, s.world.executor, s.limits, s.budget);
  job->facts.id = s.world.random.uuid();
  job->facts.target = target_text(submission);
  job->facts.created = s.world.clock.now_utc();
  job->job = std::move(submission.job);
  if (module != nullptr) {
    job->job.module = module->ref;
  } else {
    job->wanted = std::get<ArtifactId>(submission.module);
  }
  job->job.clock_start_ns = job->facts.created.unix_ms * 1'000'000;
  job->job.random_seed = s.world.random.array<32>();
  if (submission.stdin_given) {
    job->job.stdin_commitment = job::commit(*submission.stdin_given);
    job->input.give(std::move(*submission.stdin_given));
  }

  requester::Request request;
  request.job = job->job;
  if (module != nullptr) {
    request.module = std::shared_ptr<const Bytes>(module, &module->bytes);
  }
  request.requirements = std::move(submission.requirements);
  request.wall_limit_ms = submission.timeout_ms;
  request.level = submission.level;
  request.is_private = submission.is_private;
  request.checkpoint_bytes = submission.checkpoint_bytes;
  const bool is_local = submission.target == Target::local;
  request.provider = is_local ? std::optional{s.world.key.public_key()} : submission.provider;

  store::JobRow row;
  row.id = job->facts.id;
  row.state = state_name(job->facts.state);
  row.created = job->facts.created;
  row.document = make_document(state_object(job->facts), nullptr, 0);
  PHASE_TRY_VOID(s.world.store.put_job(row));

  s.jobs.emplace(job->facts.id, job);
  ++s.active;
  s.evict(0);
  s.set_state(*job, JobState::queued);
  asio::co_spawn(
      s.world.executor,
      State::run(state_, job, std::move(request), is_local ? &s.world.local : &s.world.remote),
      asio::detached);
  if (module != nullptr && !submission.is_private) {
    s.keep(module);
  }
  return job->facts.id;
}

Task<Result<void>> JobBook::write_stdin(std::string id, Bytes bytes, bool end) {
  const std::shared_ptr<Job> job = state_->in_memory(id);
  if (job == nullptr) {
    PHASE_CO_TRY(const store::JobRow row, state_->world.store.job(id));
    co_return Result<void>{};  // over: what a job does not read is dropped
  }
  if (job->finished) {
    co_return Result<void>{};
  }
  co_return co_await job->input.write(std::move(bytes), end);
}

Result<std::string> JobBook::cancel(const std::string& id) {
  const std::shared_ptr<Job> job = state_->in_memory(id);
  if (job != nullptr && !job->finished) {
    job->cancel.request();
  }
  return state(id);
}

std::size_t JobBook::jobs_active() const noexcept {
  return state_->active;
}

const JobBookLimits& JobBook::limits() const noexcept {
  return state_->limits;
}

Task<void> JobBook::drain(Deadline deadline) {
  const std::shared_ptr<State> state = state_;
  state->draining = true;
  Clock& clock = state->world.clock;
  while (state->active > 0 && !state->closed && clock.now() < deadline.at) {
    static_cast<void>(co_await state->idle.wait(deadline));
  }
  if (state->closed) {
    co_return;
  }
  for (const auto& [id, job] : state->jobs) {
    if (!job->finished) {
      job->cancel.request();
    }
  }
  const Deadline grace = clock.deadline_after(kCancelGrace);
  while (state->active > 0 && !state->closed && clock.now() < grace.at) {
    static_cast<void>(co_await state->idle.wait(grace));
  }
}

}  // namespace phase::control
