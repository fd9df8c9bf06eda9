// deterministic.h — what a guest senses under profile det-1: nothing that differs between machines.
//
// Time is fuel: one unit is one nanosecond, and waiting adds what was waited for without waiting.
// Stdin counts as ready: a read waits until its buffer is full or stdin ends (Config::fill_reads),
// so it does not matter when bytes arrive.
#pragma once

#include "wasi/wasi.h"

namespace phase::wasi {

/// Fuel a run has used so far. Implemented by the engine that counts it.
class FuelMeter {
 public:
  virtual ~FuelMeter() = default;
  [[nodiscard]] virtual std::uint64_t fuel_used() = 0;
};

/// Stands between a guest and the world that brings its stdin and takes its output. Borrows both.
class DeterministicWorld final : public World {
 public:
  DeterministicWorld(World& outer, FuelMeter& meter) : outer_(outer), meter_(meter) {}

  std::optional<std::size_t> read_stdin(std::span<std::uint8_t> out) override {
    return outer_.read_stdin(out);
  }
  std::optional<bool> wait(bool stdin_wanted, std::optional<std::uint64_t> timeout_ns) override;
  bool write(Stream stream, ByteView bytes) override { return outer_.write(stream, bytes); }
  std::uint64_t elapsed_ns() override;
  std::uint64_t cpu_ns() override { return meter_.fuel_used(); }

 private:
  World& outer_;
  FuelMeter& meter_;
  std::uint64_t waited_ns_ = 0;
};

}  // namespace phase::wasi
