// mapping.h — a file mapped for reading, as long as the object lives.
#pragma once

#include <cstdint>

#include <sys/mman.h>

#include "base/bytes.h"

namespace phase::sandbox {

class Mapping {
 public:
  /// `file` is borrowed for the call.
  Mapping(int file, std::uint64_t bytes) : bytes_(bytes) {
    if (bytes > 0) data_ = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0);
  }
  ~Mapping() {
    if (valid()) ::munmap(data_, bytes_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  /// False for an empty file and one that cannot be mapped.
  [[nodiscard]] bool valid() const noexcept { return data_ != MAP_FAILED; }
  /// Of a valid one.
  [[nodiscard]] ByteView view() const noexcept {
    return {static_cast<const std::uint8_t*>(data_), bytes_};
  }

 private:
  void* data_ = MAP_FAILED;
  std::uint64_t bytes_;
};

}  // namespace phase::sandbox
