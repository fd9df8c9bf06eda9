// Random valid modules on both sides: every function they export, with edges for arguments; what
// their memories and globals hold afterwards. PHASE_SMITH names the program that makes them,
// PHASE_SMITH_MODULES how many.
#include <cstdio>
#include <iostream>
#include <random>

#include "engine_side.h"

namespace phase {
namespace {

using reference::ValueType;

constexpr std::int64_t kFuel = 100'000;
constexpr std::uint64_t kSeed = 20'261'122;
constexpr int kRounds = 3;
constexpr std::size_t kLineBytesMax = 1U << 20U;

struct Counts {
  std::size_t modules = 0, calls = 0, returned = 0, trapped = 0, limited = 0, refused = 0,
              stack = 0, in_last_block = 0;
};

/// Modules as a program writes them, a line each.
class Lines {
 public:
  explicit Lines(const std::string& command) : pipe_(::popen(command.c_str(), "r")) {}
  ~Lines() { ::pclose(pipe_); }
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;

  std::optional<Bytes> next() {
    if (pipe_ == nullptr ||
        std::fgets(line_.data(), static_cast<int>(line_.size()), pipe_) == nullptr) {
      return std::nullopt;
    }
    std::string_view text(line_.data());
    return from_hex(text.substr(0, text.find('\n'))).value();
  }

 private:
  std::FILE* pipe_;
  std::vector<char> line_ = std::vector<char>(kLineBytesMax);
};

/// One module on both sides.
class Pair {
 public:
  Pair(const worker::EngineSettings& settings, std::uint64_t seed)
      : engine_(settings), random_(seed) {
    engine_.set_fuel(kFuel);
  }

  void run(const Bytes& bytes, Counts& counts) {
    const auto program = reference::compile(bytes);
    ASSERT_TRUE(program) << program.error().text();
    reference::Linked* const module = store_.link(*program, {}).value();
    const Came::Kind wanted = kind_of(begin(*module));
    const Came::Kind came = engine_.instantiate(bytes, "");
    if (came == Came::Kind::refused) {
      ++counts.refused;
      return;
    }
    ++counts.modules;
    // What instantiation writes costs fuel in an engine without an image, so no limit is compared.
    if (came == Came::Kind::out_of_fuel || wanted == Came::Kind::out_of_fuel) return;
    ASSERT_EQ(came, wanted);
    if (wanted != Came::Kind::returned) return;
    for (int round = 0; round < kRounds; ++round) {
      for (const reference::Export& exported : program->module.exports) {
        if (exported.kind != reference::ExternalKind::function) continue;
        const bool goes_on = call(*module, exported.name, program->type_of(exported.index), counts);
        if (!goes_on) return;
      }
      compare_state(*module);
    }
  }

 private:
  reference::Stop begin(reference::Linked& module) {
    using reference::Stop;
    if (const Stop written = module.write_segments(); written != Stop::none) return written;
    if (module.start() == nullptr) return Stop::returned;
    return thread_.call(*module.start(), {}, kFuel).stop;
  }

