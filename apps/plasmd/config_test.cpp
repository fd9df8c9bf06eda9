#include "config.h"

#include <fstream>
#include <set>

#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "command_line.h"
#include "settings.h"

namespace phase::plasmd {
namespace {

namespace fs = std::filesystem;

std::string_view no_environment(std::string_view) {
  return {};
}

class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() {
    std::string name = (fs::temp_directory_path() / "phase-config-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~ConfigTest() override { fs::remove_all(folder_); }
  fs::path write(const std::string& text) {
    const fs::path path = folder_ / "config.json";
    std::ofstream(path) << text;
    return path;
  }
  Result<Settings> load(const std::string& text, std::vector<const char*> flags = {},
                        Environment environment = no_environment) {
    const std::string path = write(text).string();
    std::vector<const char*> argv{"plasmd",     "start",           "--config",
                                  path.c_str(), "--identity-path", "/nowhere/key"};
    argv.insert(argv.end(), flags.begin(), flags.end());
    const auto line = parse_command_line(static_cast<int>(argv.size()), argv.data());
    EXPECT_TRUE(std::holds_alternative<CommandLine>(line));
    return load_settings(std::get<CommandLine>(line), environment);
  }
  fs::path folder_;
};

TEST_F(ConfigTest, ReadsEveryKeyOfTheTable) {
  for (const auto& key : config_keys()) {
    boost::json::value value;
    std::visit(
        [&](auto member) {
          using T = std::remove_reference_t<decltype(std::declval<Config&>().*member)>;
          if constexpr (std::is_same_v<T, bool>) {
            value = !(Config{}.*member);
          } else if constexpr (std::is_same_v<T, std::uint64_t>) {
            value = Config{}.*member == key.max ? key.min : key.max;
          } else if constexpr (std::is_same_v<T, std::string>) {
            value = key.choices.empty() ? "text" : key.choices.substr(key.choices.rfind('|') + 1);
          } else {
            value = boost::json::array{"one", "two"};
          }
        },
        key.member);
    boost::json::object file;
    const auto dot = key.name.find('.');
    if (dot == std::string_view::npos) {
      file[key.name] = value;
    } else {
      file[key.name.substr(0, dot)] = boost::json::object{{key.name.substr(dot + 1), value}};
    }
    Config config;
    const auto read = read_config_text(config, boost::json::serialize(file), "c.json");
    ASSERT_TRUE(read) << key.name << ": " << read.error().text();
    std::visit(
        [&](auto member) {
          EXPECT_EQ(boost::json::value_from(config.*member), value) << key.name;
          EXPECT_NE(config.*member, Config{}.*member) << key.name;
        },
        key.member);
  }
}

TEST_F(ConfigTest, NamesAndVariablesAreUnique) {
  std::set<std::string_view> names, variables;
  for (const auto& key : config_keys()) {
    EXPECT_TRUE(names.insert(key.name).second) << key.name;
    EXPECT_TRUE(variables.insert(key.environment).second) << key.environment;
    EXPECT_TRUE(key.environment.starts_with("PHASE_"));
  }
}

TEST_F(ConfigTest, RefusesAnUnknownKeyAndNamesTheNearest) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {R"({"listen_addr": []})", "listen_addrs"},
      {R"({"allowed": []})", "allow"},
      {R"({"limits": {"max_memory": 1}})", "limits.max_memory_bytes"},
      {R"({"max_memory_bytes": 1})", "limits.max_memory_bytes"},
      {R"({"max_concurent_jobs": 1})", "max_concurrent_jobs"}};
  for (const auto& [text, nearest] : cases) {
    const auto settings = load(text);
    ASSERT_FALSE(settings) << text;
    EXPECT_EQ(settings.error().code, Code::invalid_argument);
    EXPECT_NE(settings.error().message.find("unknown key"), std::string::npos);
    EXPECT_EQ(settings.error().hint, "did you mean \"" + nearest + "\"?");
  }
}

TEST_F(ConfigTest, RefusesWrongTypesRangesAndChoices) {
  for (const char* const text :
       {R"({"open": "yes"})", R"({"max_concurrent_jobs": 0})", R"({"max_concurrent_jobs": -1})",
        R"({"max_concurrent_jobs": 1.5})", R"({"listen_addrs": "x"})", R"({"listen_addrs": [1]})",
        R"({"limits": 1})", R"({"limits": {"max_timeout_seconds": 3601}})",
        R"({"log_format": "xml"})", R"({"log_format": "text|json"})", R"({"isolation": ""})"}) {
    const auto settings = load(text);
    ASSERT_FALSE(settings) << text;
    EXPECT_EQ(settings.error().code, Code::invalid_argument) << text;
  }
}

TEST_F(ConfigTest, RefusesWhatIsNotJson) {
  for (const char* const text :
       {"", "{", "[]", "{} {}", "nothing", "{\"open\": true,}",
        "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}}}"}) {
    const auto settings = load(text);
    ASSERT_FALSE(settings) << text;
    EXPECT_EQ(settings.error().code, Code::malformed) << text;
  }
  EXPECT_NE(load("{\n\n x").error().message.find("line 3"), std::string::npos);
}

TEST_F(ConfigTest, AMissingFileThatWasNamedIsAnError) {
  const auto found = find_config(folder_ / "absent.json", no_environment);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::not_found);
  EXPECT_NE(found.error().hint.find("plasmd init"), std::string::npos);
}

