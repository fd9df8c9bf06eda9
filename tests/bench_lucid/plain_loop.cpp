// The limit of the figures of lucidd: the same engine in one process, a bare loop of decode and
// greedy choice over as many sequences as told. No HTTP, no JSON, no process between, no receipt.
//
//   plain_loop MODEL CONCURRENT REQUESTS TOKENS CONTEXT SEQUENCES < PROMPT
//
// In PROMPT, @ becomes the number of the request; what two prompts of one sequence share at their
// beginnings is kept, as both servers do. Prints what load_client prints.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "common.h"
#include "llama.h"
#include "tests/bench/samples.h"

namespace phase::bench {
namespace {

struct Plan {
  std::string model;
  std::size_t concurrent = 1, requests = 1, tokens = 1;
  std::uint32_t context = 512, sequences = 1;
  std::string prompt;
};

struct Sequence {
  bool runs = false;
  std::vector<llama_token> kept;  // computed
  std::vector<llama_token> todo;  // to be fed next
  std::size_t said = 0;
  int row = -1;
  std::string text;
  Samples::Clock::time_point begin;
};

class Loop {
 public:
  Loop(Plan plan, llama_model* model, llama_context* context)
      : plan_(std::move(plan)),
        vocab_(llama_model_get_vocab(model)),
        context_(context),
        memory_(llama_get_memory(context)),
        batch_(llama_batch_init(kBatchTokens, 0, 1)),
        sequences_(plan_.concurrent) {}
  ~Loop() { llama_batch_free(batch_); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  static constexpr std::int32_t kBatchTokens = 512;

  bool run() {
    const auto begin = Samples::Clock::now();
    while (done_ < plan_.requests) {
      for (Sequence& sequence : sequences_) {
        if (!sequence.runs && begun_ < plan_.requests) start(sequence);
      }
      fill();
      if (llama_decode(context_, batch_) != 0) return false;
      for (Sequence& sequence : sequences_) {
        if (sequence.row >= 0) take(sequence);
      }
    }
    const std::chrono::duration<double> took = Samples::Clock::now() - begin;
    std::printf(R"({"requests":%zu,"seconds":%.6f,"words":%zu,"first_us":%s,"all_us":%s})"
                "\n",
                plan_.requests, took.count(), words_, first_.json().c_str(), all_.json().c_str());
    return true;
  }

 private:
  void start(Sequence& sequence) {
    sequence.begin = Samples::Clock::now();
    std::string text = plan_.prompt;
    const std::size_t place = text.find('@');
    if (place != std::string::npos) text.replace(place, 1, std::to_string(begun_));
    ++begun_;
    std::vector<llama_token> prompt = common_tokenize(vocab_, text, true, true);
    const auto [a, b] = std::ranges::mismatch(sequence.kept, prompt);
    const std::size_t shared =
        std::min<std::size_t>(static_cast<std::size_t>(b - prompt.begin()), prompt.size() - 1);
    llama_memory_seq_rm(memory_, id_of(sequence), static_cast<llama_pos>(shared), -1);
    sequence.kept.resize(shared);
    sequence.todo.assign(prompt.begin() + static_cast<std::ptrdiff_t>(shared), prompt.end());
    sequence.said = 0;
    sequence.text.clear();
    sequence.runs = true;
  }

  [[nodiscard]] llama_seq_id id_of(const Sequence& sequence) const {
    return static_cast<llama_seq_id>(&sequence - sequences_.data());
  }

  void fill() {
    batch_.n_tokens = 0;
    for (Sequence& sequence : sequences_) {
      sequence.row = -1;
      if (!sequence.runs) continue;
      const auto room = static_cast<std::size_t>(kBatchTokens - batch_.n_tokens);
      const std::size_t count = std::min(sequence.todo.size(), room);
      for (std::size_t i = 0; i < count; ++i) add(sequence, i);
      sequence.todo.erase(sequence.todo.begin(),
                          sequence.todo.begin() + static_cast<std::ptrdiff_t>(count));
    }
  }

  void add(Sequence& sequence, std::size_t i) {
    const int row = batch_.n_tokens++;
    const bool last = i + 1 == sequence.todo.size();
    batch_.token[row] = sequence.todo[i];
    batch_.pos[row] = static_cast<llama_pos>(sequence.kept.size());
    batch_.n_seq_id[row] = 1;
    batch_.seq_id[row][0] = id_of(sequence);
    batch_.logits[row] = last ? 1 : 0;
    sequence.kept.push_back(sequence.todo[i]);
    if (last) sequence.row = row;
  }

  void take(Sequence& sequence) {
    const float* logits = llama_get_logits_ith(context_, sequence.row);
    const auto count = llama_vocab_n_tokens(vocab_);
    const auto token = static_cast<llama_token>(std::max_element(logits, logits + count) - logits);
    const auto took = Samples::Clock::now() - sequence.begin;
    if (sequence.said++ == 0) first_.add(took);
    sequence.text += common_token_to_piece(vocab_, token, false);
    const bool ended = llama_vocab_is_eog(vocab_, token);
    if (!ended && sequence.said < plan_.tokens) {
      sequence.todo.assign(1, token);
      return;
    }
    all_.add(Samples::Clock::now() - sequence.begin);
    words_ = sequence.said - (ended ? 1 : 0);
    sequence.runs = false;
    ++done_;
  }

  Plan plan_;
  const llama_vocab* vocab_;
  llama_context* context_;
  llama_memory_t memory_;
  llama_batch batch_;
  std::vector<Sequence> sequences_;
  std::size_t begun_ = 0, done_ = 0, words_ = 0;
  Samples first_, all_;
};

int run(Plan plan) {
  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  llama_backend_init();
  llama_model* model = llama_model_load_from_file(plan.model.c_str(), llama_model_default_params());
  if (model == nullptr) {
    std::fprintf(stderr, "plain_loop: %s cannot be loaded\n", plan.model.c_str());
    return 1;
  }
  // As the node's own worker makes it (src/worker/inference/model.cpp).
  llama_context_params params = llama_context_default_params();
  params.n_ctx = plan.context * plan.sequences;
  params.n_batch = params.n_ubatch = Loop::kBatchTokens;
  params.n_seq_max = plan.sequences;
  params.n_outputs_max = plan.sequences;
  params.n_threads = params.n_threads_batch = 1;
  params.no_perf = true;
  params.kv_unified = false;
  llama_context* context = llama_init_from_model(model, params);
  const bool good = context != nullptr && Loop(std::move(plan), model, context).run();
  llama_free(context);
  llama_model_free(model);
  if (!good) std::fputs("plain_loop: decoding failed\n", stderr);
  return good ? 0 : 1;
}

int program(int argc, char** argv) {
  if (argc != 7) {
    std::fputs("usage: plain_loop MODEL CONCURRENT REQUESTS TOKENS CONTEXT SEQUENCES < PROMPT\n",
               stderr);
    return 2;
  }
  Plan plan;
  plan.model = argv[1];
  plan.concurrent = std::stoul(argv[2]);
  plan.requests = std::stoul(argv[3]);
  plan.tokens = std::stoul(argv[4]);
  plan.context = static_cast<std::uint32_t>(std::stoul(argv[5]));
  plan.sequences = static_cast<std::uint32_t>(std::stoul(argv[6]));
  plan.prompt.assign(std::istreambuf_iterator<char>(std::cin), {});
  if (plan.concurrent == 0 || plan.concurrent > plan.sequences || plan.prompt.empty()) {
    std::fputs("plain_loop: more at once than sequences, or no prompt\n", stderr);
    return 2;
  }
  return run(std::move(plan));
}

}  // namespace
}  // namespace phase::bench

int main(int argc, char** argv) {
  return phase::bench::program(argc, argv);
}
