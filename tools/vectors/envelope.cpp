#include "basics.h"

namespace phase::vectors {
namespace {

using identity::Domain;

struct Parts {
  std::uint64_t tag = 18;
  Bytes protected_header;
  Bytes unprotected = {0xA0};
  Bytes payload;  // encoded item
  Bytes signature;
};

Bytes assemble(const Parts& parts) {
  return item([&](CborWriter& w) {
    w.tag(parts.tag).array(4).bytes(parts.protected_header).raw(parts.unprotected);
    w.raw(parts.payload).bytes(parts.signature);
  });
}

Parts taken_apart(ByteView envelope) {
  CborReader reader(envelope);
  Parts parts;
  parts.tag = reader.tag().value();
  static_cast<void>(reader.array().value());
  parts.protected_header = to_bytes(reader.bytes().value());
  parts.unprotected = to_bytes(reader.skip().value());
  parts.payload = to_bytes(reader.skip().value());
  parts.signature = to_bytes(reader.bytes().value());
  return parts;
}

Bytes header(std::int64_t alg, std::string_view type, ByteView kid) {
  return item(
      [&](CborWriter& w) { w.map(3).uint(1).integer(alg).uint(3).text(type).uint(4).bytes(kid); });
}

/// The honest envelope that the bad ones are made from.
struct Honest {
  identity::KeyPair key = provider();
  Bytes payload = {0xA1, 0x00, 0x02};  // {0: 2}
  Bytes envelope = identity::seal(Domain::receipt, payload, key);
  std::string_view type = identity::domain_content_type(Domain::receipt);
};

json::object good(std::string_view name, Domain domain, ByteView payload,
                  const identity::KeyPair& key) {
  const Bytes envelope = identity::seal(domain, payload, key);
  return {{"name", name},
          {"domain", identity::domain_name(domain)},
          {"seed", to_hex(key.seed())},
          {"envelope", to_hex(envelope)},
          {"signer", key.public_key().hex()},
          {"payload", to_hex(payload)},
          {"signed_hash", identity::signed_hash(domain, envelope).value().hex()},
          {"error", nullptr}};
}

class BadCases {
 public:
  json::array take() { return std::move(cases_); }
  void add(std::string_view name, const Bytes& envelope, Code code) {
    cases_.push_back(json::object{{"name", name},
                                  {"domain", identity::domain_name(Domain::receipt)},
                                  {"envelope", to_hex(envelope)},
                                  {"error", code_name(code)}});
  }

