// lucid_fixture.h — for tests of this folder: an executor with a real clock, a folder of its own,
// a log that nobody reads.
#pragma once

#include <fstream>

#include <spdlog/sinks/null_sink.h>

#include "base/loop_fixture.h"
#include "lucid/catalog_files.h"

namespace phase::lucid {

class LucidTest : public LoopTest {
 protected:
  static void write(const std::filesystem::path& path, std::string_view text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }

  spdlog::logger log_{"test", std::make_shared<spdlog::sinks::null_sink_mt>()};
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
