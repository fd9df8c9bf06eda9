#include "lucid/upstream_answer.h"

#include <algorithm>
#include <cmath>

#include <boost/json.hpp>

#include "worker/inference/notes.h"

namespace phase::lucid {
namespace {

namespace json = boost::json;
namespace engine = worker::inference;
using job::OutputStream;
using receipt::Completion;
using receipt::CompletionKind;
using Shape = UpstreamRequest::Shape;

constexpr double kNsPerMs = 1e6;
constexpr double kTimesMaxMs = 1e12;
constexpr std::size_t kMessageBytesMax = 512;
constexpr std::size_t kChancesMax = 64;

const json::object* object_in(const json::object& from, std::string_view name) {
  const json::value* value = from.if_contains(name);
  return value == nullptr ? nullptr : value->if_object();
}

const json::array* list_in(const json::object& from, std::string_view name) {
  const json::value* value = from.if_contains(name);
  return value == nullptr ? nullptr : value->if_array();
}

std::string_view text_in(const json::object& from, std::string_view name) {
  const json::value* value = from.if_contains(name);
  const json::string* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string_view{} : std::string_view{text->data(), text->size()};
}

double number_in(const json::object& from, std::string_view name) {
  const json::value* value = from.if_contains(name);
  if (value == nullptr || !value->is_number()) return 0;
  const double number = value->to_number<double>();
  return std::isfinite(number) ? number : 0;
}

std::uint64_t count_in(const json::object& from, std::string_view name) {
  return static_cast<std::uint64_t>(std::clamp(number_in(from, name), 0.0, 1e15));
}

std::uint64_t ns_in(const json::object& from, std::string_view name) {
  return static_cast<std::uint64_t>(std::clamp(number_in(from, name), 0.0, kTimesMaxMs) * kNsPerMs);
}

engine::TokenProbability chance_of(const json::object& token) {
  engine::TokenProbability out;
  out.logprob = number_in(token, "logprob");
  if (const json::array* bytes = list_in(token, "bytes")) {
    for (const json::value& byte : *bytes) {
      boost::system::error_code error;
      const auto value = byte.is_number() ? byte.to_number<std::uint8_t>(error) : 0;
      out.bytes += static_cast<char>(value);
    }
  } else {
    out.bytes = text_in(token, "token");
  }
  return out;
}

}  // namespace

void UpstreamAnswer::say(OutputStream stream, std::string_view text) {
  if (text.empty()) return;
  events.emplace_back(job::OutputPiece{stream, to_bytes(text)});
}

void UpstreamAnswer::end(Completion completion, std::string message) {
  if (over_) return;
  over_ = true;
  worker::InferenceEnd last;
  last.completion = std::move(completion);
  last.claimed.runtime = "upstream";
  last.message = std::move(message);
  events.emplace_back(std::move(last));
}

void UpstreamAnswer::take(std::string_view bytes) {
  if (over_) return;
  held_ += bytes;
  if (!streams()) return;
  std::size_t from = 0;
  while (!over_) {
    const std::size_t line_end = held_.find('\n', from);
    if (line_end == std::string::npos) break;
    take_line(std::string_view(held_).substr(from, line_end - from));
    from = line_end + 1;
  }
  held_.erase(0, from);
  if (held_.size() > kUpstreamLineBytesMax) {
    end({CompletionKind::failed, 0, "worker_lost"}, "the upstream sent a line without end");
  }
}

// Server-sent events: only `data:` says something here, and `error:` of older servers.
void UpstreamAnswer::take_line(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.starts_with("data:")) {
    line.remove_prefix(5);
  } else if (line.starts_with("error:")) {
    line.remove_prefix(6);
  } else {
    return;
  }
  while (line.starts_with(' ')) line.remove_prefix(1);
  if (line == "[DONE]" || line.empty()) return;
  boost::system::error_code error;
  const json::value value = json::parse(line, error);
  if (error || !value.is_object()) {
    return end({CompletionKind::failed, 0, "worker_lost"}, "the upstream sent what is no JSON");
  }
  take_event(value.get_object());
}

void UpstreamAnswer::take_event(const json::object& event) {
  if (const json::object* error = object_in(event, "error")) return refuse(*error);
  if (const json::array* choices = list_in(event, "choices")) {
    const json::object* first = choices->empty() ? nullptr : choices->front().if_object();
    if (first != nullptr) take_choice(*first);
  } else {
    take_completion(event);
  }
  take_counts(event);
}

