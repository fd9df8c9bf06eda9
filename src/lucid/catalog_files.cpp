#include "lucid/catalog_files.h"

#include <algorithm>
#include <cerrno>
#include <set>

#include <boost/json.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace phase::lucid {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::size_t kReadBytes = 1_MiB;
constexpr std::size_t kFactsBytesMax = 2 * worker::kModelMetadataBytesMax + 1_MiB;
constexpr std::size_t kLayersMax = 64;
constexpr int kFactsVersion = 1;

FileStamp stamp_of(const struct stat& found) {
  return {found.st_dev, found.st_ino, static_cast<std::uint64_t>(found.st_size),
          static_cast<std::uint64_t>(found.st_mtim.tv_sec) * 1'000'000'000 +
              static_cast<std::uint64_t>(found.st_mtim.tv_nsec)};
}

std::string text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) return {};
  return {value->as_string().data(), value->as_string().size()};
}

std::uint64_t number_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  boost::system::error_code error;
  return value == nullptr ? 0 : value->to_number<std::uint64_t>(error);
}

bool flag_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_bool() && value->as_bool();
}

Result<json::object> parse(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  if (error || !value.is_object()) return fail(Code::malformed, "not a JSON object");
  return std::move(value).as_object();
}

json::object recipe_json(const ModelRecipe& recipe) {
  return {{"from", recipe.from},
          {"template", recipe.template_text},
          {"system", recipe.system},
          {"license", recipe.license},
          {"parameters", recipe.parameters},
          {"messages", recipe.messages}};
}

ModelRecipe read_recipe(const json::object& from) {
  ModelRecipe out;
  out.from = text_of(from, "from");
  out.template_text = text_of(from, "template");
  out.system = text_of(from, "system");
  out.license = text_of(from, "license");
  out.parameters = text_of(from, "parameters");
  out.messages = text_of(from, "messages");
  return out;
}

/// Takes what a look finds, first come, first named.
class Finder {
 public:
  void add(FoundFile found) {
    if (out_.files.size() >= kModelsMax) {
      if (!std::exchange(full_, true)) {
        out_.warnings.push_back("more than " + std::to_string(kModelsMax) +
                                " models: the rest is left alone");
      }
      return;
    }
    if (names_.insert(found.name).second) out_.files.push_back(std::move(found));
  }
  void warn(std::string text) { out_.warnings.push_back(std::move(text)); }
  Look take() { return std::move(out_); }

  void model_dir(const fs::path& folder);
  void own(const fs::path& data_dir);
  void ollama(const fs::path& folder);

 private:
  void ollama_manifest(const fs::path& folder, const fs::path& file, ModelName name);

  Look out_;
  std::set<ModelName> names_;
  bool full_ = false;
};

void Finder::model_dir(const fs::path& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".gguf" || !entry.is_regular_file(error)) continue;
    auto name = ModelName::parse(entry.path().stem().string());
    if (!name) {
      warn(entry.path().filename().string() + ": " + name.error().message);
      continue;
    }
    add({*std::move(name), entry.path(), Origin::model_dir, {}});
  }
  if (error) warn(folder.string() + ": " + error.message());
}

/// `names/<space>/<name>/<tag>.json`.
void Finder::own(const fs::path& data_dir) {
  std::error_code error;
  const fs::path names = data_dir / "names";
  for (const auto& entry : fs::recursive_directory_iterator(names, error)) {
    if (entry.path().extension() != ".json") continue;
    const fs::path below = entry.path().lexically_relative(names);
    const std::string tag = entry.path().stem().string();
    auto name = ModelName::parse(below.parent_path().string() + ":" + tag);
    auto said = read_name(entry.path());
    if (!name || !said) {
      warn(entry.path().string() + ": " + (name ? said.error() : name.error()).message);
      continue;
    }
    const fs::path blob = data_dir / "blobs" / ("sha256-" + said->sha256_hex);
    add({*std::move(name), blob, Origin::own, std::move(said->recipe)});
  }
}

