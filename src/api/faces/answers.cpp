#include "api/faces/answers.h"

#include <algorithm>
#include <array>
#include <iterator>

#include <boost/json.hpp>

#include "protocol/job/output.h"
#include "protocol/receipt/receipt.h"

namespace phase::faces {
namespace {

constexpr std::size_t kTopMax = 20;
constexpr std::size_t kMessageBytesMax = 512;

tl::unexpected<Error> no_note(std::string_view what) {
  return fail(Code::protocol, "the provider sent a note that is none: " + std::string{what});
}

Duration nanoseconds(std::uint64_t count) {
  return Duration{static_cast<std::int64_t>(std::min<std::uint64_t>(count, INT64_MAX))};
}

/// A counter of a note; 0 for anything else.
std::uint64_t counter(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  if (value == nullptr) {
    return 0;
  }
  boost::system::error_code error;
  const auto out = value->is_number() ? value->to_number<std::uint64_t>(error) : 0;
  return error ? 0 : out;
}

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string{view(value->as_string())}
                                                : std::string{};
}

Result<Chance> chance(const json::value& value) {
  const json::object* object = value.if_object();
  const json::value* logprob = object == nullptr ? nullptr : object->if_contains("logprob");
  if (logprob == nullptr || !logprob->is_number()) {
    return no_note("logprobs");
  }
  Chance out;
  out.token = text_of(*object, "token");
  out.logprob = logprob->to_number<double>();
  const json::value* bytes = object->if_contains("bytes");
  if (const json::array* list = bytes == nullptr ? nullptr : bytes->if_array()) {
    for (const json::value& byte : *list) {
      boost::system::error_code error;
      out.bytes.push_back(byte.is_number() ? byte.to_number<std::uint8_t>(error) : std::uint8_t{0});
    }
  } else {
    out.bytes.assign(out.token.begin(), out.token.end());
  }
  return out;
}

Result<TokenChances> token_chances(const json::value& value) {
  TokenChances out;
  PHASE_TRY(out.chosen, chance(value));
  const json::value* top = value.as_object().if_contains("top");
  const json::array* list = top == nullptr ? nullptr : top->if_array();
  for (std::size_t i = 0; list != nullptr && i < std::min(list->size(), kTopMax); ++i) {
    PHASE_TRY(Chance one, chance((*list)[i]));
    out.top.push_back(std::move(one));
  }
  return out;
}

bool says_something(const Part& part) {
  return !part.content.empty() || !part.thinking.empty() || !part.calls.empty() ||
         !part.logprobs.empty() || part.restart;
}

template <typename T>
void append(std::vector<T>& to, std::vector<T>& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

}  // namespace

Error completion_error(const lucid::Finished& finished) {
  using receipt::CompletionKind;
  struct Row {
    std::string_view reason, message;
  };
  static constexpr std::array<Row, 7> kWords{{
      {"suffix_unsupported", "this model does not support insert"},
      {"template_malformed", "the template is not one the model's engine understands"},
      {"grammar_malformed", "the format or grammar is not one the model's engine understands"},
      {"model_unfit", "this model does not support this kind of request"},
      {"prompt_malformed", "the request is not one the model's engine understands"},
      {"worker_lost", "the model's process was lost; try again"},
      {"shutdown", "the provider is stopping; try again"},
  }};
  const receipt::Completion& completion = finished.completion;
  if (completion.kind == CompletionKind::cancelled) {
    return {Code::cancelled, "the answer was cancelled", {}};
  }
  if (!finished.failed_check.empty()) {
    return {Code::protocol,
            "the provider's receipt was refused: " + printable(finished.failed_check, 64),
            "ask again: that provider comes last from now on"};
  }
  if (completion.reason == "prompt_too_long") {  // as Ollama says it
    return {Code::invalid_argument, "the input length exceeds the context length", {}};
  }
  const auto* row = std::ranges::find(kWords, completion.reason, &Row::reason);
  std::string message = row == kWords.end() ? "the run ended: " + printable(completion.reason, 64)
                                            : std::string{row->message};
  if (!finished.message.empty()) {
    message += ": " + printable(finished.message, kMessageBytesMax);
  }
  const bool refused = completion.kind == CompletionKind::invalid;
  return {refused ? Code::invalid_argument : Code::internal, std::move(message), {}};
}

AnswerReader::AnswerReader(std::unique_ptr<lucid::Answer> answer, Mode mode, bool logprobs)
    : answer_(std::move(answer)), mode_(mode), logprobs_(logprobs) {}

Task<Result<Part>> AnswerReader::next() {
  while (true) {
    Result<lucid::AnswerEvent> event = co_await answer_->next();
    if (!event) {
      co_return fail(std::move(event).error());
    }
    Result<std::optional<Part>> part = take(std::move(*event));
    if (!part) {
      co_return fail(std::move(part).error());
    }
    if (*part) {
      co_return std::move(**part);
    }
  }
}

Result<std::optional<Part>> AnswerReader::take(lucid::AnswerEvent event) {
  if (auto* piece = std::get_if<job::OutputPiece>(&event)) {
    bytes_ += piece->data.size();
    if (bytes_ > kAnswerBytesMax) {
      return fail(Code::too_large, "the answer is longer than 64 MiB");
    }
    if (spoiled_) {
      return std::optional<Part>{};
    }
    const Result<void> taken = take_piece(*piece);
    if (!taken && taken.error().code != Code::protocol) {
      return fail(taken.error());
    }
    if (!taken) {
      spoiled_ = taken.error();  // another provider may be asked yet
    }
    return ready();
  }
  if (auto* route = std::get_if<lucid::Route>(&event)) {
    route_ = std::move(*route);
  } else if (const auto* progress = std::get_if<lucid::Progress>(&event)) {
    take_progress(*progress);
  } else if (std::holds_alternative<lucid::Restart>(event)) {
    restart();
    return ready();
  } else {
    PHASE_TRY(Part last, finish(std::get<lucid::Finished>(event)));
    return std::optional<Part>(std::move(last));
  }
  return std::optional<Part>{};
}

Result<void> AnswerReader::take_piece(const job::OutputPiece& piece) {
  if (piece.stream == job::OutputStream::err) {
    return take_notes(piece.data);
  }
  return parsed_ ? Result<void>{} : take_text(join_.add(as_text(piece.data)));
}

std::optional<Part> AnswerReader::ready() {
  // Chances come in a note after their text; both belong into one part.
  const bool waits = logprobs_ && pending_.logprobs.empty() && !pending_.restart;
  if (!says_something(pending_) || waits) {
    return std::nullopt;
  }
  return std::exchange(pending_, Part{});
}

Result<void> AnswerReader::tell(std::string& told, std::size_t& at, std::string& to,
                                std::string_view text) {
  if (mode_ == Mode::stream) {
    const std::size_t again = std::min(told.size() - at, text.size());
    if (std::string_view{told}.substr(at, again) != text.substr(0, again)) {
      return fail(Code::connection_closed,
                  "the provider was lost, and the next one answers differently",
                  "ask again, with a seed if the answer should be the same");
    }
    text.remove_prefix(again);
    told.append(text);
    at += again + text.size();
  }
  to.append(text);
  return {};
}

Result<void> AnswerReader::take_text(std::string_view text) {
  return tell(told_.content, content_at_, pending_.content, text);
}

Result<void> AnswerReader::take_notes(ByteView bytes) {
  std::string_view rest = as_text(bytes);
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    line_.append(rest.substr(0, end));
    if (line_.size() > kNoteBytesMax) {
      return no_note("longer than 4 MiB");
    }
    if (end == std::string_view::npos) {
      return {};
    }
    rest.remove_prefix(end + 1);
    const std::string line = std::exchange(line_, {});
    PHASE_TRY_VOID(take_note(line));
  }
  return {};
}

