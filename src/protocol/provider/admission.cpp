// Admission: what is refused, in which order, and the places that accepted jobs hold.
#include "base/check.h"
#include "protocol/provider/session_internal.h"

namespace phase::provider {
namespace {

using offer::RejectionReason;

/// When a refused requester may find room: about one short job.
constexpr std::uint64_t kRetryAfterMs = 500;

Refused refused(RejectionReason reason, std::string detail) {
  return {reason, std::move(detail), std::nullopt};
}
Refused busy(std::string detail) {
  return {RejectionReason::busy, std::move(detail), kRetryAfterMs};
}

Refused from_replay(const Error& error) {
  switch (error.code) {
    case Code::replayed:
      return refused(RejectionReason::replayed, error.message);
    case Code::expired:
      return refused(RejectionReason::expired, error.message);
    default:
      return busy(error.message);
  }
}

}  // namespace

std::variant<Admitted, Refused> Session::admit(offer::Open open) {
  if (state_->draining) {
    return refused(RejectionReason::shutting_down, "this node takes no more jobs");
  }
  auto opened = manifest::open(open.manifest);
  if (!opened) return refused(RejectionReason::invalid_request, opened.error().message);
  manifest_ = std::move(*opened);
  open_ = std::move(open);
  job_ = &manifest_->manifest.job;
  module_ref_ = job::module_of(*job_);
  if (auto no = check_asked(open_)) return std::move(*no);
  if (auto no = check_room()) return std::move(*no);
  auto policy = state_->world.policy.admit({*manifest_, peer_, open_.salt.has_value()});
  if (std::holds_alternative<Refused>(policy)) return policy;
  const manifest::Manifest& asked = manifest_->manifest;
  const auto recorded = state_->world.replays.admit(manifest_->id, asked.created, asked.expires,
                                                    state_->world.clock.now_utc());
  if (!recorded) return from_replay(recorded.error());
  take_place();
  return Admitted{};
}

std::optional<Refused> Session::check_asked(const offer::Open& open) const {
  if (const auto takes = state_->world.worker.takes(*job_); !takes) {
    const bool other_kind = takes.error().code == Code::unsupported;
    return refused(other_kind ? RejectionReason::kind_unsupported : RejectionReason::policy,
                   takes.error().message);
  }
  const manifest::Manifest& asked = manifest_->manifest;
  const auto time = manifest::check_time(asked, state_->world.clock.now_utc());
  if (!time) {
    const bool late = time.error().code == Code::expired;
    return refused(late ? RejectionReason::expired : RejectionReason::invalid_request,
                   time.error().message);
  }
  if (asked.audience && *asked.audience != state_->world.key.public_key()) {
    return refused(RejectionReason::wrong_audience, "the manifest is meant for another provider");
  }
  if (open.commit_reveal && job::output_bytes_max(*job_) > kHeldOutputBytesMax) {
    return refused(RejectionReason::insufficient_resources,
                   "output held back for commit and reveal is at most " +
                       std::to_string(kHeldOutputBytesMax) + " bytes");
  }
  return std::nullopt;
}

std::optional<Refused> Session::check_room() const {
  const ProviderLimits& limits = state_->limits;
  if (state_->accepted >= limits.jobs_running_max + limits.jobs_queued_max) {
    return busy("all places are taken");
  }
  const auto mine = state_->per_requester.find(manifest_->requester);
  if (mine != state_->per_requester.end() && mine->second >= limits.jobs_per_requester_max) {
    return busy("one requester may have " + std::to_string(limits.jobs_per_requester_max) +
                " jobs here at once");
  }
  if (!holds_module() && state_->module_bytes + module_ref_->length > limits.module_bytes_max) {
    return busy("too many modules are on their way");
  }
  return std::nullopt;
}

bool Session::holds_module() const {
  return module_ref_ == nullptr || state_->world.worker.holds_module(*job_);
}

void Session::take_place() {
  place_ = true;
  ++state_->accepted;
  ++state_->per_requester[manifest_->requester];
  module_held_ = holds_module();
  expect_ = module_held_ ? Expect::stdin : Expect::module;
  module_ready_ = module_held_;
  if (module_held_) return;
  module_reserved_ = module_ref_->length;
  state_->module_bytes += module_reserved_;
}

void Session::free_module() {
  state_->module_bytes -= module_reserved_;
  module_reserved_ = 0;
  module_ = {};
}

void Session::leave_run() {
  std::erase(state_->queue, this);
  waiting_ = false;
  if (!run_place_) return;
  run_place_ = false;
  --state_->running;
  state_->grant();
}

void Session::leave_place() {
  leave_run();
  free_module();
  if (!place_) return;
  place_ = false;
  --state_->accepted;
  const auto mine = state_->per_requester.find(manifest_->requester);
  PHASE_CHECK(mine != state_->per_requester.end());
  if (--mine->second == 0) state_->per_requester.erase(mine);
  state_->changed.notify();
}

void Session::granted() {
  waiting_ = false;
  run_place_ = true;
  wake_.notify();
}

void Provider::State::grant() {
  while (running < limits.jobs_running_max && !queue.empty()) {
    Session* next = queue.front();
    queue.pop_front();
    ++running;
    next->granted();
  }
}

}  // namespace phase::provider