/// `manifests/<host>/<space>/<name>/<tag>` beside `blobs/sha256-<hex>`, as Ollama keeps them.
void Finder::ollama(const fs::path& folder) {
  std::error_code error;
  const fs::path manifests = folder / "manifests";
  for (const auto& entry : fs::recursive_directory_iterator(manifests, error)) {
    if (!entry.is_regular_file(error)) continue;
    const fs::path below = entry.path().lexically_relative(manifests);
    if (std::distance(below.begin(), below.end()) != 4) continue;
    auto name = ModelName::parse(below.parent_path().string() + ":" + below.filename().string());
    if (name) ollama_manifest(folder, entry.path(), *std::move(name));
  }
}

void Finder::ollama_manifest(const fs::path& folder, const fs::path& file, ModelName name) {
  const auto text = read_file(file, kManifestBytesMax);
  auto manifest = text ? parse(*text) : fail(text.error());
  const json::value* layers = manifest ? manifest->if_contains("layers") : nullptr;
  if (layers == nullptr || !layers->is_array() || layers->as_array().size() > kLayersMax) {
    return warn(file.string() + ": not a manifest of a model");
  }
  FoundFile found{std::move(name), {}, Origin::ollama, {}};
  for (const json::value& layer : layers->as_array()) {
    if (!layer.is_object()) continue;
    const auto digest = parse_digest(text_of(layer.as_object(), "digest"));
    if (!digest) continue;
    const fs::path blob = folder / "blobs" / ("sha256-" + *digest);
    const std::string type = text_of(layer.as_object(), "mediaType");
    const auto is = [&type](std::string_view what) {
      return type == "application/vnd.ollama.image." + std::string(what);
    };
    if (is("model")) found.file = blob;
    // Its templates are of another language than the model's own; the model's own is used.
    if (is("system")) found.recipe.system = read_file(blob, kManifestBytesMax).value_or("");
    if (is("params")) found.recipe.parameters = read_file(blob, kManifestBytesMax).value_or("");
    if (is("license")) found.recipe.license = read_file(blob, kManifestBytesMax).value_or("");
  }
  if (!found.file.empty()) add(std::move(found));
}

fs::path facts_path(const fs::path& folder, const FileStamp& stamp) {
  return folder / (std::to_string(stamp.device) + "-" + std::to_string(stamp.inode) + "-" +
                   std::to_string(stamp.size) + "-" + std::to_string(stamp.modified_ns) + ".json");
}

json::object info_json(const worker::ModelInfo& info) {
  return {{"architecture", info.architecture},
          {"name", info.name},
          {"quantization", info.quantization},
          {"parameters", info.parameters},
          {"context_tokens", info.context_tokens},
          {"embedding_length", info.embedding_length},
          {"vocabulary", info.vocabulary},
          {"completes", info.completes},
          {"embeds", info.embeds},
          {"chats", info.chats},
          {"calls_tools", info.calls_tools},
          {"thinks", info.thinks},
          {"infills", info.infills},
          {"ranks", info.ranks},
          {"chat_template", info.chat_template},
          {"metadata", info.metadata}};
}

worker::ModelInfo read_info(const json::object& from) {
  worker::ModelInfo out;
  out.architecture = text_of(from, "architecture");
  out.name = text_of(from, "name");
  out.quantization = text_of(from, "quantization");
  out.parameters = number_of(from, "parameters");
  out.context_tokens = number_of(from, "context_tokens");
  out.embedding_length = number_of(from, "embedding_length");
  out.vocabulary = number_of(from, "vocabulary");
  out.completes = flag_of(from, "completes");
  out.embeds = flag_of(from, "embeds");
  out.chats = flag_of(from, "chats");
  out.calls_tools = flag_of(from, "calls_tools");
  out.thinks = flag_of(from, "thinks");
  out.infills = flag_of(from, "infills");
  out.ranks = flag_of(from, "ranks");
  out.chat_template = text_of(from, "chat_template");
  out.metadata = text_of(from, "metadata");
  return out;
}

}  // namespace

