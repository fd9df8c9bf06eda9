#include <algorithm>
#include <array>

#include "identity/identity.h"

namespace phase::identity {
namespace {

constexpr std::string_view kAlphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

// Identity multihash (0x00) of 0x24 bytes: protobuf key type Ed25519 (08 01), key data of 32 bytes
// (12 20). From the libp2p peer id specification.
constexpr std::array<std::uint8_t, 6> kPrefix{0x00, 0x24, 0x08, 0x01, 0x12, 0x20};
constexpr std::size_t kPeerIdBytes = kPrefix.size() + 32;

/// Length of every peer id of this form: 38 bytes that begin with one zero byte.
constexpr std::size_t kTextBytes = 52;

/// Base58btc. Leading zero bytes are leading '1's.
std::string base58(ByteView bytes) {
  std::vector<std::uint8_t> digits;  // least significant first
  for (const std::uint8_t byte : bytes) {
    unsigned carry = byte;
    for (std::uint8_t& digit : digits) {
      carry += static_cast<unsigned>(digit) << 8U;
      digit = static_cast<std::uint8_t>(carry % 58);
      carry /= 58;
    }
    for (; carry > 0; carry /= 58) digits.push_back(static_cast<std::uint8_t>(carry % 58));
  }
  const auto zeros = std::ranges::find_if(bytes, [](std::uint8_t b) { return b != 0; });
  std::string out(static_cast<std::size_t>(zeros - bytes.begin()), '1');
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit) out += kAlphabet[*digit];
  return out;
}

/// The inverse for texts of at most kTextBytes characters; empty for a foreign character.
Bytes from_base58(std::string_view text) {
  Bytes bytes;  // least significant first
  for (const char letter : text) {
    const std::size_t digit = kAlphabet.find(letter);
    if (digit == std::string_view::npos) return {};
    auto carry = static_cast<unsigned>(digit);
    for (std::uint8_t& byte : bytes) {
      carry += byte * 58U;
      byte = static_cast<std::uint8_t>(carry);
      carry >>= 8U;
    }
    for (; carry > 0; carry >>= 8U) bytes.push_back(static_cast<std::uint8_t>(carry));
  }
  const auto ones = std::ranges::find_if(text, [](char c) { return c != '1'; });
  bytes.insert(bytes.end(), static_cast<std::size_t>(ones - text.begin()), 0);
  std::ranges::reverse(bytes);
  return bytes;
}

}  // namespace

PeerId PeerId::from(const PublicKey& key) {
  std::array<std::uint8_t, kPeerIdBytes> bytes{};
  std::ranges::copy(key.value, std::ranges::copy(kPrefix, bytes.begin()).out);
  return {key, base58(bytes)};
}

Result<PeerId> PeerId::parse(std::string_view text) {
  const auto wrong = [&] {
    return fail(Code::malformed,
                "'" + printable(text, 64) + "' is not the peer id of an Ed25519 key",
                "peer ids begin with 12D3KooW and have 52 characters");
  };
  if (text.size() != kTextBytes) return wrong();
  const Bytes bytes = from_base58(text);
  if (bytes.size() != kPeerIdBytes) return wrong();
  if (!std::ranges::equal(ByteView(bytes).first(kPrefix.size()), kPrefix)) return wrong();
  PHASE_TRY(const PublicKey key, PublicKey::from(ByteView(bytes).subspan(kPrefix.size())));
  return PeerId(key, std::string(text));
}

}  // namespace phase::identity
