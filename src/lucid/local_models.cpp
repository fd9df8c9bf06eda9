#include "lucid/local_models.h"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "base/pool_task.h"
#include "lucid/catalog_files.h"

namespace phase::lucid {
namespace {

namespace fs = std::filesystem;

Error not_found(std::string_view name) {
  return {Code::not_found, "model '" + printable(name, 80) + "' not found", {}};
}

}  // namespace

struct LocalModels::State {
  explicit State(World with) : world(std::move(with)), pool(1) {}
  World world;
  asio::thread_pool pool;
  std::size_t uploads = 0;

  [[nodiscard]] Task<LocalModelPtr> find(const std::string& text) {
    Result<ModelName> name = ModelName::parse(text);
    if (!name) co_return nullptr;
    ModelName spelled = *std::move(name);
    co_return co_await world.catalog.find(std::move(spelled));
  }
};

namespace {

/// A blob on its way in: written beside its place, hashed as it comes.
class FileUpload final : public Models::Upload {
 public:
  FileUpload(asio::thread_pool& pool, std::shared_ptr<std::size_t> count, fs::path beside,
             fs::path place, std::string sha256_hex, int file)
      : pool_(pool),
        count_(std::move(count)),
        beside_(std::move(beside)),
        place_(std::move(place)),
        sha256_hex_(std::move(sha256_hex)),
        file_(file) {}
  ~FileUpload() override {
    std::error_code error;
    if (!kept_) fs::remove(beside_, error);
  }

