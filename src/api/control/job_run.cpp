// One job from submission to its stored end.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

#include "api/control/book_state.h"

namespace phase::control {
namespace {

/// Writes down what the requester tells.
class Recorder final : public requester::Observer {
 public:
  Recorder(JobBook::State& book, Job& job) : book_(book), job_(job) {}

  void on_attempt(const identity::PublicKey& provider,
                  const manifest::SignedManifest& manifest) override {
    job_.manifest = manifest.envelope;
    job_.facts.attempts.push_back({provider, manifest.id, {}});
    if (job::complete(manifest.manifest.job)) {
      job_.facts.execution_id = job::execution_id(manifest.manifest.job);
    }
    book_.set_state(job_, JobState::offering);
  }
  void on_accepted() override { book_.set_state(job_, JobState::running); }
  void on_output(const job::OutputPiece& piece) override {
    if (job_.overrun) {
      return;
    }
    if (job_.log.size() >= book_.limits.events_max) {
      return book_.overrun(job_, "the job's output came in more than " +
                                     std::to_string(book_.limits.events_max) + " pieces");
    }
    bool added = job_.log.add_output(piece.stream, piece.data);
    if (!added) {
      book_.evict(piece.data.size() + kEntryCost);
      added = job_.log.add_output(piece.stream, piece.data);
    }
    if (!added) {
      return book_.overrun(job_, "the output of all jobs together is above " +
                                     std::to_string(book_.limits.transcript_bytes_max) + " bytes");
    }
    job_.changed.notify_all();
  }
  void on_checkpoint(const receipt::Checkpoint& checkpoint) override {
    notice("checkpoint", [&checkpoint] { return checkpoint_json(checkpoint); });
  }
  void on_progress(const offer::Progress& progress) override {
    notice("progress", [&progress] { return progress_json(progress); });
  }
  void on_attempt_failed(const identity::PublicKey&, const Error& error) override {
    if (!job_.facts.attempts.empty()) {
      job_.facts.attempts.back().error = error.text();
    }
    book_.set_state(job_, JobState::discovering);
  }
  void on_restart() override {
    job_.log.restart();
    job_.changed.notify_all();
  }

