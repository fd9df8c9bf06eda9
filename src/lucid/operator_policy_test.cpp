#include "lucid/operator_policy.h"

#include "lucid/lucid_fixture.h"

namespace phase::lucid {
namespace {

OperatorPolicy read(std::string_view text) {
  const auto policy = parse_policy(text);
  EXPECT_TRUE(policy) << text << ": " << (policy ? "" : policy.error().text());
  return policy.value_or(OperatorPolicy{});
}

std::string error(std::string_view text) {
  const auto policy = parse_policy(text);
  EXPECT_FALSE(policy) << text;
  return policy ? "" : policy.error().text();
}

TEST(OperatorPolicy, EveryKeyIsRead) {
  SystemRandom random;
  const identity::KeyPair friendly = identity::KeyPair::generate(random);
  const OperatorPolicy policy = read(R"(
auto_pause_on_battery = false
auto_pause_on_thermal_threshold_c = 61.5
vram_reserve_gb = 1.25
memory_reserve_gb = 0.5
serve_models = ["tiny*", "big:q8"]
time_of_day_window = { start_hour_local = 22, end_hour_local = 6 }
manual_pause = true
max_concurrent_remote_jobs = 7
authorized_submitters = [")" + friendly.peer_id().text() +
                                     R"("]
allow_unauthenticated_jobs = true
max_tokens_ceiling = 77
max_prompt_bytes = 78
max_wall_seconds = 79
max_jobs_per_minute_per_key = 80
max_concurrent_jobs_per_key = 81
share_models = ["tiny*"]
share_with_anybody = true
share_bytes_per_second = 82
)");
  EXPECT_FALSE(policy.auto_pause_on_battery);
  EXPECT_EQ(policy.auto_pause_on_thermal_threshold_c, 61.5);
  EXPECT_EQ(policy.vram_reserve_gb, 1.25);
  EXPECT_EQ(policy.memory_reserve_gb, 0.5);
  EXPECT_EQ(policy.serve_models, (std::vector<std::string>{"tiny*", "big:q8"}));
  ASSERT_TRUE(policy.time_of_day_window);
  EXPECT_EQ(policy.time_of_day_window->start_hour_local, 22);
  EXPECT_EQ(policy.time_of_day_window->end_hour_local, 6);
  EXPECT_TRUE(policy.manual_pause);
  EXPECT_EQ(policy.max_concurrent_remote_jobs, 7U);
  EXPECT_EQ(policy.authorized_submitters, std::vector<identity::PublicKey>{friendly.public_key()});
  EXPECT_TRUE(policy.allow_unauthenticated_jobs);
  EXPECT_EQ(policy.max_tokens_ceiling, 77U);
  EXPECT_EQ(policy.max_prompt_bytes, 78U);
  EXPECT_EQ(policy.max_wall_seconds, 79U);
  EXPECT_EQ(policy.max_jobs_per_minute_per_key, 80U);
  EXPECT_EQ(policy.max_concurrent_jobs_per_key, 81U);
  EXPECT_EQ(policy.share_models, std::vector<std::string>{"tiny*"});
  EXPECT_TRUE(policy.share_with_anybody);
  EXPECT_EQ(policy.share_bytes_per_second, 82U);
}

TEST(OperatorPolicy, DefaultsAreThoseOfTheFileANodeStartsWith) {
  const OperatorPolicy of_file = read(default_policy_text());
  const OperatorPolicy none = read("");
  EXPECT_EQ(of_file.auto_pause_on_battery, none.auto_pause_on_battery);
  EXPECT_EQ(of_file.auto_pause_on_thermal_threshold_c, none.auto_pause_on_thermal_threshold_c);
  EXPECT_EQ(of_file.vram_reserve_gb, none.vram_reserve_gb);
  EXPECT_EQ(of_file.serve_models, none.serve_models);
  EXPECT_FALSE(none.time_of_day_window);
  EXPECT_EQ(of_file.max_concurrent_remote_jobs, none.max_concurrent_remote_jobs);
  EXPECT_TRUE(of_file.authorized_submitters.empty() && none.authorized_submitters.empty());
  EXPECT_FALSE(of_file.allow_unauthenticated_jobs || none.allow_unauthenticated_jobs);
  EXPECT_EQ(of_file.max_tokens_ceiling, none.max_tokens_ceiling);
  EXPECT_EQ(of_file.max_prompt_bytes, none.max_prompt_bytes);
  EXPECT_EQ(of_file.max_wall_seconds, none.max_wall_seconds);
  EXPECT_EQ(of_file.max_jobs_per_minute_per_key, none.max_jobs_per_minute_per_key);
  EXPECT_EQ(of_file.max_concurrent_jobs_per_key, none.max_concurrent_jobs_per_key);
  EXPECT_TRUE(of_file.share_models.empty() && none.share_models.empty());
  EXPECT_FALSE(of_file.share_with_anybody || none.share_with_anybody);
  EXPECT_EQ(of_file.share_bytes_per_second, none.share_bytes_per_second);
}

TEST(OperatorPolicy, WrongValuesAreNamedWithTheirLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"manual_puase = true", "manual_puase"},
      {"[table]\nx = 1", "table"},
      {"manual_pause = 1", "manual_pause"},
      {"auto_pause_on_battery = \"yes\"", "auto_pause_on_battery"},
      {"allow_unauthenticated_jobs = 0", "allow_unauthenticated_jobs"},
      {"auto_pause_on_thermal_threshold_c = \"hot\"", "auto_pause_on_thermal_threshold_c"},
      {"auto_pause_on_thermal_threshold_c = -1", "auto_pause_on_thermal_threshold_c"},
      {"auto_pause_on_thermal_threshold_c = nan", "auto_pause_on_thermal_threshold_c"},
      {"vram_reserve_gb = inf", "vram_reserve_gb"},
      {"vram_reserve_gb = []", "vram_reserve_gb"},
      {"serve_models = \"*\"", "serve_models"},
      {"serve_models = [1]", "serve_models"},
      {"share_models = true", "share_models"},
      {"share_with_anybody = 1", "share_with_anybody"},
      {"share_bytes_per_second = -1", "share_bytes_per_second"},
      {"time_of_day_window = 5", "time_of_day_window"},
      {"time_of_day_window = { start_hour_local = 1 }", "both"},
      {"time_of_day_window = { start_hour_local = 1, end_hour_local = 25 }", "hours"},
      {"time_of_day_window = { start_hour_local = 1, end_hour_local = 2.5 }", "hours"},
      {"time_of_day_window = { start_hour_local = 1, end = 2 }", "end"},
      {"max_concurrent_remote_jobs = -1", "max_concurrent_remote_jobs"},
      {"max_concurrent_remote_jobs = 1.0", "max_concurrent_remote_jobs"},
      {"authorized_submitters = [\"me\"]", "authorized_submitters"},
      {"authorized_submitters = \"*\"", "authorized_submitters"},
      {"max_tokens_ceiling = 0", "max_tokens_ceiling"},
      {"max_prompt_bytes = 99999999999", "max_prompt_bytes"},
      {"max_wall_seconds = 3601", "max_wall_seconds"},
      {"max_jobs_per_minute_per_key = true", "max_jobs_per_minute_per_key"},
      {"max_concurrent_jobs_per_key = 0", "max_concurrent_jobs_per_key"},
      {"= 1", "1"},
      {"manual_pause = true\nmanual_pause = false", "2"},
  };
  for (const auto& [text, word] : cases) {
    EXPECT_NE(error(text).find(word), std::string::npos) << text << ": " << error(text);
  }
  EXPECT_NE(error("\n\nmanual_pause = 1").find("line 3"), std::string::npos);
  EXPECT_FALSE(read("auto_pause_on_thermal_threshold_c = 0").auto_pause_on_thermal_threshold_c);
}