 private:
  json::array cases_;
};

void add_broken_signatures(BadCases& bad, const Honest& honest) {
  const std::size_t bits = honest.envelope.size() * 8;
  bad.add("last bit of the signature turned", flipped(honest.envelope, bits - 1),
          Code::verification_failed);
  bad.add("a bit of R turned", flipped(honest.envelope, bits - 64 * 8), Code::verification_failed);
  Parts parts = taken_apart(honest.envelope);
  parts.payload = bytes_item(Bytes{0xA1, 0x00, 0x03});
  bad.add("another payload", assemble(parts), Code::verification_failed);
  parts = taken_apart(honest.envelope);
  parts.protected_header = header(-8, honest.type, stranger().public_key().bytes());
  bad.add("another kid", assemble(parts), Code::verification_failed);
  // Signed under phase/checkpoint/2, relabelled with the content type of receipts.
  parts = taken_apart(identity::seal(Domain::checkpoint, honest.payload, honest.key));
  parts.protected_header = header(-8, honest.type, honest.key.public_key().bytes());
  bad.add("signed under another domain", assemble(parts), Code::verification_failed);
}

/// S + L verifies under a lax verifier; so does a small-order key with R of small order, S = 0.
void add_lax_signatures(BadCases& bad, const Honest& honest) {
  const Bytes order = from_hex(
                          "edd3f55c1a631258d69cf7a2def9de14"
                          "00000000000000000000000000000010")
                          .value();
  Parts parts = taken_apart(honest.envelope);
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    const unsigned sum = parts.signature[32 + i] + order[i] + carry;
    parts.signature[32 + i] = static_cast<std::uint8_t>(sum);
    carry = sum >> 8U;
  }
  bad.add("S not reduced (S + L)", assemble(parts), Code::verification_failed);
  parts = taken_apart(honest.envelope);
  Bytes neutral(32, 0);
  neutral[0] = 1;
  parts.protected_header = header(-8, honest.type, neutral);
  parts.signature = neutral;
  parts.signature.resize(64, 0);
  bad.add("small-order key that signs everything", assemble(parts), Code::verification_failed);
}

void add_broken_forms(BadCases& bad, const Honest& honest) {
  Parts parts = taken_apart(honest.envelope);
  parts.tag = 17;
  bad.add("tag 17 (COSE_Mac0)", assemble(parts), Code::malformed);
  bad.add("no tag", Bytes(honest.envelope.begin() + 1, honest.envelope.end()), Code::malformed);
  parts = taken_apart(honest.envelope);
  parts.unprotected = from_hex("a10126").value();
  bad.add("unprotected header with an alg", assemble(parts), Code::malformed);
  parts = taken_apart(honest.envelope);
  parts.payload = {0xF6};
  bad.add("detached payload", assemble(parts), Code::malformed);
  parts = taken_apart(honest.envelope);
  parts.signature.pop_back();
  bad.add("signature of 63 bytes", assemble(parts), Code::malformed);
  Bytes three = honest.envelope;
  three[1] = 0x83;
  bad.add("three items", three, Code::malformed);
  Bytes behind = honest.envelope;
  behind.push_back(0);
  bad.add("a byte behind", behind, Code::malformed);
  bad.add("nothing", {}, Code::malformed);
}

void add_broken_headers(BadCases& bad, const Honest& honest) {
  const ByteView kid = honest.key.public_key().bytes();
  const auto with = [&](Bytes protected_header) {
    Parts parts = taken_apart(honest.envelope);
    parts.protected_header = std::move(protected_header);
    return assemble(parts);
  };
  bad.add("alg ES256", with(header(-7, honest.type, kid)), Code::unsupported);
  bad.add("content type of checkpoints",
          with(header(-8, identity::domain_content_type(Domain::checkpoint), kid)),
          Code::malformed);
  bad.add("kid of 31 bytes", with(header(-8, honest.type, kid.first(31))), Code::malformed);
  bad.add(
      "no kid",
      with(item([&](CborWriter& w) { w.map(2).uint(1).integer(-8).uint(3).text(honest.type); })),
      Code::malformed);
  bad.add("protected header with a key too many", with(item([&](CborWriter& w) {
            w.map(4).uint(1).integer(-8).uint(3).text(honest.type).uint(4).bytes(kid);
            w.uint(5).uint(0);
          })),
          Code::malformed);
  bad.add("protected header in another order", with(item([&](CborWriter& w) {
            w.map(3).uint(3).text(honest.type).uint(1).integer(-8).uint(4).bytes(kid);
          })),
          Code::malformed);
  Bytes behind = header(-8, honest.type, kid);
  behind.push_back(0);
  bad.add("protected header with a byte behind", with(behind), Code::malformed);
  bad.add("empty protected header", with({}), Code::malformed);
}

}  // namespace

json::value envelope_vectors() {
  const Honest honest;
  json::array cases;
  cases.push_back(
      good("receipt domain, RFC 8032 key 2", Domain::receipt, honest.payload, provider()));
  cases.push_back(
      good("manifest domain, RFC 8032 key 1", Domain::manifest, honest.payload, requester()));
  cases.push_back(
      good("checkpoint domain, RFC 8032 key 3", Domain::checkpoint, honest.payload, stranger()));
  cases.push_back(good("node domain", Domain::node, honest.payload, provider()));
  cases.push_back(good("commit domain, empty payload", Domain::commit, {}, provider()));
  BadCases bad;
  add_broken_signatures(bad, honest);
  add_lax_signatures(bad, honest);
  add_broken_forms(bad, honest);
  add_broken_headers(bad, honest);
  for (json::value& c : bad.take()) cases.push_back(std::move(c));
  return file("envelope", "spec/envelope.md", std::move(cases));
}

}  // namespace phase::vectors