 private:
  template <typename Text>
  void notice(std::string_view name, Text text) {
    if (job_.notices < book_.limits.notices_max) {
      ++job_.notices;
      job_.log.add(name, text());
      job_.changed.notify_all();
    }
  }
  JobBook::State& book_;
  Job& job_;
};

/// How a job without a receipt ended.
JobState end_state(const Job& job) {
  const bool by_request = job.facts.error && job.facts.error->code == Code::cancelled;
  return by_request ? JobState::cancelled : JobState::failed;
}

}  // namespace

void JobBook::State::set_state(Job& job, JobState state) {
  job.facts.state = state;
  job.log.add("state", boost::json::serialize(state_object(job.facts)));
  job.changed.notify_all();
}

void JobBook::State::overrun(Job& job, std::string message) {
  job.overrun = Error{Code::too_large, std::move(message),
                      "ask for a smaller output_bytes, or run fewer jobs at once"};
  job.cancel.request();
}

void JobBook::State::evict(std::size_t room_for_output) {
  const auto too_much = [this, room_for_output] {
    return jobs.size() > limits.jobs_in_memory_max || budget->used + room_for_output > budget->max;
  };
  while (!finished.empty() && too_much()) {
    jobs.erase(finished.front());
    finished.pop_front();
  }
}

Result<std::shared_ptr<const ModuleStage::Module>> JobBook::State::staged(
    const std::variant<Sha256, ArtifactId>& module) {
  if (const auto* const sha256 = std::get_if<Sha256>(&module)) {
    return stage.take(*sha256);
  }
  if (const auto known = stage.find(std::get<ArtifactId>(module))) {
    return stage.take(*known);
  }
  if (world.modules == nullptr) {
    return fail(Code::not_found, "this node keeps no modules", "upload it: POST /v1/modules");
  }
  return nullptr;
}

Task<Result<void>> JobBook::State::bring(std::shared_ptr<State> self, std::shared_ptr<Job> job,
                                         requester::Request& request) {
  const ModuleKeeper::Progress tell = [&self, &job](const offer::Progress& progress) {
    if (!self->closed && job->notices < self->limits.notices_max) {
      ++job->notices;
      job->log.add("progress", progress_json(progress));
      job->changed.notify_all();
    }
  };
  const ArtifactId id = *job->wanted;
  auto got = co_await self->world.modules->get(id, tell, job->cancel);
  if (self->closed) {
    co_return fail(Code::cancelled, "the daemon stops");
  }
  if (!got) {
    co_return fail(got.error());
  }
  const job::ArtifactRef ref = got->ref;
  PHASE_CO_TRY_VOID(self->stage.add(std::move(got->bytes), ref));
  PHASE_CO_TRY(const auto module, self->stage.take(ref.sha256));
  job->job.module = ref;
  request.job = job->job;
  request.module = std::shared_ptr<const Bytes>(module, &module->bytes);
  co_return Result<void>{};
}

void JobBook::State::keep(std::shared_ptr<const ModuleStage::Module> module) {
  if (world.modules == nullptr) {
    return;
  }
  std::shared_ptr<const Bytes> bytes(module, &module->bytes);
  // What cannot be kept was told to the log; the job runs all the same.
  asio::co_spawn(world.executor, world.modules->keep(std::move(bytes), module->ref),
                 asio::detached);
}

Task<void> JobBook::State::run(std::shared_ptr<State> self, std::shared_ptr<Job> job,
                               requester::Request request, requester::Network* network) {
  if (self->closed) {
    co_return;  // the book went before this began
  }
  if (job->wanted) {
    const auto brought = co_await bring(self, job, request);
    if (self->closed) {
      co_return;
    }
    if (!brought) {
      job->facts.error = brought.error();
      co_await self->finish(job, std::nullopt);
      co_return;
    }
  }
  if (!request.provider) {
    self->set_state(*job, JobState::discovering);
  }
  Recorder recorder(*self, *job);
  const World& world = self->world;
  requester::Requester asks({world.clock, world.random, world.key, *network, world.executor},
                            self->limits.requester);
  auto outcome = co_await asks.run(std::move(request), job->input, recorder, job->cancel);
  if (self->closed) {
    co_return;
  }
  std::optional<requester::Outcome> kept;
  if (!outcome) {
    job->facts.error = outcome.error();
  } else {
    kept = std::move(*outcome);
  }
  if (job->overrun) {
    job->facts.error = job->overrun;
    kept.reset();
  }
  co_await self->finish(job, std::move(kept));
}

Task<void> JobBook::State::finish(std::shared_ptr<Job> job,
                                  std::optional<requester::Outcome> outcome) {
  const std::shared_ptr<State> self = shared_from_this();
  job->input.stop();
  boost::json::value result(nullptr);
  if (outcome) {
    job->manifest = outcome->manifest;
    job->receipt = outcome->receipt;
    job->job.stdin_commitment = outcome->input;
    job->facts.execution_id = job::execution_id(job::Job{job->job});
    result = result_object(*outcome);
  }
  job->facts.finished = world.clock.now_utc();
  job->facts.state = outcome ? JobState::done : end_state(*job);
  job->log.add("state", boost::json::serialize(state_object(job->facts)));
  const bool stored = co_await store_transcript(*job);
  if (closed) {
    co_return;
  }
  store::JobRow row;
  row.id = job->facts.id;
  row.state = state_name(job->facts.state);
  row.created = job->facts.created;
  row.finished = job->facts.finished;
  row.document = make_document(state_object(job->facts), result, job->log.last_id() + 1);
  row.manifest = job->manifest;
  row.receipt = job->receipt;
  row.transcript_bytes = stored ? job->log.output_bytes() : 0;
  // When the disk fails now, the result still reaches those who wait; only a restart would not know
  // it.
  static_cast<void>(world.store.put_job(row));

  job->document.state = boost::json::serialize(state_object(job->facts));
  job->document.result = result.is_object() ? boost::json::serialize(result) : std::string{};
  job->document.last_event = job->log.last_id() + 1;
  job->finished = true;
  job->log.add("result", {});
  --active;
  finished.push_back(job->facts.id);
  job->changed.notify_all();
  idle.notify_all();
}

Task<bool> JobBook::State::store_transcript(const Job& job) {
  if (job.log.output_bytes() == 0 || job.log.output_bytes() > limits.transcript_stored_max) {
    co_return job.log.output_bytes() == 0;
  }
  const Bytes all = encode_outputs(job.log.entries());
  ByteView rest = all;
  for (std::uint64_t part = 0; !rest.empty(); ++part) {
    const ByteView piece = rest.first(std::min(rest.size(), store::kBlobPartBytesMax));
    rest = rest.subspan(piece.size());
    if (!world.store.put_transcript_part(job.facts.id, part, piece)) {
      co_return false;
    }
    if (!rest.empty()) {
      co_await asio::post(world.executor, asio::use_awaitable);  // let others run between parts
    }
    if (closed) {
      co_return false;
    }
  }
  co_return true;
}

}  // namespace phase::control
