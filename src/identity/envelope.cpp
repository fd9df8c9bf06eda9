#include "base/cbor.h"
#include "base/check.h"
#include "identity/key_internal.h"

namespace phase::identity {
namespace {

constexpr std::uint64_t kTagSign1 = 18;
constexpr std::int64_t kAlgEdDsa = -8;
// COSE header parameters, RFC 9052 §3.1.
constexpr std::uint64_t kHeaderAlg = 1, kHeaderContentType = 3, kHeaderKid = 4;

/// The parts of an envelope of good form, borrowed from its bytes.
struct Parts {
  PublicKey signer;
  ByteView protected_header, payload, signature;
};

Bytes protected_header(Domain domain, const PublicKey& signer) {
  CborWriter writer;
  writer.map(3).uint(kHeaderAlg).integer(kAlgEdDsa);
  writer.uint(kHeaderContentType).text(domain_content_type(domain));
  writer.uint(kHeaderKid).bytes(signer.bytes());
  return writer.take();
}

/// RFC 9052 §4.4: what the signature covers.
Bytes sig_structure(Domain domain, ByteView protected_bytes, ByteView payload) {
  CborWriter writer;
  writer.array(4).text("Signature1").bytes(protected_bytes);
  writer.bytes(as_bytes(domain_name(domain))).bytes(payload);
  return writer.take();
}

Result<PublicKey> read_protected(Domain domain, ByteView bytes) {
  CborReader reader(bytes);
  PHASE_TRY(CborMap map, CborMap::open(reader));
  PHASE_TRY(const std::int64_t alg,
            map.required(kHeaderAlg).and_then([](CborReader* value) { return value->integer(); }));
  if (alg != kAlgEdDsa) {
    return fail(Code::unsupported,
                "envelope: signature algorithm " + std::to_string(alg) + " is not EdDSA (-8)");
  }
  PHASE_TRY(CborReader * at_type, map.required(kHeaderContentType));
  PHASE_TRY(const std::string_view type, at_type->text());
  if (type != domain_content_type(domain)) {
    return fail(Code::malformed, "envelope: the content type is '" + printable(type, 80) +
                                     "', expected '" + std::string(domain_content_type(domain)) +
                                     "'");
  }
  PHASE_TRY(CborReader * at_kid, map.required(kHeaderKid));
  PHASE_TRY(const ByteView kid, at_kid->bytes());
  PHASE_TRY(const PublicKey signer, PublicKey::from(kid));
  PHASE_TRY_VOID(map.close());
  PHASE_TRY_VOID(reader.finish());
  return signer;
}

Result<Parts> read_form(Domain domain, ByteView envelope) {
  if (envelope.size() > kEnvelopeBytesMax) {
    return fail(Code::too_large, "an envelope has at most " + std::to_string(kEnvelopeBytesMax) +
                                     " bytes, not " + std::to_string(envelope.size()));
  }
  CborReader reader(envelope);
  PHASE_TRY(const std::uint64_t tag, reader.tag());
  if (tag != kTagSign1) return fail(Code::malformed, "envelope: the tag is not 18 (COSE_Sign1)");
  PHASE_TRY(const std::uint64_t count, reader.array());
  if (count != 4) return fail(Code::malformed, "envelope: a COSE_Sign1 has four items");
  Parts parts;
  PHASE_TRY(parts.protected_header, reader.bytes());
  PHASE_TRY(const std::uint64_t unprotected, reader.map());
  if (unprotected != 0) return fail(Code::malformed, "envelope: the unprotected map is not empty");
  PHASE_TRY(parts.payload, reader.bytes());
  PHASE_TRY(parts.signature, reader.bytes());
  if (parts.signature.size() != crypto_sign_BYTES) {
    return fail(Code::malformed, "envelope: a signature has 64 bytes, not " +
                                     std::to_string(parts.signature.size()));
  }
  PHASE_TRY_VOID(reader.finish());
  PHASE_TRY(parts.signer, read_protected(domain, parts.protected_header));
  return parts;
}

}  // namespace

std::string_view domain_name(Domain domain) noexcept {
  switch (domain) {
    case Domain::manifest:
      return "phase/manifest/2";
    case Domain::receipt:
      return "phase/receipt/2";
    case Domain::checkpoint:
      return "phase/checkpoint/2";
    case Domain::node:
      return "phase/node/2";
    case Domain::commit:
      return "phase/commit/2";
    case Domain::name:
      return "phase/name/2";
    case Domain::telemetry:
      return "phase/telemetry/1";
  }
  check_failed(__FILE__, __LINE__, "domain is known", {});
}

std::string_view domain_content_type(Domain domain) noexcept {
  switch (domain) {
    case Domain::manifest:
      return "application/phase-manifest+cbor";
    case Domain::receipt:
      return "application/phase-receipt+cbor";
    case Domain::checkpoint:
      return "application/phase-checkpoint+cbor";
    case Domain::node:
      return "application/phase-node+cbor";
    case Domain::commit:
      return "application/phase-commit+cbor";
    case Domain::name:
      return "application/phase-name+cbor";
    case Domain::telemetry:
      return "application/phase-telemetry+cbor";
  }
  check_failed(__FILE__, __LINE__, "domain is known", {});
}

Bytes seal(Domain domain, ByteView payload, const KeyPair& key) {
  PHASE_CHECK(key.secret_ != nullptr);
  const Bytes header = protected_header(domain, key.public_key());
  const Bytes message = sig_structure(domain, header, payload);
  Signature signature{};
  crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(),
                       key.secret_->bytes);
  CborWriter writer;
  writer.tag(kTagSign1).array(4).bytes(header).map(0).bytes(payload).bytes(signature);
  return writer.take();
}

Result<OpenedEnvelope> open(Domain domain, ByteView envelope) {
  prepare_sodium();
  PHASE_TRY(const Parts parts, read_form(domain, envelope));
  const Bytes message = sig_structure(domain, parts.protected_header, parts.payload);
  if (crypto_sign_verify_detached(parts.signature.data(), message.data(), message.size(),
                                  parts.signer.value.data()) != 0) {
    return fail(Code::verification_failed, "the signature does not hold for key " +
                                               parts.signer.hex() + " under " +
                                               std::string(domain_name(domain)));
  }
  return OpenedEnvelope{parts.signer, to_bytes(parts.payload), sha256(message)};
}

Result<UnverifiedEnvelope> read_unverified(Domain domain, ByteView envelope) {
  PHASE_TRY(const Parts parts, read_form(domain, envelope));
  return UnverifiedEnvelope{parts.signer, to_bytes(parts.payload)};
}

Result<Sha256> signed_hash(Domain domain, ByteView envelope) {
  PHASE_TRY(const Parts parts, read_form(domain, envelope));
  return sha256(sig_structure(domain, parts.protected_header, parts.payload));
}

}  // namespace phase::identity
