#include "policy/policy.h"

#include <utility>

namespace phase::policy {
namespace {

using offer::RejectionReason;
using provider::Admitted;
using provider::Refused;

Refused refused(RejectionReason reason, std::string detail) {
  return {reason, std::move(detail), std::nullopt};
}

/// A runtime's class: the text before the first '-'.
std::string_view class_of(std::string_view runtime) {
  return runtime.substr(0, runtime.find('-'));
}

std::string asked(std::string_view what, std::uint64_t wanted, std::uint64_t granted) {
  return std::string(what) + ": asked " + std::to_string(wanted) + ", granted at most " +
         std::to_string(granted);
}

/// What this version cannot do for anybody.
std::optional<Refused> refuse_unable(const manifest::Manifest& manifest) {
  const auto* const wasm = std::get_if<job::WasmJob>(&manifest.job);
  if (wasm == nullptr) {
    return refused(RejectionReason::kind_unsupported, "this node runs wasm jobs only");
  }
  if (manifest.level != manifest::Level::signature) {
    return refused(RejectionReason::level_unsupported,
                   "level " + std::string(manifest::level_name(manifest.level)) +
                       " is not granted here; use signature");
  }
  return std::nullopt;
}

}  // namespace

Result<identity::PublicKey> parse_requester(std::string_view text) {
  if (text.size() == 64) {
    return identity::PublicKey::from_hex_text(text);
  }
  auto peer = identity::PeerId::parse(text);
  if (!peer) {
    return fail(Code::malformed,
                "\"" + printable(text, 80) + "\" is neither a peer id nor a public key",
                "a peer id starts with 12D3KooW, a key has 64 hexadecimal digits");
  }
  return peer->key();
}

Policy::Policy(Clock& clock, Options options)
    : clock_(clock),
      options_(std::move(options)),
      allow_(options_.allow.begin(), options_.allow.end()),
      budget_(options_.budgets) {}

std::variant<Admitted, Refused> Policy::admit(const provider::AdmissionRequest& request) {
  const manifest::Manifest& manifest = request.manifest.manifest;
  // A manifest of ours that a stranger brings is not our own job: he may have kept it from an
  // earlier offer.
  const bool own = request.manifest.requester == options_.self && request.peer == options_.self;
  if (!own) {
    if (auto no = refuse_who(request.manifest.requester)) {
      return *std::move(no);
    }
  }
  if (auto no = refuse_unable(manifest)) {
    return *std::move(no);
  }
  if (auto no = refuse_place(manifest.requirements)) {
    return *std::move(no);
  }
  if (own) {
    return Admitted{};
  }
  if (auto no = refuse_size(manifest, std::get<job::WasmJob>(manifest.job))) {
    return *std::move(no);
  }
  if (auto no = refuse_rate(request)) {  // last: only a job that would run costs its requester
    return *std::move(no);
  }
  return Admitted{};
}

bool Policy::lets_in(const identity::PublicKey& who) const {
  return options_.takes_others && (options_.open || allow_.contains(who));
}

std::optional<Refused> Policy::refuse_who(const identity::PublicKey& requester) const {
  if (!options_.takes_others) {
    return refused(RejectionReason::unauthorized, "this node takes no jobs of others");
  }
  if (lets_in(requester)) {
    return std::nullopt;
  }
  return refused(
      RejectionReason::unauthorized,
      "requester " + identity::PeerId::from(requester).text() + " is not on this node's allowlist");
}

std::optional<Refused> Policy::refuse_place(const manifest::Requirements& needs) const {
  const Resources& have = options_.resources;
  if (needs.arch && *needs.arch != have.arch) {
    return refused(RejectionReason::arch_mismatch,
                   "asked " + printable(*needs.arch, 64) + ", this is " + have.arch);
  }
  if (needs.runtime && class_of(*needs.runtime) != class_of(have.runtime)) {
    return refused(RejectionReason::runtime_not_supported,
                   "asked " + printable(*needs.runtime, 64) + ", this is " + have.runtime);
  }
  if (needs.region && needs.region != have.region) {
    return refused(RejectionReason::region_mismatch,
                   "asked " + printable(*needs.region, 64) + ", this is " +
                       have.region.value_or("of no named region"));
  }
  return std::nullopt;
}

std::optional<Refused> Policy::refuse_size(const manifest::Manifest& manifest,
                                           const job::WasmJob& job) const {
  const Resources& have = options_.resources;
  const Ceilings& most = options_.ceilings;
  const auto short_of = [](std::string_view what, std::uint64_t wanted, std::uint64_t granted) {
    return refused(RejectionReason::insufficient_resources, asked(what, wanted, granted));
  };
  const auto& needs = manifest.requirements;
  if (needs.cpu_cores.value_or(0) > have.cpu_cores) {
    return short_of("cpu cores", *needs.cpu_cores, have.cpu_cores);
  }
  if (needs.memory_bytes.value_or(0) > have.memory_bytes) {
    return short_of("memory bytes", *needs.memory_bytes, have.memory_bytes);
  }
  if (job.limits.memory_bytes > have.memory_bytes) {
    return short_of("memory bytes", job.limits.memory_bytes, have.memory_bytes);
  }
  if (job.limits.table_elements > most.table_elements) {
    return short_of("table elements", job.limits.table_elements, most.table_elements);
  }
  if (job.limits.output_bytes > most.output_bytes) {
    return short_of("output bytes", job.limits.output_bytes, most.output_bytes);
  }
  if (manifest.wall_limit_ms > most.wall_ms) {
    return refused(RejectionReason::policy,
                   asked("wall limit ms", manifest.wall_limit_ms, most.wall_ms));
  }
  return std::nullopt;
}

std::optional<Refused> Policy::refuse_rate(const provider::AdmissionRequest& request) {
  const auto wait = budget_.take(request.manifest.requester, request.peer, clock_.now());
  if (!wait) {
    return std::nullopt;
  }
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(*wait).count();
  return Refused{RejectionReason::busy, "the budget of jobs per minute is used up",
                 static_cast<std::uint64_t>(ms)};
}

}  // namespace phase::policy
