// cbor.h — deterministic CBOR (RFC 8949 §4.2.1), the only encoding of protocol 2. Normative:
// spec/encoding.md.
//
// Subset: unsigned and negative integers of 64 bits, byte and text strings, arrays, maps with
// ascending keys, false, true, null, and tag 18 on the outside of an envelope. Definite lengths,
// shortest forms, UTF-8, depth at most kCborDepthMax. The reader refuses everything else, so bytes
// that were read have exactly one spelling. Written here and not taken from a library because these
// bytes are what signatures cover; libcbor is the independent oracle of the tests
// (docs/decisions/0003). Pure values: nothing here blocks, throws (beyond bad_alloc) or allocates
// by a declared length.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace phase {

/// Containers inside containers. An envelope around a manifest around a job needs 7.
inline constexpr int kCborDepthMax = 16;

/// Appends items to a buffer. The caller keeps map keys ascending (checked in debug tests by the
/// reader).
class CborWriter {
 public:
  CborWriter& uint(std::uint64_t value);
  CborWriter& integer(std::int64_t value);
  CborWriter& bytes(ByteView value);
  CborWriter& text(std::string_view value);
  CborWriter& array(std::uint64_t count);
  CborWriter& map(std::uint64_t count);
  CborWriter& boolean(bool value);
  CborWriter& null();
  CborWriter& tag(std::uint64_t value);
  /// An item that is already encoded.
  CborWriter& raw(ByteView encoded);

  [[nodiscard]] const Bytes& view() const noexcept { return out_; }
  [[nodiscard]] Bytes take() { return std::move(out_); }  ///< leaves the writer empty

 private:
  void head(std::uint8_t major, std::uint64_t value);
  Bytes out_;
};

/// What the next item is.
enum class CborType : std::uint8_t {
  uint,
  negative,
  bytes,
  text,
  array,
  map,
  tag,
  boolean,
  null,
  end
};

/// Reads items in order from borrowed bytes. Views it returns point into them.
/// Every method's error is Code::malformed with the byte offset in the message.
class CborReader {
 public:
  explicit CborReader(ByteView bytes) noexcept : bytes_(bytes) {}

  [[nodiscard]] CborType peek() const noexcept;
  [[nodiscard]] Result<std::uint64_t> uint();
  [[nodiscard]] Result<std::int64_t> integer();
  [[nodiscard]] Result<ByteView> bytes();
  [[nodiscard]] Result<std::string_view> text();
  [[nodiscard]] Result<bool> boolean();
  [[nodiscard]] Result<void> null();
  /// Count of items (array) or pairs (map); never more than the bytes left could hold.
  [[nodiscard]] Result<std::uint64_t> array();
  [[nodiscard]] Result<std::uint64_t> map();
  [[nodiscard]] Result<std::uint64_t> tag();
  /// Skips one item of any type, checking it, and returns its encoded bytes.
  [[nodiscard]] Result<ByteView> skip();
  /// Fails unless every byte was consumed.
  [[nodiscard]] Result<void> finish() const;
  [[nodiscard]] std::size_t offset() const noexcept { return offset_; }

 private:
  struct Head {
    std::uint8_t major;
    std::uint64_t value;
  };
  [[nodiscard]] Result<Head> head();
  [[nodiscard]] Result<ByteView> take(std::uint64_t count);
  [[nodiscard]] Result<void> skip_item(int depth);
  [[nodiscard]] Result<void> skip_map(int depth);
  [[nodiscard]] tl::unexpected<Error> wrong(std::string_view what) const;

  ByteView bytes_;
  std::size_t offset_ = 0;
};

/// Reads a map with unsigned integer keys, in ascending order, refusing keys it is not asked for.
///
///   PHASE_TRY(CborMap map, CborMap::open(reader));
///   PHASE_TRY(auto version, map.required(0)->uint());   // reader stands at the value of key 0
///   if (map.optional(3)) { ... reader.text() ... }
///   PHASE_TRY_VOID(map.close());                        // fails when keys are left over
class CborMap {
 public:
  [[nodiscard]] static Result<CborMap> open(CborReader& reader);
  /// Moves the reader to the value of `key`, or fails: missing, or an unknown key stands before it.
  [[nodiscard]] Result<CborReader*> required(std::uint64_t key);
  /// True with the reader at the value, or false with nothing moved. An error inside surfaces at
  /// close().
  [[nodiscard]] bool optional(std::uint64_t key);
  /// Fails on unknown keys left over (or on an error seen by optional()).
  [[nodiscard]] Result<void> close();
  /// Skips keys left over instead of refusing them: for `claimed` and `evidence` only.
  [[nodiscard]] Result<void> close_ignoring_unknown();

 private:
  CborMap(CborReader& reader, std::uint64_t count) : reader_(&reader), left_(count) {}
  [[nodiscard]] Result<void> load_key();
  CborReader* reader_;
  std::uint64_t left_;
  std::optional<std::uint64_t> key_;       // the key the reader stands behind, not yet handed out
  std::optional<std::uint64_t> last_key_;  // for strict ascent
  std::optional<Error> error_;
};

/// One whole item, deterministic, nothing behind it. Errors: Code::malformed.
[[nodiscard]] Result<void> cbor_check(ByteView bytes);

}  // namespace phase
