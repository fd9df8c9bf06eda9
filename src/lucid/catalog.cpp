#include "lucid/catalog.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include <fcntl.h>
#include <unistd.h>

#include "base/event.h"
#include "base/pool_task.h"
#include "lucid/catalog_files.h"

namespace phase::lucid {
namespace {

namespace fs = std::filesystem;

/// Files that could not be used are not tried again until they change.
constexpr std::size_t kRefusedMax = 1024;

Result<void> make_folders(const fs::path& data_dir) {
  for (const char* below : {"", "facts", "names", "blobs"}) {
    std::error_code error;
    const fs::path folder = data_dir / below;
    const bool made = fs::create_directories(folder, error);
    if (error) return fail(Code::io, "making " + folder.string() + " failed: " + error.message());
    if (made) fs::permissions(folder, fs::perms::owner_all, error);
  }
  return {};
}

}  // namespace

LocalModelPtr echo_model() {
  static const LocalModelPtr model = [] {
    LocalModel out;
    out.name.name = "echo";
    out.content = job::reference(as_bytes("phase/lucid/echo"));
    out.content.length = 0;
    out.info.architecture = "echo";
    out.info.quantization = "none";
    out.info.context_tokens = 8192;
    out.info.completes = true;
    out.info.chats = true;
    out.info.metadata = "{}";
    return std::make_shared<const LocalModel>(std::move(out));
  }();
  return model;
}

struct Catalog::State {
  State(World with, Options chosen)
      : world(with), options(std::move(chosen)), reader(world.reader) {
    if (!reader) reader = own_thread.emplace(1).get_executor();
  }

  static Task<void> refresh(std::shared_ptr<State> self);
  [[nodiscard]] static Task<LocalModelPtr> known(std::shared_ptr<State> self, FoundFile found);
  [[nodiscard]] static Task<Result<Facts>> facts_of(
      std::shared_ptr<State> self, fs::path file, FileStamp at,
      std::optional<job::ArtifactRef> content = std::nullopt);
  void take(LocalModelPtr model);
  void take_fixed();

  World world;
  Options options;
  std::optional<asio::thread_pool> own_thread;  // one: reads from a disk are not quicker by two
  asio::any_io_executor reader;
  std::map<ModelName, LocalModelPtr> by_name;
  std::map<ArtifactId, LocalModelPtr> by_content;
  std::map<FileStamp, Facts> facts;          // of files seen in the last look
  std::map<FileStamp, std::string> refused;  // why a file is no model
  bool looking = false;
  bool closed = false;
  std::optional<Instant> looked;
  std::vector<std::weak_ptr<Event>> waiting;
};

Result<std::unique_ptr<Catalog>> Catalog::open(World world, Options options) {
  PHASE_TRY_VOID(make_folders(options.data_dir));
  auto state = std::make_shared<State>(world, std::move(options));
  state->take_fixed();
  return std::unique_ptr<Catalog>(new Catalog(std::move(state)));
}

Catalog::Catalog(std::shared_ptr<State> state) : state_(std::move(state)) {}

Catalog::~Catalog() {
  state_->closed = true;
  if (state_->own_thread) state_->own_thread->join();
}

void Catalog::State::take(LocalModelPtr model) {
  by_content[model->content.id] = model;
  by_name[model->name] = std::move(model);
}

// Models that no file stands for.
void Catalog::State::take_fixed() {
  if (options.echo) take(echo_model());
  for (const LocalModelPtr& model : options.elsewhere) take(model);
}

Task<Result<Facts>> Catalog::State::facts_of(std::shared_ptr<State> self, fs::path file,
                                             FileStamp at,
                                             std::optional<job::ArtifactRef> content) {
  const auto held = self->facts.find(at);
  if (held != self->facts.end()) co_return held->second;
  const fs::path folder = self->options.data_dir / "facts";
  auto reads = [&folder, &at] { return read_facts(folder, at); };
  std::optional<Facts> kept = co_await run_on(self->reader, reads);
  if (kept) co_return *std::move(kept);
  if (self->world.inspector == nullptr) {
    co_return fail(Code::unavailable, "no worker program to read it with");
  }
  const auto name = file.filename().string();
  self->world.log.info("reading model {} ({} MiB)", printable(name), at.size / 1_MiB);
  sandbox::FileDescriptor opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened.valid()) co_return fail_errno(errno, "opening " + name + " failed");
  // The form first: it costs little, and what is no model is not hashed.
  Result<worker::ModelInfo> info = co_await self->world.inspector->inspect(std::move(opened));
  if (!info) co_return fail(info.error());
  if (!content) {
    auto hashes = [&file] { return hash_file(file); };
    const Result<job::ArtifactRef> hashed = co_await run_on(self->reader, hashes);
    if (!hashed) co_return fail(hashed.error());
    content = *hashed;
  }
  Facts found{*content, *std::move(info)};
  auto writes = [&folder, &at, &found] { return write_facts(folder, at, found); };
  const Result<void> written = co_await run_on(self->reader, writes);
  if (!written) self->world.log.warn("{}", printable(written.error().text()));
  co_return found;
}

