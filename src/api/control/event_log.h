// event_log.h — what happened in a job, in order, so that a follower can join late or come back.
// Private to this folder.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "protocol/job/output.h"

namespace phase::control {

/// Bytes one entry costs beside its data; an upper bound of the bookkeeping.
inline constexpr std::size_t kEntryCost = 96;
/// Largest output event.
inline constexpr std::size_t kOutputEventBytes = 64_KiB;

/// Output bytes of all jobs in memory, against their limit. Shared by the logs of one job book.
struct TranscriptBudget {
  std::uint64_t used = 0;
  std::uint64_t max = 0;
};

/// Append-only; ids ascend from 1 and are never reused. Output of one stream that nobody was shown
/// yet is joined, so that a job that writes byte by byte does not cost an entry for each.
class EventLog {
 public:
  struct Entry {
    std::uint64_t id = 0;
    std::string_view name;  ///< state, output, checkpoint, progress, restart, result
    job::OutputStream stream = job::OutputStream::out;
    Bytes output;
    std::string json;  ///< of everything but output
  };

  explicit EventLog(std::shared_ptr<TranscriptBudget> budget) : budget_(std::move(budget)) {}
  EventLog(EventLog&& other) = delete;
  ~EventLog();

  /// False: above the budget; nothing was added.
  [[nodiscard]] bool add_output(job::OutputStream stream, ByteView bytes);
  void add(std::string_view name, std::string json);
  /// An entry read back from the store; ids must ascend.
  [[nodiscard]] bool restore_output(std::uint64_t id, job::OutputStream stream, Bytes bytes);
  void restore(std::uint64_t id, std::string_view name, std::string json);
  /// Forgets the output so far and says so with `restart`.
  void restart();

  /// The first entry with an id above `after`; it counts as shown. Valid until the log changes.
  [[nodiscard]] const Entry* next(std::uint64_t after);
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] std::uint64_t last_id() const noexcept { return last_id_; }
  [[nodiscard]] const std::deque<Entry>& entries() const noexcept { return entries_; }
  [[nodiscard]] std::uint64_t output_bytes() const noexcept { return output_bytes_; }

 private:
  [[nodiscard]] bool charge(std::size_t bytes);
  std::shared_ptr<TranscriptBudget> budget_;
  std::deque<Entry> entries_;
  std::uint64_t last_id_ = 0;
  std::uint64_t shown_ = 0;  ///< highest id handed out
  std::uint64_t output_bytes_ = 0;
  std::uint64_t charged_ = 0;
};

/// Output entries as bytes for the store: u64be id ‖ u8 stream ‖ u32be length ‖ data, each.
[[nodiscard]] Bytes encode_outputs(const std::deque<EventLog::Entry>& entries);
/// Adds them to a log. Errors: Code::malformed, Code::busy above the budget.
[[nodiscard]] Result<void> decode_outputs(ByteView bytes, EventLog& log);

}  // namespace phase::control
