#include "machine/machine.h"

#include <fstream>

#include <gtest/gtest.h>

#include "base/temp_folder.h"

namespace phase {
namespace {

class MachineStateTest : public ::testing::Test {
 protected:
  static void write(const std::filesystem::path& path, std::string_view text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  const TempFolder kept_folder_ = TempFolder::make("phase-test").value();
  const std::filesystem::path& folder_ = kept_folder_.path();
};

TEST_F(MachineStateTest, ReadsBatteriesAndSensors) {
  const auto power = folder_ / "class" / "power_supply";
  EXPECT_FALSE(read_machine_state(folder_).on_battery);
  EXPECT_FALSE(read_machine_state(folder_).temperature_c);
  write(power / "AC" / "type", "Mains\n");
  write(power / "AC" / "status", "Discharging\n");
  write(power / "mouse" / "type", "Battery\n");
  write(power / "mouse" / "scope", "Device\n");
  write(power / "mouse" / "status", "Discharging\n");
  write(power / "BAT0" / "type", "Battery\n");
  write(power / "BAT0" / "status", "Charging\n");
  EXPECT_FALSE(read_machine_state(folder_).on_battery);
  write(power / "BAT1" / "type", "Battery\n");
  write(power / "BAT1" / "status", "Discharging\n");
  EXPECT_TRUE(read_machine_state(folder_).on_battery);

  write(folder_ / "class" / "thermal" / "thermal_zone0" / "temp", "41500\n");
  EXPECT_EQ(read_machine_state(folder_).temperature_c, 41.5);
  write(folder_ / "class" / "hwmon" / "hwmon0" / "temp2_input", "63000\n");
  write(folder_ / "class" / "hwmon" / "hwmon0" / "temp2_max", "99000\n");
  write(folder_ / "class" / "hwmon" / "hwmon0" / "fan1_input", "99000\n");
  EXPECT_EQ(read_machine_state(folder_).temperature_c, 63.0);
}

TEST_F(MachineStateTest, ReadsMemoryOfGpusAndNodes) {
  EXPECT_FALSE(read_machine_state(folder_).gpu);
  EXPECT_FALSE(read_machine_state(folder_).memory);
  const auto drm = folder_ / "class" / "drm";
  write(drm / "card0" / "device" / "mem_info_vram_total", "1000\n");
  EXPECT_FALSE(read_machine_state(folder_).gpu) << "half of it is nothing";
  write(drm / "card0" / "device" / "mem_info_vram_used", "100\n");
  write(drm / "card1" / "device" / "mem_info_vram_total", "5000\n");
  write(drm / "card1" / "device" / "mem_info_vram_used", "4000\n");
  write(drm / "card2" / "device" / "mem_info_vram_total", "9000\n");
  write(drm / "card2" / "device" / "mem_info_vram_used", "9001\n");
  const auto gpu = read_machine_state(folder_).gpu;
  ASSERT_TRUE(gpu);
  EXPECT_EQ(gpu->total, 5000u);
  EXPECT_EQ(gpu->free, 1000u);
  const auto nodes = folder_ / "devices" / "system" / "node";
  write(nodes / "node0" / "meminfo",
        "Node 0 MemTotal:       2000 kB\nNode 0 MemFree:        100 kB\n"
        "Node 0 Active(anon):   900 kB\nNode 0 Active(file):   10 kB\n"
        "Node 0 Inactive(file): 5 kB\nNode 0 SReclaimable:   1 kB\nNode 0 MemUsed: 7 kB\n");
  write(nodes / "node1" / "meminfo", "Node 1 MemTotal: 1000 kB\nNode 1 MemFree: x kB\n");
  write(nodes / "possible", "0-1\n");
  const auto memory = read_machine_state(folder_).memory;
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->total, 3000u * 1024);
  EXPECT_EQ(memory->free, 116u * 1024);
}

TEST_F(MachineStateTest, LeavesOutWhatIsNoTemperature) {
  const auto thermal = folder_ / "class" / "thermal";
  int zone = 0;
  for (const char* text : {"", "warm\n", "41.5\n", "300000\n", "-99000\n", "1e3\n", " 41000\n",
                           "99999999999999999999\n"}) {
    write(thermal / ("thermal_zone" + std::to_string(zone++)) / "temp", text);
  }
  std::filesystem::create_directories(thermal / "folder" / "temp");
  write(thermal / "long" / "temp", std::string(10'000, '1'));
  EXPECT_FALSE(read_machine_state(folder_).temperature_c);
  write(thermal / "below" / "temp", "-5000\n");
  EXPECT_EQ(read_machine_state(folder_).temperature_c, -5.0);
}

TEST_F(MachineStateTest, CountsTicksAndEnergyOfPackages) {
  const auto proc = folder_ / "proc";
  EXPECT_FALSE(read_machine_counters(folder_, proc).cpu);
  EXPECT_TRUE(read_machine_counters(folder_, proc).packages.empty());
  write(proc / "stat", "cpu  10 1 20 100 7 2 3 4 99 99\ncpu0 1 1 1 1 1 1 1 1 0 0\nintr 5\n");
  const auto rapl = folder_ / "class" / "powercap";
  write(rapl / "intel-rapl:0" / "energy_uj", "5000\n");
  write(rapl / "intel-rapl:0" / "max_energy_range_uj", "262143328850\n");
  write(rapl / "intel-rapl:0:0" / "energy_uj", "4000\n");
  write(rapl / "intel-rapl:1" / "energy_uj", "x\n");
  write(rapl / "intel-rapl" / "energy_uj", "9000\n");
  const MachineCounters counters = read_machine_counters(folder_, proc);
  ASSERT_TRUE(counters.cpu);
  EXPECT_EQ(counters.cpu->busy, 10U + 1 + 20 + 2 + 3 + 4);
  EXPECT_EQ(counters.cpu->all, 147U);
  ASSERT_EQ(counters.packages.size(), 1U);
  EXPECT_EQ(counters.packages.at("intel-rapl:0").microjoules, 5000U);
  EXPECT_EQ(counters.packages.at("intel-rapl:0").wraps_at, 262'143'328'850U);
  for (const char* text :
       {"", "cpu\n", "cpu  1 2 3\n", "cpu  1 2 3 4 5 6 7 x\n", "cp  1 2 3 4 5 6 7 8\n"}) {
    write(proc / "stat", text);
    EXPECT_FALSE(read_machine_counters(folder_, proc).cpu) << text;
  }
}

TEST(ThisMachine, TellsItsTimeAndMemory) {
  const MachineCounters counters = read_machine_counters("/sys", "/proc");
  ASSERT_TRUE(counters.cpu);
  EXPECT_GT(counters.cpu->all, 0U);
  ASSERT_TRUE(read_machine_use("/sys", "/proc").memory);
}

TEST_F(MachineStateTest, SaysWhatIsUsedNow) {
  const auto proc = folder_ / "proc";
  MachineUse use = read_machine_use(folder_, proc);
  EXPECT_FALSE(use.memory || use.gpu_percent || use.battery_watts || use.gpu_present);
  write(proc / "meminfo", "MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:   250 kB\n");
  write(folder_ / "class" / "drm" / "card0" / "device" / "gpu_busy_percent", "37\n");
  write(folder_ / "class" / "drm" / "card1" / "device" / "gpu_busy_percent", "101\n");
  const auto power = folder_ / "class" / "power_supply";
  for (const char* name : {"BAT0", "BAT1", "BAT2"}) write(power / name / "type", "Battery\n");
  write(power / "BAT0" / "status", "Discharging\n");
  write(power / "BAT0" / "power_now", "12500000\n");
  write(power / "BAT1" / "status", "Discharging\n");
  write(power / "BAT1" / "current_now", "1000000\n");
  write(power / "BAT1" / "voltage_now", "12000000\n");
  write(power / "BAT2" / "status", "Charging\n");
  write(power / "BAT2" / "power_now", "9000000\n");
  use = read_machine_use(folder_, proc);
  ASSERT_TRUE(use.memory);
  EXPECT_EQ(use.memory->available, 250U * 1024);
  EXPECT_EQ(use.gpu_percent, 37.0);
  EXPECT_TRUE(use.gpu_present);
  EXPECT_DOUBLE_EQ(use.battery_watts.value_or(0), 24.5);
  write(proc / "meminfo", "MemTotal:  1000 kB\nMemAvailable:   1001 kB\n");
  EXPECT_FALSE(read_machine_use(folder_, proc).memory);
}

}  // namespace
}  // namespace phase