Result<void> AnswerReader::take_note(std::string_view line) {
  auto read = parse_json(line);
  if (!read || !read->is_object()) {
    return no_note(read ? "not an object" : read.error().message);
  }
  const json::object& note = read->as_object();
  if (const json::value* parsed = note.if_contains("parsed")) {
    parsed_ = parsed->is_bool() && parsed->as_bool();
  }
  if (parsed_) {
    const std::string content = text_of(note, "content");
    PHASE_TRY_VOID(tell(told_.content, content_at_, pending_.content, content));
  }
  const std::string thinking = text_of(note, "thinking");
  PHASE_TRY_VOID(tell(told_.thinking, thinking_at_, pending_.thinking, thinking));
  if (const json::value* call = note.if_contains("tool_call")) {
    PHASE_TRY_VOID(take_call(*call));
  }
  if (const json::value* logprobs = note.if_contains("logprobs")) {
    PHASE_TRY_VOID(take_logprobs(*logprobs));
  }
  const json::value* done = note.if_contains("done");
  if (const json::object* counts = done == nullptr ? nullptr : done->if_object()) {
    summary_.prompt_tokens = counter(*counts, "prompt_tokens");
    summary_.completion_tokens = counter(*counts, "completion_tokens");
    summary_.length = text_of(*counts, "reason") == "length";
    summary_.stopped_by = text_of(*counts, "stop");
  }
  return {};
}