Result<FileStamp> stamp(int descriptor) {
  struct stat found{};
  if (::fstat(descriptor, &found) != 0) return fail_errno(errno, "reading a file's state failed");
  if (!S_ISREG(found.st_mode)) return fail(Code::not_found, "not a regular file");
  return stamp_of(found);
}

Result<FileStamp> stamp(const fs::path& file) {
  PHASE_TRY(const FileDescriptor opened, open_file(file, O_RDONLY | O_NONBLOCK));
  return stamp(opened.get());
}

Look look(const Catalog::Options& options) {
  Finder finder;
  finder.own(options.data_dir);
  if (!options.model_dir.empty()) finder.model_dir(options.model_dir);
  if (!options.ollama_dir.empty()) finder.ollama(options.ollama_dir);
  return finder.take();
}

Result<job::ArtifactRef> hash_file(const fs::path& file) {
  PHASE_TRY(const FileDescriptor opened, open_file(file, O_RDONLY));
  Sha256Stream flat;
  ArtifactIdStream tree;
  std::uint64_t length = 0;
  Bytes buffer(kReadBytes);
  for (;;) {
    const ssize_t got = ::read(opened.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "reading " + file.string() + " failed");
    if (got == 0) break;
    const ByteView piece = ByteView(buffer).first(static_cast<std::size_t>(got));
    flat.update(piece);
    tree.update(piece);
    length += piece.size();
  }
  return job::ArtifactRef{tree.finish(), flat.finish(), length};
}

std::optional<Facts> read_facts(const fs::path& folder, const FileStamp& stamp) {
  const auto text = read_file(facts_path(folder, stamp), kFactsBytesMax);
  if (!text) return std::nullopt;
  const auto object = parse(*text);
  if (!object || number_of(*object, "version") != kFactsVersion) return std::nullopt;
  const auto sha256 = Sha256::from_hex_text(text_of(*object, "sha256"));
  const auto id = ArtifactId::from_hex_text(text_of(*object, "artifact_id"));
  const json::value* info = object->if_contains("info");
  if (!sha256 || !id || info == nullptr || !info->is_object()) return std::nullopt;
  return Facts{{*id, *sha256, stamp.size}, read_info(info->as_object())};
}

Result<void> write_facts(const fs::path& folder, const FileStamp& stamp, const Facts& facts) {
  const json::object object{{"version", kFactsVersion},
                            {"sha256", facts.content.sha256.hex()},
                            {"artifact_id", facts.content.id.hex()},
                            {"info", info_json(facts.info)}};
  return write_file(facts_path(folder, stamp), json::serialize(object));
}

fs::path name_path(const fs::path& data_dir, const ModelName& name) {
  return data_dir / "names" / (name.space.empty() ? "library" : name.space) / name.name /
         (name.tag + ".json");
}

Result<void> write_name(const fs::path& data_dir, const ModelName& name,
                        std::string_view sha256_hex, const ModelRecipe& recipe) {
  const fs::path path = name_path(data_dir, name);
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) return fail(Code::io, path.parent_path().string() + ": " + error.message());
  const json::object object{{"sha256", sha256_hex}, {"recipe", recipe_json(recipe)}};
  return write_file(path, json::serialize(object));
}

Result<OwnName> read_name(const fs::path& path) {
  PHASE_TRY(const std::string text, read_file(path, kManifestBytesMax));
  PHASE_TRY(const json::object object, parse(text));
  PHASE_TRY(const Sha256 digest, Sha256::from_hex_text(text_of(object, "sha256")));
  const json::value* recipe = object.if_contains("recipe");
  OwnName out{digest.hex(), {}};
  if (recipe != nullptr && recipe->is_object()) out.recipe = read_recipe(recipe->as_object());
  return out;
}

Result<std::string> parse_digest(std::string_view text) {
  if (text.size() != 71 || !text.starts_with("sha256") || (text[6] != ':' && text[6] != '-')) {
    return fail(Code::invalid_argument, "invalid digest: " + printable(text, 80),
                "a digest is sha256:<64 hexadecimal digits>");
  }
  PHASE_TRY(const Sha256 digest, Sha256::from_hex_text(text.substr(7)));
  return digest.hex();
}

}  // namespace phase::lucid
