// identity.h — who says so: an Ed25519 key (RFC 8032), its PeerId, and signing under a named
// domain.
//
// One identity per node: the same key names the node on the network, signs its manifests and its
// receipts. The secret never leaves this process except into the network library of the same
// process. Key file: 32 raw bytes, the RFC 8032 seed (spec/envelope.md).
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/result.h"

namespace phase::identity {

struct PublicKeyTag;
/// A raw Ed25519 public key, 32 bytes.
using PublicKey = Hash<PublicKeyTag>;

/// 64 bytes, R ‖ S.
using Signature = std::array<std::uint8_t, 64>;

/// A libp2p peer id of an Ed25519 key: base58btc of 00 24 08 01 12 20 ‖ key. Always starts
/// "12D3KooW".
class PeerId {
 public:
  [[nodiscard]] static PeerId from(const PublicKey& key);
  /// Errors: Code::malformed for anything but the identity multihash of an Ed25519 key in
  /// base58btc.
  [[nodiscard]] static Result<PeerId> parse(std::string_view text);
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  [[nodiscard]] const PublicKey& key() const noexcept { return key_; }
  friend bool operator==(const PeerId&, const PeerId&) = default;

 private:
  PeerId(PublicKey key, std::string text) : key_(key), text_(std::move(text)) {}
  PublicKey key_;
  std::string text_;
};

/// The purposes a signature of ours can have (spec/envelope.md). Used as COSE external_aad.
enum class Domain : std::uint8_t { manifest, receipt, checkpoint, node, commit, name, telemetry };
/// For example "phase/receipt/2".
[[nodiscard]] std::string_view domain_name(Domain domain) noexcept;
/// For example "application/phase-receipt+cbor".
[[nodiscard]] std::string_view domain_content_type(Domain domain) noexcept;

/// A key that can sign. Wiped from memory when destroyed; not copyable.
class KeyPair {
 public:
  [[nodiscard]] static KeyPair generate(Random& random);
  /// Errors: Code::malformed unless 32 bytes.
  [[nodiscard]] static Result<KeyPair> from_seed(ByteView seed);

  KeyPair(KeyPair&&) noexcept;
  KeyPair& operator=(KeyPair&&) noexcept;
  ~KeyPair();

  [[nodiscard]] const PublicKey& public_key() const noexcept { return public_; }
  [[nodiscard]] PeerId peer_id() const { return PeerId::from(public_); }
  /// The 32-byte seed, for the key file and the network library. Do not log, do not copy further.
  [[nodiscard]] ByteView seed() const noexcept;

 private:
  friend Bytes seal(Domain, ByteView, const KeyPair&);
  KeyPair() = default;
  PublicKey public_;
  struct Secret;
  std::unique_ptr<Secret> secret_;
};

/// Reads the key file, or makes one. The folder is created 0700 when absent; a folder that exists
/// keeps its mode. The file is written 0600 to a temporary name, synced, linked into place (the
/// loser of a race loads the winner's key), and the folder is synced. Errors:
/// Code::permission_denied when an existing file is readable by group or others (hint: chmod 600);
///         Code::malformed for a wrong size; Code::io.
[[nodiscard]] Result<KeyPair> load_or_create_key(const std::filesystem::path& path, Random& random);
/// Reads the key file. Errors as above, and Code::not_found.
[[nodiscard]] Result<KeyPair> load_key(const std::filesystem::path& path);

// ── Envelopes: COSE_Sign1 (RFC 9052 §4.2), tag 18. Normative: spec/envelope.md ──

/// Largest envelope of any domain, in bytes: a manifest with 32 KiB of args and env, with room.
inline constexpr std::size_t kEnvelopeBytesMax = 64_KiB;

/// Signs `payload` under `domain`: protected {alg EdDSA, content type, kid}, empty unprotected map,
/// external_aad = domain name. The only way to sign in this project.
[[nodiscard]] Bytes seal(Domain domain, ByteView payload, const KeyPair& key);

/// An envelope whose form and signature hold. Says nothing of whose key it was: the caller compares
/// `signer`.
struct OpenedEnvelope {
  PublicKey signer;
  Bytes payload;
  Sha256 signed_hash;  ///< SHA-256(Sig_structure): covers domain, signer and payload; not malleable
};

/// Why an envelope was not opened: its form (Code::malformed, too_large, unsupported) or its
/// signature (Code::verification_failed). Strict Ed25519: canonical S, no small-order keys
/// (libsodium).
[[nodiscard]] Result<OpenedEnvelope> open(Domain domain, ByteView envelope);

/// An envelope of good form whose signature nobody checked: for naming what is wrong with a
/// document and for showing a broken one. Nothing in it is to be believed.
struct UnverifiedEnvelope {
  PublicKey signer;
  Bytes payload;
};
/// Errors: Code::malformed, too_large, unsupported.
[[nodiscard]] Result<UnverifiedEnvelope> read_unverified(Domain domain, ByteView envelope);

/// SHA-256(Sig_structure) of an envelope of good form, without checking the signature. Errors:
/// Code::malformed.
[[nodiscard]] Result<Sha256> signed_hash(Domain domain, ByteView envelope);

}  // namespace phase::identity