Result<void> AnswerReader::take_call(const json::value& value) {
  const json::object* object = value.if_object();
  const json::value* arguments = object == nullptr ? nullptr : object->if_contains("arguments");
  if (arguments == nullptr || !arguments->is_object()) {
    return no_note("tool_call");
  }
  if (++calls_at_ > kCallsMax) {
    return fail(Code::too_large, "the answer calls more than 128 tools");
  }
  if (mode_ == Mode::stream && calls_at_ <= told_.calls) {
    return {};
  }
  ToolCall call;
  call.index = counter(*object, "index");
  call.id = text_of(*object, "id");
  call.name = text_of(*object, "name");
  call.arguments = json::serialize(*arguments);
  pending_.calls.push_back(std::move(call));
  told_.calls = calls_at_;
  return {};
}

Result<void> AnswerReader::take_logprobs(const json::value& value) {
  const json::array* list = value.if_array();
  if (list == nullptr) {
    return no_note("logprobs");
  }
  for (const json::value& entry : *list) {
    PHASE_TRY(TokenChances one, token_chances(entry));
    ++logprobs_at_;
    if (mode_ == Mode::stream && logprobs_at_ <= told_.logprobs) {
      continue;
    }
    pending_.logprobs.push_back(std::move(one));
    told_.logprobs = logprobs_at_;
  }
  return {};
}

void AnswerReader::take_progress(const lucid::Progress& progress) {
  if (progress.stage == "load") {
    summary_.load = nanoseconds(progress.done);
  } else if (progress.stage == "prompt") {
    summary_.prompt = nanoseconds(progress.done);
  } else if (progress.stage == "eval") {
    summary_.eval = nanoseconds(progress.done);
  } else if (progress.stage == "cached") {
    summary_.cached_tokens = progress.done;
  }
}

void AnswerReader::restart() {
  join_ = {};
  line_.clear();
  bytes_ = 0;  // who flooded is gone
  parsed_ = false;
  spoiled_.reset();
  content_at_ = thinking_at_ = calls_at_ = logprobs_at_ = 0;
  if (mode_ == Mode::whole) {
    pending_ = {};
    pending_.restart = true;
    return;
  }
  // What is pending counts as told already: it is told before anything new.
}

Result<Part> AnswerReader::finish(const lucid::Finished& finished) {
  using receipt::CompletionKind;
  summary_.total = finished.total;
  summary_.verdict = finished.verdict;
  summary_.failed_check = finished.failed_check;
  summary_.earlier = finished.earlier;
  const CompletionKind kind = finished.completion.kind;
  if (kind != CompletionKind::exited && kind != CompletionKind::limited) {
    return fail(completion_error(finished));
  }
  if (spoiled_) {
    return fail(*spoiled_);
  }
  summary_.length = summary_.length || kind == CompletionKind::limited;
  if (!parsed_) {
    PHASE_TRY_VOID(take_text(join_.end()));
  }
  if (content_at_ < told_.content.size() && mode_ == Mode::stream) {
    return fail(Code::connection_closed,
                "the provider was lost, and the next one answers differently");
  }
  Part last = std::exchange(pending_, Part{});
  last.done = true;
  return last;
}

Task<Result<Part>> collect(AnswerReader& reader) {
  Part all;
  while (!all.done) {
    Result<Part> part = co_await reader.next();
    if (!part) {
      co_return fail(std::move(part).error());
    }
    if (part->restart) {
      all = Part{};
    }
    all.content += part->content;
    all.thinking += part->thinking;
    append(all.calls, part->calls);
    append(all.logprobs, part->logprobs);
    all.done = part->done;
  }
  co_return all;
}

}  // namespace phase::faces