/// The model behind a file; null when it cannot be used.
Task<LocalModelPtr> Catalog::State::known(std::shared_ptr<State> self, FoundFile found) {
  const Result<FileStamp> at = stamp(found.file);
  if (!at) co_return nullptr;
  if (self->refused.contains(*at)) co_return nullptr;
  Result<Facts> facts = co_await facts_of(self, found.file, *at);
  if (!facts) {
    self->world.log.warn("{} is not served: {}", printable(found.file.string()),
                         printable(facts.error().text()));
    if (self->refused.size() >= kRefusedMax) self->refused.clear();
    self->refused.emplace(*at, facts.error().message);
    co_return nullptr;
  }
  self->facts.insert_or_assign(*at, *facts);
  LocalModel model;
  model.name = std::move(found.name);
  model.file = std::move(found.file);
  model.content = facts->content;
  model.info = std::move(facts->info);
  model.recipe = std::move(found.recipe);
  model.modified_unix_ns = at->modified_ns;
  co_return std::make_shared<const LocalModel>(std::move(model));
}

Task<void> Catalog::State::refresh(std::shared_ptr<State> self) {
  auto looks = [&options = self->options] { return look(options); };
  Look seen = co_await run_on(self->reader, looks);
  for (const auto& warning : seen.warnings) self->world.log.debug("{}", printable(warning));
  std::map<ModelName, LocalModelPtr> names;
  std::map<ArtifactId, LocalModelPtr> contents;
  for (FoundFile& found : seen.files) {
    if (self->closed) co_return;
    LocalModelPtr model = co_await known(self, std::move(found));
    if (model == nullptr) continue;
    contents.emplace(model->content.id, model);
    self->take(model);  // usable before the rest is read
    names.emplace(model->name, std::move(model));
  }
  self->by_name = std::move(names);
  self->by_content = std::move(contents);
  self->take_fixed();
}

Task<void> Catalog::refresh() {
  const auto state = state_;
  const Instant now = state->world.clock.now();
  if (state->looked && now - *state->looked < kRescanPause) co_return;
  if (state->looking) {
    const auto done = std::make_shared<Event>(state->world.executor);
    state->waiting.push_back(done);
    const bool woken = co_await done->wait();
    static_cast<void>(woken);
    co_return;
  }
  state->looking = true;
  co_await State::refresh(state);
  state->looking = false;
  state->looked = state->world.clock.now();
  for (const auto& one : std::exchange(state->waiting, {})) {
    if (const auto event = one.lock()) event->notify();
  }
}

Task<LocalModelPtr> Catalog::find(ModelName name) {
  const auto state = state_;
  auto found = state->by_name.find(name);
  if (found == state->by_name.end()) {
    co_await refresh();
    found = state->by_name.find(name);
  }
  co_return found == state->by_name.end() ? nullptr : found->second;
}

LocalModelPtr Catalog::by_content(const ArtifactId& id) const {
  const auto found = state_->by_content.find(id);
  return found == state_->by_content.end() ? nullptr : found->second;
}

std::vector<LocalModelPtr> Catalog::list() const {
  std::vector<LocalModelPtr> out;
  for (const auto& [name, model] : state_->by_name) out.push_back(model);
  return out;
}

