#include "artifact/fetcher.h"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "artifact/fetch_internal.h"

namespace phase::artifact {

// ── Who is left alone ──

void Fetcher::Shared::shun(const identity::PublicKey& peer) {
  const Instant now = world.clock.now();
  std::erase_if(shunned, [now](const auto& entry) { return entry.second <= now; });
  if (shunned.size() < limits.shunned_max) shunned[peer] = now + limits.shun;
}

bool Fetcher::Shared::is_shunned(const identity::PublicKey& peer) const {
  const auto found = shunned.find(peer);
  return found != shunned.end() && world.clock.now() < found->second;
}

// ── Chunks ──

void ChunkMap::reset(const std::vector<bool>& held) {
  held_ = held;
  claims_.assign(held.size(), 0);
  missing_ = static_cast<std::uint64_t>(std::ranges::count(held, false));
  cursor_ = 0;
}

ChunkMap::Run ChunkMap::run_of(std::uint64_t first, std::uint64_t window,
                               std::uint8_t claims) const {
  Run run{first, 0};
  for (std::uint64_t i = first; i < held_.size() && run.count < window; ++i) {
    if (held_[i] || claims_[i] != claims) break;
    ++run.count;
  }
  return run;
}

ChunkMap::Run ChunkMap::claim(std::uint64_t window) {
  Run run;
  while (cursor_ < held_.size() && held_[cursor_]) ++cursor_;
  for (const std::uint8_t claims : {std::uint8_t{0}, std::uint8_t{1}}) {
    for (std::uint64_t i = cursor_; i < held_.size() && run.count == 0; ++i) {
      run = run_of(i, window, claims);
    }
    if (run.count > 0) break;
  }
  for (std::uint64_t i = run.first; i < run.first + run.count; ++i) ++claims_[i];
  return run;
}

void ChunkMap::release(const Run& run) {
  for (std::uint64_t i = run.first; i < run.first + run.count && i < claims_.size(); ++i) {
    if (claims_[i] > 0) --claims_[i];
  }
}

void ChunkMap::got(std::uint64_t index) {
  if (index >= held_.size() || held_[index]) return;
  held_[index] = true;
  --missing_;
}

// ── Fetcher ──

Fetcher::Fetcher(World world, FetchLimits limits)
    : shared_(std::make_shared<Shared>(world, limits)) {}

Fetcher::~Fetcher() {
  shared_->closed = true;
  for (auto& [id, weak] : shared_->jobs) {
    if (const auto job = weak.lock()) job->stop({Code::cancelled, "the node stops", {}});
  }
  shared_->pool.join();
}

Result<std::unique_ptr<Fetcher::Ticket>> Fetcher::fetch(const ArtifactId& id, std::string key,
                                                        std::vector<identity::PublicKey> known) {
  std::erase_if(shared_->jobs, [](const auto& entry) {
    const auto job = entry.second.lock();
    return job == nullptr || job->over();
  });
  std::shared_ptr<Job> job;
  if (const auto found = shared_->jobs.find(id); found != shared_->jobs.end()) {
    job = found->second.lock();
  } else {
    if (shared_->jobs.size() >= shared_->limits.fetches_max) {
      return fail(Code::busy, "too many fetches at once", "try again when one ended");
    }
    job = std::make_shared<Job>(shared_, id, std::move(key));
    shared_->jobs[id] = job;
    asio::co_spawn(shared_->world.executor, Job::run(job), asio::detached);
  }
  job->join(known);
  return std::make_unique<Ticket>(std::move(job));
}

Fetcher::Ticket::Ticket(std::shared_ptr<Job> job)
    : job_(std::move(job)), event_(std::make_shared<Event>(job_->shared().world.executor)) {
  ++job_->tickets;
  job_->told(event_);
}

Fetcher::Ticket::~Ticket() {
  if (--job_->tickets == 0 && !job_->over()) {
    job_->stop({Code::cancelled, "nobody waits for it any more", {}});
  }
}

Task<Result<FetchProgress>> Fetcher::Ticket::next() {
  const auto job = job_;
  const auto event = event_;
  if (!std::exchange(first_, false) && !job->over()) {
    const bool woken = co_await event->wait();
    if (!woken) co_return fail(Code::cancelled, "the fetch was stopped");
  }
  co_return job->state();
}

}  // namespace phase::artifact
