// embedding.h — embeddings and ranks (spec/inference.md §4), several inputs and requests at a time.
#pragma once

#include <list>
#include <optional>

#include "worker/inference/outbox.h"
#include "worker/inference/prepare.h"

namespace phase::worker::inference {

inline constexpr std::size_t kEmbedInputsMax = 2048;
inline constexpr std::size_t kRankDocumentsMax = 1024;

class Embedder {
 public:
  Embedder(const Model& model, Outbox& outbox) : model_(model), outbox_(outbox) {}

  /// Takes a request of prompt kind 2 or 3; one that cannot be run is ended at once.
  void take(const Begin& begin, ByteView prompt);
  /// Nothing when it has none of this id.
  void tell(const Tell& tell);
  [[nodiscard]] bool busy() const noexcept;
  /// Computes one batch: as many inputs as fit, of the first requests.
  void step();

 private:
  struct Work {
    std::uint32_t id = 0;
    bool ranks = false;
    std::optional<std::uint32_t> dimensions;
    std::vector<std::vector<llama_token>> inputs;
    std::size_t next = 0;  ///< input that goes into the next batch
    std::size_t done = 0;
    std::uint64_t tokens = 0, started_ns = 0, cpu_ns = 0;
    bool paused = false;  ///< whoever reads is behind
  };
  [[nodiscard]] Fit<Work> read(const Begin& begin, ByteView prompt) const;
  [[nodiscard]] Fit<std::vector<llama_token>> input_tokens(std::string_view text,
                                                           bool truncate) const;
  [[nodiscard]] std::vector<llama_token> pair_tokens(std::string_view query,
                                                     std::string_view document) const;
  [[nodiscard]] std::vector<Work*> place(struct llama_batch& batch);
  void collect(Work& work, llama_seq_id sequence);
  void end(const Work& work, End end, std::string message);

  const Model& model_;
  Outbox& outbox_;
  std::list<Work> works_;
};

}  // namespace phase::worker::inference
