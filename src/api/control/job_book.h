// job_book.h — the jobs this node was asked to have done: staged modules, stdin, output, results,
// receipts.
//
// Wire forms: spec/control-api.md. Belongs to one executor; destroying it cancels the jobs that run
// (their rows stay unfinished and are marked failed at the next start). Everything it holds is
// bounded by JobBookLimits.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "api/control/module_keeper.h"
#include "base/clock.h"
#include "base/random.h"
#include "protocol/requester/requester.h"
#include "store/store.h"

namespace phase::control {

struct JobBookLimits {
  std::size_t modules_staged_max = 64;
  std::uint64_t modules_bytes_max = 256_MiB;  ///< all staged modules together
  Duration module_lifetime = 600s;            ///< since upload or last use
  std::size_t jobs_active_max = 64;           ///< queued and running
  std::size_t jobs_in_memory_max =
      128;  ///< active and lately finished; older ones are read from the store
  std::uint64_t stdin_given_max = 8_MiB;  ///< stdin inside a submission
  std::size_t stdin_buffer_max =
      1_MiB;  ///< streamed stdin of one job that the job did not read yet
  std::uint64_t output_bytes_max = 256_MiB;  ///< largest `output_bytes` a submission may ask for
  std::uint64_t transcript_bytes_max = 512_MiB;  ///< output of all jobs in memory
  std::uint64_t transcript_stored_max =
      64_MiB;                        ///< per job; a longer one is not kept after it left memory
  std::size_t events_max = 262'144;  ///< per job; above it the job is cancelled
  std::size_t notices_max =
      4'096;  ///< progress and checkpoint events per job; later ones are dropped
  requester::RequesterLimits requester;
};

enum class Target : std::uint8_t { local, remote, peer };

/// `POST /v1/jobs`, read and checked.
struct Submission {
  std::variant<Sha256, ArtifactId> module;  ///< uploaded before, or kept here or by a peer
  job::WasmJob job;  ///< module reference, clock and seed are filled in by the book
  manifest::Requirements requirements;
  std::uint64_t timeout_ms = 30'000;
  manifest::Level level = manifest::Level::signature;
  bool is_private = false;
  std::uint64_t checkpoint_bytes = 0;
  std::optional<Bytes> stdin_given;  ///< absent: streamed
  Target target = Target::local;
  std::optional<identity::PublicKey> provider;  ///< Target::peer
};
/// Unknown keys, wrong types and values out of range are Code::invalid_argument naming the key.
[[nodiscard]] Result<Submission> parse_submission(std::string_view json,
                                                  const JobBookLimits& limits);

struct StagedModule {
  job::ArtifactRef ref;
  std::string_view shared_with;  ///< of a kept one: "nobody", "allowlist", "anybody"; else empty
};

/// One server-sent event.
struct Event {
  std::uint64_t id = 0;
  std::string_view name;  ///< state, output, checkpoint, progress, restart, result
  std::string data;       ///< one line of JSON
  bool last = false;      ///< `result`
};

class JobBook {
 public:
  struct World {
    Clock& clock;
    Random& random;
    const identity::KeyPair& key;
    requester::Network& remote;  ///< providers elsewhere: targets `remote` and a peer id
    requester::Network& local;   ///< this node's own provider: target `local`
    store::Store& store;
    asio::any_io_executor executor;
    ModuleKeeper* modules = nullptr;  ///< null: modules are only what was uploaded lately
  };
  /// Marks jobs that a crash cut off as failed (Code::connection_closed, "the daemon stopped while
  /// …").
  [[nodiscard]] static Result<std::unique_ptr<JobBook>> open(World world, JobBookLimits limits);
  ~JobBook();

  /// Keeps a module for submissions. Hashes large ones off the loop. `keep`: on the disk too, for
  /// this node's people and those whom the policy lets in. Errors: Code::too_large above
  /// job::kModuleBytesMax, Code::busy when the stage is full, Code::unsupported where nothing is
  /// kept, those of ModuleKeeper::keep.
  [[nodiscard]] Task<Result<StagedModule>> stage(Bytes module, bool keep = false);
  /// Starts a job. Returns its id. The module of a job that is not private is kept. Errors:
  /// Code::not_found for a module by its hash that is not staged, Code::busy.
  [[nodiscard]] Result<std::string> submit(Submission submission);
  /// JSON of a state object. Errors: Code::not_found.
  [[nodiscard]] Result<std::string> state(const std::string& id);
  /// JSON of `{"jobs": […]}`.
  [[nodiscard]] Result<std::string> list(std::size_t limit);
  /// Waits while the buffer is full. Errors: Code::not_found, Code::invalid_argument after the end
  /// or when stdin was given. Bytes for a job that ended are dropped.
  [[nodiscard]] Task<Result<void>> write_stdin(std::string id, Bytes bytes, bool end);
  /// The first event after `after` (0: from the beginning); waits for it. Empty: nothing until
  /// `deadline`. Followers pull: a slow one holds nothing but its place. `transcript` false: a
  /// result event without the output.
  [[nodiscard]] Task<Result<std::optional<Event>>> next_event(std::string id, std::uint64_t after,
                                                              bool transcript, Deadline deadline);
  struct ResultText {
    bool finished = false;
    std::string json;  ///< result object, or the state object while not finished
  };
  [[nodiscard]] Task<Result<ResultText>> result(std::string id, bool transcript, Deadline deadline);
  /// Envelope bytes. Errors: Code::not_found, also while there is none yet.
  [[nodiscard]] Result<Bytes> receipt(const std::string& id);
  [[nodiscard]] Result<Bytes> manifest(const std::string& id);
  /// Asks the job to stop. Returns the state object. A finished job stays as it is.
  [[nodiscard]] Result<std::string> cancel(const std::string& id);

  [[nodiscard]] std::size_t jobs_active() const noexcept;
  [[nodiscard]] const JobBookLimits& limits() const noexcept;
  /// Refuses new jobs (Code::unavailable) and waits for running ones until `deadline`, then cancels
  /// the rest.
  [[nodiscard]] Task<void> drain(Deadline deadline);

  struct State;  ///< this folder's own (book_state.h)

 private:
  explicit JobBook(std::shared_ptr<State> state);
  std::shared_ptr<State>
      state_;  // shared with the coroutines of its jobs; they stop when it is closed
};

}  // namespace phase::control
