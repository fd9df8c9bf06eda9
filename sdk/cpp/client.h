// client.h — have WASM jobs done through the local daemon, from C++. Blocking and simple; one
// Client per thread.
//
//   PHASE_TRY(auto client, phase::sdk::Client::connect());
//   phase::sdk::JobOptions options;
//   options.stdin_bytes = phase::to_bytes("Hello, World");
//   PHASE_TRY(auto result, client.run(module, options));
//   if (result.verdict.ok()) fwrite(result.out.data(), 1, result.out.size(), stdout);
//
// The client believes nothing of the daemon: it recomputes the hashes of module, stdin and output
// and checks the receipt itself (verify::check). Wire: spec/control-api.md.
#pragma once

#include <chrono>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "protocol/job/job.h"
#include "protocol/job/output.h"
#include "protocol/manifest/manifest.h"
#include "protocol/receipt/receipt.h"
#include "protocol/verify/verify.h"

namespace phase::sdk {

/// `local`, `remote` or a peer id.
struct JobOptions {
  std::string entry = "_start";
  std::vector<std::string> args;
  std::map<std::string, std::string> env;
  /// All of stdin; absent: streamed with write_stdin until it was told `end`.
  std::optional<Bytes> stdin_bytes = Bytes{};
  job::WasmLimits limits;
  std::uint64_t timeout_ms = 30'000;
  manifest::Requirements requirements;
  job::Profile profile = job::Profile::fast;
  manifest::Level level = manifest::Level::signature;
  bool is_private = false;
  std::uint64_t checkpoint_bytes = 0;
  std::string target = "local";
};

/// One server-sent event; `json` is its data. For `output`, stream and data are decoded.
struct JobEvent {
  std::uint64_t id = 0;
  std::string name;
  std::string json;
  job::OutputStream stream = job::OutputStream::out;
  Bytes data;
};

/// What was written to a job's stdin: its hash, also as it stood at any point of the latest
/// kTailBytes. A job may end before it has read everything; its receipt then covers a beginning,
/// which lies there, since a writer is held back while the job does not read.
class StdinRecord {
 public:
  static constexpr std::size_t kTailBytes = 32_MiB;
  void append(ByteView bytes);
  [[nodiscard]] std::uint64_t length() const noexcept { return length_; }
  /// The commitment to the first `length` bytes. Absent: never written, or too long ago.
  [[nodiscard]] std::optional<job::Commitment> prefix(std::uint64_t length) const;

 private:
  struct Chunk {
    std::uint64_t offset = 0;
    Sha256Stream before;  ///< over all bytes before `offset`
    Bytes bytes;          ///< at most kChunkBytes
  };
  static constexpr std::size_t kChunkBytes = 1_MiB;
  Sha256Stream hash_;
  std::uint64_t length_ = 0;
  std::deque<Chunk> tail_;
};

/// A job as this client submitted it: what it must compare the receipt with.
struct SubmittedJob {
  std::string id;                               ///< UUID
  job::ArtifactRef module;                      ///< computed here; by its id: the id alone
  bool module_by_id = false;                    ///< named by its artifact id, not uploaded
  JobOptions options;                           ///< without `stdin_bytes`: see `input`
  std::optional<job::Commitment> input;         ///< of stdin that was given with the submission
  StdinRecord streamed;                         ///< of stdin that was streamed
  std::optional<identity::PublicKey> provider;  ///< a target that names one
};

struct JobResult {
  std::string id;
  std::string state;                              ///< done, failed, cancelled
  std::optional<Error> error;                     ///< why there is no receipt
  std::optional<receipt::Completion> completion;  ///< from the receipt
  std::optional<identity::PublicKey> provider;
  Bytes out, err;
  std::vector<job::OutputPiece> transcript;
  Bytes manifest, receipt;  ///< envelopes
  std::optional<job::Salt> salt;
  /// Checked here. Meaningless when `error` is set.
  verify::Verdict verdict;
  bool output_kept = true;  ///< false: the daemon has the output no more, so it was not checked
  std::string json;         ///< the daemon's result object
};

class Client {
 public:
  struct Options {
    std::filesystem::path socket;    ///< empty: the default path
    Duration request_timeout = 30s;  ///< for one answer, waiting for a job excluded
    std::uint64_t result_bytes_max = 1024_MiB;
  };
  /// Errors: Code::unavailable when nobody listens (hint: plasmd start), Code::permission_denied.
  [[nodiscard]] static Result<Client> connect();
  [[nodiscard]] static Result<Client> connect(Options options);
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  /// JSON documents of spec/control-api.md.
  [[nodiscard]] Result<std::string> status();
  [[nodiscard]] Result<std::string> peers();
  [[nodiscard]] Result<std::string> providers(std::string_view kind, std::string_view arch,
                                              Duration wait);
  [[nodiscard]] Result<std::string> ping(std::string_view peer);
  [[nodiscard]] Result<std::string> jobs(std::size_t limit);
  [[nodiscard]] Result<std::string> job(std::string_view id);
  [[nodiscard]] Result<std::string> cancel(std::string_view id);
  [[nodiscard]] Result<Bytes> receipt(std::string_view id);
  [[nodiscard]] Result<Bytes> manifest(std::string_view id);

