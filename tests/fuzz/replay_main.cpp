// Drives a fuzz target without libFuzzer: every hexadecimal string of spec/vectors, then seeded
// mutations of them. Bounded and repeatable; `make test-long` runs the same targets under
// libFuzzer.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kSeedsMax = 4000;
constexpr int kMutationsDefault = 20'000;

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// Every quoted run of lower-case hexadecimal pairs in a JSON text.
void collect(const std::string& text, std::vector<Bytes>& out) {
  for (std::size_t at = text.find('"'); at != std::string::npos; at = text.find('"', at + 1)) {
    Bytes bytes;
    std::size_t i = at + 1;
    while (i + 1 < text.size() && digit(text[i]) >= 0 && digit(text[i + 1]) >= 0) {
      bytes.push_back(static_cast<std::uint8_t>(digit(text[i]) * 16 + digit(text[i + 1])));
      i += 2;
    }
    if (i < text.size() && text[i] == '"' && out.size() < kSeedsMax)
      out.push_back(std::move(bytes));
  }
}

void mutate(Bytes& bytes, std::mt19937_64& random) {
  const auto at = [&](std::size_t size) { return static_cast<std::size_t>(random() % size); };
  for (std::uint64_t i = 0, n = 1 + random() % 4; i < n; ++i) {
    if (bytes.empty()) {
      bytes.push_back(static_cast<std::uint8_t>(random()));
      continue;
    }
    switch (random() % 4) {
      case 0:
        bytes[at(bytes.size())] ^= static_cast<std::uint8_t>(1U << (random() % 8));
        break;
      case 1:
        bytes[at(bytes.size())] = static_cast<std::uint8_t>(random());
        break;
      case 2:
        bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at(bytes.size())));
        break;
      default:
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at(bytes.size())),
                     static_cast<std::uint8_t>(random()));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int mutations = argc > 1 ? std::atoi(argv[1]) : kMutationsDefault;
  std::vector<Bytes> seeds{Bytes{}};
  const std::filesystem::path folder = PHASE_SOURCE_DIR "/spec/vectors";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    std::ifstream file(entry.path());
    collect({std::istreambuf_iterator<char>(file), {}}, seeds);
  }
  for (const Bytes& seed : seeds) LLVMFuzzerTestOneInput(seed.data(), seed.size());
  std::mt19937_64 random(20'260'101);
  for (int i = 0; i < mutations; ++i) {
    Bytes bytes = seeds[random() % seeds.size()];
    mutate(bytes, random);
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%zu seeds, %d mutations\n", seeds.size(), mutations);
  return 0;
}