  Task<Result<void>> write(ByteView bytes) override {
    auto writes = [this, bytes]() -> Result<void> {
      ByteView rest = bytes;
      while (!rest.empty()) {
        const ssize_t wrote = ::write(file_.get(), rest.data(), rest.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return fail_errno(errno, "writing a blob failed");
        rest = rest.subspan(static_cast<std::size_t>(wrote));
      }
      hash_.update(bytes);
      return {};
    };
    co_return co_await in_pool(pool_, writes);
  }
  Task<Result<bool>> commit() override {
    auto commits = [this]() -> Result<bool> {
      const std::string came = hash_.finish().hex();
      if (came != sha256_hex_) {
        return fail(Code::verification_failed,
                    "digest mismatch, expected sha256:" + sha256_hex_ + ", got sha256:" + came);
      }
      std::error_code error;
      const bool is_new = !fs::exists(place_, error);
      if (::fsync(file_.get()) != 0) return fail_errno(errno, "writing a blob failed");
      fs::rename(beside_, place_, error);
      if (error) return fail(Code::io, "keeping a blob failed: " + error.message());
      kept_ = true;
      return is_new;
    };
    co_return co_await in_pool(pool_, commits);
  }

 private:
  asio::thread_pool& pool_;
  std::shared_ptr<std::size_t> count_;
  fs::path beside_, place_;
  std::string sha256_hex_;
  sandbox::FileDescriptor file_;
  Sha256Stream hash_;
  bool kept_ = false;
};

}  // namespace

LocalModels::LocalModels(World world) : state_(std::make_shared<State>(std::move(world))) {}

LocalModels::~LocalModels() {
  state_->pool.join();
}

Task<Result<std::vector<Model>>> LocalModels::list() {
  const auto state = state_;
  co_await state->world.catalog.refresh();
  std::vector<Model> out;
  for (const auto& model : state->world.catalog.list()) out.push_back(describe(*model));
  co_return out;
}

std::vector<RunningModel> LocalModels::running() {
  return state_->world.pool.running();
}

Task<Result<ModelView>> LocalModels::show(std::string name) {
  const auto state = state_;
  const LocalModelPtr model = co_await state->find(name);
  if (model == nullptr) co_return fail(not_found(name));
  ModelView out;
  out.model = describe(*model);
  out.recipe = model->recipe;
  out.chat_template =
      model->recipe.template_text.empty() ? model->info.chat_template : model->recipe.template_text;
  out.metadata = model->info.metadata;
  out.parameters = model->info.parameters;
  co_return out;
}

Task<Result<void>> LocalModels::copy(std::string from, std::string to) {
  const auto state = state_;
  const LocalModelPtr model = co_await state->find(from);
  if (model == nullptr) co_return fail(not_found(from));
  Result<ModelName> target = ModelName::parse(to);
  if (!target) co_return fail(target.error());
  ModelName source = model->name;
  co_return co_await state->world.catalog.copy(std::move(source), *std::move(target));
}

Task<Result<void>> LocalModels::remove(std::string name) {
  const auto state = state_;
  const LocalModelPtr model = co_await state->find(name);
  if (model == nullptr) co_return fail(not_found(name));
  ModelName spelled = model->name;
  Result<void> removed = co_await state->world.catalog.remove(std::move(spelled));
  if (removed) state->world.pool.unload(model->content.id);
  co_return removed;
}

Task<Result<std::unique_ptr<Transfer>>> LocalModels::create(
    std::string name, ModelRecipe recipe, std::vector<std::pair<std::string, std::string>> files) {
  const auto state = state_;
  Result<ModelName> spelled = ModelName::parse(name);
  if (!spelled) co_return fail(spelled.error());
  std::string digest;
  std::vector<TransferLine> lines;
  if (!files.empty()) {
    if (files.size() > 1) {
      co_return fail(Code::unsupported, "a model is made of one GGUF file",
                     "join split files first, and leave adapters out");
    }
    PHASE_CO_TRY(digest, parse_digest(files.front().second));
    lines.push_back(status_line("parsing GGUF"));
  } else {
    const LocalModelPtr base = co_await state->find(recipe.from);
    if (base == nullptr) co_return fail(not_found(recipe.from));
    ModelName source = base->name;
    ModelName target = *spelled;
    // First the weights under the new name, then the recipe over it.
    Result<void> copied = co_await state->world.catalog.copy(std::move(source), std::move(target));
    if (!copied) co_return fail(copied.error());
    digest = base->content.sha256.hex();
    lines.push_back(status_line("using existing layer sha256:" + digest));
  }
  ModelName target = *std::move(spelled);
  std::string weights = digest;
  Result<void> named =
      co_await state->world.catalog.name(std::move(target), std::move(weights), std::move(recipe));
  if (!named) co_return fail(named.error());
  lines.push_back(status_line("using existing layer sha256:" + digest));
  lines.push_back(status_line("writing manifest"));
  lines.push_back(status_line("success"));
  co_return told_lines(std::move(lines));
}

Task<Result<std::unique_ptr<Transfer>>> LocalModels::pull(std::string name) {
  const auto state = state_;
  co_return co_await state->world.pulls.pull(std::move(name));
}

Task<Result<std::unique_ptr<Transfer>>> LocalModels::push(std::string name) {
  const auto state = state_;
  const LocalModelPtr model = co_await state->find(name);
  if (model == nullptr) co_return fail(not_found(name));
  co_return state->world.pulls.push(model);
}

bool LocalModels::has_blob(const std::string& digest) {
  const Result<std::string> hex = parse_digest(digest);
  std::error_code error;
  return hex && fs::exists(state_->world.catalog.blob_path(*hex), error);
}

Task<Result<std::unique_ptr<Models::Upload>>> LocalModels::upload(std::string digest) {
  const auto state = state_;
  PHASE_CO_TRY(const std::string hex, parse_digest(digest));
  if (state->uploads >= kUploadsMax) {
    co_return fail(Code::busy, "too many uploads at once", "try again when one ended");
  }
  const fs::path place = state->world.catalog.blob_path(hex);
  const fs::path beside = place.parent_path() / (".upload-" + state->world.random.uuid());
  const int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) co_return fail_errno(errno, "making " + beside.string() + " failed");
  state->uploads++;
  std::shared_ptr<std::size_t> count(&state->uploads,
                                     [state](std::size_t* uploads) { --*uploads; });
  std::unique_ptr<Upload> out =
      std::make_unique<FileUpload>(state->pool, std::move(count), beside, place, hex, file);
  co_return out;
}

}  // namespace phase::lucid
