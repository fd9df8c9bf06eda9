// lucid_fields — the tables of fields in spec/lucid-api.md, made of the code's own table; and the
// check that each field has an effect or an error, and a test that shows it.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "api/faces/field_table.h"

namespace {

namespace fs = std::filesystem;
using phase::faces::FieldRow;
using phase::faces::FieldSection;
using phase::faces::Treatment;

constexpr std::string_view kBegin = "<!-- fields: made by tests/lucid_fields, do not edit -->\n";
constexpr std::string_view kEnd = "<!-- end of fields -->\n";

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

/// The test files of the faces, by the tests in them ("Suite.Name").
std::map<std::string, std::string> tests() {
  std::map<std::string, std::string> out;
  for (const auto& entry :
       fs::recursive_directory_iterator(fs::path(PHASE_SOURCE_DIR) / "src" / "api")) {
    if (!entry.path().string().ends_with("_test.cpp")) {
      continue;
    }
    const std::string text = read(entry.path());
    for (std::size_t at = text.find("\nTEST"); at != std::string::npos;
         at = text.find("\nTEST", at + 1)) {
      const std::size_t open = text.find('(', at);
      const std::size_t comma = text.find(',', open);
      const std::size_t close = text.find(')', comma);
      const std::size_t name = text.find_first_not_of(" \n", comma + 1);
      out[text.substr(open + 1, comma - open - 1) + "." + text.substr(name, close - name)] = text;
    }
  }
  return out;
}

std::string tables() {
  std::string out;
  for (const FieldSection& section : phase::faces::field_sections()) {
    out.append("\n### ")
        .append(section.title)
        .append("\n| field | | | shown by |\n|---|---|---|---|\n");
    for (const FieldRow& row : phase::faces::field_table()) {
      if (row.section != section.name) {
        continue;
      }
      out.append("| `").append(row.name).append("` | ");
      out += row.treatment == Treatment::effect ? "effect" : "error";
      out.append(" | ").append(row.what).append(" | `").append(row.test).append("` |\n");
    }
  }
  return out + "\n";
}

int complain(const FieldRow& row, std::string_view what) {
  std::fprintf(stderr, "%.*s.%.*s: %.*s\n", static_cast<int>(row.section.size()),
               row.section.data(), static_cast<int>(row.name.size()), row.name.data(),
               static_cast<int>(what.size()), what.data());
  return 1;
}

/// Faults of the table itself.
int check_rows() {
  const auto known = tests();
  std::set<std::string_view> sections;
  for (const FieldSection& section : phase::faces::field_sections()) {
    sections.insert(section.name);
  }
  std::set<std::pair<std::string_view, std::string_view>> seen;
  int faults = 0;
  for (const FieldRow& row : phase::faces::field_table()) {
    faults += sections.contains(row.section) ? 0 : complain(row, "no such section");
    faults += seen.emplace(row.section, row.name).second ? 0 : complain(row, "stands twice");
    faults += row.what.empty() ? complain(row, "neither an effect nor an error") : 0;
    const auto test = known.find(std::string{row.test});
    if (test == known.end()) {
      faults += complain(row, "names a test that is not there: " + std::string{row.test});
      continue;
    }
    const std::string quoted = '"' + std::string{row.name} + '"';
    const std::string escaped = "\\\"" + std::string{row.name} + "\\\"";
    const bool written = test->second.find(quoted) != std::string::npos ||
                         test->second.find(escaped) != std::string::npos;
    faults += written ? 0 : complain(row, "the file of its test never writes it");
  }
  return faults;
}

}  // namespace

int main(int count, char** words) {
  const std::string_view mode = count == 2 ? words[1] : "";
  if (mode != "--check" && mode != "--write") {
    std::fprintf(stderr, "usage: lucid_fields --check | --write\n");
    return 2;
  }
  const fs::path path = fs::path(PHASE_SOURCE_DIR) / "spec" / "lucid-api.md";
  const std::string page = read(path);
  const std::size_t begin = page.find(kBegin);
  const std::size_t end = page.find(kEnd);
  if (begin == std::string::npos || end == std::string::npos || end < begin) {
    std::fprintf(stderr, "%s has no place for the fields\n", path.c_str());
    return 1;
  }
  const std::string made =
      page.substr(0, begin) + std::string{kBegin} + tables() + page.substr(end);
  if (mode == "--write") {
    std::ofstream(path, std::ios::binary) << made;
    return 0;
  }
  const int faults = check_rows();
  if (made != page) {
    std::fprintf(stderr, "%s is older than the code; run lucid_fields --write\n", path.c_str());
    return 1;
  }
  return faults == 0 ? 0 : 1;
}
