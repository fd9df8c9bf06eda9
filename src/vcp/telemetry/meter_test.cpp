#include "vcp/telemetry/meter.h"

#include <fstream>

#include <gtest/gtest.h>

#include "base/temp_folder.h"

namespace phase::vcp {
namespace {

/// Moved by hand.
class HandClock final : public Clock {
 public:
  [[nodiscard]] UtcTime now_utc() const override { return {1'767'225'600'000}; }
  [[nodiscard]] Instant now() const override { return at; }
  [[nodiscard]] Task<Result<void>> sleep_until(Instant) override { co_return Result<void>{}; }
  Instant at;
};

class MeterTest : public ::testing::Test {
 protected:
  void write(const std::filesystem::path& path, std::string_view text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path, std::ios::binary) << text;
  }
  void ticks(std::uint64_t busy, std::uint64_t idle) {
    write("proc/stat",
          "cpu  " + std::to_string(busy) + " 0 0 " + std::to_string(idle) + " 0 0 0 0 0 0\n");
  }
  void joules(std::uint64_t microjoules) {
    write("sys/class/powercap/intel-rapl:0/energy_uj", std::to_string(microjoules));
    write("sys/class/powercap/intel-rapl:0/max_energy_range_uj", "100000000");
  }
  Meter make() { return {clock_, {root_ / "sys", root_ / "proc"}}; }

  const TempFolder kept_ = TempFolder::make("phase-meter").value();
  const std::filesystem::path& root_ = kept_.path();
  HandClock clock_;
};

TEST_F(MeterTest, WhatIsNotThereIsUnknown) {
  Meter meter = make();
  clock_.at = Instant{} + 10s;
  EXPECT_EQ(meter.read(), Telemetry{});
  EXPECT_FALSE(meter.share_mj());
  EXPECT_FALSE(meter.gpu_present());
}

TEST_F(MeterTest, CpuIsTheMeanSinceTheLastReading) {
  ticks(100, 900);
  Meter meter = make();
  EXPECT_FALSE(meter.read().cpu_millipercent) << "one reading is no difference";
  ticks(125, 975);
  clock_.at = Instant{} + 5s;
  EXPECT_EQ(meter.read().cpu_millipercent, 25'000U);
  ticks(225, 975);
  clock_.at = Instant{} + 5s + 100ms;
  EXPECT_EQ(meter.read().cpu_millipercent, 25'000U) << "too short a span says nothing";
  clock_.at = Instant{} + 10s;
  EXPECT_EQ(meter.read().cpu_millipercent, 100'000U);
  ticks(5, 5);
  clock_.at = Instant{} + 15s;
  EXPECT_FALSE(meter.read().cpu_millipercent) << "counters that went back are no reading";
}

TEST_F(MeterTest, EnergyGoesOnWhereItsCounterWraps) {
  joules(99'000'000);
  Meter meter = make();
  joules(4'000'000);
  clock_.at = Instant{} + 5s;
  const Telemetry now = meter.read();
  EXPECT_EQ(now.energy_millijoules, 5'000U);
  EXPECT_EQ(now.power_milliwatts, 1'000U);
}

TEST_F(MeterTest, ABatteryThatDischargesIsMeasuredToo) {
  write("sys/class/power_supply/BAT0/type", "Battery");
  write("sys/class/power_supply/BAT0/status", "Discharging");
  write("sys/class/power_supply/BAT0/power_now", "10000000");
  Meter meter = make();
  clock_.at = Instant{} + 2s;
  const Telemetry now = meter.read();
  EXPECT_EQ(now.energy_millijoules, 20'000U);
  EXPECT_EQ(now.power_milliwatts, 10'000U);
  write("sys/class/power_supply/BAT0/status", "Charging");
  clock_.at = Instant{} + 4s;
  EXPECT_FALSE(meter.read().power_milliwatts) << "what charges does not tell";
}

TEST_F(MeterTest, RunsShareWhatIsUsedWhileTheyRun) {
  joules(0);
  Meter meter = make();
  joules(1'000'000);
  meter.run_began();  // the joule before is nobody's
  const double first = meter.share_mj().value();
  joules(3'000'000);
  meter.run_began();
  const double second = meter.share_mj().value();
  joules(7'000'000);
  EXPECT_DOUBLE_EQ(meter.share_mj().value() - second, 2'000);
  meter.run_ended();
  joules(8'000'000);
  EXPECT_DOUBLE_EQ(meter.share_mj().value() - first, 2'000 + 2'000 + 1'000);
  meter.run_ended();
}

TEST_F(MeterTest, MemoryHeatAndGpuAreReadAsTheyAre) {
  write("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 250 kB\n");
  write("sys/class/thermal/thermal_zone0/temp", "48500");
  write("sys/class/drm/card0/device/gpu_busy_percent", "7");
  Meter meter = make();
  const Telemetry now = meter.read();
  EXPECT_EQ(now.memory_millipercent, 75'000U);
  EXPECT_EQ(now.temperature_millicelsius, 48'500);
  EXPECT_EQ(now.gpu_millipercent, 7'000U);
  EXPECT_TRUE(meter.gpu_present());
  EXPECT_EQ(meter.memory_total(), 1'024'000U);
}

}  // namespace
}  // namespace phase::vcp
