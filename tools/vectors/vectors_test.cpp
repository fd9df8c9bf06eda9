// Goal: what is on the wire does not change unnoticed.
// Method: make the vectors again and compare with the files, byte by byte.
#include "vectors.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include <boost/json/array.hpp>
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

/// The hexadecimal block of a page's worked example: indented lines, `# comment` at their end.
std::string worked_example(const std::string& page) {
  std::ifstream in(PHASE_SOURCE_DIR "/spec/" + page);
  std::string line;
  std::string hex;
  bool inside = false;
  while (std::getline(in, line)) {
    if (line.starts_with("## ")) inside = line == "## Worked example";
    if (!inside || !line.starts_with("    ")) continue;
    const std::string text = line.substr(4, line.find('#') - 4);
    hex += text.substr(0, text.find(' '));
  }
  return hex;
}

TEST(Vectors, WorkedExamplesOfThePagesAreTheirFirstCases) {
  struct Page {
    std::string page, file, key, name;
  };
  const std::vector<Page> pages{{"encoding.md", "encoding.json", "bytes", ""},
                                {"envelope.md", "envelope.json", "envelope", ""},
                                {"job.md", "job.json", "job", ""},
                                {"manifest.md", "manifest.json", "payload", ""},
                                {"receipt.md", "receipt.json", "payload", ""},
                                {"job-stream.md", "frames.json", "bytes", "accepted"}};
  for (const VectorFile& file : all_files()) {
    for (const Page& page : pages) {
      if (page.file != file.name) continue;
      const json::array& cases = file.content.at("cases").as_array();
      const json::value* example = cases.begin();
      while (!page.name.empty() && example->at("name") != json::value(page.name)) ++example;
      EXPECT_EQ(worked_example(page.page), std::string_view(example->at(page.key).as_string()))
          << page.page;
    }
  }
}

TEST(Vectors, PagesNameTheHashesOfTheirFirstCases) {
  const auto names = [](const std::string& page, const json::value& hash) {
    std::ifstream in(PHASE_SOURCE_DIR "/spec/" + page);
    const std::string text(std::istreambuf_iterator<char>(in), {});
    EXPECT_NE(text.find(std::string_view(hash.as_string())), std::string::npos) << page;
  };
  const auto first = [](const json::value& file) { return file.at("cases").at(0); };
  names("envelope.md", first(envelope_vectors()).at("signed_hash"));
  names("artifact.md", first(artifact_vectors()).at("id"));
  names("job.md", first(job_vectors()).at("execution_id"));
  names("job.md", first(job_vectors()).at("salted_execution_id"));
  names("manifest.md", first(manifest_vectors()).at("job_id"));
  names("output.md", first(output_vectors()).at("summary").at("commitment"));
}

}  // namespace
}  // namespace phase::vectors