Result<sandbox::FileDescriptor> Catalog::open_weights(const LocalModel& model) const {
  sandbox::FileDescriptor file(::open(model.file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return fail_errno(errno, "opening " + model.file.string() + " failed");
  PHASE_TRY(const FileStamp at, stamp(file.get()));
  const auto known = state_->facts.find(at);
  if (known == state_->facts.end() || known->second.content != model.content) {
    state_->looked.reset();
    return fail(Code::verification_failed, "the file of " + model.name.text() + " has changed",
                "ask again: it is read anew");
  }
  return file;
}

Task<Result<void>> Catalog::copy(ModelName from, ModelName to) {
  const auto state = state_;
  const LocalModelPtr model = co_await find(std::move(from));
  if (model == nullptr || model->file.empty()) co_return fail(Code::not_found, "no such model");
  const fs::path blob = blob_path(model->content.sha256.hex());
  auto writes = [&]() -> Result<void> {
    std::error_code error;
    if (!fs::exists(blob, error)) {
      // Another name for the same bytes: a link where the file system can, else a copy.
      fs::create_hard_link(model->file, blob, error);
      if (error) fs::copy_file(model->file, blob, error);
      if (error) return fail(Code::io, "copying the weights failed: " + error.message());
    }
    return write_name(state->options.data_dir, to, model->content.sha256.hex(), model->recipe);
  };
  Result<void> written = co_await run_on(state->reader, writes);
  state->looked.reset();
  if (written) co_await refresh();
  co_return written;
}

Task<Result<void>> Catalog::remove(ModelName name) {
  const auto state = state_;
  const LocalModelPtr model = co_await find(name);
  if (model == nullptr) co_return fail(Code::not_found, "no such model");
  const fs::path path = name_path(state->options.data_dir, name);
  auto removes = [&]() -> Result<void> {
    std::error_code error;
    if (!fs::remove(path, error)) {
      return fail(Code::permission_denied, model->name.text() + " is not this node's own",
                  "remove the file " + model->file.string());
    }
    return {};
  };
  Result<void> removed = co_await run_on(state->reader, removes);
  if (!removed) co_return removed;
  state->looked.reset();
  co_await refresh();
  const fs::path blob = blob_path(model->content.sha256.hex());
  const auto uses = [&blob](const auto& entry) { return entry.second->file == blob; };
  if (model->file == blob && std::ranges::none_of(state->by_name, uses)) {
    std::error_code error;
    fs::remove(blob, error);
  }
  co_return Result<void>{};
}

Task<Result<void>> Catalog::name(ModelName name, std::string digest, ModelRecipe recipe,
                                 std::optional<job::ArtifactRef> content) {
  const auto state = state_;
  const fs::path blob = blob_path(digest);
  const Result<FileStamp> at = stamp(blob);
  if (!at) co_return fail(Code::not_found, "no blob sha256:" + digest + " is here");
  const Result<Facts> facts = co_await State::facts_of(state, blob, *at, content);
  if (!facts) co_return fail(facts.error());
  auto writes = [&] { return write_name(state->options.data_dir, name, digest, recipe); };
  Result<void> written = co_await run_on(state->reader, writes);
  state->looked.reset();
  if (written) co_await refresh();
  co_return written;
}

fs::path Catalog::blob_path(std::string_view sha256_hex) const {
  return state_->options.data_dir / "blobs" / ("sha256-" + std::string(sha256_hex));
}

const fs::path& Catalog::data_dir() const noexcept {
  return state_->options.data_dir;
}

std::string parameter_size(std::uint64_t parameters) {
  struct Unit {
    double size;
    const char* name;
  };
  constexpr Unit kUnits[] = {{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "K"}};
  const auto count = static_cast<double>(parameters);
  for (const Unit& unit : kUnits) {
    if (count < unit.size) continue;
    char text[32];
    std::snprintf(text, sizeof text, count < 10 * unit.size ? "%.1f%s" : "%.0f%s",
                  count / unit.size, unit.name);
    return text;
  }
  return std::to_string(parameters);
}

Model describe(const LocalModel& model) {
  Model out;
  out.name = model.name.text();
  out.digest = model.content.sha256.hex();
  out.size = model.content.length;
  out.modified_unix_ns = model.modified_unix_ns;
  const worker::ModelInfo& info = model.info;
  out.details.format = model.is_echo() ? "phase-echo" : "gguf";
  out.details.family = info.architecture;
  out.details.families = {info.architecture};
  out.details.parameter_size = parameter_size(info.parameters);
  out.details.quantization_level = info.quantization;
  out.details.parent_model = model.recipe.from;
  out.details.context_length = info.context_tokens;
  out.details.embedding_length = info.embedding_length;
  const auto can = [&out](bool does, const char* what) {
    if (does) out.capabilities.emplace_back(what);
  };
  can(info.completes, "completion");
  can(info.calls_tools, "tools");
  can(info.infills, "insert");
  can(info.thinks, "thinking");
  can(info.embeds, "embedding");
  return out;
}

}  // namespace phase::lucid
