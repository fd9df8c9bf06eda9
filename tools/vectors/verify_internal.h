// verify_internal.h — one case of verify.json. For the vectors' own sources only.
#pragma once

#include "basics.h"
#include "protocol/verify/verify.h"

namespace phase::vectors {

/// A checkpoint, and how many pieces of the transcript had come by then.
struct SeenAfter {
  Bytes envelope;
  std::size_t pieces = 0;
};

/// What a verifier holds, and the receipt it is shown. Starts as an honest run.
struct Situation {
  Situation();

  // Change these, then remake() what depends on them.
  manifest::Manifest asked = sample_manifest();
  Bytes input = sample_input();

  Bytes manifest;  // envelope
  receipt::Receipt stated;
  Bytes receipt;  // envelope
  std::optional<std::vector<job::OutputPiece>> transcript = sample_transcript();
  std::optional<Bytes> own_input;
  std::optional<identity::PublicKey> went_to = provider().public_key();
  std::optional<job::Salt> salt;
  std::vector<SeenAfter> checkpoints;
  manifest::Level level = manifest::Level::signature;

  /// Signs manifest and receipt anew from `asked`, `input`, `transcript` and `salt`.
  void remake();
  /// Signs `stated` as it is.
  void sign_receipt() { receipt = receipt::sign(stated, provider()).envelope; }
  /// Stdin streamed instead of fixed, and held by the verifier.
  void stream_input();

  [[nodiscard]] verify::Verdict verdict() const;
  /// The case as JSON; its verdict must be `expected` (checked).
  [[nodiscard]] json::object to_case(std::string_view name,
                                     std::optional<verify::Check> expected) const;
};

void add_refusals(json::array& cases);

}  // namespace phase::vectors
