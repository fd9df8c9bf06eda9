#include "worker/inference/embedding.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "worker/inference/run.h"
#include "worker/inference/strict_json.h"

namespace phase::worker::inference {
namespace {

namespace json = boost::json;

constexpr std::uint64_t kNsPerUs = 1'000;
constexpr std::uint8_t kKindRerank = 3;

void write_number(std::string& out, float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, std::isfinite(value) ? value : 0.0F);
  out.append(text, end.ptr);
}

// Of length 1, after what is beyond the wished dimensions was cut off.
void write_vector(std::string& out, const float* values, std::size_t count) {
  double sum = 0;
  for (std::size_t i = 0; i < count; i++) sum += double{values[i]} * values[i];
  const double length = sum > 0 ? std::sqrt(sum) : 1;
  out += '[';
  for (std::size_t i = 0; i < count; i++) {
    if (i > 0) out += ',';
    write_number(out, static_cast<float>(values[i] / length));
  }
  out += ']';
}

// A list of texts; anything else is refused.
std::vector<std::string_view> texts(Members& request, std::string_view name,
                                    std::size_t count_max) {
  std::vector<std::string_view> out;
  const json::array* list = request.list(name, count_max);
  if (list == nullptr) {
    request.refuse("'" + std::string(name) + "' is missing");
    return out;
  }
  for (const json::value& value : *list) {
    if (const auto* text = value.if_string()) {
      out.emplace_back(*text);
    } else {
      request.refuse("'" + std::string(name) + "' holds texts");
    }
  }
  return out;
}

struct Batch {
  explicit Batch(std::size_t tokens)
      : value(llama_batch_init(static_cast<std::int32_t>(tokens), 0, 1)) {}
  ~Batch() { llama_batch_free(value); }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  llama_batch value;
};

void add(llama_batch& batch, const std::vector<llama_token>& tokens, llama_seq_id sequence) {
  for (std::size_t i = 0; i < tokens.size(); i++) {
    const int row = batch.n_tokens++;
    batch.token[row] = tokens[i];
    batch.pos[row] = static_cast<llama_pos>(i);
    batch.n_seq_id[row] = 1;
    batch.seq_id[row][0] = sequence;
    batch.logits[row] = 1;
  }
}

std::string_view opening(bool ranks) {
  return ranks ? "{\"scores\":[" : "{\"embeddings\":[";
}

}  // namespace

Fit<std::vector<llama_token>> Embedder::input_tokens(std::string_view text, bool truncate) const {
  std::vector<llama_token> tokens = tokens_of(model_, text, true, true);
  const std::size_t room = model_.options.context_tokens;
  if (tokens.size() > room) {
    if (!truncate) return unfit(End::prompt_too_long, "an input is longer than the context");
    // What the tokenizer puts at the end stays there: some models pool just that.
    const llama_token last = tokens.back();
    const bool ends =
        last == llama_vocab_eos(model_.vocab) || last == llama_vocab_sep(model_.vocab);
    tokens.resize(room);
    if (ends) tokens.back() = last;
  }
  if (tokens.empty()) return unfit(End::prompt_malformed, "an input is empty");
  return tokens;
}

// As ranking models were trained: beginning, query, end, separator, document, end. A document that
// does not fit is cut.
std::vector<llama_token> Embedder::pair_tokens(std::string_view query,
                                               std::string_view document) const {
  std::vector<llama_token> out;
  const auto add = [&out](llama_token token) {
    if (token != LLAMA_TOKEN_NULL) out.push_back(token);
  };
  const auto add_text = [&](std::string_view text) {
    const auto tokens = tokens_of(model_, text, false, false);
    out.insert(out.end(), tokens.begin(), tokens.end());
  };
  const llama_token end = llama_vocab_eos(model_.vocab), separator = llama_vocab_sep(model_.vocab);
  if (llama_vocab_get_add_bos(model_.vocab)) add(llama_vocab_bos(model_.vocab));
  add_text(query);
  if (llama_vocab_get_add_eos(model_.vocab)) add(end);
  if (llama_vocab_get_add_sep(model_.vocab)) add(separator);
  add_text(document);
  const std::size_t room = model_.options.context_tokens;
  if (out.size() + 1 > room) out.resize(room - 1);
  if (llama_vocab_get_add_eos(model_.vocab)) add(end);
  if (out.empty()) out.push_back(0);
  return out;
}