void UpstreamAnswer::take_choice(const json::object& choice) {
  if (const json::object* delta = object_in(choice, "delta")) {
    const std::string_view thought = text_in(*delta, "reasoning_content");
    if (!thought.empty()) say(OutputStream::err, engine::text_note("thinking", thought));
    say(OutputStream::out, text_in(*delta, "content"));
    if (const json::array* calls = list_in(*delta, "tool_calls")) take_calls(*calls);
  }
  if (const json::object* logprobs = object_in(choice, "logprobs")) {
    if (const json::array* tokens = list_in(*logprobs, "content")) take_chances(*tokens);
  }
  const std::string_view reason = text_in(choice, "finish_reason");
  if (!reason.empty()) reason_ = reason;
}

// The server's own /completion and /infill.
void UpstreamAnswer::take_completion(const json::object& event) {
  say(OutputStream::out, text_in(event, "content"));
  if (const json::array* tokens = list_in(event, "completion_probabilities")) take_chances(*tokens);
  const json::value* stop = event.if_contains("stop");
  if (stop == nullptr || !stop->is_bool() || !stop->get_bool()) return;
  reason_ = text_in(event, "stop_type") == "limit" ? "length" : "stop";
  prompt_tokens_ = count_in(event, "tokens_evaluated");
  completion_tokens_ = count_in(event, "tokens_predicted");
}

void UpstreamAnswer::take_calls(const json::array& calls) {
  for (const json::value& value : calls) {
    const json::object* piece = value.if_object();
    const json::object* function = piece == nullptr ? nullptr : object_in(*piece, "function");
    if (function == nullptr) continue;
    const std::string_view id = text_in(*piece, "id"), name = text_in(*function, "name"),
                           arguments = text_in(*function, "arguments");
    call_bytes_ += id.size() + name.size() + arguments.size();
    Call& call = calls_[count_in(*piece, "index")];
    if (calls_.size() > kUpstreamCallsMax || call_bytes_ > kUpstreamLineBytesMax) {
      return end({CompletionKind::failed, 0, "worker_lost"}, "the upstream calls without end");
    }
    call.id += id;
    call.name += name;
    call.arguments += arguments;
  }
}

void UpstreamAnswer::take_chances(const json::array& tokens) {
  std::vector<engine::TokenProbability> out;
  for (const json::value& value : tokens) {
    const json::object* token = value.if_object();
    if (token == nullptr || out.size() >= kChancesMax) break;
    out.push_back(chance_of(*token));
    const json::array* top = list_in(*token, "top_logprobs");
    for (std::size_t i = 0; top != nullptr && i < std::min(top->size(), kChancesMax); ++i) {
      if (const json::object* other = (*top)[i].if_object()) {
        out.back().top.push_back(chance_of(*other));
      }
    }
  }
  if (!out.empty()) say(OutputStream::err, engine::logprobs_note(out));
}

void UpstreamAnswer::take_counts(const json::object& event) {
  if (const json::object* usage = object_in(event, "usage")) {
    prompt_tokens_ = count_in(*usage, "prompt_tokens");
    completion_tokens_ = count_in(*usage, "completion_tokens");
  }
  if (const json::object* timings = object_in(event, "timings")) {
    cached_tokens_ = count_in(*timings, "cache_n");
    prompt_ns_ = ns_in(*timings, "prompt_ms");
    eval_ns_ = ns_in(*timings, "predicted_ms");
  }
}

// How llama-server says no, in our words.
void UpstreamAnswer::refuse(const json::object& error) {
  const std::string_view type = text_in(error, "type");
  std::string message =
      "the upstream says: " + printable(text_in(error, "message"), kMessageBytesMax);
  if (type == "exceed_context_size_error") {
    return end({CompletionKind::invalid, 0, "prompt_too_long"}, std::move(message));
  }
  if (type == "not_supported_error") {
    return end({CompletionKind::invalid, 0, "model_unfit"}, std::move(message));
  }
  if (type == "invalid_request_error") {
    return end({CompletionKind::invalid, 0, "prompt_malformed"}, std::move(message));
  }
  end({CompletionKind::failed, 0, "worker_lost"}, std::move(message));
}

