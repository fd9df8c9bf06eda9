// artifact_fixture.h — for tests of this folder: an executor with a real clock, a folder of its
// own, content from a seed.
#pragma once

#include <fstream>

#include <boost/asio/detached.hpp>
#include <fcntl.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/null_sink.h>

#include "artifact/store.h"
#include "base/loop_fixture.h"

namespace phase::artifact {

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

class ArtifactTest : public LoopTest {
 protected:
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

  spdlog::logger log_{"test", std::make_shared<spdlog::sinks::null_sink_mt>()};
  const std::atomic<bool> go_on_ = false;
};

}  // namespace phase::artifact
