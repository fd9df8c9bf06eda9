// Where sessions of allowlist_domains may lead, by their requesters.
#include <algorithm>

#include "vcp/coordinator/state_internal.h"

namespace phase::vcp {
namespace {

std::size_t bytes_of(const DestinationPolicy& policy) {
  std::size_t out = policy.owner.size() + policy.id.size();
  for (const std::string& rule : policy.rules) out += rule.size();
  return out;
}

}  // namespace

const DestinationPolicy* Coordinator::State::find_policy(const UserId& owner,
                                                         const std::string& id) const {
  const auto found = policies.find({owner, id});
  return found == policies.end() ? nullptr : &found->second;
}

Result<DestinationPolicy> Coordinator::State::keep_policy(DestinationPolicy policy) {
  if (!is_policy_id(policy.id)) {
    return fail(Code::invalid_argument,
                "policy_id: expected 1 to 128 letters, digits, '.', '_' and '-'");
  }
  if (policy.rules.empty() || policy.rules.size() > kDestinationsMax) {
    return fail(Code::invalid_argument, "allowed_destinations: expected 1 to " +
                                            std::to_string(kDestinationsMax) + " rules");
  }
  for (std::string& rule : policy.rules) {
    auto spelled = parse_rule(rule);
    if (!spelled) {
      return fail(
          Code::invalid_argument,
          "allowed_destinations: \"" + printable(rule, 64) + "\": " + spelled.error().message,
          "example.org, *.example.org or 192.0.2.1, without a port");
    }
    rule = *std::move(spelled);
  }
  const DestinationPolicy* before = find_policy(policy.owner, policy.id);
  const std::size_t freed = before == nullptr ? 0 : bytes_of(*before);
  const std::size_t wanted = bytes_of(policy);
  const auto own = std::ranges::count_if(
      policies, [&](const auto& entry) { return entry.first.first == policy.owner; });
  if (before == nullptr && static_cast<std::size_t>(own) >= kPoliciesOfOwnerMax) {
    return fail(Code::busy, "you have " + std::to_string(own) + " policies, and no more are kept",
                "remove one: DELETE /api/v1/destination-policies/{policy_id}");
  }
  if ((before == nullptr && policies.size() >= kPoliciesMax) ||
      policy_bytes - freed + wanted > kPolicyBytesMax) {
    return fail(Code::busy, "the coordinator keeps as many policies as it can");
  }
  policy.updated = world.clock.now_utc();
  policy_bytes = policy_bytes - freed + wanted;
  policies.insert_or_assign({policy.owner, policy.id}, policy);
  Batch batch;
  batch.policies.push_back(policy);
  append(std::move(batch));
  return policy;
}

Result<DestinationPolicy> Coordinator::State::drop_policy(const UserId& owner,
                                                          const std::string& id) {
  const DestinationPolicy* found = find_policy(owner, id);
  if (found == nullptr) return fail(Code::not_found, "you have no such policy");
  for (const TaskId& task : connecting) {
    const Spec& spec = *find_task(task)->spec;
    if (spec.owner != owner || spec.connect->policy != id) continue;
    if (spec.connect->egress != Egress::allowlist_domains) continue;
    return fail(Code::already_exists, "task " + task + " needs this policy", "cancel it first");
  }
  DestinationPolicy out = *found;
  policy_bytes -= bytes_of(out);
  policies.erase({owner, id});
  Batch batch;
  batch.policies.push_back(out);
  batch.policies.back().rules.clear();
  append(std::move(batch));
  return out;
}

void Coordinator::State::take_up(std::vector<DestinationPolicy> kept) {
  for (DestinationPolicy& one : kept) {
    policy_bytes += bytes_of(one);
    const std::pair key(one.owner, one.id);
    policies.emplace(key, std::move(one));
  }
}

Task<Result<DestinationPolicy>> Coordinator::put_policy(DestinationPolicy policy) {
  const auto state = state_;
  PHASE_CO_TRY(DestinationPolicy out, state->keep_policy(std::move(policy)));
  auto settled = co_await state->world.journal.settled();
  if (!settled) co_return fail(std::move(settled).error());
  co_return out;
}

Task<Result<DestinationPolicy>> Coordinator::policy(std::string id, UserId owner) {
  const auto state = state_;
  const DestinationPolicy* found = state->find_policy(owner, id);
  if (found == nullptr) co_return fail(Code::not_found, "you have no such policy");
  DestinationPolicy out = *found;
  auto settled = co_await state->world.journal.settled();
  if (!settled) co_return fail(std::move(settled).error());
  co_return out;
}

Task<Result<DestinationPolicy>> Coordinator::remove_policy(std::string id, UserId owner) {
  const auto state = state_;
  PHASE_CO_TRY(DestinationPolicy out, state->drop_policy(owner, id));
  auto settled = co_await state->world.journal.settled();
  if (!settled) co_return fail(std::move(settled).error());
  co_return out;
}

Task<Result<PageOf<DestinationPolicy>>> Coordinator::policies(UserId owner, Page page) {
  const auto state = state_;
  PageOf<DestinationPolicy> out;
  const std::size_t limit = std::clamp<std::size_t>(page.limit, 1, kPageMax);
  for (auto at = state->policies.upper_bound({owner, page.after});
       at != state->policies.end() && at->first.first == owner; ++at) {
    if (out.items.size() == limit) {
      out.next = out.items.back().id;
      break;
    }
    out.items.push_back(at->second);
  }
  auto settled = co_await state->world.journal.settled();
  if (!settled) co_return fail(std::move(settled).error());
  co_return out;
}

}  // namespace phase::vcp
