#include "vcp/coordinator/quorum.h"

#include <algorithm>

#include "base/cbor.h"

namespace phase::vcp {

Sha256 answer_of(const receipt::Completion& completion, const job::OutputSummary& output) {
  CborWriter writer;
  writer.array(5);
  writer.uint(static_cast<std::uint64_t>(completion.kind));
  if (completion.kind == receipt::CompletionKind::limited) {
    writer.null().null().null().null();
    return sha256(writer.view());
  }
  writer.integer(completion.exit_code);
  writer.text(completion.reason);
  writer.bytes(output.commitment.bytes());
  writer.uint(output.length);
  return sha256(writer.view());
}

Judgement judge(std::span<const Answered> answers, const std::optional<Sha256>& truth) {
  Judgement out;
  if (answers.empty()) return out;
  const Sha256& right = truth ? *truth : answers.front().answer;
  const bool equal = std::ranges::all_of(
      answers, [&](const Answered& one) { return one.answer == answers.front().answer; });
  if (!truth && !equal) {
    out.differ = true;
    return out;
  }
  for (const Answered& one : answers) {
    (one.answer == right ? out.verified : out.refuted).push_back(one.run);
  }
  return out;
}

}  // namespace phase::vcp
