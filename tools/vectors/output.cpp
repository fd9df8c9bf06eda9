#include "basics.h"
#include "describe.h"

namespace phase::vectors {
namespace {

/// A run of one byte, so that long outputs stay readable: {"stream", "fill", "count"}.
struct Run {
  int stream;
  std::uint8_t fill;
  std::size_t count;
};

json::object output_case(std::string_view name, std::initializer_list<Run> runs) {
  job::OutputChain chain;
  json::array transcript;
  for (const Run& run : runs) {
    chain.append(static_cast<job::OutputStream>(run.stream), Bytes(run.count, run.fill));
    transcript.push_back(json::object{
        {"stream", run.stream}, {"fill", to_hex({&run.fill, 1})}, {"count", run.count}});
  }
  return {{"name", name}, {"transcript", transcript}, {"summary", describe(chain.summary())}};
}

json::object artifact_case(std::string_view name, std::uint8_t fill, std::size_t count) {
  const job::ArtifactRef ref = job::reference(Bytes(count, fill));
  return {{"name", name},
          {"fill", to_hex({&fill, 1})},
          {"count", count},
          {"id", ref.id.hex()},
          {"sha256", ref.sha256.hex()}};
}

}  // namespace

json::value output_vectors() {
  constexpr std::size_t kFull = job::kSegmentBytesMax;
  json::array cases;
  const auto sample = sample_transcript();
  cases.push_back(json::object{{"name", "two lines around one on stderr"},
                               {"transcript", describe(sample)},
                               {"summary", describe(summary_of(sample))}});
  cases.push_back(output_case("nothing", {}));
  cases.push_back(output_case("writes of no bytes", {{1, 0, 0}, {2, 0, 0}}));
  cases.push_back(output_case("one byte", {{1, 'a', 1}}));
  cases.push_back(output_case("the same byte on stderr", {{2, 'a', 1}}));
  cases.push_back(output_case("joined writes", {{1, 'a', 3}, {1, 'a', 2}}));
  cases.push_back(output_case("the same in one write", {{1, 'a', 5}}));
  cases.push_back(output_case("an empty write of the other stream joins nothing and parts nothing",
                              {{1, 'a', 3}, {2, 0, 0}, {1, 'a', 2}}));
  cases.push_back(output_case("a change of stream parts", {{1, 'a', 3}, {2, 'a', 2}}));
  cases.push_back(output_case("one less than a segment", {{1, 'b', kFull - 1}}));
  cases.push_back(output_case("exactly a segment", {{1, 'b', kFull}}));
  cases.push_back(output_case("a segment and a byte", {{1, 'b', kFull + 1}}));
  cases.push_back(output_case("the same, cut elsewhere", {{1, 'b', 7}, {1, 'b', kFull - 6}}));
  cases.push_back(output_case("a full segment, then the other stream",
                              {{1, 'b', kFull}, {2, 'c', 1}, {1, 'b', 2 * kFull}}));
  return file("output", "spec/output.md", std::move(cases));
}

json::value artifact_vectors() {
  constexpr std::size_t kChunk = kArtifactChunkBytes;
  json::array cases;
  cases.push_back(artifact_case("one byte", 0, 1));
  cases.push_back(artifact_case("nothing", 0, 0));
  cases.push_back(artifact_case("one less than a chunk", 'a', kChunk - 1));
  cases.push_back(artifact_case("exactly a chunk", 'a', kChunk));
  cases.push_back(artifact_case("a chunk and a byte", 'a', kChunk + 1));
  cases.push_back(artifact_case("two chunks", 'a', 2 * kChunk));
  cases.push_back(artifact_case("three chunks", 'a', 3 * kChunk));
  cases.push_back(artifact_case("five chunks and a bit", 'a', 5 * kChunk + 100));
  return file("artifact", "spec/artifact.md", std::move(cases));
}

}  // namespace phase::vectors
