#include "artifact/frame.h"

#include "base/cbor_fields.h"
#include "base/framing.h"

namespace phase::artifact {
namespace {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

void write_body(CborWriter& out, const Ask& ask) {
  out.map(3).uint(0).bytes(ask.id.bytes()).uint(1).uint(ask.first).uint(2).uint(ask.count);
}
void write_body(CborWriter& out, const Held& held) {
  out.map(3).uint(0).uint(held.length).uint(1).bytes(held.sha256.bytes());
  out.uint(2).uint(held.chunks);
}
void write_body(CborWriter& out, const Chunk& chunk) {
  out.map(3).uint(0).uint(chunk.index).uint(1).array(chunk.proof.size());
  for (const Sha256& hash : chunk.proof) out.bytes(hash.bytes());
  out.uint(2).bytes(chunk.data);
}
void write_body(CborWriter& out, const Busy& busy) {
  out.map(1).uint(0).uint(busy.retry_after_ms);
}
void write_body(CborWriter& out, const Names& names) {
  out.map(1);
  if (names.sha256) {
    out.uint(1).bytes(names.sha256->bytes());
  } else if (names.id) {
    out.uint(2).bytes(names.id->bytes());
  } else {
    out.uint(0).text(names.name);
  }
}
void write_body(CborWriter& out, const Records& records) {
  out.map(1).uint(0).array(records.envelopes.size());
  for (const Bytes& envelope : records.envelopes) out.bytes(envelope);
}

FrameType type_of(const Frame& frame) {
  return std::visit(Overloaded{[](const Ask&) { return FrameType::ask; },
                               [](const Held&) { return FrameType::held; },
                               [](const Chunk&) { return FrameType::chunk; },
                               [](const NotHere&) { return FrameType::not_here; },
                               [](const Busy&) { return FrameType::busy; },
                               [](const Names&) { return FrameType::names; },
                               [](const Records&) { return FrameType::records; },
                               [](const End&) { return FrameType::end; }},
                    frame);
}

Result<Frame> read_ask(CborMap& map) {
  Ask out;
  PHASE_TRY(out.id, hash_at<ArtifactId>(map, 0));
  PHASE_TRY(out.first, uint_at(map, 1, chunk_count(kArtifactBytesMax)));
  PHASE_TRY(out.count, uint_at(map, 2, kChunksPerAskMax));
  return out;
}

Result<Frame> read_held(CborMap& map) {
  Held out;
  PHASE_TRY(out.length, uint_at(map, 0, kArtifactBytesMax));
  PHASE_TRY(out.sha256, hash_at<Sha256>(map, 1));
  PHASE_TRY(out.chunks, uint_at(map, 2, kChunksPerAskMax));
  return out;
}

Result<Frame> read_chunk(CborMap& map) {
  Chunk out;
  PHASE_TRY(out.index, uint_at(map, 0, chunk_count(kArtifactBytesMax)));
  PHASE_TRY(CborReader * at_proof, map.required(1));
  PHASE_TRY(const std::uint64_t count, at_proof->array());
  if (count > kProofHashesMax) return fail(Code::too_large, "a proof of too many hashes");
  for (std::uint64_t i = 0; i < count; ++i) {
    PHASE_TRY(const ByteView bytes, at_proof->bytes());
    PHASE_TRY(const Sha256 hash, Sha256::from(bytes));
    out.proof.push_back(hash);
  }
  PHASE_TRY(CborReader * at_data, map.required(2));
  PHASE_TRY(const ByteView data, at_data->bytes());
  if (data.empty() || data.size() > kArtifactChunkBytes) {
    return fail(Code::malformed, "a chunk has 1 to 262144 bytes");
  }
  out.data = to_bytes(data);
  return out;
}

Result<Frame> read_busy(CborMap& map) {
  Busy out;
  PHASE_TRY(out.retry_after_ms, uint_at(map, 0, kRetryMsMax));
  return out;
}

Result<Frame> read_names(CborReader& reader, CborMap& map) {
  Names out;
  if (map.optional(0)) {
    PHASE_TRY(const std::string_view name, reader.text());
    if (name.empty() || name.size() > kNameBytesMax) {
      return fail(Code::malformed, "a name has 1 to 350 bytes");
    }
    out.name = name;
    return out;
  }
  if (map.optional(1)) {
    PHASE_TRY(const ByteView bytes, reader.bytes());
    PHASE_TRY(out.sha256, Sha256::from(bytes));
    return out;
  }
  PHASE_TRY(out.id, hash_at<ArtifactId>(map, 2));
  return out;
}

Result<Frame> read_records(CborMap& map) {
  Records out;
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(const std::uint64_t count, at->array());
  if (count > kRecordsPerAnswerMax) return fail(Code::too_large, "too many name records");
  for (std::uint64_t i = 0; i < count; ++i) {
    PHASE_TRY(const ByteView envelope, at->bytes());
    if (envelope.size() > kRecordBytesMax) return fail(Code::too_large, "a name record too large");
    out.envelopes.push_back(to_bytes(envelope));
  }
  return out;
}

Result<Frame> read_body(FrameType type, CborReader& reader, CborMap& map) {
  switch (type) {
    case FrameType::ask:
      return read_ask(map);
    case FrameType::held:
      return read_held(map);
    case FrameType::chunk:
      return read_chunk(map);
    case FrameType::busy:
      return read_busy(map);
    case FrameType::names:
      return read_names(reader, map);
    case FrameType::records:
      return read_records(map);
    case FrameType::not_here:
    case FrameType::end:
      break;
  }
  return fail(Code::malformed, "an artifact frame of an unknown type");
}

}  // namespace

Bytes encode(const Frame& frame) {
  CborWriter body;
  std::visit(Overloaded{[](const NotHere&) {}, [](const End&) {},
                        [&body](const auto& some) { write_body(body, some); }},
             frame);
  Bytes out{static_cast<std::uint8_t>(type_of(frame))};
  out.insert(out.end(), body.view().begin(), body.view().end());
  return framed(out);
}

Result<Frame> decode(ByteView type_and_body) {
  if (type_and_body.empty()) return fail(Code::malformed, "a frame of 0 bytes");
  if (type_and_body.size() > kFrameBytesMax) {
    return fail(Code::too_large, "an artifact frame is too large");
  }
  const auto type = static_cast<FrameType>(type_and_body[0]);
  const ByteView body = type_and_body.subspan(1);
  if (type == FrameType::not_here || type == FrameType::end) {
    if (!body.empty()) return fail(Code::malformed, "an artifact frame with a body it cannot have");
    if (type == FrameType::end) return End{};
    return NotHere{};
  }
  CborReader reader(body);
  PHASE_TRY(CborMap map, CborMap::open(reader));
  PHASE_TRY(Frame frame, read_body(type, reader, map));
  PHASE_TRY_VOID(map.close());
  PHASE_TRY_VOID(reader.finish());
  return frame;
}

Task<Result<Frame>> read_frame(ByteStream& stream) {
  const Result<Bytes> bytes = co_await read_framed(stream, kFrameBytesMax);
  if (!bytes) co_return fail(bytes.error());
  co_return decode(*bytes);
}

Task<Result<void>> write_frame(ByteStream& stream, const Frame& frame) {
  const Bytes bytes = encode(frame);
  co_return co_await stream.write(bytes);
}

}  // namespace phase::artifact
