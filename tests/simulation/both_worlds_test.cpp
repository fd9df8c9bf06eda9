// The seam of the world: the same object files of provider and requester, over a real io_context
// with the kernel's clock, and over the deterministic executor with virtual time.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "base/system_clock.h"
#include "tests/simulation/sim_executor.h"
#include "tests/simulation/world.h"

namespace phase::simulation {
namespace {

/// One request to one provider, on whatever executor and clock there are.
struct Scene {
  Scene(Clock& clock, Random& random, const asio::any_io_executor& executor)
      : key(identity::KeyPair::generate(random)),
        node(clock, random, executor),
        network(clock, random, executor, key.public_key()),
        requester({clock, random, key, network, executor}, {}) {
    network.add(node.candidate(), node.handler());
  }

  Task<void> play(asio::any_io_executor executor) {
    MemoryInput input(executor, to_bytes("Hello, World"), 5);
    requester::CancelToken cancel;
    outcome = co_await requester.run(make_request("reverse"), input, recorder, cancel);
  }

  void check() const {
    ASSERT_TRUE(outcome.has_value());
    ASSERT_TRUE(outcome->has_value()) << outcome->error().text();
    EXPECT_TRUE((*outcome)->verdict.ok()) << (*outcome)->verdict.text();
    EXPECT_TRUE((*outcome)->verdict.verified->output_checked());
    EXPECT_EQ(recorder.text(), "dlroW ,olleH");
    EXPECT_EQ(node.receipts.kept.at(recorder.attempts.at(0)).size(), 1U);
    EXPECT_EQ(node.receipts.kept.at(recorder.attempts.at(0)).at(0), (*outcome)->receipt);
  }

  identity::KeyPair key;
  ProviderNode node;
  SimNetwork network;
  requester::Requester requester;
  Recorder recorder;
  std::optional<Result<requester::Outcome>> outcome;
};

TEST(BothWorlds, AJobRunsOnARealExecutor) {
  asio::io_context context;
  SystemClock clock(context.get_executor());
  SystemRandom random;
  Scene scene(clock, random, context.get_executor());
  asio::co_spawn(context, scene.play(context.get_executor()), asio::detached);
  context.run();  // returns: nothing of the conversation stays behind
  scene.check();
}

TEST(BothWorlds, AJobRunsOnTheDeterministicExecutor) {
  SimContext context(1);
  SimClock clock(context);
  SimRandom random(1);
  Scene scene(clock, random, context.get_executor());
  asio::co_spawn(context.get_executor(), scene.play(context.get_executor()), asio::detached);
  context.run_until([] { return false; }, Instant{1'000'000'000'000});
  scene.check();
  EXPECT_EQ(context.timers(), 0U);
  EXPECT_EQ(scene.node.serving, 0U);
}

// Goal: a program that stops without draining frees all it holds (run it under a sanitizer).
// Method: end the provider, then the executor, at every step of a conversation.
TEST(BothWorlds, AWorldThatEndsMidWayLeavesNothing) {
  std::uint64_t steps = 1;
  for (bool finished = false; !finished; ++steps) {
    SimContext context(1);
    SimClock clock(context);
    SimRandom random(1);
    Scene scene(clock, random, context.get_executor());
    asio::co_spawn(context.get_executor(), scene.play(context.get_executor()), asio::detached);
    finished = context.run_until([&] { return context.steps() >= steps; }, Instant{0}) == false;
  }
  EXPECT_GT(steps, 20U);
  for (int ready = 1; ready < 60; ++ready) {
    asio::io_context context;
    SystemClock clock(context.get_executor());
    SystemRandom random;
    Scene scene(clock, random, context.get_executor());
    asio::co_spawn(context, scene.play(context.get_executor()), asio::detached);
    for (int i = 0; i < ready; ++i) context.poll_one();
  }
}

}  // namespace
}  // namespace phase::simulation
