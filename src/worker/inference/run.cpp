#include "worker/inference/run.h"

#include <algorithm>
#include <cmath>
#include <ctime>

namespace phase::worker::inference {
namespace {

constexpr std::uint64_t kNsPerS = 1'000'000'000, kNsPerUs = 1'000;

// No chance, no grammar: the largest logit under the penalties.
std::optional<Greedy> greedy_of(const common_params_sampling& sampling) {
  if (sampling.temp > 0 || !sampling.grammar.empty()) return std::nullopt;
  return Greedy({static_cast<std::size_t>(std::max(sampling.penalty_last_n, 0)),
                 sampling.penalty_repeat, sampling.penalty_freq, sampling.penalty_present});
}

// Log of the sum of exponentials: what turns logits into log probabilities.
double normalizer(const float* logits, std::size_t count) {
  const float largest = *std::max_element(logits, logits + count);
  double sum = 0;
  for (std::size_t i = 0; i < count; i++) sum += std::exp(double{logits[i]} - largest);
  return largest + std::log(sum);
}

}  // namespace

std::uint64_t monotonic_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kNsPerS + static_cast<std::uint64_t>(now.tv_nsec);
}

Run::Run(Begin begin, Prepared prepared, common_sampler_ptr sampler)
    : begin_(std::move(begin)),
      prepared_(std::move(prepared)),
      sampler_(std::move(sampler)),
      greedy_(sampler_ == nullptr ? greedy_of(prepared_.sampling) : std::nullopt),
      gate_(prepared_.stops) {
  if (prepared_.parser) reader_.emplace(*prepared_.parser);
}

Fit<std::unique_ptr<Run>> Run::make(const Model& model, Begin begin, Prepared prepared) {
  common_sampler_ptr sampler;
  try {
    if (!greedy_of(prepared.sampling)) {
      sampler.reset(common_sampler_init(model.model.get(), prepared.sampling));
    }
  } catch (const std::exception& error) {
    return unfit(End::grammar_malformed, error.what() + std::string(" ") + EngineLog::take());
  }
  // Penalties look at the end of the prompt, too.
  const auto window = static_cast<std::size_t>(std::max(prepared.sampling.penalty_last_n, 0));
  const std::size_t from = prepared.tokens.size() - std::min(prepared.tokens.size(), window);
  std::unique_ptr<Run> run(new Run(std::move(begin), std::move(prepared), std::move(sampler)));
  for (std::size_t i = from; i < run->prompt().size(); i++) {
    const llama_token token = run->prompt()[i];
    if (run->greedy_) {
      run->greedy_->accept(token);
    } else {
      common_sampler_accept(run->sampler_.get(), token, false);
    }
  }
  return run;
}

void Run::start(std::size_t cached, Outbox& outbox) {
  cached_ = fed = cached;
  started_ns_ = monotonic_ns();
  outbox.say(Moved{id(), Stage::cached, cached, prompt().size()});
  if (reader_) outbox.write(id(), job::OutputStream::err, parsed_note());
}

void Run::note_probability(const Model& model, llama_token token, const std::string& piece) {
  const float* logits = llama_get_logits_ith(model.context.get(), row);
  const auto count = static_cast<std::size_t>(llama_vocab_n_tokens(model.vocab));
  const double whole = normalizer(logits, count);
  TokenProbability out{piece, double{logits[token]} - whole, {}};
  std::vector<llama_token> order(count);
  for (std::size_t i = 0; i < count; i++) order[i] = static_cast<llama_token>(i);
  const std::size_t wanted = std::min<std::size_t>(*prepared_.logprobs, count);
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(wanted), order.end(),
                    [logits](llama_token a, llama_token b) { return logits[a] > logits[b]; });
  for (std::size_t i = 0; i < wanted; i++) {
    out.top.push_back(
        {common_token_to_piece(model.vocab, order[i], true), double{logits[order[i]]} - whole, {}});
  }
  probabilities_.push_back(std::move(out));
}

void Run::say(std::string_view text, Outbox& outbox) {
  if (text.empty()) return;
  outbox.write(id(), job::OutputStream::out, text);
  if (reader_) outbox.write(id(), job::OutputStream::err, reader_->push(text));
  if (probabilities_.empty()) return;
  outbox.write(id(), job::OutputStream::err, logprobs_note(probabilities_));
  probabilities_.clear();
}

llama_token Run::choose(const Model& model) {
  if (greedy_) {
    float* logits = llama_get_logits_ith(model.context.get(), row);
    const auto count = static_cast<std::size_t>(llama_vocab_n_tokens(model.vocab));
    const llama_token token = greedy_->choose({logits, count});
    greedy_->accept(token);
    return token;
  }
  const llama_token token = common_sampler_sample(sampler_.get(), model.context.get(), row);
  common_sampler_accept(sampler_.get(), token, true);
  return token;
}

bool Run::advance(const Model& model, Outbox& outbox) {
  if (generated_ == 0) {
    first_ns_ = monotonic_ns();
    outbox.say(Moved{id(), Stage::prompt, first_ns_ - started_ns_, prompt().size() - cached_});
  }
  try {
    next_ = choose(model);
  } catch (const std::exception& error) {
    finish(End::grammar_malformed, error.what(), outbox);
    return true;
  }
  if (llama_vocab_is_eog(model.vocab, next_)) {
    finish(End::exited, {}, outbox);
    return true;
  }
  generated_++;
  const bool special = prepared_.preserved.contains(next_);
  const std::string piece = common_token_to_piece(model.vocab, next_, special);
  if (prepared_.logprobs) note_probability(model, next_, piece);
  const std::string text = gate_.push(piece);
  if (gate_.stopped()) probabilities_.clear();
  say(text, outbox);
  if (gate_.stopped()) {
    finish(End::exited, {}, outbox);
    return true;
  }
  if (begin_.job.tokens_max != 0 && generated_ >= begin_.job.tokens_max) {
    finish(End::tokens, {}, outbox);
    return true;
  }
  return false;
}

void Run::finish(End end, std::string message, Outbox& outbox) {
  const std::uint64_t now = monotonic_ns();
  if (!gate_.stopped()) say(gate_.finish(), outbox);
  if (reader_) outbox.write(id(), job::OutputStream::err, reader_->finish(end == End::exited));
  const bool whole = end == End::exited || end == End::tokens || end == End::context;
  if (whole) {
    const auto& asked = begin_.job.stop;  // what the template adds is not the client's
    const bool of_client = std::ranges::find(asked, gate_.stopped_by()) != asked.end();
    outbox.write(id(), job::OutputStream::err,
                 done_note(prompt().size(), generated_, end != End::exited,
                           of_client ? gate_.stopped_by() : std::string{}));
  }
  if (generated_ > 0) outbox.say(Moved{id(), Stage::eval, now - first_ns_, generated_});
  outbox.say(Ended{id(), end, cpu_ns / kNsPerUs, std::move(message)});
}

}  // namespace phase::worker::inference
