#include "base/cbor.h"

#include <algorithm>

namespace phase {
namespace {

constexpr std::uint8_t kUint = 0, kNegative = 1, kByteString = 2, kTextString = 3, kArray = 4,
                       kMap = 5, kTag = 6, kSimple = 7;
constexpr std::uint8_t kFalse = 0xF4, kTrue = 0xF5, kNull = 0xF6;

/// Smallest argument that needs `1 << width_code` bytes (RFC 8949 §4.2.1: shortest form).
constexpr std::uint64_t least_for_width(int extra_bytes) noexcept {
  switch (extra_bytes) {
    case 1:
      return 24;
    case 2:
      return 1ULL << 8U;
    case 4:
      return 1ULL << 16U;
    default:
      return 1ULL << 32U;
  }
}

}  // namespace

void CborWriter::head(std::uint8_t major, std::uint64_t value) {
  const auto lead = static_cast<std::uint8_t>(major << 5U);
  if (value < 24) {
    out_.push_back(static_cast<std::uint8_t>(lead | value));
    return;
  }
  int extra = 8;
  std::uint8_t info = 27;
  if (value < (1ULL << 8U)) {
    extra = 1, info = 24;
  } else if (value < (1ULL << 16U)) {
    extra = 2, info = 25;
  } else if (value < (1ULL << 32U)) {
    extra = 4, info = 26;
  }
  out_.push_back(static_cast<std::uint8_t>(lead | info));
  for (int i = extra - 1; i >= 0; --i) {
    out_.push_back(static_cast<std::uint8_t>(value >> (8U * static_cast<unsigned>(i))));
  }
}

CborWriter& CborWriter::uint(std::uint64_t value) {
  return head(kUint, value), *this;
}

CborWriter& CborWriter::integer(std::int64_t value) {
  if (value >= 0) return uint(static_cast<std::uint64_t>(value));
  head(kNegative, static_cast<std::uint64_t>(-(value + 1)));
  return *this;
}

CborWriter& CborWriter::bytes(ByteView value) {
  head(kByteString, value.size());
  return raw(value);
}

CborWriter& CborWriter::text(std::string_view value) {
  head(kTextString, value.size());
  return raw(as_bytes(value));
}

CborWriter& CborWriter::array(std::uint64_t count) {
  return head(kArray, count), *this;
}
CborWriter& CborWriter::map(std::uint64_t count) {
  return head(kMap, count), *this;
}
CborWriter& CborWriter::boolean(bool value) {
  return out_.push_back(value ? kTrue : kFalse), *this;
}
CborWriter& CborWriter::null() {
  return out_.push_back(kNull), *this;
}
CborWriter& CborWriter::tag(std::uint64_t value) {
  return head(kTag, value), *this;
}

CborWriter& CborWriter::raw(ByteView encoded) {
  out_.insert(out_.end(), encoded.begin(), encoded.end());
  return *this;
}

tl::unexpected<Error> CborReader::wrong(std::string_view what) const {
  return fail(Code::malformed,
              "CBOR at byte " + std::to_string(offset_) + ": " + std::string(what));
}

CborType CborReader::peek() const noexcept {
  if (offset_ >= bytes_.size()) return CborType::end;
  const std::uint8_t lead = bytes_[offset_];
  switch (lead >> 5U) {
    case kUint:
      return CborType::uint;
    case kNegative:
      return CborType::negative;
    case kByteString:
      return CborType::bytes;
    case kTextString:
      return CborType::text;
    case kArray:
      return CborType::array;
    case kMap:
      return CborType::map;
    case kTag:
      return CborType::tag;
    default:
      break;
  }
  if (lead == kTrue || lead == kFalse) return CborType::boolean;
  return lead == kNull ? CborType::null : CborType::end;
}

Result<CborReader::Head> CborReader::head() {
  if (offset_ >= bytes_.size()) return wrong("ends early");
  const std::uint8_t lead = bytes_[offset_];
  const auto major = static_cast<std::uint8_t>(lead >> 5U);
  const std::uint8_t info = lead & 31U;
  if (major == kSimple) return wrong("unexpected simple value or float");
  if (info < 24) {
    ++offset_;
    return Head{major, info};
  }
  if (info > 27) return wrong("indefinite length or reserved head");
  const int extra = 1 << (info - 24);
  if (bytes_.size() - offset_ - 1 < static_cast<std::size_t>(extra)) return wrong("ends early");
  std::uint64_t value = 0;
  for (int i = 1; i <= extra; ++i)
    value = (value << 8U) | bytes_[offset_ + static_cast<std::size_t>(i)];
  if (value < least_for_width(extra)) return wrong("not the shortest form");
  offset_ += 1 + static_cast<std::size_t>(extra);
  return Head{major, value};
}

Result<ByteView> CborReader::take(std::uint64_t count) {
  if (count > bytes_.size() - offset_) return wrong("a string is longer than what is left");
  const ByteView out = bytes_.subspan(offset_, static_cast<std::size_t>(count));
  offset_ += static_cast<std::size_t>(count);
  return out;
}

Result<std::uint64_t> CborReader::uint() {
  if (peek() != CborType::uint) return wrong("expected an unsigned integer");
  PHASE_TRY(const Head item, head());
  return item.value;
}

Result<std::int64_t> CborReader::integer() {
  const CborType type = peek();
  if (type != CborType::uint && type != CborType::negative) return wrong("expected an integer");
  const std::size_t start = offset_;
  PHASE_TRY(const Head item, head());
  if (item.value > static_cast<std::uint64_t>(INT64_MAX)) {
    offset_ = start;
    return wrong("integer beyond 64 bits with sign");
  }
  const auto value = static_cast<std::int64_t>(item.value);
  return item.major == kNegative ? -1 - value : value;
}

Result<ByteView> CborReader::bytes() {
  if (peek() != CborType::bytes) return wrong("expected a byte string");
  PHASE_TRY(const Head item, head());
  return take(item.value);
}

Result<std::string_view> CborReader::text() {
  if (peek() != CborType::text) return wrong("expected a text string");
  PHASE_TRY(const Head item, head());
  PHASE_TRY(const ByteView raw, take(item.value));
  if (!is_utf8(raw)) return wrong("text before here is not UTF-8");
  return as_text(raw);
}

Result<bool> CborReader::boolean() {
  if (peek() != CborType::boolean) return wrong("expected true or false");
  return bytes_[offset_++] == kTrue;
}

Result<void> CborReader::null() {
  if (peek() != CborType::null) return wrong("expected null");
  ++offset_;
  return {};
}

Result<std::uint64_t> CborReader::array() {
  if (peek() != CborType::array) return wrong("expected an array");
  PHASE_TRY(const Head item, head());
  if (item.value > bytes_.size() - offset_) return wrong("more items than bytes left");
  return item.value;
}

Result<std::uint64_t> CborReader::map() {
  if (peek() != CborType::map) return wrong("expected a map");
  PHASE_TRY(const Head item, head());
  if (item.value > (bytes_.size() - offset_) / 2) return wrong("more pairs than bytes left");
  return item.value;
}

Result<std::uint64_t> CborReader::tag() {
  if (peek() != CborType::tag) return wrong("expected a tag");
  PHASE_TRY(const Head item, head());
  return item.value;
}

Result<ByteView> CborReader::skip() {
  const std::size_t start = offset_;
  PHASE_TRY_VOID(skip_item(0));
  return bytes_.subspan(start, offset_ - start);
}

Result<void> CborReader::skip_map(int depth) {
  PHASE_TRY(const std::uint64_t pairs, map());
  ByteView last;
  for (std::uint64_t i = 0; i < pairs; ++i) {
    const std::size_t start = offset_;
    PHASE_TRY_VOID(skip_item(depth + 1));
    const ByteView key = bytes_.subspan(start, offset_ - start);
    if (i > 0 && !std::ranges::lexicographical_compare(last, key)) {
      offset_ = start;
      return wrong("map keys are not in ascending order");
    }
    last = key;
    PHASE_TRY_VOID(skip_item(depth + 1));
  }
  return {};
}

Result<void> CborReader::skip_item(int depth) {
  if (depth >= kCborDepthMax) return wrong("nested too deep");
  const auto ignore = [](auto result) -> Result<void> {
    if (!result) return fail(std::move(result).error());
    return {};
  };
  switch (peek()) {
    case CborType::uint:
      return ignore(uint());
    case CborType::negative:
      return ignore(integer());
    case CborType::bytes:
      return ignore(bytes());
    case CborType::text:
      return ignore(text());
    case CborType::boolean:
      return ignore(boolean());
    case CborType::null:
      return null();
    case CborType::map:
      return skip_map(depth);
    case CborType::array: {
      PHASE_TRY(const std::uint64_t count, array());
      for (std::uint64_t i = 0; i < count; ++i) PHASE_TRY_VOID(skip_item(depth + 1));
      return {};
    }
    case CborType::tag:
      return wrong("a tag may stand only on the outside of an envelope");
    case CborType::end:
      break;
  }
  return offset_ >= bytes_.size() ? wrong("ends early") : wrong("unexpected simple value or float");
}

Result<void> CborReader::finish() const {
  if (offset_ != bytes_.size()) return wrong("bytes follow the item");
  return {};
}

Result<CborMap> CborMap::open(CborReader& reader) {
  PHASE_TRY(const std::uint64_t count, reader.map());
  return CborMap(reader, count);
}

Result<void> CborMap::load_key() {
  if (key_ || left_ == 0) return {};
  PHASE_TRY(const std::uint64_t key, reader_->uint());
  if (last_key_ && key <= *last_key_) {
    return fail(Code::malformed, "CBOR at byte " + std::to_string(reader_->offset()) +
                                     ": map keys are not in ascending order");
  }
  key_ = last_key_ = key;
  --left_;
  return {};
}

Result<CborReader*> CborMap::required(std::uint64_t key) {
  if (error_) return fail(*error_);
  PHASE_TRY_VOID(load_key());
  if (key_ != key) {
    const bool unknown = key_ && *key_ < key;
    return fail(Code::malformed, "CBOR at byte " + std::to_string(reader_->offset()) +
                                     (unknown ? ": unknown key " + std::to_string(*key_)
                                              : ": missing key " + std::to_string(key)));
  }
  key_.reset();
  return reader_;
}

bool CborMap::optional(std::uint64_t key) {
  if (error_) return false;
  if (auto loaded = load_key(); !loaded) {
    error_ = std::move(loaded).error();
    return false;
  }
  if (key_ != key) return false;
  key_.reset();
  return true;
}

Result<void> CborMap::close() {
  if (error_) return fail(*error_);
  PHASE_TRY_VOID(load_key());
  if (key_) {
    return fail(Code::malformed, "CBOR at byte " + std::to_string(reader_->offset()) +
                                     ": unknown key " + std::to_string(*key_));
  }
  return {};
}

Result<void> CborMap::close_ignoring_unknown() {
  if (error_) return fail(*error_);
  for (;;) {
    PHASE_TRY_VOID(load_key());
    if (!key_) return {};
    key_.reset();
    PHASE_TRY(const ByteView skipped, reader_->skip());
    static_cast<void>(skipped);
  }
}

Result<void> cbor_check(ByteView bytes) {
  CborReader reader(bytes);
  PHASE_TRY(const ByteView item, reader.skip());
  static_cast<void>(item);
  return reader.finish();
}

}  // namespace phase
