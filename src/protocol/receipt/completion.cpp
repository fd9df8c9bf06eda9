#include "protocol/receipt/completion.h"

#include <algorithm>
#include <array>

#include "protocol/job/parts.h"

namespace phase::receipt {
namespace {

constexpr std::array<std::string_view, 6> kNames{"exited",    "trapped", "limited",
                                                 "cancelled", "invalid", "failed"};
constexpr std::size_t kReasonBytesMax = 64;

bool has_reason(CompletionKind kind) noexcept {
  return kind != CompletionKind::exited && kind != CompletionKind::cancelled;
}

bool is_word(std::string_view text) noexcept {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

std::string_view completion_name(CompletionKind kind) noexcept {
  return kNames[static_cast<std::size_t>(kind)];
}

void write_completion(CborWriter& out, const Completion& completion) {
  const bool exited = completion.kind == CompletionKind::exited;
  const bool reason = has_reason(completion.kind);
  out.map(1U + (exited ? 1U : 0U) + (reason ? 1U : 0U));
  out.uint(0).uint(static_cast<std::uint64_t>(completion.kind));
  if (exited) out.uint(1).integer(completion.exit_code);
  if (reason) out.uint(2).text(completion.reason);
}

Result<Completion> read_completion(CborReader& in) {
  PHASE_TRY(CborMap map, CborMap::open(in));
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(const std::uint64_t kind, at->uint());
  if (kind >= kNames.size()) {
    return fail(Code::version_unknown, "unknown completion " + std::to_string(kind));
  }
  Completion out;
  out.kind = static_cast<CompletionKind>(kind);
  if (out.kind == CompletionKind::exited) {
    PHASE_TRY(at, map.required(1));
    PHASE_TRY(out.exit_code, at->integer());
  }
  if (has_reason(out.kind)) {
    PHASE_TRY(at, map.required(2));
    PHASE_TRY(out.reason, job::read_text(*at, kReasonBytesMax));
    if (!is_word(out.reason))
      return fail(Code::malformed, "completion reason is not a snake_case word");
  }
  PHASE_TRY_VOID(map.close());
  return out;
}

}  // namespace phase::receipt
