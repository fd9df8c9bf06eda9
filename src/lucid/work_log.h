// work_log.h — what ran for whom: jobs of others that this node answered, and jobs of its own that
// others answered.
//
// Nothing of a prompt or an answer is in it but their lengths. Receipts of others' jobs and rows of
// own jobs are in the store; this is the view of the newest of both, so it survives a restart.
// Belongs to the node's executor.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "identity/identity.h"
#include "protocol/job/output.h"
#include "protocol/provider/provider.h"
#include "store/store.h"

namespace phase::lucid {

/// Entries told of at once, of each kind.
inline constexpr std::size_t kWorkToldMax = 256;
/// Receipts looked through at start for those of others' jobs.
inline constexpr std::size_t kReceiptsLookedThroughMax = 20'000;

struct WorkEntry {
  std::string job_id;  ///< GET /api/receipts/<job_id>, where `has_receipt`
  bool for_others = false;
  std::string peer;   ///< PeerId of who asked (for_others), or of who answered
  std::string model;  ///< as the job names it
  UtcTime ended;
  std::uint64_t prompt_bytes = 0, answer_bytes = 0;
  std::optional<std::uint64_t> prompt_tokens, answer_tokens;  ///< where the answer said so
  std::optional<std::uint64_t> wall_us;                       ///< as the provider states it
  std::string
      completion;  ///< "exited", "limited: wall", …; of an own job without receipt the error
  /// "signed here" for others' jobs; else "verified", "refused: <check>" or "none".
  std::string verdict;
  bool has_receipt = false;
};

/// One finished own job that another node was asked for, as the `document` of its row in the store.
[[nodiscard]] std::string work_document(const WorkEntry& entry);
/// Errors: Code::malformed.
[[nodiscard]] Result<WorkEntry> read_work_document(const store::JobRow& row);
/// Token counts of the `done` note at the end of an answer (spec/inference.md §3).
void read_token_counts(const std::vector<job::OutputPiece>& output, WorkEntry& into);
/// "limited: wall"
[[nodiscard]] std::string completion_text(const receipt::Completion& completion);

/// Receipts on their way to the store, and what they tell.
class WorkLog final : public provider::ReceiptSink {
 public:
  /// Reads the newest receipts. `self`: whose own jobs are left aside.
  WorkLog(store::Store& store, const identity::PublicKey& self);
  [[nodiscard]] Result<void> keep(const manifest::SignedManifest& manifest,
                                  const receipt::SignedReceipt& receipt) override;
  /// Newest first, of both kinds; at most kWorkToldMax of each.
  [[nodiscard]] std::vector<WorkEntry> list() const;

 private:
  store::Store& store_;
  identity::PublicKey self_;
  std::deque<WorkEntry> served_;  // newest first
};

}  // namespace phase::lucid
