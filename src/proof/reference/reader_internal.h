// reader_internal.h — the primitive values of the binary format (WebAssembly 2.0 §5.2).
#pragma once

#include "proof/reference/module.h"

namespace phase::reference {

/// Reads on from a place in the bytes. The first error stays: values read after it are 0, and
/// nothing is read any more, so that a caller may look once.
class Reader {
 public:
  /// `all` begins `offset` bytes into the module, for messages.
  explicit Reader(ByteView all, std::size_t offset = 0) : all_(all), offset_(offset) {}

  [[nodiscard]] bool at_end() const { return at_ == all_.size() || error_.has_value(); }
  [[nodiscard]] std::size_t left() const { return all_.size() - at_; }
  /// Of the next byte in the module.
  [[nodiscard]] std::size_t position() const { return offset_ + at_; }

  std::uint8_t byte();
  [[nodiscard]] std::uint8_t peek() const { return at_end() ? 0 : all_[at_]; }
  ByteView bytes(std::size_t count);
  std::uint32_t u32();  ///< LEB128, at most 5 bytes
  std::int32_t s32();
  std::int64_t s33();  ///< a block's type
  std::int64_t s64();
  std::uint64_t fixed(std::size_t bytes);  ///< little-endian
  std::string name();                      ///< §5.2.4, checked UTF-8
  ValueType value_type();
  ValueType reference_type();
  /// The number of entries that follow, at most `max` and at most one for each byte left.
  std::uint32_t count(std::uint32_t max, const char* what);
  Constant constant();

  /// Notes an error unless there is one.
  void malformed(std::string what);
  void fail_with(Code code, std::string what);
  [[nodiscard]] bool failed() const { return error_.has_value(); }
  [[nodiscard]] Result<void> done() const;

 private:
  std::int64_t signed_leb(unsigned bits);

  ByteView all_;
  std::size_t offset_;
  std::size_t at_ = 0;
  std::optional<Error> error_;
};

}  // namespace phase::reference
