// Files that others write: Ollama's manifests, names, facts, and what a recipe does to a request.
#include <fstream>

#include <unistd.h>

#include "lucid/catalog_files.h"
#include "lucid/recipe.h"

namespace {

namespace fs = std::filesystem;
using namespace phase;

/// One folder for the process, gone at its end; in memory where there is such a place.
class Folder {
 public:
  Folder() {
    const fs::path memory = "/dev/shm";
    std::error_code error;
    path = (fs::is_directory(memory, error) ? memory : fs::temp_directory_path(error)) /
           ("catalog-files-fuzz-" + std::to_string(::getpid()));
    fs::create_directories(path / "ollama" / "manifests" / "h" / "library" / "m", error);
    fs::create_directories(path / "data" / "names" / "library" / "n", error);
    fs::create_directories(path / "facts", error);
  }
  ~Folder() {
    std::error_code error;
    fs::remove_all(path, error);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  fs::path path;
};

const fs::path& folder() {
  static const Folder made;
  return made.path;
}

void put(const fs::path& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// Files of others, one kind at a time: the first byte says which.
void look_at(unsigned kind, std::string_view text) {
  const lucid::FileStamp at{1, 2, 3, 4};
  if (kind == 2) {
    put(folder() / "facts" / "1-2-3-4.json", text);
    const auto facts = lucid::read_facts(folder() / "facts", at);
    if (facts && facts->content.length != at.size) __builtin_trap();
    return;
  }
  lucid::Catalog::Options options;
  if (kind == 0) {
    options.ollama_dir = folder() / "ollama";
    put(options.ollama_dir / "manifests" / "h" / "library" / "m" / "latest", text);
  } else {
    options.data_dir = folder() / "data";
    put(options.data_dir / "names" / "library" / "n" / "latest.json", text);
  }
  for (const auto& found : lucid::look(options).files) {
    // Nothing outside the folders is ever named.
    if (found.file.lexically_relative(folder()).string().starts_with("..")) __builtin_trap();
  }
}

/// What a recipe does to a request, whichever of the two is a stranger's.
void apply(unsigned kind, std::string_view text) {
  lucid::ModelRecipe recipe;
  recipe.system = "S";
  recipe.messages = R"([{"role":"user","content":"x"}])";
  lucid::Ask ask;
  ask.prompt = to_bytes(std::string_view(R"({"prompt":"hi"})"));
  if (kind == 3) recipe.parameters = text;
  if (kind == 4) recipe.messages = text;
  if (kind == 5) ask.prompt = to_bytes(text);
  (void)lucid::apply_recipe(recipe, ask);
  (void)lucid::check_fitness({}, "m", ask);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const unsigned kind = data[0] % 6;
  if (kind < 3) {
    look_at(kind, text);
  } else {
    apply(kind, text);
  }
  (void)lucid::parse_digest(text);
  return 0;
}
