// The specification's tests once more: not whether an answer is right (reference_spec_test) but
// whether the engine under det-1 gives the interpreter's, bit for bit, NaNs and fuel included.
#include <iostream>

#include "engine_side.h"

namespace phase {
namespace {

using reference::SpecCommand;
using reference::SpecHost;

struct Counts {
  std::size_t calls = 0, refused = 0;
};

/// One script on both sides.
class Both {
 public:
  explicit Both(const worker::EngineSettings& settings) : engine_(settings) {}

  void run(const SpecCommand& command, Counts& counts) {
    if (command.kind == "module" || command.kind == "uninstantiable") {
      begin(command);
    } else if (command.kind == "register") {
      reference_.register_as(command.name, command.module);
      engine_.register_as(command.name, command.module);
    } else if (!command.verb.empty()) {
      if (!engine_.has(command.module)) {
        ++counts.refused;  // nobody can run it under det-1, so there is nothing to compare
        return;
      }
      ++counts.calls;
      act(command);
    }
  }

 private:
  void begin(const SpecCommand& command) {
    const auto made = reference_.link(command.bytes);
    ASSERT_TRUE(made) << made.error().text();
    const bool kept = command.kind == "module";
    if (kept) reference_.keep(**made, command.module);
    const Came::Kind wanted = kind_of(reference_.begin(**made));
    const Came::Kind came = engine_.instantiate(command.bytes, kept ? command.module : "");
    if (came != Came::Kind::refused) {
      EXPECT_EQ(came, wanted);
    }
  }

  void act(const SpecCommand& command) {
    const reference::Ran ran = reference_.act(command);
    Came wanted{kind_of(ran.stop), ran.results, 0};
    if (command.verb == "get") {
      EXPECT_EQ(engine_.global(command.module, command.name), wanted.results.at(0));
      return;
    }
    std::vector<std::uint64_t> arguments;
    for (const auto& value : command.arguments) arguments.push_back(SpecHost::slot(value));
    const Came came = engine_.call(command.module, command.name, arguments);
    if (wanted.kind == Came::Kind::returned) {
      wanted.fuel = static_cast<std::uint64_t>(SpecHost::kFuel - ran.fuel_left);
      for (std::size_t i = 0; i < command.results.size(); ++i) {
        if (command.results[i].kind == "func") wanted.results[i] = 1;
      }
    }
    EXPECT_EQ(came, wanted);
  }

  SpecHost reference_;
  EngineSide engine_;
};

class SpecDifferentialTest : public testing::TestWithParam<worker::EngineSettings> {};

TEST_P(SpecDifferentialTest, EveryCallComesToTheSame) {
  const auto scripts = reference::read_spec_scripts();
  if (scripts.empty()) GTEST_SKIP() << "PHASE_SPEC_SCRIPTS is not set";
  Counts counts;
  for (const auto& [name, commands] : scripts) {
    Both both(GetParam());
    for (const SpecCommand& command : commands) {
      SCOPED_TRACE(name + ":" + std::to_string(command.line) + " " + command.kind);
      both.run(command, counts);
    }
  }
  std::cout << counts.calls << " calls compared, " << counts.refused
            << " of modules that det-1 refuses\n";
  EXPECT_GT(counts.calls, 20'000U);
}

INSTANTIATE_TEST_SUITE_P(
    Settings, SpecDifferentialTest,
    testing::Values(worker::EngineSettings{.profile = job::Profile::det_1},
                    worker::EngineSettings{.profile = job::Profile::det_1, .optimise = false},
                    worker::EngineSettings{.profile = job::Profile::det_1, .copy_on_write = true}));

}  // namespace
}  // namespace phase
