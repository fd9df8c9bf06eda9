// lucid_fixture.h — for tests of this folder: an executor with a real clock, a folder of its own,
// a log that nobody reads.
#pragma once

#include <cstdlib>
#include <fstream>
#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>
#include <spdlog/sinks/null_sink.h>

#include "base/random.h"
#include "base/system_clock.h"
#include "lucid/catalog_files.h"

namespace phase::lucid {

/// Nothing that a test waits for takes longer.
inline constexpr std::chrono::seconds kTestWaitMax{60};

class LucidTest : public ::testing::Test {
 protected:
  LucidTest() {
    std::string name = (std::filesystem::temp_directory_path() / "lucid-test-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  ~LucidTest() override {
    std::error_code error;
    std::filesystem::remove_all(folder_, error);
  }

  /// Runs a coroutine to its end.
  template <typename T>
  T run(Task<T> task) {
    std::future<T> done = asio::co_spawn(context_, std::move(task), asio::use_future);
    EXPECT_TRUE(until([&done] { return done.wait_for(0s) == std::future_status::ready; }));
    return done.get();
  }
  /// Works until `condition` holds; false when it does not.
  template <typename Condition>
  bool until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + kTestWaitMax;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      context_.restart();
      context_.run_for(std::chrono::milliseconds(2));
    }
    return true;
  }
  static void write(const std::filesystem::path& path, std::string_view text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }

  asio::io_context context_;
  SystemClock clock_{context_.get_executor()};
  SystemRandom random_;
  spdlog::logger log_{"test", std::make_shared<spdlog::sinks::null_sink_mt>()};
  std::filesystem::path folder_;
};

/// A model as the catalog has it, that answers itself: real content, no file.
inline LocalModelPtr own_echo(std::string_view name, std::uint64_t length = 0) {
  LocalModel out = *echo_model();
  out.name.name = name;
  out.content = job::reference(as_bytes(name));
  out.content.length = length;
  return std::make_shared<const LocalModel>(std::move(out));
}

}  // namespace phase::lucid
