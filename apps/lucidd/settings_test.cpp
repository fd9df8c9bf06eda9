#include "settings.h"

#include <map>

#include <gtest/gtest.h>

namespace phase::lucidd {
namespace {

Result<Settings> load(CommandLine line, std::map<std::string, std::string> variables) {
  variables.emplace("HOME", "/nowhere/home");
  return load_settings(
      line,
      [variables](const char* name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        if (found == variables.end()) return std::nullopt;
        return found->second;
      },
      "/nowhere/bin");
}

TEST(Settings, DefaultsAreThoseOfOllama) {
  const auto settings = load({}, {});
  ASSERT_TRUE(settings) << settings.error().text();
  EXPECT_EQ(settings->host, "127.0.0.1");
  EXPECT_EQ(settings->port, 11434);
  EXPECT_EQ(settings->worker, "echo");
  EXPECT_TRUE(settings->node.catalog.echo);
  EXPECT_EQ(settings->node.pool.keep_alive, Duration{300s});
  EXPECT_EQ(settings->node.policy_file, "/nowhere/home/.config/lucidd/policy.toml");
  EXPECT_TRUE(settings->node.mesh_models.empty()) << "prompts leave only when the operator says so";
}

TEST(Settings, TheEnvironmentNamesTheAddress) {
  const auto settings = load({}, {{"LUCIDD_HOST", "[::1]"}, {"LUCIDD_PORT", "8080"}});
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->host, "::1");
  EXPECT_EQ(settings->port, 8080);
  CommandLine line;
  line.port = 9000;
  EXPECT_EQ(load(line, {{"LUCIDD_PORT", "8080"}})->port, 9000);
}

TEST(Settings, WhichDevicesAreUsed) {
  EXPECT_EQ(load({}, {})->node.devices, "");
  CommandLine line;
  line.gpu_devices = "0,1";  // --gpu-devices
  EXPECT_EQ(load(line, {})->node.devices, "0,1");
}

TEST(Settings, PatienceAndTheQueue) {
  const auto usual = load({}, {});
  ASSERT_TRUE(usual);
  EXPECT_EQ(usual->node.service.asks_max, lucid::kAsksWaitingMax);
  EXPECT_FALSE(usual->node.service.hedge);
  EXPECT_EQ(load({}, {{"OLLAMA_MAX_QUEUE", "7"}})->node.service.asks_max, 7U);
  CommandLine line;
  line.hedge = true;  // --hedge
  line.queue_max = 3;
  line.first_token_seconds = 5;
  line.silence_seconds = 4;
  const auto settings = load(line, {{"OLLAMA_MAX_QUEUE", "7"}});
  ASSERT_TRUE(settings);
  EXPECT_TRUE(settings->node.service.hedge);
  EXPECT_EQ(settings->node.service.asks_max, 3U);
  EXPECT_EQ(settings->node.service.first_output_max_away, Duration{5s});
  EXPECT_EQ(settings->node.service.output_silence_max_away, Duration{4s});
  for (const char* wrong : {"0", "513", "many", "7x", "-1"}) {
    const auto refused = load({}, {{"OLLAMA_MAX_QUEUE", wrong}});
    ASSERT_FALSE(refused) << wrong;
    EXPECT_NE(refused.error().message.find("OLLAMA_MAX_QUEUE"), std::string::npos);
  }
}

TEST(Settings, WrongWordsAreNamed) {
  EXPECT_NE(load({}, {{"LUCIDD_PORT", "eleven"}}).error().message.find("LUCIDD_PORT"),
            std::string::npos);
  EXPECT_NE(load({}, {{"LUCIDD_HOST", "example.org"}}).error().message.find("example.org"),
            std::string::npos);
  CommandLine line;
  line.model_dir = "/nowhere/models";
  EXPECT_EQ(load(line, {}).error().code, Code::not_found);
  CommandLine keeps;
  keeps.keep_alive = "soon";
  EXPECT_NE(load(keeps, {}).error().message.find("--keep-alive"), std::string::npos);
  CommandLine needs;
  needs.worker = "llama-cpp";
  EXPECT_EQ(load(needs, {}).error().code, Code::invalid_argument);
}

TEST(Settings, AnUpstreamRunsTheModelsInsteadOfThisNode) {
  CommandLine line;
  line.worker = "llama-server";
  auto settings = load(line, {});
  ASSERT_FALSE(settings);
  EXPECT_NE(settings.error().text().find("--upstream"), std::string::npos);
  line.upstream = "http://127.0.0.1:8080";
  settings = load(line, {});
  ASSERT_TRUE(settings) << settings.error().text();
  EXPECT_EQ(settings->worker, "llama-server");
  ASSERT_TRUE(settings->node.upstream);
  EXPECT_EQ(settings->node.upstream->port, 8080);
  EXPECT_TRUE(settings->node.worker_path.empty()) << "no engine of ours runs";
  EXPECT_FALSE(settings->node.catalog.echo);
  line.worker = "auto";
  EXPECT_TRUE(load(line, {})) << "a URL says which worker";
  line.model_dir = "/";
  EXPECT_FALSE(load(line, {}));
  line.model_dir.reset();
  line.upstream = "https://box";
  EXPECT_FALSE(load(line, {}));
}

}  // namespace
}  // namespace phase::lucidd
