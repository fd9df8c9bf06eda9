// Any function with any arguments on any memory: never reads or writes outside of it, never throws,
// and ends.
#include <array>
#include <cstring>

#include "wasi/wasi.h"

namespace {

class World final : public phase::wasi::World {
 public:
  std::optional<std::size_t> read_stdin(std::span<std::uint8_t> out) override {
    if (calls_++ > kCallsMax) return 0;
    out[0] = 'x';
    return 1;
  }
  std::optional<bool> wait(bool, std::optional<std::uint64_t>) override {
    return calls_++ % 2 == 0;
  }
  bool write(phase::wasi::Stream, phase::ByteView bytes) override {
    written_ += bytes.size();
    return written_ < kOutputMax;
  }
  std::uint64_t elapsed_ns() override { return 1; }
  std::uint64_t cpu_ns() override { return 1; }

 private:
  static constexpr int kCallsMax = 1000;
  static constexpr std::size_t kOutputMax = 1 << 20;
  int calls_ = 0;
  std::size_t written_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kCallBytes = 1 + 8 * phase::wasi::kParametersMax;
  World world;
  phase::wasi::Guest guest({.args = {"a"}, .env = {{"n", "v"}}}, world);
  // The rest of the input is the memory, so that pointers can lead to bytes the input chose.
  const std::size_t calls = size / (2 * kCallBytes);
  phase::Bytes memory(data + calls * kCallBytes, data + size);
  for (std::size_t i = 0; i < calls; i++) {
    const std::uint8_t* call = data + i * kCallBytes;
    const auto functions = phase::wasi::functions();
    const phase::wasi::Function& function = functions[call[0] % functions.size()];
    std::array<std::uint64_t, phase::wasi::kParametersMax> arguments;
    std::memcpy(arguments.data(), call + 1, sizeof arguments);
    for (std::size_t p = 0; p < function.parameters.size(); p++) {
      if (function.parameters[p] != 'i') continue;
      arguments[p] &= 0xffffffff;
      // Mostly small, or every pointer would miss.
      if (call[0] < 200 && !memory.empty()) arguments[p] %= memory.size() + 8;
    }
    const auto outcome = function.run(guest, phase::wasi::Memory(memory), arguments.data());
    if (outcome.kind != phase::wasi::Call::Kind::returned) break;
  }
  return 0;
}
