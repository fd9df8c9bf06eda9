#include "protocol/offer/frame.h"

#include "base/cbor.h"
#include "base/check.h"
#include "protocol/job/parts.h"
#include "protocol/offer/names_internal.h"

namespace phase::offer {
namespace {

constexpr std::size_t kDetailBytesMax = 512;
constexpr std::size_t kStageBytesMax = 64;

// ── Bodies, written ──

void body(CborWriter& out, const Open& frame) {
  out.map(1U + (frame.checkpoint_bytes > 0 ? 1U : 0U) + (frame.salt ? 1U : 0U) +
          (frame.commit_reveal ? 1U : 0U));
  out.uint(0).bytes(frame.manifest);
  if (frame.checkpoint_bytes > 0) out.uint(1).uint(frame.checkpoint_bytes);
  if (frame.salt) out.uint(2).bytes(*frame.salt);
  if (frame.commit_reveal) out.uint(3).boolean(true);
}
void body(CborWriter& out, const Accepted& frame) {
  out.map(2).uint(0).bytes(frame.job_id.bytes()).uint(1).boolean(frame.module_held);
}
void body(CborWriter& out, const Rejected& frame) {
  out.map(frame.retry_after_ms ? 3 : 2).uint(0).text(rejection_name(frame.reason));
  out.uint(1).text(printable(frame.detail, kDetailBytesMax));
  if (frame.retry_after_ms) out.uint(2).uint(*frame.retry_after_ms);
}
void body(CborWriter& out, const ModuleData& frame) {
  out.raw(frame.data);
}
void body(CborWriter& out, const StdinData& frame) {
  out.raw(frame.data);
}
void body(CborWriter& out, const Output& frame) {
  const auto stream = static_cast<std::uint8_t>(frame.piece.stream);
  out.raw({&stream, 1}).raw(frame.piece.data);
}
void body(CborWriter& out, const Progress& frame) {
  out.map(3).uint(0).text(printable(frame.stage, kStageBytesMax));
  out.uint(1).uint(frame.done).uint(2).uint(frame.total);
}
void body(CborWriter& out, const CheckpointFrame& frame) {
  out.raw(frame.envelope);
}
void body(CborWriter& out, const ReceiptFrame& frame) {
  out.raw(frame.envelope);
}
void body(CborWriter& out, const CommitFrame& frame) {
  out.raw(frame.envelope);
}
void body(CborWriter& out, const NodeFrame& frame) {
  out.raw(frame.envelope);
}
void body(CborWriter& out, const Reveal& frame) {
  if (frame.nonce) out.map(1).uint(0).bytes(*frame.nonce);
}
template <typename Empty>
void body(CborWriter& /*out*/, const Empty& /*frame*/) {
  static_assert(std::is_empty_v<Empty>);
}

/// Types in the order of the Frame variant.
constexpr std::array<FrameType, std::variant_size_v<Frame>> kTypes{
    FrameType::open,       FrameType::accepted,   FrameType::rejected,  FrameType::module,
    FrameType::module_end, FrameType::stdin,      FrameType::stdin_end, FrameType::output,
    FrameType::progress,   FrameType::checkpoint, FrameType::heartbeat, FrameType::receipt,
    FrameType::cancel,     FrameType::commit,     FrameType::reveal,    FrameType::end,
    FrameType::node,
};

/// What the other side's decode will insist on.
bool within_limits(const Frame& frame) {
  if (const auto* module = std::get_if<ModuleData>(&frame)) {
    return !module->data.empty() && module->data.size() <= kDataBytesMax;
  }
  if (const auto* input = std::get_if<StdinData>(&frame)) {
    return !input->data.empty() && input->data.size() <= kDataBytesMax;
  }
  if (const auto* output = std::get_if<Output>(&frame)) {
    return !output->piece.data.empty() && output->piece.data.size() <= kDataBytesMax;
  }
  return true;
}

// ── Bodies, read ──

Result<Frame> read_open(ByteView bytes) {
  CborReader in(bytes);
  PHASE_TRY(CborMap map, CborMap::open(in));
  Open out;
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(const ByteView manifest, at->bytes());
  out.manifest = to_bytes(manifest);
  if (map.optional(1)) {
    PHASE_TRY(out.checkpoint_bytes, in.uint());
    if (out.checkpoint_bytes == 0) return fail(Code::malformed, "a checkpoint interval of 0");
  }
  if (map.optional(2)) {
    PHASE_TRY(out.salt, job::read_array<32>(in));
  }
  if (map.optional(3)) {
    PHASE_TRY(out.commit_reveal, in.boolean());
    if (!out.commit_reveal) return fail(Code::malformed, "commit-reveal is written only when true");
  }
  PHASE_TRY_VOID(map.close());
  PHASE_TRY_VOID(in.finish());
  return out;
}

Result<Frame> read_accepted(ByteView bytes) {
  CborReader in(bytes);
  PHASE_TRY(CborMap map, CborMap::open(in));
  Accepted out;
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(out.job_id, job::read_hash<manifest::JobId>(*at));
  PHASE_TRY(at, map.required(1));
  PHASE_TRY(out.module_held, at->boolean());
  PHASE_TRY_VOID(map.close());
  PHASE_TRY_VOID(in.finish());
  return out;
}

Result<Frame> read_rejected(ByteView bytes) {
  CborReader in(bytes);
  PHASE_TRY(CborMap map, CborMap::open(in));
  Rejected out;
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(const std::string_view reason, at->text());
  PHASE_TRY(out.reason, rejection_from_name(reason));
  PHASE_TRY(at, map.required(1));
  PHASE_TRY(out.detail, job::read_text(*at, kDetailBytesMax));
  if (map.optional(2)) {
    PHASE_TRY(out.retry_after_ms, in.uint());
  }
  PHASE_TRY_VOID(map.close());
  PHASE_TRY_VOID(in.finish());
  return out;
}

Result<Frame> read_progress(ByteView bytes) {
  CborReader in(bytes);
  PHASE_TRY(CborMap map, CborMap::open(in));
  Progress out;
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(out.stage, job::read_text(*at, kStageBytesMax));
  PHASE_TRY(at, map.required(1));
  PHASE_TRY(out.done, at->uint());
  PHASE_TRY(at, map.required(2));
  PHASE_TRY(out.total, at->uint());
  PHASE_TRY_VOID(map.close());
  PHASE_TRY_VOID(in.finish());
  return out;
}

Result<Frame> read_reveal(ByteView bytes) {
  if (bytes.empty()) return Reveal{};
  CborReader in(bytes);
  PHASE_TRY(CborMap map, CborMap::open(in));
  Reveal out;
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(out.nonce, job::read_array<32>(*at));
  PHASE_TRY_VOID(map.close());
  PHASE_TRY_VOID(in.finish());
  return out;
}

Result<Bytes> read_data(ByteView bytes) {
  if (bytes.empty()) return fail(Code::malformed, "a data frame of 0 bytes");
  if (bytes.size() > kDataBytesMax) return fail(Code::too_large, "a data frame above 65536 bytes");
  return to_bytes(bytes);
}

Result<Frame> read_output(ByteView bytes) {
  if (bytes.empty() || (bytes[0] != 1 && bytes[0] != 2)) {
    return fail(Code::malformed, "output of an unknown stream");
  }
  PHASE_TRY(Bytes data, read_data(bytes.subspan(1)));
  return Output{{static_cast<job::OutputStream>(bytes[0]), std::move(data)}};
}

Result<Bytes> read_envelope(ByteView bytes) {
  if (bytes.empty() || bytes.size() > identity::kEnvelopeBytesMax) {
    return fail(Code::malformed, "an envelope has 1 ... 65536 bytes");
  }
  return to_bytes(bytes);
}

template <typename F>
Result<Frame> wrap(Result<Bytes> bytes) {
  PHASE_TRY(Bytes taken, std::move(bytes));
  return Frame{F{std::move(taken)}};
}

template <typename F>
Result<Frame> read_empty(ByteView bytes) {
  if (!bytes.empty()) return fail(Code::malformed, "a frame that has no body has one");
  return Frame{F{}};
}

}  // namespace

Bytes encode(const Frame& frame) {
  CborWriter out;
  const auto type = static_cast<std::uint8_t>(kTypes[frame.index()]);
  const std::array<std::uint8_t, 5> head{0, 0, 0, 0, type};
  out.raw(head);
  std::visit([&out](const auto& f) { body(out, f); }, frame);
  Bytes bytes = out.take();
  const std::size_t length = bytes.size() - 4;
  PHASE_CHECK(length <= kFrameBytesMax && within_limits(frame));
  for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<std::uint8_t>(length >> (24 - 8 * i));
  return bytes;
}

Result<Frame> decode(ByteView type_and_body) {
  if (type_and_body.empty()) return fail(Code::malformed, "a frame of 0 bytes");
  if (type_and_body.size() > kFrameBytesMax)
    return fail(Code::too_large, "a frame above 98304 bytes");
  const ByteView bytes = type_and_body.subspan(1);
  switch (static_cast<FrameType>(type_and_body[0])) {
    case FrameType::open:
      return read_open(bytes);
    case FrameType::accepted:
      return read_accepted(bytes);
    case FrameType::rejected:
      return read_rejected(bytes);
    case FrameType::module:
      return wrap<ModuleData>(read_data(bytes));
    case FrameType::module_end:
      return read_empty<ModuleEnd>(bytes);
    case FrameType::stdin:
      return wrap<StdinData>(read_data(bytes));
    case FrameType::stdin_end:
      return read_empty<StdinEnd>(bytes);
    case FrameType::output:
      return read_output(bytes);
    case FrameType::progress:
      return read_progress(bytes);
    case FrameType::checkpoint:
      return wrap<CheckpointFrame>(read_envelope(bytes));
    case FrameType::heartbeat:
      return read_empty<Heartbeat>(bytes);
    case FrameType::receipt:
      return wrap<ReceiptFrame>(read_envelope(bytes));
    case FrameType::cancel:
      return read_empty<Cancel>(bytes);
    case FrameType::commit:
      return wrap<CommitFrame>(read_envelope(bytes));
    case FrameType::reveal:
      return read_reveal(bytes);
    case FrameType::end:
      return read_empty<End>(bytes);
    case FrameType::node:
      return wrap<NodeFrame>(read_envelope(bytes));
  }
  return fail(Code::malformed, "unknown frame type " + std::to_string(type_and_body[0]));
}

}  // namespace phase::offer
