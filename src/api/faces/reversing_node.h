// reversing_node.h — for tests of the faces: a node in memory whose models say what they are told
// backwards, as the product's echo does.
//
// Names, blobs, recipes, keep-alive and receipts behave as answer.h says. A test may put words into
// its mouth (`script`), make it hold an answer open, or say that it is busy.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "base/event.h"
#include "lucid/answer.h"

namespace phase::faces {

class ReversingNode final : public lucid::Lucid, public lucid::Models {
 public:
  explicit ReversingNode(asio::any_io_executor executor);
  ~ReversingNode() override;

  // ── What a test says and sees ──
  std::vector<lucid::Ask> asks;  ///< every ask, in order
  /// Events of the next answers instead of its own words.
  std::function<std::vector<lucid::AnswerEvent>(const lucid::Ask&)> script;
  std::optional<Error> refuses;  ///< every ask
  bool holds = false;            ///< answers stay open after their first text until cancelled
  int open_answers = 0;
  int open_transfers = 0;
  std::optional<Error> transfer_fails;  ///< after the first line
  std::vector<std::pair<std::string, lucid::KeepAlive>> loads;
  std::map<std::string, lucid::ModelRecipe> recipes;  ///< of models that were created
  std::map<std::string, std::uint64_t> blobs;         ///< digest and length of what was uploaded

  // ── Lucid ──
  Task<Result<std::unique_ptr<lucid::Answer>>> ask(lucid::Ask ask) override;
  Task<Result<void>> load(std::string model, lucid::KeepAlive keep_alive) override;
  lucid::Models& models() override { return *this; }
  Task<Result<Kept>> receipt(std::string job_id) override;

  // ── Models ──
  Task<Result<std::vector<lucid::Model>>> list() override;
  std::vector<lucid::RunningModel> running() override;
  Task<Result<lucid::ModelView>> show(std::string name) override;
  Task<Result<void>> copy(std::string from, std::string to) override;
  Task<Result<void>> remove(std::string name) override;
  Task<Result<std::unique_ptr<lucid::Transfer>>> create(
      std::string name, lucid::ModelRecipe recipe,
      std::vector<std::pair<std::string, std::string>> files) override;
  Task<Result<std::unique_ptr<lucid::Transfer>>> pull(std::string name) override;
  Task<Result<std::unique_ptr<lucid::Transfer>>> push(std::string name) override;
  bool has_blob(const std::string& digest) override { return blobs.contains(digest); }
  Task<Result<std::unique_ptr<Upload>>> upload(std::string digest) override;

 private:
  Result<std::string> known(const std::string& name) const;
  std::vector<lucid::AnswerEvent> events(const lucid::Ask& ask);
  std::unique_ptr<lucid::Transfer> transfer(std::vector<lucid::TransferLine> lines);

  asio::any_io_executor executor_;
  std::map<std::string, lucid::Model> models_;
  std::map<std::string, lucid::RunningModel> running_;
  std::map<std::string, Kept> receipts_;
};

/// What the model "tiny" says to `text`.
[[nodiscard]] std::string reversed(std::string_view text);

}  // namespace phase::faces