  /// Uploads the module and submits the job.
  [[nodiscard]] Result<SubmittedJob> submit(ByteView module, JobOptions options);
  /// Submits the job with a module that the daemon keeps, or gets from peers.
  [[nodiscard]] Result<SubmittedJob> submit(const ArtifactId& module, JobOptions options);
  /// Has the daemon keep a module, for its people and those whom its policy lets in. Returns the
  /// answer to `POST /v1/modules`.
  [[nodiscard]] Result<std::string> keep_module(ByteView module);
  /// Streams stdin; waits while the job does not read.
  [[nodiscard]] Result<void> write_stdin(SubmittedJob& job, ByteView bytes, bool end);
  /// Follows a job until its end; reconnects where it was when the connection breaks. `on_event`
  /// returning false stops following. Returns false then, true after `result`.
  [[nodiscard]] Result<bool> follow(std::string_view id,
                                    const std::function<bool(const JobEvent&)>& on_event);
  /// Waits for the end and checks the receipt. A result whose receipt does not verify is not an
  /// error: see `verdict`. Errors: Code::timed_out when the job still runs after `wait`.
  [[nodiscard]] Result<JobResult> result(const SubmittedJob& job, Duration wait);
  /// The result of a job that somebody else submitted: its receipt is checked against the manifest,
  /// output and input that the daemon kept, not against what was asked. Errors: Code::unavailable
  /// while the job runs.
  [[nodiscard]] Result<JobResult> kept_result(std::string_view id);
  /// submit, then result.
  [[nodiscard]] Result<JobResult> run(ByteView module, JobOptions options);

  /// From any thread or a signal handler: makes the call in progress, and all later ones, return
  /// Code::cancelled.
  void interrupt() noexcept;

 private:
  struct State;
  explicit Client(std::unique_ptr<State> state);
  [[nodiscard]] Result<SubmittedJob> submit(SubmittedJob out, std::optional<ByteView> module,
                                            const std::optional<Bytes>& given,
                                            const std::optional<Bytes>& streamed);
  std::unique_ptr<State> state_;
};

/// Prepares the comparison for a job that is submitted another way (plasmd execute-job).
[[nodiscard]] Result<SubmittedJob> describe(ByteView module, JobOptions options);
/// The same for a module named by its artifact id.
[[nodiscard]] Result<SubmittedJob> describe(const ArtifactId& module, JobOptions options);

/// Reads a result object and checks its receipt against what was asked: the manifest is for this
/// module, entry, args, env, limits and stdin; the receipt is for this manifest, by the provider
/// asked for, over the transcript. Errors: Code::malformed.
[[nodiscard]] Result<JobResult> check_result(std::string_view json, const SubmittedJob& asked);

/// The same without knowing what was asked: manifest and input are taken from the result.
[[nodiscard]] Result<JobResult> check_kept_result(std::string_view json);

}  // namespace phase::sdk
