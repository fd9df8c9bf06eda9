#include "lucid/catalog.h"

#include <sys/stat.h>

#include "lucid/lucid_fixture.h"

namespace phase::lucid {
namespace {

namespace fs = std::filesystem;

/// Facts of files are written beforehand, as a look with a worker program leaves them: what the
/// engine reads in a file is tested with the engine.
class CatalogTest : public LucidTest {
 protected:
  CatalogTest() {
    options_.data_dir = folder_ / "data";
    options_.model_dir = folder_ / "models";
    options_.ollama_dir = folder_ / "ollama";
    fs::create_directories(options_.model_dir);
    fs::create_directories(options_.ollama_dir / "manifests");
    open();
  }
  void open() {
    catalog_.reset();
    auto catalog = Catalog::open({clock_, context_.get_executor(), nullptr, log_}, options_);
    ASSERT_TRUE(catalog) << catalog.error().text();
    catalog_ = *std::move(catalog);
  }
  /// A file that an earlier look took for a model.
  job::ArtifactRef model(const fs::path& path, std::string_view bytes) {
    write(path, bytes);
    const auto content = hash_file(path).value();
    worker::ModelInfo info;
    info.architecture = "llama";
    info.completes = true;
    info.context_tokens = 64;
    EXPECT_TRUE(write_facts(options_.data_dir / "facts", stamp(path).value(), {content, info}));
    return content;
  }
  void ollama(const std::string& name, std::string_view manifest) {
    write(options_.ollama_dir / "manifests" / "registry.ollama.ai" / "library" / name / "latest",
          manifest);
  }
  static std::string layer(std::string_view kind, std::string_view digest) {
    return R"({"mediaType":"application/vnd.ollama.image.)" + std::string(kind) +
           R"(","digest":"sha256:)" + std::string(digest) + R"("})";
  }
  fs::path ollama_blob(std::string_view bytes) const {
    return options_.ollama_dir / "blobs" / ("sha256-" + sha256(as_bytes(bytes)).hex());
  }
  LocalModelPtr find(std::string_view name) {
    open();  // a look of its own: two in a second are one
    return run(catalog_->find(ModelName::parse(name).value()));
  }
  std::string names() {
    open();
    run_void(catalog_->refresh());
    std::string out;
    for (const auto& one : catalog_->list()) out += one->name.text() + " ";
    return out;
  }
  void run_void(Task<void> task) {
    auto done = asio::co_spawn(context_, std::move(task), asio::use_future);
    EXPECT_TRUE(until([&] { return done.wait_for(0s) == std::future_status::ready; }));
  }

  Catalog::Options options_;
  std::unique_ptr<Catalog> catalog_;
};

TEST_F(CatalogTest, AFolderOfFiles) {
  const auto content = model(options_.model_dir / "Tiny.gguf", "weights");
  write(options_.model_dir / "readme.txt", "no model");
  write(options_.model_dir / "below" / "deep.gguf", "not looked at");
  write(options_.model_dir / "not a name.gguf", "x");
  fs::create_directories(options_.model_dir / "folder.gguf");
  EXPECT_EQ(names(), "tiny:latest ");
  const auto found = find("tiny");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->content, content);
  EXPECT_EQ(found->info.context_tokens, 64U);
  EXPECT_EQ(catalog_->by_content(content.id), found);
  EXPECT_TRUE(catalog_->open_weights(*found));
  EXPECT_EQ(find("other"), nullptr);
}

TEST_F(CatalogTest, WhatIsNoModelIsLeftAlone) {
  model(options_.model_dir / "good.gguf", "weights");
  write(options_.model_dir / "bad.gguf", "junk");
  write(options_.model_dir / "empty.gguf", "");
  ASSERT_EQ(::mkfifo((options_.model_dir / "pipe.gguf").c_str(), 0600), 0);
  EXPECT_EQ(names(), "good:latest ");
}

TEST_F(CatalogTest, AChangedFileIsNoticed) {
  const fs::path path = options_.model_dir / "tiny.gguf";
  model(path, "weights");
  const auto before = find("tiny");
  ASSERT_NE(before, nullptr);
  const auto content = model(path, "other weights");
  const auto refused = catalog_->open_weights(*before);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::verification_failed);
  run_void(catalog_->refresh());  // at once: the refusal asked for it
  const auto after = catalog_->by_content(content.id);
  ASSERT_NE(after, nullptr);
  EXPECT_TRUE(catalog_->open_weights(*after));
  EXPECT_EQ(catalog_->by_content(before->content.id), nullptr);
  fs::remove(path);
  EXPECT_EQ(names(), "");
}