  std::uint64_t argument(ValueType type) {
    const std::uint64_t edges[] = {
        0,          1,      ~0ULL,     0x80000000,      0x7FFFFFFF, 1ULL << 63,
        0x7FC00000, 65'535, random_(), random_() % 100, 0x3F800000, 0xFFF0000000000000};
    const std::uint64_t out = edges[random_() % std::size(edges)];
    if (reference::is_reference(type)) return 0;
    return type == ValueType::i32 || type == ValueType::f32 ? out & 0xFFFFFFFF : out;
  }

  /// False: what both sides have may differ from here on, by a limit.
  bool call(reference::Linked& module, const std::string& name, const reference::FunctionType& type,
            Counts& counts) {
    std::vector<std::uint64_t> arguments;
    for (const ValueType parameter : type.parameters) arguments.push_back(argument(parameter));
    const reference::Ran ran = thread_.call(*module.exported(name)->function, arguments, kFuel);
    const Came came = engine_.call("", name, arguments);
    ++counts.calls;
    Came wanted{kind_of(ran.stop), ran.results, 0};
    for (std::size_t i = 0; i < wanted.results.size(); ++i) {
      if (reference::is_reference(type.results[i])) wanted.results[i] = wanted.results[i] != 0;
    }
    if (wanted.kind == Came::Kind::returned) {
      wanted.fuel = static_cast<std::uint64_t>(kFuel - ran.fuel_left);
    }
    if (came.kind == Came::Kind::out_of_stack || wanted.kind == Came::Kind::out_of_stack) {
      ++counts.stack;  // how deep is deep differs
      return false;
    }
    const bool one_limited =
        (came.kind == Came::Kind::out_of_fuel) != (wanted.kind == Came::Kind::out_of_fuel);
    if (one_limited && ran.fuel_left < 0 &&
        (came.kind == Came::Kind::trapped || wanted.kind == Came::Kind::trapped)) {
      ++counts.in_last_block;  // spec/fuel.md §2, Limit
      return false;
    }
    EXPECT_EQ(came, wanted) << name;
    counts.returned += wanted.kind == Came::Kind::returned ? 1 : 0;
    counts.trapped += wanted.kind == Came::Kind::trapped ? 1 : 0;
    counts.limited += wanted.kind == Came::Kind::out_of_fuel ? 1 : 0;
    return wanted.kind != Came::Kind::out_of_fuel;
  }

  void compare_state(reference::Linked& module) {
    for (const auto& [name, exported] : module.exports()) {
      if (exported.kind == reference::ExternalKind::memory) {
        const ByteView wanted(exported.memory->bytes, exported.memory->length());
        const Bytes found = engine_.memory(name);
        EXPECT_TRUE(std::ranges::equal(found, wanted)) << "memory " << name;
      } else if (exported.kind == reference::ExternalKind::global) {
        const bool reference = reference::is_reference(exported.global_type.type);
        const std::uint64_t value = exported.global->value;
        EXPECT_EQ(engine_.global("", name), reference ? value != 0 : value) << "global " << name;
      }
    }
  }

  reference::Store store_;
  reference::Thread thread_;
  EngineSide engine_;
  std::mt19937_64 random_;
};

class SmithDifferentialTest : public testing::TestWithParam<worker::EngineSettings> {};

TEST_P(SmithDifferentialTest, RandomModulesComeToTheSame) {
  const char* program = std::getenv("PHASE_SMITH");
  const char* wanted = std::getenv("PHASE_SMITH_MODULES");
  if (program == nullptr || wanted == nullptr) GTEST_SKIP() << "PHASE_SMITH is not set";
  Lines lines(std::string(program) + " " + std::to_string(kSeed) + " " + wanted);
  Counts counts;
  for (std::uint64_t number = 0; auto module = lines.next(); ++number) {
    SCOPED_TRACE("module " + std::to_string(number) + " of seed " + std::to_string(kSeed));
    Pair(GetParam(), number).run(*module, counts);
    ASSERT_FALSE(HasFailure()) << to_hex(*module);
  }
  std::cout << counts.modules << " modules, " << counts.calls << " calls: " << counts.returned
            << " returned, " << counts.trapped << " trapped, " << counts.limited
            << " out of fuel; not compared: " << counts.stack << " out of stack, "
            << counts.in_last_block << " trapped in a block not paid for, " << counts.refused
            << " modules refused\n";
  EXPECT_GE(counts.calls, counts.modules);
}

INSTANTIATE_TEST_SUITE_P(
    Settings, SmithDifferentialTest,
    testing::Values(worker::EngineSettings{.profile = job::Profile::det_1},
                    worker::EngineSettings{.profile = job::Profile::det_1, .optimise = false},
                    worker::EngineSettings{.profile = job::Profile::det_1, .copy_on_write = true}));

}  // namespace
}  // namespace phase
