// job_record.h — what is known of one job, and its JSON forms (spec/control-api.md). Private to
// this folder.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <boost/json/fwd.hpp>

#include "api/control/event_log.h"
#include "identity/identity.h"
#include "protocol/receipt/receipt.h"
#include "protocol/requester/requester.h"

namespace phase::control {

enum class JobState : std::uint8_t {
  queued,
  discovering,
  offering,
  running,
  done,
  failed,
  cancelled
};
[[nodiscard]] std::string_view state_name(JobState state) noexcept;
[[nodiscard]] constexpr bool is_final(JobState state) noexcept {
  return state >= JobState::done;
}

struct Attempt {
  identity::PublicKey provider;
  manifest::JobId job_id;
  std::string error;  ///< empty: none yet
};

/// The small facts of a job: everything of its state object.
struct JobFacts {
  std::string id;  ///< UUID
  JobState state = JobState::queued;
  std::string target;  ///< as submitted
  UtcTime created;
  std::optional<UtcTime> finished;
  std::vector<Attempt> attempts;
  std::optional<job::ExecutionId> execution_id;
  std::optional<Error> error;
};

[[nodiscard]] boost::json::object state_object(const JobFacts& facts);

/// What a result object adds to the state object, without output and envelopes. Present when a
/// receipt exists.
[[nodiscard]] boost::json::object result_object(const requester::Outcome& outcome);

/// The document a job book keeps in the store: {"state": …, "result": … or null}. `last_event` is
/// the id of its `result` event.
[[nodiscard]] std::string make_document(const boost::json::object& state,
                                        const boost::json::value& result, std::uint64_t last_event);
struct Document {
  std::string state;   ///< JSON of the state object
  std::string result;  ///< JSON of what a result adds, or empty
  std::uint64_t last_event = 0;
};
/// Errors: Code::malformed for a row that was changed by other hands.
[[nodiscard]] Result<Document> read_document(std::string_view text);
/// The same document with the job failed by `error` at `finished`.
[[nodiscard]] Result<std::string> fail_document(std::string_view text, const Error& error,
                                                UtcTime finished);

/// Parts a result object is put together from. `outputs` null: the transcript was not asked for, or
/// is not kept.
struct ResultParts {
  std::string_view state, result;  ///< JSON objects; `result` may be empty
  const std::deque<EventLog::Entry>* outputs = nullptr;
  ByteView manifest, receipt;  ///< empty: null
};
/// One line of JSON. Time and memory follow the output's size.
[[nodiscard]] std::string render_result(const ResultParts& parts);

/// `{"stream":1,"data":"…"}`
[[nodiscard]] std::string output_json(const EventLog::Entry& entry);
[[nodiscard]] std::string checkpoint_json(const receipt::Checkpoint& checkpoint);
[[nodiscard]] std::string progress_json(const offer::Progress& progress);

}  // namespace phase::control
