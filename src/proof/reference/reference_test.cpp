// What the specification's tests do not say: fuel, limits, and ends that depend on them.
#include <gtest/gtest.h>

#include "proof/reference/store.h"

namespace phase::reference {
namespace {

constexpr std::int64_t kPlenty = 1'000'000;

/// A module of one function, exported as "f", with one page of memory and one global.
Bytes module_of(const Bytes& parameters, const Bytes& results, const Bytes& code) {
  Bytes out = {0x00, 'a', 's', 'm', 1, 0, 0, 0};
  const auto section = [&](std::uint8_t id, const Bytes& body) {
    out.push_back(id);
    out.push_back(static_cast<std::uint8_t>(body.size()));
    out.insert(out.end(), body.begin(), body.end());
  };
  Bytes type = {1, 0x60, static_cast<std::uint8_t>(parameters.size())};
  type.insert(type.end(), parameters.begin(), parameters.end());
  type.push_back(static_cast<std::uint8_t>(results.size()));
  type.insert(type.end(), results.begin(), results.end());
  section(1, type);
  section(3, {1, 0});
  section(5, {1, 0, 1});
  section(7, {1, 1, 'f', 0, 0});
  Bytes body = {1, static_cast<std::uint8_t>(code.size() + 1), 0};
  body.insert(body.end(), code.begin(), code.end());
  section(10, body);
  return out;
}

class ReferenceTest : public testing::Test {
 protected:
  static constexpr std::uint8_t kI32 = 0x7F;

  Ran run(const Bytes& code, std::vector<Slot> parameters = {}, std::int64_t fuel = kPlenty,
          const Bytes& results = {}) {
    bytes_ = module_of(Bytes(parameters.size(), kI32), results, code);
    auto program = compile(bytes_);
    EXPECT_TRUE(program) << program.error().text();
    if (!program) return {};
    program_ = *std::move(program);
    Linked* const module = store_.link(program_, {}).value();
    return thread_.call(*module->exported("f")->function, parameters, fuel);
  }
  std::int64_t used(const Bytes& code, std::vector<Slot> parameters = {}) {
    return kPlenty - run(code, std::move(parameters)).fuel_left;
  }

  Bytes bytes_;
  Program program_;
  Store store_;
  Thread thread_;
};

TEST_F(ReferenceTest, FuelIsCountedByOperator) {
  EXPECT_EQ(used({0x0B}), 1);                                        // entering
  EXPECT_EQ(used({0x01, 0x01, 0x0B}), 1);                            // nop
  EXPECT_EQ(used({0x41, 1, 0x1A, 0x0B}), 2);                         // i32.const, drop
  EXPECT_EQ(used({0x02, 0x40, 0x0C, 0, 0x0B, 0x0B}), 2);             // block br 0 end
  EXPECT_EQ(used({0x20, 0, 0x04, 0x40, 0x01, 0x0B, 0x0B}, {1}), 3);  // local.get if nop end
  EXPECT_EQ(used({0x0F, 0x41, 1, 0x1A, 0x0B}), 1);  // what is behind return is free
}

TEST_F(ReferenceTest, FuelOfALoopIsThatOfItsTurns) {
  // loop: local.get 0, i32.const 1, i32.sub, local.tee 0, br_if 0
  const Bytes code = {0x03, 0x40, 0x20, 0, 0x41, 1, 0x6B, 0x22, 0, 0x0D, 0, 0x0B, 0x0B};
  EXPECT_EQ(used(code, {1}), 1 + 5);
  EXPECT_EQ(used(code, {10}), 1 + 50);
}

TEST_F(ReferenceTest, FuelOfBulkGrowsWithTheCount) {
  // memory.fill 0, 7, n
  const Bytes code = {0x41, 0, 0x41, 7, 0x20, 0, 0xFC, 11, 0, 0x0B};
  EXPECT_EQ(used(code, {0}), 1 + 4);
  EXPECT_EQ(used(code, {100}), 1 + 4 + 100);
}

TEST_F(ReferenceTest, ATrapIsPaidForUpToItself) {
  EXPECT_EQ(run({0x00, 0x0B}).stop, Stop::unreachable);
  EXPECT_EQ(used({0x00, 0x0B}), 1);
  // i32.const 1, i32.const 0, i32.div_s, and two that are not reached
  const Bytes code = {0x41, 1, 0x41, 0, 0x6D, 0x41, 5, 0x6A, 0x1A, 0x0B};
  EXPECT_EQ(run(code).stop, Stop::divide_by_zero);
  EXPECT_EQ(used(code), 1 + 3);
}

TEST_F(ReferenceTest, FuelIsEnoughOrItIsNot) {
  const Bytes code = {0x03, 0x40, 0x20, 0, 0x41, 1, 0x6B, 0x22, 0, 0x0D, 0, 0x0B, 0x0B};
  constexpr std::int64_t kNeeded = 51;
  EXPECT_EQ(run(code, {10}, kNeeded).stop, Stop::returned);
  for (std::int64_t fuel = 0; fuel < kNeeded; ++fuel) {
    EXPECT_EQ(run(code, {10}, fuel).stop, Stop::fuel) << fuel;
  }
  // A block that is not paid for still traps where it traps.
  EXPECT_EQ(run({0x00, 0x0B}, {}, 0).stop, Stop::unreachable);
}

TEST_F(ReferenceTest, EndlessRecursionReachesALimit) {
  EXPECT_EQ(run({0x10, 0, 0x0B}).stop, Stop::stack);
}

TEST_F(ReferenceTest, FeaturesOutsideAreRefusedByName) {
  const auto refused = [](const Bytes& code) {
    const Bytes bytes = module_of({}, {}, code);
    const auto program = compile(bytes);
    return program ? std::string() : program.error().message;
  };
  EXPECT_NE(refused({0xFD, 12, 0x0B}).find("SIMD"), std::string::npos);
  EXPECT_NE(refused({0xFE, 0, 0x0B}).find("threads"), std::string::npos);
  EXPECT_NE(refused({0x12, 0, 0x0B}).find("tail calls"), std::string::npos);
}

}  // namespace
}  // namespace phase::reference