TEST_F(CatalogTest, OllamasFolderIsReadInPlace) {
  const std::string weights = "weights", system = "You are a pirate.", params = R"({"stop":"x"})";
  model(ollama_blob(weights), weights);
  write(ollama_blob(system), system);
  write(ollama_blob(params), params);
  const auto hex = [](std::string_view bytes) { return sha256(as_bytes(bytes)).hex(); };
  ollama("pirate", R"({"layers":[)" + layer("model", hex(weights)) + "," +
                       layer("system", hex(system)) + "," + layer("params", hex(params)) + "," +
                       layer("license", std::string(64, '0')) + "]}");
  for (const auto& [name, text] : std::vector<std::pair<std::string, std::string>>{
           {"broken", "{"},
           {"list", "[]"},
           {"no-layers", "{}"},
           {"words", R"({"layers":["x",1,null,{}]})"},
           {"gone", R"({"layers":[)" + layer("model", std::string(64, '0')) + "]}"},
           {"path", R"({"layers":[)" + layer("model", "../../../etc/passwd") + "]}"},
           {"long", std::string(kManifestBytesMax + 1, ' ')}}) {
    ollama(name, text);
  }
  EXPECT_EQ(names(), "pirate:latest ");
  const auto found = find("library/pirate:latest");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->recipe.system, system);
  EXPECT_EQ(found->recipe.parameters, params);
  EXPECT_EQ(found->recipe.license, "");
  const auto removed = run(catalog_->remove(found->name));
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().code, Code::permission_denied);
  EXPECT_TRUE(fs::exists(ollama_blob(weights)));
}

TEST_F(CatalogTest, OwnNamesWinAndOutliveTheNode) {
  const auto content = model(options_.model_dir / "tiny.gguf", "weights");
  const auto tiny = find("tiny");
  ASSERT_NE(tiny, nullptr);
  const auto made = ModelName::parse("someone/made:v1").value();
  ASSERT_TRUE(run(catalog_->copy(tiny->name, made)));
  ModelRecipe recipe;
  recipe.system = "S";
  recipe.messages = "[]";
  const std::string hex = content.sha256.hex();
  // The copy is a link to the same file, so its facts are known.
  ASSERT_TRUE(run(catalog_->name(made, hex, recipe)));
  const auto found = find("someone/made:v1");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->content, content);
  EXPECT_EQ(found->recipe.system, "S");
  EXPECT_EQ(names(), "tiny:latest someone/made:v1 ");
  EXPECT_TRUE(fs::exists(catalog_->blob_path(hex)));
  ASSERT_TRUE(run(catalog_->remove(made)));
  EXPECT_FALSE(fs::exists(catalog_->blob_path(hex))) << "weights go with the last name";
  EXPECT_TRUE(fs::exists(options_.model_dir / "tiny.gguf"));
  const auto again = run(catalog_->name(made, std::string(64, '0'), recipe));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::not_found);
}

TEST_F(CatalogTest, BrokenFilesOfItsOwnAreLeftAlone) {
  model(options_.model_dir / "tiny.gguf", "weights");
  const fs::path names_dir = options_.data_dir / "names" / "library";
  write(names_dir / "x" / "latest.json", "{");
  write(names_dir / "y" / "latest.json", R"({"sha256":"zz"})");
  write(names_dir / "z" / "latest.json", R"({"sha256":")" + std::string(64, '0') + R"("})");
  write(names_dir / "a b" / "latest.json", R"({"sha256":")" + std::string(64, '0') + R"("})");
  for (const auto& facts : fs::directory_iterator(options_.data_dir / "facts")) {
    EXPECT_TRUE(
        read_facts(options_.data_dir / "facts", stamp(options_.model_dir / "tiny.gguf").value()));
    write(facts.path(), R"({"version":1})");
  }
  EXPECT_EQ(names(), "") << "facts that are none are not believed";
}

TEST_F(CatalogTest, FactsAreOfOneStateOfAFile) {
  const fs::path path = options_.model_dir / "tiny.gguf";
  model(path, "weights");
  write(path, "other!!");  // as long
  EXPECT_EQ(names(), "");
}

TEST(CatalogNames, ParametersAreWrittenAsOllamaDoes) {
  const std::pair<std::uint64_t, const char*> cases[] = {
      {0, "0"}, {999, "999"}, {460'000, "460K"}, {22'700'000, "23M"}, {7'248'023'552, "7.2B"}};
  for (const auto& [count, text] : cases) EXPECT_EQ(parameter_size(count), text);
}

}  // namespace
}  // namespace phase::lucid
