#include <array>

#include "base/cbor.h"
#include "base/check.h"
#include "protocol/offer/reasons_internal.h"

namespace phase::offer {
namespace {

constexpr std::array<std::string_view, kReasons> kReasonNames{"unauthorized",
                                                              "insufficient_resources",
                                                              "arch_mismatch",
                                                              "runtime_not_supported",
                                                              "region_mismatch",
                                                              "busy",
                                                              "invalid_request",
                                                              "expired",
                                                              "replayed",
                                                              "wrong_audience",
                                                              "profile_unsupported",
                                                              "level_unsupported",
                                                              "kind_unsupported",
                                                              "policy",
                                                              "shutting_down"};

/// Text as the other side accepts it: words from elsewhere (an exception, a worker) may be long or
/// not UTF-8, and that must not cost us the frame.
std::string fitting(const std::string& text, std::size_t length_max) {
  if (text.size() <= length_max && is_utf8(as_bytes(text))) return text;
  return printable(text, length_max);
}

/// Writes the body of one frame behind its type.
class BodyWriter {
 public:
  void operator()(const Open& open) {
    type(FrameType::open);
    const bool interval = open.checkpoint_bytes > 0;
    CborWriter writer;
    writer.map(1U + (interval ? 1U : 0U) + (open.salt ? 1U : 0U) + (open.commit_reveal ? 1U : 0U));
    writer.uint(0).bytes(open.manifest);
    if (interval) writer.uint(1).uint(open.checkpoint_bytes);
    if (open.salt) writer.uint(2).bytes(*open.salt);
    if (open.commit_reveal) writer.uint(3).boolean(true);
    raw(writer.view());
  }
  void operator()(const Accepted& accepted) {
    type(FrameType::accepted);
    CborWriter writer;
    writer.map(2).uint(0).bytes(accepted.job_id.bytes()).uint(1).boolean(accepted.module_held);
    raw(writer.view());
  }
  void operator()(const Rejected& rejected) {
    type(FrameType::rejected);
    CborWriter writer;
    writer.map(rejected.retry_after_ms ? 3 : 2).uint(0).text(rejection_name(rejected.reason));
    writer.uint(1).text(fitting(rejected.detail, kDetailBytesMax));
    if (rejected.retry_after_ms) writer.uint(2).uint(*rejected.retry_after_ms);
    raw(writer.view());
  }
  void operator()(const Progress& progress) {
    type(FrameType::progress);
    CborWriter writer;
    writer.map(3).uint(0).text(fitting(progress.stage, kStageBytesMax));
    writer.uint(1).uint(progress.done).uint(2).uint(progress.total);
    raw(writer.view());
  }
  void operator()(const Reveal& reveal) {
    type(FrameType::reveal);
    if (!reveal.nonce) return;
    CborWriter writer;
    writer.map(1).uint(0).bytes(*reveal.nonce);
    raw(writer.view());
  }
  void operator()(const Output& output) {
    type(FrameType::output);
    out_.push_back(static_cast<std::uint8_t>(output.piece.stream));
    data(output.piece.data);
  }
  void operator()(const ModuleData& module) { type(FrameType::module), data(module.data); }
  void operator()(const StdinData& input) { type(FrameType::stdin), data(input.data); }
  void operator()(const CheckpointFrame& f) { type(FrameType::checkpoint), envelope(f.envelope); }
  void operator()(const ReceiptFrame& f) { type(FrameType::receipt), envelope(f.envelope); }
  void operator()(const CommitFrame& f) { type(FrameType::commit), envelope(f.envelope); }
  void operator()(const NodeFrame& f) { type(FrameType::node), envelope(f.envelope); }
  void operator()(const ModuleEnd&) { type(FrameType::module_end); }
  void operator()(const StdinEnd&) { type(FrameType::stdin_end); }
  void operator()(const Heartbeat&) { type(FrameType::heartbeat); }
  void operator()(const Cancel&) { type(FrameType::cancel); }
  void operator()(const End&) { type(FrameType::end); }

  /// The frame with its length in front.
  [[nodiscard]] Bytes take() {
    const std::size_t length = out_.size() - kLengthBytes;
    PHASE_CHECK(length <= kFrameBytesMax);
    for (std::size_t i = 0; i < kLengthBytes; ++i) {
      out_[i] = static_cast<std::uint8_t>(length >> (24U - 8U * i));
    }
    return std::move(out_);
  }

 private:
  void type(FrameType type) { out_.push_back(static_cast<std::uint8_t>(type)); }
  void raw(ByteView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  void data(ByteView bytes) {
    PHASE_CHECK(bytes.size() <= kDataBytesMax);
    raw(bytes);
  }
  void envelope(ByteView bytes) {
    PHASE_CHECK(bytes.size() <= identity::kEnvelopeBytesMax);
    raw(bytes);
  }

  Bytes out_ = Bytes(kLengthBytes);
};

}  // namespace

std::string_view rejection_name(RejectionReason reason) noexcept {
  PHASE_CHECK(static_cast<std::size_t>(reason) < kReasonNames.size());
  return kReasonNames[static_cast<std::size_t>(reason)];
}

Bytes encode(const Frame& frame) {
  BodyWriter writer;
  std::visit(writer, frame);
  return writer.take();
}

}  // namespace phase::offer
