#include "protocol/job/document_internal.h"
#include "protocol/offer/reasons_internal.h"

namespace phase::offer {
namespace {

Result<Frame> read_open(CborReader& reader) {
  PHASE_TRY(CborMap map, CborMap::open(reader));
  Open open;
  PHASE_TRY(const ByteView manifest,
            map.required(0).and_then([](CborReader* r) { return r->bytes(); }));
  if (manifest.size() > identity::kEnvelopeBytesMax) {
    return job::too_large(
        reader, "a manifest has at most " + std::to_string(identity::kEnvelopeBytesMax) + " bytes");
  }
  open.manifest = to_bytes(manifest);
  if (map.optional(1)) {
    PHASE_TRY(open.checkpoint_bytes, reader.uint());
    if (open.checkpoint_bytes == 0) return job::wrong(reader, "no interval is left out, not 0");
  }
  PHASE_TRY_VOID(job::optional_at(map, reader, 2, open.salt, job::read_array<32>));
  if (map.optional(3)) {
    PHASE_TRY(open.commit_reveal, reader.boolean());
    if (!open.commit_reveal) return job::wrong(reader, "commit-reveal is true or left out");
  }
  PHASE_TRY_VOID(map.close());
  return open;
}

Result<Frame> read_accepted(CborReader& reader) {
  PHASE_TRY(CborMap map, CborMap::open(reader));
  Accepted accepted;
  PHASE_TRY(accepted.job_id, job::hash_at<manifest::JobId>(map, 0));
  PHASE_TRY(accepted.module_held,
            map.required(1).and_then([](CborReader* r) { return r->boolean(); }));
  PHASE_TRY_VOID(map.close());
  return accepted;
}

Result<RejectionReason> reason_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kReasons; ++i) {
    const auto reason = static_cast<RejectionReason>(i);
    if (rejection_name(reason) == name) return reason;
  }
  return fail(Code::malformed, "no rejection reason '" + printable(name, 64) + "'");
}

Result<Frame> read_rejected(CborReader& reader) {
  PHASE_TRY(CborMap map, CborMap::open(reader));
  Rejected rejected;
  PHASE_TRY(const std::string name, job::text_at(map, 0, 1, kStageBytesMax));
  PHASE_TRY(rejected.reason, reason_from_name(name));
  PHASE_TRY(rejected.detail, job::text_at(map, 1, 0, kDetailBytesMax));
  PHASE_TRY_VOID(job::optional_at(map, reader, 2, rejected.retry_after_ms,
                                  [](CborReader& r) { return r.uint(); }));
  PHASE_TRY_VOID(map.close());
  return rejected;
}

Result<Frame> read_progress(CborReader& reader) {
  PHASE_TRY(CborMap map, CborMap::open(reader));
  Progress progress;
  PHASE_TRY(progress.stage, job::text_at(map, 0, 1, kStageBytesMax));
  PHASE_TRY(progress.done, job::uint_at(map, 1));
  PHASE_TRY(progress.total, job::uint_at(map, 2));
  PHASE_TRY_VOID(map.close());
  return progress;
}

Result<Frame> read_nonce(CborReader& reader) {
  PHASE_TRY(CborMap map, CborMap::open(reader));
  Reveal reveal;
  PHASE_TRY(reveal.nonce, job::array_at<32>(map, 0));
  PHASE_TRY_VOID(map.close());
  return reveal;
}

/// A control body: one CBOR item and nothing behind it.
template <typename Read>
Result<Frame> control(ByteView body, Read&& read) {
  CborReader reader(body);
  PHASE_TRY(Frame frame, read(reader));
  PHASE_TRY_VOID(reader.finish());
  return frame;
}

template <typename T>
Result<Frame> empty(ByteView body) {
  if (!body.empty()) return fail(Code::malformed, "this type of frame has no body");
  return Frame(T{});
}

Result<Bytes> data(ByteView body) {
  if (body.size() > kDataBytesMax) {
    return fail(Code::too_large,
                "a data frame has at most " + std::to_string(kDataBytesMax) + " bytes");
  }
  return to_bytes(body);
}

Result<Frame> read_output(ByteView body) {
  if (body.empty()) return fail(Code::malformed, "an output frame names its stream");
  const std::uint8_t stream = body.front();
  if (stream != 1 && stream != 2) {
    return fail(Code::malformed, "no output stream " + std::to_string(stream));
  }
  PHASE_TRY(Bytes bytes, data(body.subspan(1)));
  return Frame(Output{{static_cast<job::OutputStream>(stream), std::move(bytes)}});
}

template <typename T>
Result<Frame> read_data(ByteView body) {
  PHASE_TRY(Bytes bytes, data(body));
  return Frame(T{std::move(bytes)});
}

template <typename T>
Result<Frame> read_envelope(ByteView body) {
  if (body.size() > identity::kEnvelopeBytesMax) {
    return fail(Code::too_large, "an envelope has at most " +
                                     std::to_string(identity::kEnvelopeBytesMax) + " bytes");
  }
  return Frame(T{to_bytes(body)});
}

}  // namespace

Result<Frame> decode(ByteView type_and_body) {
  if (type_and_body.empty()) return fail(Code::malformed, "a frame has a type");
  if (type_and_body.size() > kFrameBytesMax) {
    return fail(Code::too_large,
                "a frame has at most " + std::to_string(kFrameBytesMax) + " bytes");
  }
  const ByteView body = type_and_body.subspan(1);
  switch (static_cast<FrameType>(type_and_body.front())) {
    case FrameType::open:
      return control(body, read_open);
    case FrameType::accepted:
      return control(body, read_accepted);
    case FrameType::rejected:
      return control(body, read_rejected);
    case FrameType::module:
      return read_data<ModuleData>(body);
    case FrameType::module_end:
      return empty<ModuleEnd>(body);
    case FrameType::stdin:
      return read_data<StdinData>(body);
    case FrameType::stdin_end:
      return empty<StdinEnd>(body);
    case FrameType::output:
      return read_output(body);
    case FrameType::progress:
      return control(body, read_progress);
    case FrameType::checkpoint:
      return read_envelope<CheckpointFrame>(body);
    case FrameType::heartbeat:
      return empty<Heartbeat>(body);
    case FrameType::receipt:
      return read_envelope<ReceiptFrame>(body);
    case FrameType::cancel:
      return empty<Cancel>(body);
    case FrameType::commit:
      return read_envelope<CommitFrame>(body);
    case FrameType::reveal:
      if (body.empty()) return Frame(Reveal{});
      return control(body, read_nonce);
    case FrameType::end:
      return empty<End>(body);
    case FrameType::node:
      return read_envelope<NodeFrame>(body);
  }
  return fail(Code::malformed, "no frame type " + std::to_string(type_and_body.front()));
}

}  // namespace phase::offer
