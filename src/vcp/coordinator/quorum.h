// quorum.h — what results of one task say together. Pure.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "vcp/coordinator/runner.h"
#include "vcp/scheduler/scheduler.h"

namespace phase::vcp {

/// Two results are the same when these are equal: how the run ended and, unless a limit stopped it,
/// all its output. Where a limit stopped it only that it did so counts.
[[nodiscard]] Sha256 answer_of(const receipt::Completion& completion,
                               const job::OutputSummary& output);

struct Answered {
  RunId run = 0;
  Sha256 answer;
};

struct Judgement {
  bool differ = false;  ///< without a truth: they are not all equal, so one has to be found
  std::vector<RunId> verified;
  std::vector<RunId> refuted;
};

/// Without a truth all are verified when all are equal, and none otherwise. With one, those that
/// equal it are verified and the others refuted.
[[nodiscard]] Judgement judge(std::span<const Answered> answers,
                              const std::optional<Sha256>& truth);

/// Verified results a quorum of so many needs.
[[nodiscard]] constexpr std::uint32_t majority_of(std::uint32_t quorum) noexcept {
  return quorum / 2 + 1;
}

}  // namespace phase::vcp