void UpstreamAnswer::finish() {
  if (over_) return;
  if (streams()) return finish_text();
  finish_document();
}

void UpstreamAnswer::finish_text() {
  if (!held_.empty()) take_line(std::exchange(held_, {}));
  if (over_) return;
  if (reason_.empty()) {
    return end({CompletionKind::failed, 0, "worker_lost"},
               "the upstream ended its answer in the middle; is it still running?");
  }
  std::size_t index = 0;
  for (const auto& [at, call] : calls_) {
    say(OutputStream::err, engine::tool_call_note(index++, call.id, call.name, call.arguments));
  }
  const bool limited = reason_ == "length";
  say(OutputStream::err, engine::done_note(prompt_tokens_, completion_tokens_, limited));
  events.emplace_back(worker::InferenceProgress{"cached", cached_tokens_, prompt_tokens_});
  events.emplace_back(worker::InferenceProgress{"prompt", prompt_ns_, prompt_tokens_});
  events.emplace_back(worker::InferenceProgress{"eval", eval_ns_, completion_tokens_});
  end(limited ? Completion{CompletionKind::limited, 0, "tokens"} : Completion{}, {});
}

void UpstreamAnswer::finish_document() {
  boost::system::error_code problem;
  const json::value value = json::parse(held_, problem);
  const json::object* document = problem ? nullptr : value.if_object();
  const json::object* error = document == nullptr ? nullptr : object_in(*document, "error");
  if (error != nullptr) return refuse(*error);
  if (document == nullptr || status_ != 200) {
    return end({CompletionKind::failed, 0, "worker_lost"},
               "the upstream answers " + std::to_string(status_) + ": " + printable(held_, 200));
  }
  const std::string text = shape_ == Shape::embeddings ? embeddings(*document) : ranks(*document);
  if (text.empty()) {
    return end({CompletionKind::failed, 0, "worker_lost"},
               "the upstream's answer is not what was asked for");
  }
  say(OutputStream::out, text);
  end({}, {});
}

// {"data": [{"index", "embedding": [number]}]} → {"embeddings": [[number]]}, of length 1.
std::string UpstreamAnswer::embeddings(const json::object& document) const {
  const json::array* data = list_in(document, "data");
  if (data == nullptr) return {};
  std::vector<json::array> vectors(data->size());
  for (const json::value& value : *data) {
    const json::object* one = value.if_object();
    const json::array* numbers = one == nullptr ? nullptr : list_in(*one, "embedding");
    const std::uint64_t index = one == nullptr ? 0 : count_in(*one, "index");
    if (numbers == nullptr || index >= vectors.size()) return {};
    const std::size_t count =
        dimensions_ == 0 ? numbers->size() : std::min(dimensions_, numbers->size());
    double square = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (!(*numbers)[i].is_number()) return {};
      const double number = (*numbers)[i].to_number<double>();
      square += number * number;
    }
    const double length = square > 0 && std::isfinite(square) ? std::sqrt(square) : 1;
    json::array vector;
    for (std::size_t i = 0; i < count; ++i) {
      vector.emplace_back((*numbers)[i].to_number<double>() / length);
    }
    vectors[index] = std::move(vector);
  }
  const json::object* usage = object_in(document, "usage");
  return json::serialize(
      json::object{{"embeddings", json::array(vectors.begin(), vectors.end())},
                   {"prompt_tokens", usage == nullptr ? 0 : count_in(*usage, "prompt_tokens")}});
}

std::string UpstreamAnswer::ranks(const json::object& document) const {
  const json::array* results = list_in(document, "results");
  if (results == nullptr) return {};
  std::vector<double> scores(results->size());
  for (const json::value& value : *results) {
    const json::object* one = value.if_object();
    const std::uint64_t index = one == nullptr ? scores.size() : count_in(*one, "index");
    if (index >= scores.size()) return {};
    scores[index] = number_in(*one, "relevance_score");
  }
  const json::object* usage = object_in(document, "usage");
  return json::serialize(
      json::object{{"scores", json::array(scores.begin(), scores.end())},
                   {"prompt_tokens", usage == nullptr ? 0 : count_in(*usage, "prompt_tokens")}});
}

}  // namespace phase::lucid
