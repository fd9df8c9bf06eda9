// statement_internal.h — from the facts of a run to the receipt about it. Normative:
// spec/receipt.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "protocol/manifest/manifest.h"
#include "protocol/receipt/receipt.h"

namespace phase::provider {

/// How a job ended here, whether it ran or not.
struct Ended {
  receipt::Completion completion;
  receipt::Claimed claimed;
  std::vector<std::string> isolation;  ///< empty: nothing ran
};

/// A receipt over what was received, run and written. Salted when there is a salt.
[[nodiscard]] receipt::Receipt state_result(const manifest::SignedManifest& manifest,
                                            const std::optional<job::Salt>& salt,
                                            const job::Commitment& input,
                                            const job::OutputSummary& output, const Ended& ended);

/// The completion that an error of Worker::prepare means.
[[nodiscard]] receipt::Completion completion_of_prepare(const Error& error);
/// A completion a worker reported, with its reason made a word a receipt can carry.
[[nodiscard]] receipt::Completion tidy(receipt::Completion completion);

}  // namespace phase::provider