Fit<Embedder::Work> Embedder::read(const Begin& begin, ByteView prompt) const {
  Work work;
  work.id = begin.id;
  work.ranks = static_cast<std::uint8_t>(begin.job.prompt_kind) == kKindRerank;
  if (work.ranks ? !model_.info.ranks : (!model_.info.embeds || model_.info.ranks)) {
    return unfit(End::model_unfit, work.ranks ? "the model does not rank"
                                              : "the model has no pooling, so it does not embed");
  }
  const auto value = parse_strictly(prompt);
  if (!value) return unfit(End::prompt_malformed, value.error().message);
  Members request(*value);
  const bool truncate = work.ranks || request.boolean("truncate", true);
  const auto size = static_cast<std::int64_t>(llama_model_n_embd_out(model_.model.get()));
  if (!work.ranks && request.has("dimensions")) {
    work.dimensions = static_cast<std::uint32_t>(request.integer("dimensions", size, 1, size));
  }
  const std::string query = work.ranks ? request.text("query") : std::string();
  const auto inputs = work.ranks ? texts(request, "documents", kRankDocumentsMax)
                                 : texts(request, "input", kEmbedInputsMax);
  if (const auto closed = request.close(); !closed) {
    return unfit(End::prompt_malformed, closed.error().message);
  }
  for (const std::string_view input : inputs) {
    auto tokens = work.ranks ? Fit<std::vector<llama_token>>(pair_tokens(query, input))
                             : input_tokens(input, truncate);
    if (!tokens) return tl::unexpected(tokens.error());
    work.tokens += tokens->size();
    work.inputs.push_back(*std::move(tokens));
  }
  work.started_ns = monotonic_ns();
  return work;
}

void Embedder::take(const Begin& begin, ByteView prompt) {
  auto work = [&]() -> Fit<Work> {
    try {
      return read(begin, prompt);
    } catch (const std::exception& error) {
      return unfit(End::prompt_malformed, error.what());
    }
  }();
  if (!work) {
    outbox_.say(Ended{begin.id, work.error().end, 0, std::move(work.error().message)});
    return;
  }
  if (work->inputs.empty()) {
    end(*work, End::exited, {});
  } else {
    works_.push_back(*std::move(work));
  }
}

void Embedder::tell(const Tell& tell) {
  const auto found = std::ranges::find(works_, tell.id, &Work::id);
  if (found == works_.end()) return;
  found->paused = tell.word == Word::pause;
  if (tell.word != Word::cancel) return;
  outbox_.say(Ended{tell.id, End::cancelled, found->cpu_ns / kNsPerUs, {}});
  works_.erase(found);
}

bool Embedder::busy() const noexcept {
  return std::ranges::any_of(works_, [](const Work& work) { return !work.paused; });
}

void Embedder::end(const Work& work, End how, std::string message) {
  if (how == End::exited) {
    std::string last = "],\"prompt_tokens\":" + std::to_string(work.tokens) + "}";
    if (work.inputs.empty()) last.insert(0, opening(work.ranks));
    outbox_.write(work.id, job::OutputStream::out, last);
    outbox_.say(Moved{work.id, Stage::prompt, monotonic_ns() - work.started_ns, work.tokens});
  }
  outbox_.say(Ended{work.id, how, work.cpu_ns / kNsPerUs, std::move(message)});
}

void Embedder::collect(Work& work, llama_seq_id sequence) {
  const float* values = llama_get_embeddings_seq(model_.context.get(), sequence);
  std::string out(work.done++ > 0 ? "," : opening(work.ranks));
  if (values == nullptr) {
    out += work.ranks ? "0" : "[]";
  } else if (work.ranks) {
    write_number(out, values[0]);
  } else {
    const auto size = static_cast<std::size_t>(llama_model_n_embd_out(model_.model.get()));
    write_vector(out, values, work.dimensions.value_or(size));
  }
  outbox_.write(work.id, job::OutputStream::out, out);
}

// As many inputs as fit, each in a sequence of its own; whose they are, by sequence.
std::vector<Embedder::Work*> Embedder::place(llama_batch& batch) {
  std::vector<Work*> placed;
  std::size_t room = model_.options.batch_tokens;
  for (Work& work : works_) {
    if (work.paused) continue;
    while (work.next < work.inputs.size() && placed.size() < model_.options.sequences &&
           work.inputs[work.next].size() <= room) {
      const auto& input = work.inputs[work.next++];
      add(batch, input, static_cast<llama_seq_id>(placed.size()));
      room -= input.size();
      placed.push_back(&work);
    }
    if (work.next < work.inputs.size()) break;  // in order: the next batch begins with it
  }
  return placed;
}

void Embedder::step() {
  const Batch batch(model_.options.batch_tokens);
  llama_batch filled = batch.value;
  const std::vector<Work*> placed = place(filled);
  if (const llama_memory_t memory = llama_get_memory(model_.context.get())) {
    llama_memory_clear(memory, false);
  }
  const std::uint64_t before = monotonic_ns();
  const bool good = llama_decode(model_.context.get(), filled) == 0;
  const std::uint64_t share = (monotonic_ns() - before) / std::max<std::size_t>(placed.size(), 1);
  for (std::size_t i = 0; i < placed.size(); i++) {
    placed[i]->cpu_ns += share;
    if (good) collect(*placed[i], static_cast<llama_seq_id>(i));
  }
  for (auto at = works_.begin(); at != works_.end();) {
    const bool failed = !good && std::ranges::find(placed, &*at) != placed.end();
    if (failed || at->done == at->inputs.size()) {
      end(*at, failed ? End::engine_failed : End::exited, failed ? EngineLog::take() : "");
      at = works_.erase(at);
    } else {
      ++at;
    }
  }
}

}  // namespace phase::worker::inference