TEST(OperatorPolicy, AnUnknownKeyComesWithTheNearestKnownOne) {
  EXPECT_NE(error("manual_puase = true").find("did you mean manual_pause?"), std::string::npos);
  EXPECT_NE(error("max_token_ceiling = 1").find("did you mean max_tokens_ceiling?"),
            std::string::npos);
  EXPECT_NE(error("zzzzzzzzzz = 1").find("policy show"), std::string::npos);
  EXPECT_NE(error(std::string(5'000, 'a') + " = 1").find("policy show"), std::string::npos);
}

TEST(OperatorPolicy, OthersWaitWhileMemoryIsShort) {
  OperatorPolicy policy;
  ServingMoment now;
  const auto gpu = [&now](std::uint64_t total, std::uint64_t free) {
    now.machine.gpu = MachineState::Memory{total, free};
  };
  gpu(16'000'000'000, 4'000'000'000);
  EXPECT_EQ(pause_reason(policy, now), std::nullopt);
  gpu(16'000'000'000, 3'900'000'000);
  EXPECT_EQ(pause_reason(policy, now), "graphics memory reserve reached (3.9 GB free < 4.0 GB)");
  gpu(500'000'000, 1);  // what never had as much holds no model
  EXPECT_EQ(pause_reason(policy, now), std::nullopt);
  now.machine.memory = MachineState::Memory{8'000'000'000, 900'000'000};
  EXPECT_EQ(pause_reason(policy, now), std::nullopt) << "off unless the operator says so";
  policy.memory_reserve_gb = 1;
  EXPECT_EQ(pause_reason(policy, now), "memory reserve reached (0.9 GB free < 1.0 GB)");
  now.machine.memory->free = 1'000'000'000;
  EXPECT_EQ(pause_reason(policy, now), std::nullopt);
}

TEST(OperatorPolicy, GlobsMatchWholeNames) {
  const std::tuple<const char*, const char*, bool> cases[] = {
      {"*", "tiny:latest", true},
      {"tiny*", "tiny:latest", true},
      {"tiny", "tiny:latest", false},
      {"*:q8", "tiny:q8", true},
      {"t?ny", "tiny", true},
      {"t?ny", "tny", false},
      {"[a-c]x", "bx", true},
      {"[!a-c]x", "bx", false},
      {"[!a-c]x", "dx", true},
      {"[]]", "]", true},
      {"[a", "a", false},
      {"", "", true},
      {"", "a", false},
      {"a*b*c", "aXXbYYc", true},
      {"a*b*c", "aXXbYY", false},
      {"**", "a", true},
  };
  for (const auto& [pattern, text, expected] : cases) {
    EXPECT_EQ(glob_matches(pattern, text), expected) << pattern << " " << text;
  }
  std::string hard;
  for (int i = 0; i < 100; ++i) hard += "a*";
  EXPECT_FALSE(glob_matches(hard + "b", std::string(10'000, 'a')));
}

TEST(OperatorPolicy, ReasonsComeInTheirOrder) {
  OperatorPolicy policy;
  policy.manual_pause = true;
  policy.time_of_day_window = ServingWindow{9, 17};
  ServingMoment now{{true, 80.0}, 3, policy.max_concurrent_remote_jobs};
  EXPECT_EQ(pause_reason(policy, now), "operator paused (manual)");
  policy.manual_pause = false;
  EXPECT_EQ(pause_reason(policy, now), "on battery");
  now.machine.on_battery = false;
  EXPECT_EQ(pause_reason(policy, now)->substr(0, 18), "thermal limit hit ");
  now.machine.temperature_c = 75.0;  // at the limit
  const auto at_limit = pause_reason(policy, now);
  now.machine.temperature_c.reset();
  EXPECT_EQ(pause_reason(policy, now), "outside serving time window");
  now.hour_local = 9;
  EXPECT_EQ(pause_reason(policy, now), "concurrency limit reached");
  now.remote_jobs_running--;
  EXPECT_EQ(pause_reason(policy, now), std::nullopt);
  EXPECT_TRUE(at_limit);
}

TEST(OperatorPolicy, WindowsMayPassMidnight) {
  OperatorPolicy policy;
  const auto open = [&policy](int start, int end) {
    policy.time_of_day_window = ServingWindow{start, end};
    std::string out;
    for (int hour = 0; hour < 24; ++hour) {
      out += pause_reason(policy, {{}, hour, 0}) ? '.' : 'x';
    }
    return out;
  };
  EXPECT_EQ(open(9, 17), ".........xxxxxxxx.......");
  EXPECT_EQ(open(22, 6), "xxxxxx................xx");
  EXPECT_EQ(open(0, 24), std::string(24, 'x'));
  EXPECT_EQ(open(5, 5), std::string(24, '.'));
}

using PolicyFileTest = LucidTest;

TEST_F(PolicyFileTest, IsReadWholeOrNotAtAll) {
  const auto path = folder_ / "policy.toml";
  EXPECT_EQ(read_policy(path).error().code, Code::not_found);
  write(path, "manual_pause = true\n");
  EXPECT_TRUE(read_policy(path)->manual_pause);
  write(path, "# " + std::string(kPolicyBytesMax, 'x'));
  EXPECT_EQ(read_policy(path).error().code, Code::too_large);
}

}  // namespace
}  // namespace phase::lucid
