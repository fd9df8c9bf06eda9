// catalog.h — the models that are on this machine: where their bytes are, what they are, what they
// are called.
//
// Names come from a folder of GGUF files (--model-dir), from Ollama's own folder (read in place,
// never written) and from this node's store (created and pulled models). A model is known by the
// content of its weights: hashed once, checked again when the file changes. Files are read in a
// thread of the catalog's own, their form only in the sandbox (InferenceWorker::inspect). Belongs
// to one executor.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <spdlog/logger.h>

#include "base/clock.h"
#include "lucid/answer.h"
#include "lucid/model_name.h"
#include "protocol/job/job.h"
#include "worker/inference/inference_worker.h"

namespace phase::lucid {

/// Models known at once; more files are left alone, with a warning.
inline constexpr std::size_t kModelsMax = 4096;
/// A manifest or recipe file.
inline constexpr std::size_t kManifestBytesMax = 1_MiB;
/// Folders are looked at again no sooner than this after the last time.
inline constexpr Duration kRescanPause = 1s;

struct LocalModel {
  ModelName name;
  std::filesystem::path file;  ///< empty: no weights here (echo, upstream)
  job::ArtifactRef content;
  worker::ModelInfo info;
  ModelRecipe recipe;
  std::uint64_t modified_unix_ns = 0;
  /// Of a model that another server runs (upstream.h): what is leased; else empty.
  std::function<std::unique_ptr<worker::LoadedModel>()> opens;

  [[nodiscard]] bool is_echo() const noexcept { return file.empty() && !opens; }
};
using LocalModelPtr = std::shared_ptr<const LocalModel>;

/// Echo: a model that reverses what it is told; for machines without one.
[[nodiscard]] LocalModelPtr echo_model();

class Catalog {
 public:
  struct Options {
    std::filesystem::path model_dir;   ///< *.gguf, not below; empty: none
    std::filesystem::path ollama_dir;  ///< with manifests/ and blobs/; empty: none
    std::filesystem::path data_dir;    ///< this node's: made when missing
    bool echo = false;
    std::vector<std::shared_ptr<const LocalModel>> elsewhere;  ///< that another server runs
  };
  struct World {
    Clock& clock;
    asio::any_io_executor executor;
    worker::InferenceWorker* inspector;  ///< null: files cannot be read, echo only
    spdlog::logger& log;
    asio::any_io_executor reader = {};  ///< where files are read; empty: a thread of its own
  };
  /// Errors: Code::io, permission_denied for the data folder.
  [[nodiscard]] static Result<std::unique_ptr<Catalog>> open(World world, Options options);
  ~Catalog();

  /// Looks at the folders again, hashes and inspects what is new. Callers at the same time share
  /// one look; within kRescanPause the last one stands.
  [[nodiscard]] Task<void> refresh();
  /// By name, after a refresh when it is not known yet. Null: not here.
  [[nodiscard]] Task<LocalModelPtr> find(ModelName name);
  /// By content, among what is known.
  [[nodiscard]] LocalModelPtr by_content(const ArtifactId& id) const;
  [[nodiscard]] std::vector<LocalModelPtr> list() const;

  /// The weights, open for reading, if they are still what was hashed. Errors: Code::not_found,
  /// Code::verification_failed when the file changed (the next refresh knows it anew).
  [[nodiscard]] Result<sandbox::FileDescriptor> open_weights(const LocalModel& model) const;

  // What this node keeps itself.
  /// Errors: Code::not_found.
  [[nodiscard]] Task<Result<void>> copy(ModelName from, ModelName to);
  /// Removes a name of this node's own; weights go with the last name. Errors: Code::not_found;
  /// Code::permission_denied for files of others (--model-dir, Ollama's folder).
  [[nodiscard]] Task<Result<void>> remove(ModelName name);
  /// Gives weights that are in the blob store a name. `content`: known by whoever put them there,
  /// else they are hashed. Errors: Code::not_found, malformed.
  [[nodiscard]] Task<Result<void>> name(ModelName name, std::string digest, ModelRecipe recipe,
                                        std::optional<job::ArtifactRef> content = std::nullopt);
  [[nodiscard]] std::filesystem::path blob_path(std::string_view sha256_hex) const;
  [[nodiscard]] const std::filesystem::path& data_dir() const noexcept;

 private:
  struct State;
  explicit Catalog(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with a refresh under way
};

/// As the API shows it.
[[nodiscard]] Model describe(const LocalModel& model);
/// "0.4M", "7.2B": as Ollama writes parameter counts.
[[nodiscard]] std::string parameter_size(std::uint64_t parameters);

}  // namespace phase::lucid
