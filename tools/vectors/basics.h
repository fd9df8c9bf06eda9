// basics.h — keys, documents and tools from which the vectors are made.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "base/cbor.h"
#include "protocol/manifest/manifest.h"
#include "protocol/receipt/receipt.h"
#include "vectors.h"

namespace phase::vectors {

// RFC 8032 §7.1, tests 1 to 3.
[[nodiscard]] identity::KeyPair requester();
[[nodiscard]] identity::KeyPair provider();
[[nodiscard]] identity::KeyPair stranger();

/// `first`, `first` + 1, … modulo 256.
template <std::size_t N>
[[nodiscard]] std::array<std::uint8_t, N> counting(std::uint8_t first) {
  std::array<std::uint8_t, N> out{};
  for (std::size_t i = 0; i < N; ++i) out[i] = static_cast<std::uint8_t>(first + i);
  return out;
}

/// The empty WebAssembly module.
[[nodiscard]] Bytes sample_module();
/// What the sample job reads: "hello\n".
[[nodiscard]] Bytes sample_input();
[[nodiscard]] job::WasmJob sample_job();
[[nodiscard]] job::InferenceJob sample_inference();
[[nodiscard]] manifest::Manifest sample_manifest();
[[nodiscard]] std::vector<job::OutputPiece> sample_transcript();
[[nodiscard]] job::OutputSummary summary_of(const std::vector<job::OutputPiece>& transcript);
/// The honest receipt for a manifest.
[[nodiscard]] receipt::Receipt sample_receipt(const manifest::SignedManifest& asked,
                                              const job::Commitment& input,
                                              const job::OutputSummary& output);
/// The same under a salt.
[[nodiscard]] receipt::Receipt salted_receipt(receipt::Receipt plain, const job::Salt& salt);

/// A deterministic CBOR map with unsigned keys, with values replaced, added or (empty bytes) left
/// out.
[[nodiscard]] Bytes patched(ByteView map, const std::map<std::uint64_t, Bytes>& changes);
/// The value at one key, encoded.
[[nodiscard]] Bytes value_at(ByteView map, std::uint64_t key);
/// One encoded item.
template <typename Write>
[[nodiscard]] Bytes item(Write&& write) {
  CborWriter writer;
  write(writer);
  return writer.take();
}
[[nodiscard]] Bytes uint_item(std::uint64_t value);
[[nodiscard]] Bytes text_item(std::string_view value);
[[nodiscard]] Bytes bytes_item(ByteView value);
/// `bytes` with one bit turned.
[[nodiscard]] Bytes flipped(Bytes bytes, std::size_t bit);
/// `bytes` with its last bit turned: of an envelope, the signature's.
[[nodiscard]] Bytes last_bit_flipped(Bytes bytes);

[[nodiscard]] json::value file(std::string_view document, std::string_view spec, json::array cases);
[[nodiscard]] json::value error_name(const std::optional<Error>& error);
/// Name of the error of a result, or null.
template <typename T>
[[nodiscard]] json::value error_of(const Result<T>& result) {
  if (result) return nullptr;
  return json::value(std::string(code_name(result.error().code)));
}
template <typename T>
[[nodiscard]] json::value hex_or_null(const std::optional<T>& value) {
  if (!value) return nullptr;
  return json::value(to_hex(ByteView(*value)));
}

}  // namespace phase::vectors