TEST_F(ConfigTest, FlagsWinOverEnvironmentOverFileOverDefaults) {
  const auto environment = [](std::string_view name) -> std::string_view {
    return name == "PHASE_MAX_JOBS" ? "7" : name == "PHASE_REGION" ? "env" : "";
  };
  const std::string file =
      R"({"max_concurrent_jobs": 5, "region": "file", "drain_seconds": 9, "listen_addrs": ["a"]})";
  const auto settings = load(file, {"--region", "flag", "-l", "b", "--listen", "c"}, environment);
  ASSERT_TRUE(settings) << settings.error().text();
  EXPECT_EQ(settings->config.max_concurrent_jobs, 7U);
  EXPECT_EQ(settings->config.region, "flag");
  EXPECT_EQ(settings->config.drain_seconds, 9U);
  EXPECT_EQ(settings->listen, (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(settings->config.max_memory_bytes, 134'217'728U);
}

TEST_F(ConfigTest, ReadsListsAndSwitchesFromTheEnvironment) {
  Config config;
  ASSERT_TRUE(read_environment(config, [](std::string_view name) -> std::string_view {
    return name == "PHASE_BOOTSTRAP" ? "/one,/two" : name == "PHASE_MDNS" ? "off" : "";
  }));
  EXPECT_EQ(config.bootstrap_peers, (std::vector<std::string>{"/one", "/two"}));
  EXPECT_FALSE(config.mdns);
  const auto wrong = read_environment(config, [](std::string_view name) -> std::string_view {
    return name == "PHASE_OPEN" ? "maybe" : "";
  });
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("PHASE_OPEN"), std::string::npos);
}

TEST_F(ConfigTest, WhatInitWritesIsReadBackAsTheDefaults) {
  Config config;
  config.listen_addrs = {"x"};
  config.max_cpu_cores = 3;
  ASSERT_TRUE(read_config_text(config, default_config_text(), "init.json"));
  EXPECT_EQ(config.listen_addrs, Config{}.listen_addrs);
  EXPECT_EQ(config.max_cpu_cores, Config{}.max_cpu_cores);
}

TEST_F(ConfigTest, ReadsTheAllowlistAndRefusesWhatIsNoRequester) {
  const auto settings = load(R"({"allow": ["12D3KooW"]})");
  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error().code, Code::malformed);
  const std::string key(64, 'a');
  const auto good = load("{}", {"--allow", key.c_str()});
  ASSERT_TRUE(good);
  ASSERT_EQ(good->allow.size(), 1U);
  EXPECT_EQ(good->allow[0].hex(), key);
}

TEST_F(ConfigTest, RefusesATokenFileThatOthersMayRead) {
  const fs::path token = folder_ / "token";
  std::ofstream(token) << "0123456789abcdef\n";
  const std::string file =
      R"({"control_tcp": {"port": 4100, "token_file": ")" + token.string() + "\"}}";
  fs::permissions(token, fs::perms::owner_read | fs::perms::group_read);
  EXPECT_EQ(load(file).error().code, Code::permission_denied);
  fs::permissions(token, fs::perms::owner_read);
  EXPECT_EQ(load(file)->tcp_token, "0123456789abcdef");
  EXPECT_EQ(load(R"({"control_tcp": {"port": 4100}})").error().code, Code::invalid_argument);
}

TEST_F(ConfigTest, EverythingAfterTheModuleIsItsOwn) {
  const std::vector<const char*> argv{"plasmd",  "run",    "-q", "--env", "A=b=c", "m.wasm",
                                      "--quiet", "--help", "--", "-x",    "run"};
  const auto parsed = parse_command_line(static_cast<int>(argv.size()), argv.data());
  ASSERT_TRUE(std::holds_alternative<CommandLine>(parsed));
  const auto& line = std::get<CommandLine>(parsed);
  EXPECT_EQ(line.wasm, "m.wasm");
  EXPECT_EQ(line.args, (std::vector<std::string>{"--quiet", "--help", "--", "-x", "run"}));
  EXPECT_TRUE(line.job.quiet);
  EXPECT_EQ(line.job.env.at("A"), "b=c");
}

TEST_F(ConfigTest, TwoDashesEndTheFlags) {
  const std::vector<const char*> argv{"plasmd",  "execute-job", "--events", "--",
                                      "-m.wasm", "--events",    "--"};
  const auto parsed = parse_command_line(static_cast<int>(argv.size()), argv.data());
  ASSERT_TRUE(std::holds_alternative<CommandLine>(parsed));
  const auto& line = std::get<CommandLine>(parsed);
  EXPECT_EQ(line.wasm, "-m.wasm");
  EXPECT_EQ(line.args, (std::vector<std::string>{"--events", "--"}));
}

TEST_F(ConfigTest, AWrongCommandLineIsAUsageError) {
  const std::vector<std::vector<const char*>> lines{
      {"plasmd"},
      {"plasmd", "serve"},
      {"plasmd", "start", "--nonsense"},
      {"plasmd", "run"},
      {"plasmd", "run", "--nonsense", "m.wasm"},
      {"plasmd", "execute-job", "--timeout", "0", "m.wasm"},
      {"plasmd", "execute-job", "--timeout", "3601", "m.wasm"},
      {"plasmd", "execute-job", "--env", "novalue", "m.wasm"}};
  for (const auto& argv : lines) {
    const auto parsed = parse_command_line(static_cast<int>(argv.size()), argv.data());
    ASSERT_TRUE(std::holds_alternative<int>(parsed)) << argv.back();
    EXPECT_EQ(std::get<int>(parsed), kExitUsage) << argv.back();
  }
}

}  // namespace
}  // namespace phase::plasmd
