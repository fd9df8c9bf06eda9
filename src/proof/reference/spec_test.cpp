// The WebAssembly specification's tests.
#include <iostream>

#include <gtest/gtest.h>

#include "proof/reference/float.h"
#include "proof/reference/spec_fixture.h"

namespace phase::reference {
namespace {

/// `canonical`: this profile's NaN, of either sign where it was only moved. `arithmetic`: any that
/// is quiet.
template <typename F>
bool matches_nan(const std::string& wanted, typename F::Bits found) {
  using Of = Float<F>;
  constexpr auto kQuiet = typename F::Bits{1} << (F::kFraction - 1);
  if (wanted == "canonical") return (found & ~Of::kSign) == Of::kNan;
  return Of::is_nan(found) && (found & kQuiet) != 0;
}

bool matches(const SpecValue& wanted, Slot found) {
  if (wanted.kind == "func") return found != 0;
  if (wanted.text == "canonical" || wanted.text == "arithmetic") {
    return wanted.kind == "f32"
               ? matches_nan<Binary32>(wanted.text, static_cast<std::uint32_t>(found))
               : matches_nan<Binary64>(wanted.text, found);
  }
  return found == SpecHost::slot(wanted);
}

void expect_return(SpecHost& host, const SpecCommand& command) {
  const Ran ran = host.act(command);
  ASSERT_EQ(ran.stop, Stop::returned);
  ASSERT_EQ(ran.results.size(), command.results.size());
  for (std::size_t i = 0; i < ran.results.size(); ++i) {
    EXPECT_TRUE(matches(command.results[i], ran.results[i]))
        << "result " << i << " is " << std::hex << ran.results[i] << ", not "
        << command.results[i].kind << ":" << command.results[i].text;
  }
}

/// Of a module that must not become an instance, or not without a trap.
void expect_no_instance(SpecHost& host, const SpecCommand& command) {
  if (command.kind == "malformed" || command.kind == "invalid") {
    const auto made = compile(command.bytes);
    ASSERT_FALSE(made) << "is accepted";
    const bool form = made.error().code == Code::malformed;
    EXPECT_EQ(form, command.kind == "malformed") << made.error().text();
  } else if (command.kind == "unlinkable") {
    EXPECT_FALSE(host.link(command.bytes)) << "links";
  } else {
    const auto made = host.link(command.bytes);
    ASSERT_TRUE(made) << made.error().text();
    EXPECT_TRUE(is_trap(host.begin(**made)));
  }
}

void run(SpecHost& host, const SpecCommand& command) {
  if (command.kind == "text") return;
  if (command.kind == "module") {
    const auto made = host.link(command.bytes);
    ASSERT_TRUE(made) << made.error().text();
    host.keep(**made, command.module);
    EXPECT_EQ(host.begin(**made), Stop::returned);
  } else if (command.kind == "register") {
    host.register_as(command.name, command.module);
  } else if (command.kind == "return") {
    expect_return(host, command);
  } else if (command.kind == "action") {
    EXPECT_EQ(host.act(command).stop, Stop::returned);
  } else if (command.kind == "trap") {
    EXPECT_TRUE(is_trap(host.act(command).stop));
  } else if (command.kind == "exhaustion") {
    EXPECT_EQ(host.act(command).stop, Stop::stack);
  } else {
    expect_no_instance(host, command);
  }
}

TEST(SpecTest, EveryScriptRuns) {
  const auto scripts = read_spec_scripts();
  if (scripts.empty()) GTEST_SKIP() << "PHASE_SPEC_SCRIPTS is not set";
  ASSERT_GE(scripts.size(), 80U);
  std::size_t checked = 0;
  for (const auto& [name, commands] : scripts) {
    SpecHost host;
    for (const SpecCommand& command : commands) {
      SCOPED_TRACE(name + ":" + std::to_string(command.line) + " " + command.kind);
      run(host, command);
      checked += command.is_assertion() ? 1 : 0;
    }
  }
  std::cout << checked << " assertions of " << scripts.size() << " scripts\n";
  EXPECT_GT(checked, 25'000U);
}

}  // namespace
}  // namespace phase::reference
