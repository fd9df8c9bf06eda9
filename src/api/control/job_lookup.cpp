// What is known of jobs: from memory while they run and a while after, from the store later.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>

#include "api/control/book_state.h"

namespace phase::control {
namespace {

/// Results up to this much output are put together on the loop.
constexpr std::uint64_t kRenderInlineBytes = 1_MiB;
/// A stored transcript has at most this many parts: the largest one with its record heads.
constexpr std::uint64_t kPartsMax = 4096;

}  // namespace

std::string state_json(const Job& job) {
  return job.finished ? job.document.state : boost::json::serialize(state_object(job.facts));
}

std::shared_ptr<Job> JobBook::State::in_memory(const std::string& id) const {
  const auto found = jobs.find(id);
  return found == jobs.end() ? nullptr : found->second;
}

Task<Result<std::shared_ptr<Job>>> JobBook::State::load(std::string id) {
  const std::shared_ptr<State> self = shared_from_this();
  if (auto job = in_memory(id)) {
    co_return job;
  }
  PHASE_CO_TRY(store::JobRow row, world.store.job(id));
  PHASE_CO_TRY(Document document, read_document(row.document));
  auto job = std::make_shared<Job>(world.clock, world.executor, limits, budget);
  job->facts.id = id;
  job->document = std::move(document);
  evict(row.transcript_bytes);
  PHASE_CO_TRY_VOID(co_await load_transcript(row, *job));
  job->log.restore(std::max(job->document.last_event, job->log.last_id() + 1), "result", {});
  job->manifest = std::move(row.manifest);
  job->receipt = std::move(row.receipt);
  job->finished = true;
  if (closed) {
    co_return fail(Code::unavailable, "the daemon is stopping");
  }
  if (auto other = in_memory(id)) {
    co_return other;  // somebody else was quicker
  }
  jobs.emplace(id, job);
  finished.push_back(id);
  evict(0);
  co_return job;
}

Task<Result<void>> JobBook::State::load_transcript(const store::JobRow& row, Job& job) {
  if (row.transcript_bytes == 0) {
    // Nothing was written, or it is not kept any more; the receipt tells which.
    const auto receipt = receipt::open(row.receipt);
    job.transcript_kept = receipt && receipt->receipt.output.length == 0;
    co_return Result<void>{};
  }
  Bytes all;
  for (std::uint64_t part = 0; part < kPartsMax; ++part) {
    auto bytes = world.store.transcript_part(row.id, part);
    if (!bytes && bytes.error().code == Code::not_found) {
      break;
    }
    if (!bytes) {
      co_return fail(std::move(bytes).error());
    }
    all.insert(all.end(), bytes->begin(), bytes->end());
    co_await asio::post(world.executor, asio::use_awaitable);
    if (closed) {
      co_return fail(Code::unavailable, "the daemon is stopping");
    }
  }
  PHASE_CO_TRY_VOID(decode_outputs(all, job.log));
  job.transcript_kept = job.log.output_bytes() == row.transcript_bytes;
  co_return Result<void>{};
}

Task<std::string> JobBook::State::render(std::shared_ptr<Job> job, bool transcript) {
  ResultParts parts;
  parts.state = job->document.state;
  parts.result = job->document.result;
  parts.outputs = transcript && job->transcript_kept ? &job->log.entries() : nullptr;
  parts.manifest = job->manifest;
  parts.receipt = job->receipt;
  if (parts.outputs == nullptr || job->log.output_bytes() <= kRenderInlineBytes) {
    co_return render_result(parts);
  }
  // A finished job's log does not change; `job` keeps it alive meanwhile.
  co_return co_await asio::co_spawn(
      pool, [&parts]() -> Task<std::string> { co_return render_result(parts); },
      asio::use_awaitable);
}

Result<std::string> JobBook::state(const std::string& id) {
  if (const auto job = state_->in_memory(id)) {
    return state_json(*job);
  }
  PHASE_TRY(const store::JobRow row, state_->world.store.job(id));
  PHASE_TRY(Document document, read_document(row.document));
  return std::move(document.state);
}

Result<std::string> JobBook::list(std::size_t limit) {
  PHASE_TRY(const auto rows, state_->world.store.jobs(limit));
  std::string out = R"({"jobs":[)";
  for (const store::JobRow& row : rows) {
    const auto job = state_->in_memory(row.id);
    const auto document = read_document(row.document);
    const std::string text = job != nullptr ? state_json(*job)
                             : document     ? document->state
                                            : std::string{};
    if (!text.empty()) {
      out += out.ends_with('[') ? "" : ",";
      out += text;
    }
  }
  return out + "]}";
}

Task<Result<std::optional<Event>>> JobBook::next_event(std::string id, std::uint64_t after,
                                                       bool transcript, Deadline deadline) {
  const std::shared_ptr<State> state = state_;
  PHASE_CO_TRY(const std::shared_ptr<Job> job, co_await state->load(std::move(id)));
  const EventLog::Entry* entry = job->log.next(after);
  while (entry == nullptr && !job->finished && !state->closed &&
         state->world.clock.now() < deadline.at) {
    static_cast<void>(co_await job->changed.wait(deadline));
    entry = job->log.next(after);
  }
  if (state->closed) {
    co_return fail(Code::unavailable, "the daemon is stopping");
  }
  if (entry == nullptr) {
    co_return std::optional<Event>{};
  }
  Event event;
  event.id = entry->id;
  event.name = entry->name;
  event.last = entry->name == "result";
  if (event.last) {
    event.data = co_await state->render(job, transcript);
  } else {
    event.data = entry->name == "output" ? output_json(*entry) : entry->json;
  }
  co_return std::optional<Event>{std::move(event)};
}

Task<Result<JobBook::ResultText>> JobBook::result(std::string id, bool transcript,
                                                  Deadline deadline) {
  const std::shared_ptr<State> state = state_;
  PHASE_CO_TRY(const std::shared_ptr<Job> job, co_await state->load(std::move(id)));
  while (!job->finished && !state->closed && state->world.clock.now() < deadline.at) {
    static_cast<void>(co_await job->changed.wait(deadline));
  }
  if (state->closed) {
    co_return fail(Code::unavailable, "the daemon is stopping");
  }
  ResultText out;
  out.finished = job->finished;
  if (job->finished) {
    out.json = co_await state->render(job, transcript);
  } else {
    out.json = state_json(*job);
  }
  co_return out;
}

Result<Bytes> JobBook::receipt(const std::string& id) {
  const auto job = state_->in_memory(id);
  Bytes bytes;
  if (job != nullptr) {
    bytes = job->receipt;
  } else {
    PHASE_TRY(store::JobRow row, state_->world.store.job(id));
    bytes = std::move(row.receipt);
  }
  if (bytes.empty()) {
    return fail(Code::not_found, "job " + id + " has no receipt",
                "see its state: phase job show " + id);
  }
  return bytes;
}

Result<Bytes> JobBook::manifest(const std::string& id) {
  const auto job = state_->in_memory(id);
  Bytes bytes;
  if (job != nullptr) {
    bytes = job->manifest;
  } else {
    PHASE_TRY(store::JobRow row, state_->world.store.job(id));
    bytes = std::move(row.manifest);
  }
  if (bytes.empty()) {
    return fail(Code::not_found, "job " + id + " was offered to nobody yet",
                "see its state: phase job show " + id);
  }
  return bytes;
}

}  // namespace phase::control
