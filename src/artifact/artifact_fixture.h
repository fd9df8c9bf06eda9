// artifact_fixture.h — for tests of this folder: an executor with a real clock, a folder of its
// own, content from a seed.
#pragma once

#include <cstdlib>
#include <fstream>
#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/null_sink.h>

#include "artifact/store.h"
#include "base/random.h"
#include "base/system_clock.h"

namespace phase::artifact {

/// Nothing that a test waits for takes longer.
inline constexpr std::chrono::seconds kTestWaitMax{60};

/// Bytes that differ from place to place, chunk to chunk and seed to seed.
inline Bytes content_of(std::size_t length, std::uint8_t seed = 1) {
  Bytes out(length);
  std::uint64_t state = seed * 0x9E3779B97F4A7C15ULL + 1;
  for (auto& byte : out) {
    state ^= state << 13U;
    state ^= state >> 7U;
    state ^= state << 17U;
    byte = static_cast<std::uint8_t>(state >> 32U);
  }
  return out;
}

inline ByteView chunk_at(ByteView content, std::uint64_t index) {
  return content.subspan(index * kArtifactChunkBytes, chunk_bytes(content.size(), index));
}

inline Tree tree_of(ByteView content) {
  std::vector<Sha256> leaves;
  for (std::uint64_t i = 0; i < chunk_count(content.size()); ++i) {
    leaves.push_back(tree_leaf(chunk_at(content, i)));
  }
  return {content.size(), std::move(leaves)};
}

class ArtifactTest : public ::testing::Test {
 protected:
  ArtifactTest() {
    std::string name = (std::filesystem::temp_directory_path() / "artifact-test-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  ~ArtifactTest() override {
    std::error_code error;
    std::filesystem::remove_all(folder_, error);
  }
  template <typename T>
  T run(Task<T> task) {
    std::future<T> done = asio::co_spawn(context_, std::move(task), asio::use_future);
    EXPECT_TRUE(until([&done] { return done.wait_for(0s) == std::future_status::ready; }));
    return done.get();
  }
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
  std::shared_ptr<Store> store(const std::string& name = "store") {
    auto made = Store::open({folder_ / name / "artifacts", folder_ / name / "blobs"});
    EXPECT_TRUE(made);
    return *std::move(made);
  }
  static Bytes read_all(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void overwrite(const std::filesystem::path& path, std::uint64_t at, ByteView bytes) {
    std::fstream out(path, std::ios::binary | std::ios::in | std::ios::out);
    out.seekp(static_cast<std::streamoff>(at));
    out.write(as_text(bytes).data(), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(out);
  }

  asio::io_context context_;
  SystemClock clock_{context_.get_executor()};
  SystemRandom random_;
  spdlog::logger log_{"test", std::make_shared<spdlog::sinks::null_sink_mt>()};
  std::filesystem::path folder_;
  const std::atomic<bool> go_on_ = false;
};

}  // namespace phase::artifact
