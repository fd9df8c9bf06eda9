#include <algorithm>

#include "protocol/provider/statement_internal.h"

namespace phase::provider {
namespace {

using receipt::Completion;
using receipt::CompletionKind;

constexpr std::size_t kReasonBytesMax = 64;

bool is_word(std::string_view text) {
  if (text.empty() || text.size() > kReasonBytesMax) return false;
  return std::ranges::all_of(
      text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

/// What stands for a reason that is no word.
std::string_view plain_reason(CompletionKind kind) {
  switch (kind) {
    case CompletionKind::trapped:
      return "trap";
    case CompletionKind::limited:
      return "limit";
    case CompletionKind::invalid:
      return "module_malformed";
    default:
      return "worker_lost";
  }
}

}  // namespace

Completion tidy(Completion completion) {
  const bool has_reason =
      completion.kind != CompletionKind::exited && completion.kind != CompletionKind::cancelled;
  if (completion.kind != CompletionKind::exited) completion.exit_code = 0;
  if (!has_reason) {
    completion.reason.clear();
  } else if (!is_word(completion.reason)) {
    completion.reason = plain_reason(completion.kind);
  }
  return completion;
}

Completion completion_of_prepare(const Error& error) {
  const std::string word = error.message.substr(0, error.message.find(':'));
  switch (error.code) {
    case Code::malformed:
      return tidy({CompletionKind::invalid, 0, word});
    case Code::too_large:
    case Code::timed_out:
      return {CompletionKind::limited, 0, "compile"};
    default:
      return {CompletionKind::failed, 0, "worker_lost"};
  }
}

receipt::Receipt state_result(const manifest::SignedManifest& manifest,
                              const std::optional<job::Salt>& salt, const job::Commitment& input,
                              const job::OutputSummary& output, const Ended& ended) {
  const job::Job& asked = manifest.manifest.job;
  const auto shown = [&salt](const auto& hash) {
    return salt ? job::salted(*salt, hash.bytes()) : Sha256{hash.value};
  };
  const job::Job filled = job::complete(asked) ? asked : job::with_input(asked, input);

  receipt::Receipt out;
  out.job_id = manifest.id;
  out.execution_id = job::ExecutionId{shown(job::execution_id(filled)).value};
  out.is_private = salt.has_value();
  out.job_kind = static_cast<std::uint8_t>(asked.index());
  out.subject_id = shown(job::subject_id(asked));
  out.subject_sha256 = shown(job::subject_sha256(asked));
  out.input = {shown(input.sha256), input.length};
  out.output = output;
  out.output.commitment = job::OutputCommitment{shown(output.commitment).value};
  out.completion = tidy(ended.completion);
  out.profile = job::profile_of(asked);
  out.isolation = ended.isolation;
  std::ranges::sort(out.isolation);
  if (out.isolation.empty()) out.isolation = {"none"};
  out.claimed = ended.claimed;
  if (out.profile == job::Profile::det_1 && out.completion.kind == CompletionKind::exited) {
    out.fuel = std::exchange(out.claimed.fuel, std::nullopt);  // anybody can check it
  }
  return out;
}

}  // namespace phase::provider
