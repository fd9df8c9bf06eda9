#include "lucid/gate.h"

#include <algorithm>

namespace phase::lucid {
namespace {

using offer::RejectionReason;
using provider::Admitted;
using provider::Refused;

/// Jobs of all keys together, in one minute, for each that one key may send.
constexpr std::uint32_t kKeysAtFullRate = 16;

Refused refused(RejectionReason reason, std::string detail) {
  return {reason, std::move(detail), std::nullopt};
}

policy::BudgetLimits budget_of(const OperatorPolicy& policy) {
  policy::BudgetLimits out;
  out.per_key = static_cast<std::uint32_t>(policy.max_jobs_per_minute_per_key);
  out.per_peer = out.per_key;
  out.total = out.per_key * kKeysAtFullRate;
  return out;
}

Refused over(std::string_view what, std::uint64_t asked, std::uint64_t most) {
  return refused(RejectionReason::insufficient_resources,
                 std::string(what) + ": asked " + std::to_string(asked) + ", granted at most " +
                     std::to_string(most));
}

}  // namespace

Gate::Gate(World world, OperatorPolicy policy)
    : world_(std::move(world)), policy_(std::move(policy)), budget_(budget_of(policy_)) {}

void Gate::set_policy(OperatorPolicy policy) {
  const bool same = policy.max_jobs_per_minute_per_key == policy_.max_jobs_per_minute_per_key;
  policy_ = std::move(policy);
  paused_.reset();
  if (!same) budget_ = policy::Budget(budget_of(policy_));
}

bool Gate::takes_others() const noexcept {
  return policy_.allow_unauthenticated_jobs || !policy_.authorized_submitters.empty();
}

std::optional<std::string> Gate::paused() const {
  OperatorPolicy now = policy_;
  now.manual_pause = paused_.value_or(policy_.manual_pause);
  return pause_reason(now, {machine_, world_.hour_local(), world_.remote_jobs()});
}

std::optional<Refused> Gate::refuse_asked(const manifest::Manifest& manifest) const {
  const auto* job = std::get_if<job::InferenceJob>(&manifest.job);
  if (job == nullptr) {
    return refused(RejectionReason::kind_unsupported, "this node runs inference jobs");
  }
  const LocalModelPtr model = world_.catalog.by_content(job->model);
  if (model == nullptr) return refused(RejectionReason::policy, "the model is not here");
  const std::string name = model->name.text();
  if (!serves_model(policy_, name) && !serves_model(policy_, model->name.name)) {
    return refused(RejectionReason::policy, "model '" + name + "' not in operator allowlist");
  }
  if (!job->prompt) {
    return refused(RejectionReason::invalid_request, "a prompt that is streamed is not taken");
  }
  if (job->prompt->length > policy_.max_prompt_bytes) {
    return over("prompt bytes", job->prompt->length, policy_.max_prompt_bytes);
  }
  if (job->tokens_max > policy_.max_tokens_ceiling) {
    return over("tokens", job->tokens_max, policy_.max_tokens_ceiling);
  }
  if (manifest.wall_limit_ms > policy_.max_wall_seconds * 1000) {
    return over("wall limit ms", manifest.wall_limit_ms, policy_.max_wall_seconds * 1000);
  }
  const auto& needs = manifest.requirements;
  if (needs.arch && *needs.arch != world_.arch) {
    return refused(RejectionReason::arch_mismatch, "this is " + world_.arch);
  }
  if (manifest.level != manifest::Level::signature) {
    return refused(RejectionReason::level_unsupported,
                   "level " + std::string(manifest::level_name(manifest.level)) +
                       " is not granted here; use signature");
  }
  return std::nullopt;
}

std::variant<Admitted, Refused> Gate::admit(const provider::AdmissionRequest& request) {
  const identity::PublicKey& requester = request.manifest.requester;
  // A manifest of ours that a stranger brings is not our own job.
  if (requester == world_.self && request.peer == world_.self) return Admitted{};
  const auto& list = policy_.authorized_submitters;
  if (!policy_.allow_unauthenticated_jobs && std::ranges::find(list, requester) == list.end()) {
    return refused(RejectionReason::unauthorized,
                   "requester " + identity::PeerId::from(requester).text() +
                       " is not among this node's authorized_submitters");
  }
  if (const auto why = paused()) {
    const bool full = *why == "concurrency limit reached";
    return refused(full ? RejectionReason::busy : RejectionReason::policy, *why);
  }
  if (world_.jobs_of(requester) >= policy_.max_concurrent_jobs_per_key) {
    return refused(RejectionReason::busy, "one requester may have " +
                                              std::to_string(policy_.max_concurrent_jobs_per_key) +
                                              " jobs here at once");
  }
  if (auto no = refuse_asked(request.manifest.manifest)) return *std::move(no);
  if (const auto wait = budget_.take(requester, request.peer, world_.clock.now())) {
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(*wait).count();
    return Refused{RejectionReason::busy, "the budget of jobs per minute is used up",
                   static_cast<std::uint64_t>(ms)};
  }
  return Admitted{};
}

int local_hour() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  return ::localtime_r(&now, &local) == nullptr ? 0 : local.tm_hour;
}

}  // namespace phase::lucid
