// random.h — randomness as a parameter.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

namespace phase {

/// Source of unpredictable bytes (production: the kernel, by libsodium) or repeatable ones
/// (simulation).
class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<std::uint8_t> out) = 0;

  template <std::size_t N>
  [[nodiscard]] std::array<std::uint8_t, N> array() {
    std::array<std::uint8_t, N> out{};
    fill(out);
    return out;
  }
  /// Uniform in [0, bound). bound must be > 0.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound);
  /// A random UUID (RFC 9562 version 4) in its 36-character text form.
  [[nodiscard]] std::string uuid();
  /// So many letters and digits of ASCII, each with log2(62) = 5.95 bits.
  [[nodiscard]] std::string letters_and_digits(std::size_t length);
};

/// The kernel's generator, by libsodium.
class SystemRandom final : public Random {
 public:
  SystemRandom();
  void fill(std::span<std::uint8_t> out) override;
};

}  // namespace phase
