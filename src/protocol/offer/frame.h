// frame.h — the frames of /phase/job/2.0.0 and /phase/node/2.0.0. Normative: spec/job-stream.md.
//
// A frame is u32be length ‖ u8 type ‖ body; length counts type and body. Control bodies are
// deterministic CBOR, data bodies raw. Each side's last frame is `end`: a transport that cuts off
// cannot look like a finish.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/stream.h"
#include "identity/identity.h"
#include "protocol/job/job.h"
#include "protocol/job/output.h"
#include "protocol/manifest/manifest.h"

namespace phase::offer {

inline constexpr std::string_view kJobProtocol = "/phase/job/2.0.0";
inline constexpr std::string_view kNodeProtocol = "/phase/node/2.0.0";

/// type + body of one frame. An envelope with its wrapping fits.
inline constexpr std::size_t kFrameBytesMax = 96_KiB;
/// Payload of a data frame.
inline constexpr std::size_t kDataBytesMax = 64_KiB;

/// Values are on the wire; never reused. spec/job-stream.md.
enum class FrameType : std::uint8_t {
  open = 1,
  accepted = 2,
  rejected = 3,
  module = 4,
  module_end = 5,
  stdin = 6,
  stdin_end = 7,
  output = 8,
  progress = 9,
  checkpoint = 10,
  heartbeat = 11,
  receipt = 12,
  cancel = 13,
  commit = 14,
  reveal = 15,
  end = 16,
  node = 32,
};

/// Why a provider declines. Wire names are the enumerators.
enum class RejectionReason : std::uint8_t {
  unauthorized = 0,
  insufficient_resources,
  arch_mismatch,
  runtime_not_supported,
  region_mismatch,
  busy,
  invalid_request,
  expired,
  replayed,
  wrong_audience,
  profile_unsupported,
  level_unsupported,
  kind_unsupported,
  policy,
  shutting_down,
};
[[nodiscard]] std::string_view rejection_name(RejectionReason reason) noexcept;

struct Open {
  Bytes manifest;                      ///< envelope
  std::uint64_t checkpoint_bytes = 0;  ///< interval in output bytes; 0: none
  std::optional<job::Salt> salt;       ///< present: a private job
  bool commit_reveal = false;          ///< commit before output
  friend bool operator==(const Open&, const Open&) = default;
};
struct Accepted {
  manifest::JobId job_id;
  bool module_held = false;  ///< the provider has the module; the requester must not send it
  friend bool operator==(const Accepted&, const Accepted&) = default;
};
struct Rejected {
  RejectionReason reason = RejectionReason::invalid_request;
  std::string detail;  ///< for people; at most 512 bytes
  std::optional<std::uint64_t> retry_after_ms;
  friend bool operator==(const Rejected&, const Rejected&) = default;
};
struct ModuleData {
  Bytes data;
  friend bool operator==(const ModuleData&, const ModuleData&) = default;
};
struct ModuleEnd {
  friend bool operator==(const ModuleEnd&, const ModuleEnd&) = default;
};
struct StdinData {
  Bytes data;
  friend bool operator==(const StdinData&, const StdinData&) = default;
};
struct StdinEnd {
  friend bool operator==(const StdinEnd&, const StdinEnd&) = default;
};
struct Output {
  job::OutputPiece piece;
  friend bool operator==(const Output&, const Output&) = default;
};
struct Progress {
  std::string stage;  ///< queued, compiling, running
  std::uint64_t done = 0, total = 0;
  friend bool operator==(const Progress&, const Progress&) = default;
};
struct CheckpointFrame {
  Bytes envelope;
  friend bool operator==(const CheckpointFrame&, const CheckpointFrame&) = default;
};
struct Heartbeat {
  friend bool operator==(const Heartbeat&, const Heartbeat&) = default;
};
struct ReceiptFrame {
  Bytes envelope;
  friend bool operator==(const ReceiptFrame&, const ReceiptFrame&) = default;
};
struct Cancel {
  friend bool operator==(const Cancel&, const Cancel&) = default;
};
struct CommitFrame {
  Bytes envelope;
  friend bool operator==(const CommitFrame&, const CommitFrame&) = default;
};
/// Requester to provider: empty nonce, "go on". Provider to requester: the nonce of its commit.
struct Reveal {
  std::optional<std::array<std::uint8_t, 32>> nonce;
  friend bool operator==(const Reveal&, const Reveal&) = default;
};
struct End {
  friend bool operator==(const End&, const End&) = default;
};
struct NodeFrame {
  Bytes envelope;
  friend bool operator==(const NodeFrame&, const NodeFrame&) = default;
};

using Frame = std::variant<Open, Accepted, Rejected, ModuleData, ModuleEnd, StdinData, StdinEnd,
                           Output, Progress, CheckpointFrame, Heartbeat, ReceiptFrame, Cancel,
                           CommitFrame, Reveal, End, NodeFrame>;

/// The bytes of a frame, length prefix included. Requires sizes within the limits (checked).
[[nodiscard]] Bytes encode(const Frame& frame);
/// Decodes type and body (without the length prefix). Errors: Code::malformed, too_large.
[[nodiscard]] Result<Frame> decode(ByteView type_and_body);

/// Reads one frame from a stream. Errors: Code::protocol / malformed / too_large for a bad frame,
/// Code::connection_closed when the stream ends (at a frame's border or inside one). A large length
/// costs nothing: memory grows with bytes received.
[[nodiscard]] Task<Result<Frame>> read_frame(ByteStream& stream);
[[nodiscard]] Task<Result<void>> write_frame(ByteStream& stream, const Frame& frame);

/// What a node says of itself, signed under phase/node/2, valid until `expires`. Normative:
/// spec/discovery.md §2.
struct Capabilities {
  UtcTime created, expires;
  std::string agent;  ///< "plasmd/0.1.0"
  std::string arch;   ///< "x86_64"
  std::uint64_t cpu_cores = 0, memory_bytes = 0;
  std::vector<std::string> kinds;  ///< "wasm", "inference"
  std::string runtime;             ///< "wasmtime-48"
  std::optional<std::string> region;
  std::vector<Sha256> models;
  std::vector<std::string> model_names;  ///< of each model, in its order; or none at all
  std::uint64_t jobs_running = 0, jobs_max = 0;
  std::vector<std::string> isolation;
  bool open = false;  ///< takes jobs from anybody
  friend bool operator==(const Capabilities&, const Capabilities&) = default;
};
inline constexpr Duration kCapabilitiesLifetime = 300s;

/// The architecture this program was built for, as documents name it: "x86_64", "aarch64".
[[nodiscard]] std::string native_arch();
/// What a program on this machine says from `now` on, for as long as a document may live; what it
/// offers is the caller's to add.
[[nodiscard]] Capabilities native_capabilities(UtcTime now);

[[nodiscard]] Bytes seal(const Capabilities& capabilities, const identity::KeyPair& key);
/// Believes nothing unsigned and nothing expired: Code::verification_failed unless signed by
/// `peer`, Code::expired.
[[nodiscard]] Result<Capabilities> open_capabilities(ByteView envelope,
                                                     const identity::PublicKey& peer, UtcTime now);

}  // namespace phase::offer
