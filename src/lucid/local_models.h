// local_models.h — the models of this machine as the HTTP faces manage them. Implements
// lucid::Models.
#pragma once

#include <memory>

#include "base/random.h"
#include "lucid/answer.h"
#include "lucid/catalog.h"
#include "lucid/model_pool.h"
#include "lucid/pulls.h"

namespace phase::lucid {

/// Uploads at once; more are refused.
inline constexpr std::size_t kUploadsMax = 8;

class LocalModels final : public Models {
 public:
  struct World {
    asio::any_io_executor executor;
    Random& random;
    Catalog& catalog;
    ModelPool& pool;
    Pulls& pulls;
  };
  explicit LocalModels(World world);
  ~LocalModels() override;

  [[nodiscard]] Task<Result<std::vector<Model>>> list() override;
  [[nodiscard]] std::vector<RunningModel> running() override;
  [[nodiscard]] Task<Result<ModelView>> show(std::string name) override;
  [[nodiscard]] Task<Result<void>> copy(std::string from, std::string to) override;
  [[nodiscard]] Task<Result<void>> remove(std::string name) override;
  [[nodiscard]] Task<Result<std::unique_ptr<Transfer>>> create(
      std::string name, ModelRecipe recipe,
      std::vector<std::pair<std::string, std::string>> files) override;
  [[nodiscard]] Task<Result<std::unique_ptr<Transfer>>> pull(std::string name) override;
  [[nodiscard]] Task<Result<std::unique_ptr<Transfer>>> push(std::string name) override;
  [[nodiscard]] bool has_blob(const std::string& digest) override;
  [[nodiscard]] Task<Result<std::unique_ptr<Upload>>> upload(std::string digest) override;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with uploads
};

}  // namespace phase::lucid
