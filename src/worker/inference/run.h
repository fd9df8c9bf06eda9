// run.h — one completion on its way: from its first prompt token to its last word.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sampling.h"
#include "worker/inference/answer_reader.h"
#include "worker/inference/greedy.h"
#include "worker/inference/notes.h"
#include "worker/inference/outbox.h"
#include "worker/inference/prepare.h"
#include "worker/inference/text_gate.h"

namespace phase::worker::inference {

[[nodiscard]] std::uint64_t monotonic_ns() noexcept;

class Run {
 public:
  /// Errors: the end that says what of the request cannot be used.
  [[nodiscard]] static Fit<std::unique_ptr<Run>> make(const Model& model, Begin begin,
                                                      Prepared prepared);

  [[nodiscard]] std::uint32_t id() const noexcept { return begin_.id; }
  [[nodiscard]] const std::string& caller() const noexcept { return begin_.caller; }
  [[nodiscard]] const Prepared& prepared() const noexcept { return prepared_; }
  [[nodiscard]] const std::vector<llama_token>& prompt() const noexcept { return prepared_.tokens; }

  /// The prompt begins, of which `cached` tokens need not be computed.
  void start(std::size_t cached, Outbox& outbox);
  /// Prompt tokens that went into a batch so far.
  std::size_t fed = 0;
  /// Row of the batch whose logits are this run's, or -1.
  int row = -1;
  /// The consumer is behind: no more tokens until it is not.
  bool paused = false;
  std::uint64_t cpu_ns = 0;

  [[nodiscard]] bool prompting() const noexcept { return fed < prepared_.tokens.size(); }
  /// The token to feed next; after the prompt only.
  [[nodiscard]] llama_token next_token() const noexcept { return next_; }

  /// Draws the next token from the logits at `row` and says what its text is. True: the run ended,
  /// as `ended` says.
  [[nodiscard]] bool advance(const Model& model, Outbox& outbox);
  /// Ends it: what was held back, notes, timings, the end.
  void finish(End end, std::string message, Outbox& outbox);

 private:
  Run(Begin begin, Prepared prepared, common_sampler_ptr sampler);
  [[nodiscard]] llama_token choose(const Model& model);
  void note_probability(const Model& model, llama_token token, const std::string& piece);
  void say(std::string_view text, Outbox& outbox);

  Begin begin_;
  Prepared prepared_;
  common_sampler_ptr sampler_;    ///< null with `greedy_`
  std::optional<Greedy> greedy_;  ///< no chance and no grammar: no list of candidates is made
  TextGate gate_;
  std::optional<AnswerReader> reader_;
  std::vector<TokenProbability> probabilities_;  ///< of tokens no note was written for
  llama_token next_ = LLAMA_TOKEN_NULL;
  std::uint64_t generated_ = 0;
  std::size_t cached_ = 0;
  std::uint64_t started_ns_ = 0, first_ns_ = 0;
};

}  // namespace phase::worker::inference
