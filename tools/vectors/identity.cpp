#include <sodium.h>

#include "base/check.h"
#include "basics.h"

namespace phase::vectors {
namespace {

struct KeyCase {
  std::string_view name, seed, message;
};

// RFC 8032 §7.1; then key files, messages and peer ids as another implementation of libp2p
// identities wrote them (its peer ids and signatures are what these must come out as).
constexpr KeyCase kKeys[] = {
    {"RFC 8032 test 1", "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", ""},
    {"RFC 8032 test 2", "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "72"},
    {"RFC 8032 test 3", "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "af82"},
    {"another implementation, node 1",
     "8acf98e0507d8198cf4e53ef7bcc87198e5d5d701268609f554dde4e1360b474",
     "dff8679360640b7e8a0b96c396d1dcea227e07022c9bfff4f180df0e00770656db7816cbd0b384fc"},
    {"another implementation, node 2",
     "139c5fc7802a08a6c57ed769be6c1e4be7c3e1dd98390209a7cbcfbec33b4697",
     "96aca0b7bf29e76b215c0e38a5c0da56505946cfa888215b5c95fc3c2cc25320f4f0ded945673b2e"},
    {"another implementation, node 3",
     "e51e5825455119adca74b03f7c49d6e115c993a0a973ac0997d326ddf9c11a41",
     "148318652ca600d627447a45e1e82c8f3c0e37f3d5a43214b24c15c5e7841bafd4cc10294ce5d68c"},
};

json::object key_case(const KeyCase& c) {
  const Bytes seed = from_hex(c.seed).value();
  const Bytes message = from_hex(c.message).value();
  const auto key = identity::KeyPair::from_seed(seed).value();
  std::array<std::uint8_t, crypto_sign_PUBLICKEYBYTES> public_key{};
  std::array<std::uint8_t, crypto_sign_SECRETKEYBYTES> secret{};
  identity::Signature signature{};
  crypto_sign_seed_keypair(public_key.data(), secret.data(), seed.data());
  crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), secret.data());
  PHASE_CHECK(public_key == key.public_key().value);
  return {{"name", c.name},
          {"kind", "key"},
          {"key_file", c.seed},
          {"public_key", key.public_key().hex()},
          {"peer_id", key.peer_id().text()},
          {"message", c.message},
          {"signature", to_hex(signature)},
          {"error", nullptr}};
}

void add_key_files(json::array& cases) {
  for (const std::size_t size : {0U, 1U, 31U, 33U, 64U}) {
    cases.push_back(json::object{{"name", "key file of " + std::to_string(size) + " bytes"},
                                 {"kind", "key_file"},
                                 {"key_file", to_hex(Bytes(size, 7))},
                                 {"error", "malformed"}});
  }
}

void add_peer_ids(json::array& cases) {
  const auto add = [&cases](std::string_view name, std::string text) {
    cases.push_back(json::object{
        {"name", name}, {"kind", "peer_id"}, {"peer_id", std::move(text)}, {"error", "malformed"}});
  };
  const std::string good = requester().peer_id().text();
  add("empty peer id", "");
  add("peer id without its last letter", good.substr(0, good.size() - 1));
  add("peer id with a letter too many", good + "1");
  add("peer id with a leading 1 more", "1" + good.substr(0, good.size() - 1));
  add("peer id with 0, which base58 does not have", good.substr(0, good.size() - 1) + "0");
  add("peer id with l, which base58 does not have", good.substr(0, good.size() - 1) + "l");
  add("peer id with a space", good.substr(0, good.size() - 1) + " ");
  add("peer id of an RSA key", "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG");
  add("peer id in lower case", "12d3koow" + good.substr(8));
  add("52 letters beyond 38 bytes", std::string(52, 'z'));
}

}  // namespace

json::value identity_vectors() {
  json::array cases;
  for (const KeyCase& c : kKeys) cases.push_back(key_case(c));
  add_key_files(cases);
  add_peer_ids(cases);
  return file("identity", "spec/envelope.md", std::move(cases));
}

}  // namespace phase::vectors
