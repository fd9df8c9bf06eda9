// Goal: what is on the wire does not change unnoticed.
// Method: make the vectors again and compare with the files, byte by byte.
#include "vectors.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include <gtest/gtest.h>

namespace phase::vectors {
namespace {

const std::filesystem::path kFolder = PHASE_SOURCE_DIR "/spec/vectors";

TEST(Vectors, AreWhatTheCodeWritesToday) {
  for (const VectorFile& file : all_files()) {
    std::ifstream in(kFolder / file.name, std::ios::binary);
    const std::string committed(std::istreambuf_iterator<char>(in), {});
    EXPECT_TRUE(committed == to_text(file.content))
        << file.name << " differs from what the code writes. If the wire was meant to change, "
        << "write it anew (write_vectors spec/vectors) and read the diff.";
  }
}

TEST(Vectors, EveryFileIsMadeHere) {
  std::set<std::string> made;
  for (const VectorFile& file : all_files()) made.insert(file.name);
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() != ".json") continue;
    EXPECT_TRUE(made.contains(entry.path().filename())) << entry.path() << " is made by nobody";
  }
}

TEST(Vectors, NamesAreUniqueInAFile) {
  for (const VectorFile& file : all_files()) {
    std::multiset<std::string> names;
    for (const json::value& c : file.content.at("cases").as_array()) {
      names.insert(std::string(c.at("name").as_string()));
    }
    for (const std::string& name : names) {
      EXPECT_EQ(names.count(name), 1U) << file.name << ": " << name;
    }
  }
}

}  // namespace
}  // namespace phase::vectors
