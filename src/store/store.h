// store.h — what a node must still know after a restart: accepted job ids, receipts it signed, jobs
// it asked for.
//
// One SQLite file in WAL mode, mode 0600, schema counted by `user_version`. Durability (docs in
// README.md):
//   - after a crash of the process nothing that was returned as kept is lost;
//   - after a loss of power the last rows may be missing. The store notices (the machine's boot id
//   changed) and moves
//     the record's start to now, so that no job id can be replayed; see `Durability` for the
//     stricter choice.
// Belongs to one thread at a time (the node's loop). Each call blocks for one short transaction:
// rows are at most kBlobPartBytesMax; larger things are written in parts, so that a loop can
// breathe between them.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "protocol/manifest/manifest.h"
#include "protocol/provider/provider.h"
#include "protocol/receipt/receipt.h"

namespace phase::store {

/// Largest blob written by one call.
inline constexpr std::size_t kBlobPartBytesMax = 256_KiB;

/// What `keep` waits for before the receipt may leave. All other rows wait for the kernel only
/// (WAL, synchronous=NORMAL): they survive our crash, and the moved record start covers a loss of
/// power.
enum class Durability : std::uint8_t {
  process,  ///< the kernel: microseconds
  power,  ///< the disk (synchronous=FULL): one fsync per receipt, 0.2 ms on a fast disk, 10 ms on a
          ///< slow one
};

struct StoreLimits {
  std::size_t replays_max =
      manifest::kReplayRecordMax;                ///< job ids remembered; above it `admit` says busy
  std::size_t receipts_kept_max = 100'000;       ///< oldest go first
  std::size_t jobs_kept_max = 10'000;            ///< finished ones; oldest go first
  std::uint64_t transcript_bytes_max = 512_MiB;  ///< of all jobs; the oldest jobs lose theirs first
};

struct StoreOptions {
  std::filesystem::path path;  ///< the file; its folder must exist
  Durability durability = Durability::power;
  StoreLimits limits;
  /// Whose own jobs' receipts wait for the kernel only: after a loss of power nobody else holds one
  /// that this node does not know.
  std::optional<identity::PublicKey> owner;
  /// Identifies the machine's uptime. Empty: /proc/sys/kernel/random/boot_id.
  std::string boot_id;
};

/// A receipt this node signed as a provider.
struct KeptReceipt {
  manifest::JobId job_id;
  Bytes manifest, receipt;  ///< envelopes
};

/// A job this node submitted as a requester. The store understands its keys and leaves `document`
/// to the job book.
struct JobRow {
  std::string id;     ///< UUID
  std::string state;  ///< a word of spec/control-api.md
  UtcTime created;
  std::optional<UtcTime> finished;
  std::string document;                ///< the job book's JSON; at most kBlobPartBytesMax
  Bytes manifest, receipt;             ///< envelopes; empty: none
  std::uint64_t transcript_bytes = 0;  ///< output bytes kept
};

class Store final : public manifest::ReplayRecord, public provider::ReceiptSink {
 public:
  /// Opens or makes the file and brings its schema up to date. `now` starts the replay record of a
  /// new file. Errors: Code::permission_denied when group or others may read the file (hint: chmod
  /// 600), Code::version_unknown for a file of a newer program, Code::busy when another process
  /// holds it, Code::io.
  [[nodiscard]] static Result<std::unique_ptr<Store>> open(StoreOptions options, UtcTime now);
  ~Store() override;

  // ── Provider ──
  [[nodiscard]] Result<void> admit(const manifest::JobId& id, UtcTime created, UtcTime expires,
                                   UtcTime now) override;
  [[nodiscard]] Result<void> keep(const manifest::SignedManifest& manifest,
                                  const receipt::SignedReceipt& receipt) override;
  /// Errors: Code::not_found.
  [[nodiscard]] Result<KeptReceipt> receipt_of(const manifest::JobId& id);
  /// The newest receipts of jobs that others than `self` asked for, newest first; looks through the
  /// newest `looked_through` receipts for them. For the start of a node: it reads that many rows.
  [[nodiscard]] Result<std::vector<KeptReceipt>> receipts_of_others(const identity::PublicKey& self,
                                                                    std::size_t limit,
                                                                    std::size_t looked_through);
  [[nodiscard]] std::size_t replays() const noexcept;
  /// Manifests created before this are refused.
  [[nodiscard]] UtcTime record_start() const noexcept;

  // ── Requester ──
  /// Inserts or replaces the row (not the transcript). Prunes finished jobs above the limit.
  [[nodiscard]] Result<void> put_job(const JobRow& row);
  /// Errors: Code::not_found.
  [[nodiscard]] Result<JobRow> job(const std::string& id);
  /// Newest first, without manifest and receipt. `limit` ≤ 1000.
  [[nodiscard]] Result<std::vector<JobRow>> jobs(std::size_t limit);
  /// Jobs without `finished`: at start, those a crash cut off. Without manifest and receipt.
  [[nodiscard]] Result<std::vector<JobRow>> unfinished_jobs();
  /// Adds a part of a job's encoded transcript, ≤ kBlobPartBytesMax. Frees older transcripts above
  /// the limit.
  [[nodiscard]] Result<void> put_transcript_part(const std::string& id, std::uint64_t part,
                                                 ByteView bytes);
  /// Errors: Code::not_found for a part that is not there.
  [[nodiscard]] Result<Bytes> transcript_part(const std::string& id, std::uint64_t part);

 private:
  struct State;
  explicit Store(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace phase::store
