// engine.h — continuous batching: one context, many sequences, one step at a time.
//
// Each step decodes one batch: the next token of every run that has one, then as much of the
// prompts as fits. Requests come and go between steps. A sequence keeps what it computed when its
// run ends, for a later request of the same caller that begins alike; never for another caller.
#pragma once

#include <deque>
#include <map>
#include <memory>

#include "worker/inference/embedding.h"
#include "worker/inference/run.h"

namespace phase::worker::inference {

class Engine {
 public:
  Engine(Model model, Outbox& outbox);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Takes what the parent says. Errors: Code::protocol when it is out of turn.
  [[nodiscard]] Result<void> take(const FromParent& message);
  /// True while a step would move something.
  [[nodiscard]] bool busy() const;
  /// Admits, decodes one batch, says what came of it.
  void step();

 private:
  // A request whose prompt is arriving, or that waits for a sequence.
  struct Waiting {
    Begin begin;
    Bytes prompt;
    bool paused = false;
    [[nodiscard]] bool complete() const { return prompt.size() == begin.prompt_bytes; }
  };
  // A sequence of the context.
  struct Slot {
    std::vector<llama_token> tokens;  ///< computed and kept, in order
    std::string caller;               ///< whose they are
    std::size_t exact = SIZE_MAX;     ///< so many from the front were computed from these alone
    std::uint64_t used = 0;           ///< when it was last freed, in steps
    std::unique_ptr<Run> run;
  };
  struct Batch;

  Result<void> take_begin(const Begin& begin);
  Result<void> take_piece(const PromptPiece& piece);
  void tell(const Tell& tell);
  void admit();
  void start(std::unique_ptr<Run> run);
  [[nodiscard]] std::size_t choose_slot(const Run& run, std::size_t& shared) const;
  [[nodiscard]] std::size_t reusable(std::size_t slot, std::size_t shared) const;
  void fill(Batch& batch);
  void feed_prompt(Batch& batch, std::size_t slot, std::size_t budget);
  void feed_next(Batch& batch, std::size_t slot);
  [[nodiscard]] bool make_room(std::size_t slot);
  void finish(std::size_t slot, End end, std::string message);
  void decode(Batch& batch);
  void choose(std::uint64_t began_ns);
  void clear(std::size_t slot);

  Model model_;
  Outbox& outbox_;
  std::vector<Slot> slots_;
  std::deque<Waiting> waiting_;
  Embedder embedder_;
  std::unique_ptr<Batch> batch_;
  std::uint64_t steps_ = 0;
  std::size_t turn_ = 0;  ///< the slot whose prompt is fed first
};

}  // namespace phase::worker::inference
