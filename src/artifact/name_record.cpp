#include "artifact/name_record.h"

#include "base/cbor_fields.h"

namespace phase::artifact {
namespace {

constexpr std::uint64_t kVersion = 2;

Bytes payload_of(const NameRecord& record) {
  CborWriter out;
  out.map(9).uint(0).uint(kVersion).uint(1).text(record.name);
  out.uint(2).bytes(record.content.id.bytes()).uint(3).bytes(record.content.sha256.bytes());
  out.uint(4).uint(record.content.length).uint(5).text(record.kind).uint(6).text(record.format);
  out.uint(7).uint(record.created.unix_ms).uint(8).uint(record.expires.unix_ms);
  return out.take();
}

Result<std::string> text_of(CborMap& map, std::uint64_t key, std::size_t bytes_max) {
  PHASE_TRY(CborReader * at, map.required(key));
  PHASE_TRY(const std::string_view text, at->text());
  if (text.empty() || text.size() > bytes_max) {
    return fail(Code::malformed, "name record: a text of " + std::to_string(text.size()) +
                                     " bytes, 1 to " + std::to_string(bytes_max) + " allowed");
  }
  if (printable(text, bytes_max) != text) {
    return fail(Code::malformed, "name record: a text with characters that cannot be shown");
  }
  return std::string(text);
}

Result<NameRecord> decode_payload(ByteView payload) {
  CborReader reader(payload);
  PHASE_TRY(CborMap map, CborMap::open(reader));
  PHASE_TRY(const std::uint64_t version, uint_at(map, 0));
  if (version != kVersion) return fail(Code::version_unknown, "name record: unknown version");
  NameRecord out;
  PHASE_TRY(out.name, text_of(map, 1, kNameBytesMax));
  PHASE_TRY(out.content.id, hash_at<ArtifactId>(map, 2));
  PHASE_TRY(out.content.sha256, hash_at<Sha256>(map, 3));
  PHASE_TRY(out.content.length, uint_at(map, 4, kArtifactBytesMax));
  PHASE_TRY(out.kind, text_of(map, 5, kWordBytesMax));
  PHASE_TRY(out.format, text_of(map, 6, kWordBytesMax));
  PHASE_TRY(out.created.unix_ms, uint_at(map, 7));
  PHASE_TRY(out.expires.unix_ms, uint_at(map, 8));
  PHASE_TRY_VOID(map.close());
  PHASE_TRY_VOID(reader.finish());
  if (out.expires < out.created || out.expires.unix_ms - out.created.unix_ms > kRecordLifeMsMax) {
    return fail(Code::malformed, "name record: it expires before it begins, or lives too long");
  }
  return out;
}

}  // namespace

SignedRecord sign(const NameRecord& record, const identity::KeyPair& key) {
  Bytes envelope = identity::seal(identity::Domain::name, payload_of(record), key);
  return {record, key.public_key(), std::move(envelope)};
}

Result<SignedRecord> open_record(ByteView envelope, UtcTime now) {
  if (envelope.size() > kRecordBytesMax) return fail(Code::too_large, "a name record too large");
  PHASE_TRY(const identity::OpenedEnvelope opened,
            identity::open(identity::Domain::name, envelope));
  PHASE_TRY(NameRecord record, decode_payload(opened.payload));
  if (record.expires <= now) return fail(Code::expired, "a name record has expired");
  if (record.created.unix_ms > now.unix_ms + kRecordSkewMsMax) {
    return fail(Code::expired, "a name record is of the future");
  }
  return SignedRecord{std::move(record), opened.signer, to_bytes(envelope)};
}

bool fits(const NameRecord& record, const Names& asked) {
  if (asked.sha256) return record.content.sha256 == *asked.sha256;
  if (asked.id) return record.content.id == *asked.id;
  return record.name == asked.name;
}

std::string name_key(std::string_view name) {
  return "/phase/name/2/" + sha256(as_bytes(name)).hex();
}

}  // namespace phase::artifact
