#include "api/faces/reversing_node.h"

#include <algorithm>
#include <deque>

#include <boost/json.hpp>

#include "api/faces/json_text.h"
#include "lucid/model_name.h"

namespace phase::faces {
namespace {

using lucid::AnswerEvent;

constexpr std::size_t kPieceBytes = 4;
constexpr std::size_t kDimensions = 4;
constexpr std::string_view kPeer = "12D3KooWReversingNodeOfTheTests";
constexpr std::uint64_t kModified = 1'767'225'600'123'456'789;

std::size_t scalar_begin(std::string_view text, std::size_t end) {
  do {
    --end;
  } while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80);
  return end;
}

std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string{view(value->as_string())}
                                                : std::string{};
}

/// The last user message, else the prompt.
std::string told(const json::object& prompt) {
  const json::value* messages = prompt.if_contains("messages");
  if (messages == nullptr) {
    return text_of(prompt, "prompt");
  }
  std::string last;
  for (const json::value& message : messages->as_array()) {
    if (text_of(message.as_object(), "role") == "user") {
      last = text_of(message.as_object(), "content");
    }
  }
  return last;
}

AnswerEvent piece(job::OutputStream stream, std::string_view text) {
  return job::OutputPiece{stream, to_bytes(text)};
}
AnswerEvent note(const json::object& object) {
  return piece(job::OutputStream::err, json::serialize(object) + "\n");
}

json::object chance(std::string_view token) {
  json::array bytes;
  for (const char c : token) {
    bytes.push_back(static_cast<unsigned char>(c));
  }
  return {{"token", token}, {"bytes", std::move(bytes)}, {"logprob", -0.5}};
}

/// Text in pieces, which may end in the middle of a character.
void say(std::vector<AnswerEvent>& out, std::string_view text, const json::object& prompt) {
  const json::value* wanted = prompt.if_contains("logprobs");
  while (!text.empty()) {
    const std::string_view token = text.substr(0, kPieceBytes);
    text.remove_prefix(token.size());
    out.push_back(piece(job::OutputStream::out, token));
    if (wanted != nullptr) {
      json::object one = chance(valid_utf8(token));
      json::array top;
      for (std::int64_t i = 0; i < wanted->to_number<std::int64_t>(); ++i) {
        top.push_back(chance(i == 0 ? valid_utf8(token) : "other"));
      }
      one["top"] = std::move(top);
      out.push_back(note({{"logprobs", json::array{std::move(one)}}}));
    }
  }
}

void call_tool(std::vector<AnswerEvent>& out, const json::object& tool, const std::string& text) {
  out.push_back(note({{"parsed", true}}));
  out.push_back(piece(job::OutputStream::out, "<call>markup that nobody should see</call>"));
  const json::object& function = tool.at("function").as_object();
  out.push_back(note({{"tool_call", json::object{{"index", 0},
                                                 {"id", "call_1"},
                                                 {"name", function.at("name")},
                                                 {"arguments", json::object{{"text", text}}}}}}));
}

std::string embeddings(const json::object& prompt) {
  json::array all;
  std::size_t tokens = 0;
  for (const json::value& input : prompt.at("input").as_array()) {
    const std::string_view text = view(input.as_string());
    tokens += text.size();
    std::array<double, kDimensions> sums{1, 0, 0, 0};
    for (std::size_t i = 0; i < text.size(); ++i) {
      sums[i % kDimensions] += static_cast<double>(static_cast<unsigned char>(text[i])) / 128;
    }
    const json::value* wanted = prompt.if_contains("dimensions");
    const auto count = wanted == nullptr ? kDimensions : wanted->to_number<std::size_t>();
    json::array vector;
    for (std::size_t i = 0; i < count; ++i) {
      vector.push_back(sums[i % kDimensions]);
    }
    all.push_back(std::move(vector));
  }
  return json::serialize(json::object{{"embeddings", std::move(all)}, {"prompt_tokens", tokens}});
}

/// A document is as good as the letters of the query it has.
std::string scores(const json::object& prompt) {
  const std::string query = text_of(prompt, "query");
  json::array all;
  for (const json::value& document : prompt.at("documents").as_array()) {
    const std::string_view text = view(document.as_string());
    const auto shared = std::ranges::count_if(
        query, [text](char c) { return text.find(c) != std::string_view::npos; });
    all.push_back(static_cast<double>(shared) / static_cast<double>(query.size()));
  }
  return json::serialize(json::object{{"scores", std::move(all)}, {"prompt_tokens", query.size()}});
}

class HeldAnswer final : public lucid::Answer {
 public:
  HeldAnswer(asio::any_io_executor executor, std::vector<AnswerEvent> events, bool holds, int& open)
      : released_(std::move(executor)),
        events_(std::make_move_iterator(events.begin()), std::make_move_iterator(events.end())),
        holds_(holds),
        open_(open) {
    ++open_;
  }
  ~HeldAnswer() override { --open_; }

  Task<Result<AnswerEvent>> next() override {
    if (holds_ && told_text_) {
      static_cast<void>(co_await released_.wait());
      co_return fail(Code::cancelled, "nobody waits for it any more");
    }
    if (events_.empty()) {
      co_return fail(Code::internal, "nothing follows the end");
    }
    AnswerEvent event = std::move(events_.front());
    events_.pop_front();
    told_text_ = told_text_ || std::holds_alternative<job::OutputPiece>(event);
    co_return event;
  }

 private:
  Event released_;
  std::deque<AnswerEvent> events_;
  const bool holds_;
  bool told_text_ = false;
  int& open_;
};

class Lines final : public lucid::Transfer {
 public:
  Lines(std::vector<lucid::TransferLine> lines, std::optional<Error> fails, int& open)
      : lines_(lines.begin(), lines.end()), fails_(std::move(fails)), open_(open) {
    ++open_;
  }
  ~Lines() override { --open_; }
  Task<Result<std::optional<lucid::TransferLine>>> next() override {
    if (begun_ && fails_) {
      co_return fail(*fails_);
    }
    begun_ = true;
    if (lines_.empty()) {
      co_return std::optional<lucid::TransferLine>{};
    }
    std::optional<lucid::TransferLine> line = std::move(lines_.front());
    lines_.pop_front();
    co_return line;
  }

 private:
  std::deque<lucid::TransferLine> lines_;
  std::optional<Error> fails_;
  bool begun_ = false;
  int& open_;
};

class Blob final : public lucid::Models::Upload {
 public:
  Blob(std::map<std::string, std::uint64_t>& blobs, std::string digest)
      : blobs_(blobs), digest_(std::move(digest)) {}
  Task<Result<void>> write(ByteView bytes) override {
    hash_.update(bytes);
    length_ += bytes.size();
    co_return Result<void>{};
  }
  Task<Result<bool>> commit() override {
    if ("sha256:" + hash_.finish().hex() != digest_) {
      co_return fail(Code::verification_failed, "digest mismatch");
    }
    co_return blobs_.emplace(digest_, length_).second;
  }

 private:
  std::map<std::string, std::uint64_t>& blobs_;
  const std::string digest_;
  Sha256Stream hash_;
  std::uint64_t length_ = 0;
};

lucid::Model model(std::string name) {
  lucid::Model out;
  out.name = std::move(name);
  out.digest = sha256(as_bytes(out.name)).hex();
  out.size = 1'234'567;
  out.modified_unix_ns = kModified;
  out.details = {"gguf", "reverse", "20M", "F16", "", {"reverse"}, 2'048, 4};
  out.capabilities = {"completion", "tools", "thinking"};
  return out;
}

tl::unexpected<Error> no_model() {
  return fail(Code::not_found, "no such model");
}

}  // namespace

std::string reversed(std::string_view text) {
  if (text.empty()) {
    return "(empty input)";
  }
  std::string out;
  while (!text.empty()) {
    const std::size_t begin = scalar_begin(text, text.size());
    out.append(text.substr(begin));
    text = text.substr(0, begin);
  }
  return out;
}

ReversingNode::ReversingNode(asio::any_io_executor executor) : executor_(std::move(executor)) {
  models_.emplace("tiny:latest", model("tiny:latest"));
}
ReversingNode::~ReversingNode() = default;

Result<std::string> ReversingNode::known(const std::string& name) const {
  const auto parsed = lucid::ModelName::parse(name);
  if (!parsed || !models_.contains(parsed->text())) {
    return no_model();
  }
  return parsed->text();
}

std::vector<AnswerEvent> ReversingNode::events(const lucid::Ask& ask) {
  const std::string job = "job-" + std::to_string(asks.size());
  std::vector<AnswerEvent> out{lucid::Route{"local", std::string{kPeer}, job},
                               lucid::Progress{"load", 7'000, 0}};
  const json::object prompt = parse_json(as_text(ask.prompt), 64).value().as_object();
  if (ask.prompt_kind >= 2) {
    out.push_back(
        piece(job::OutputStream::out, ask.prompt_kind == 2 ? embeddings(prompt) : scores(prompt)));
    out.push_back(lucid::Finished{{}, lucid::Verdict::verified, "", "", Duration{9'000}});
    return out;
  }
  const std::string text = told(prompt);
  const json::value* think = prompt.if_contains("think");
  if (think != nullptr && *think != false) {
    out.push_back(note({{"thinking", "backwards, then"}}));
  }
  const json::value* tools = prompt.if_contains("tools");
  const bool calls = tools != nullptr && prompt.at("tools").as_array().size() > 0 &&
                     text_of(prompt, "tool_choice") != "none";
  if (calls) {
    call_tool(out, tools->as_array().front().as_object(), text);
  } else {
    say(out, reversed(text), prompt);
  }
  out.push_back(lucid::Progress{"prompt", 1'000, text.size()});
  out.push_back(lucid::Progress{"eval", 2'000, text.size()});
  out.push_back(lucid::Progress{"cached", 2, 2});
  out.push_back(note({{"done", json::object{{"prompt_tokens", text.size()},
                                            {"completion_tokens", text.size() + 1},
                                            {"reason", "stop"}}}}));
  out.push_back(lucid::Finished{{}, lucid::Verdict::verified, "", "", Duration{9'000}});
  return out;
}

Task<Result<std::unique_ptr<lucid::Answer>>> ReversingNode::ask(lucid::Ask ask) {
  asks.push_back(ask);
  if (refuses) {
    co_return fail(*refuses);
  }
  const auto name = known(ask.model);
  if (!name) {
    co_return fail(name.error());
  }
  lucid::RunningModel loaded{models_.at(*name), 2'000'000, 0, 4'096, {}};
  loaded.expires_unix_ns = kModified + 300'000'000'000;
  if (ask.keep_alive && *ask.keep_alive < Duration{0}) {
    loaded.expires_unix_ns.reset();
  }
  running_.insert_or_assign(*name, std::move(loaded));
  std::vector<AnswerEvent> all = script ? script(ask) : events(ask);
  Kept kept;
  const std::string job = "job-" + std::to_string(asks.size());
  kept.receipt = to_bytes("receipt of " + job);
  kept.manifest = to_bytes("manifest of " + job);
  kept.prompt = ask.prompt;
  for (const AnswerEvent& event : all) {
    if (const auto* output = std::get_if<job::OutputPiece>(&event)) {
      kept.output.push_back(*output);
    }
  }
  receipts_.insert_or_assign(job, std::move(kept));
  std::unique_ptr<lucid::Answer> answer =
      std::make_unique<HeldAnswer>(executor_, std::move(all), holds, open_answers);
  co_return std::move(answer);
}

Task<Result<void>> ReversingNode::load(std::string name, lucid::KeepAlive keep_alive) {
  loads.emplace_back(name, keep_alive);
  const auto found = known(name);
  if (!found) {
    co_return fail(found.error());
  }
  if (keep_alive && *keep_alive == Duration{0}) {
    running_.erase(*found);
  } else {
    running_.insert_or_assign(*found, lucid::RunningModel{models_.at(*found), 1, 0, 4'096, {}});
  }
  co_return Result<void>{};
}

Task<Result<lucid::Lucid::Kept>> ReversingNode::receipt(std::string job_id) {
  const auto found = receipts_.find(job_id);
  if (found == receipts_.end()) {
    co_return fail(Code::not_found, "no receipt");
  }
  co_return found->second;
}

Task<Result<std::vector<lucid::Model>>> ReversingNode::list() {
  std::vector<lucid::Model> out;
  for (const auto& [name, one] : models_) {
    out.push_back(one);
  }
  co_return out;
}

std::vector<lucid::RunningModel> ReversingNode::running() {
  std::vector<lucid::RunningModel> out;
  for (const auto& [name, one] : running_) {
    out.push_back(one);
  }
  return out;
}

Task<Result<lucid::ModelView>> ReversingNode::show(std::string name) {
  const auto found = known(name);
  if (!found) {
    co_return fail(found.error());
  }
  lucid::ModelView out;
  out.model = models_.at(*found);
  out.chat_template = "{{ messages }}";
  out.metadata =
      R"({"general.architecture":"reverse","general.name":"Tiny","tokenizer.chat_template":"{{ )"
      R"(messages }}"})";
  out.parameters = 20'000'000;
  const auto recipe = recipes.find(*found);
  if (recipe != recipes.end()) {
    out.recipe = recipe->second;
  }
  co_return out;
}

Task<Result<void>> ReversingNode::copy(std::string from, std::string to) {
  const auto found = known(from);
  if (!found) {
    co_return fail(found.error());
  }
  const auto parsed = lucid::ModelName::parse(to);
  if (!parsed) {
    co_return fail(parsed.error());
  }
  models_.insert_or_assign(parsed->text(), model(parsed->text()));
  co_return Result<void>{};
}

Task<Result<void>> ReversingNode::remove(std::string name) {
  const auto found = known(name);
  if (!found) {
    co_return fail(found.error());
  }
  models_.erase(*found);
  co_return Result<void>{};
}

std::unique_ptr<lucid::Transfer> ReversingNode::transfer(std::vector<lucid::TransferLine> lines) {
  return std::make_unique<Lines>(std::move(lines), transfer_fails, open_transfers);
}

Task<Result<std::unique_ptr<lucid::Transfer>>> ReversingNode::create(
    std::string name, lucid::ModelRecipe recipe,
    std::vector<std::pair<std::string, std::string>> files) {
  for (const auto& [file, digest] : files) {
    if (!blobs.contains(digest)) {
      co_return fail(Code::invalid_argument, "no blob " + digest);
    }
  }
  if (!recipe.from.empty() && !known(recipe.from)) {
    co_return no_model();
  }
  const auto parsed = lucid::ModelName::parse(name);
  if (!parsed) {
    co_return fail(parsed.error());
  }
  models_.insert_or_assign(parsed->text(), model(parsed->text()));
  recipes.insert_or_assign(parsed->text(), std::move(recipe));
  co_return transfer({{"writing manifest", "", {}, {}}, {"success", "", {}, {}}});
}

Task<Result<std::unique_ptr<lucid::Transfer>>> ReversingNode::pull(std::string name) {
  if (name == "nobody-has-it") {
    co_return fail(Code::not_found, "nobody serves nobody-has-it");
  }
  const std::string digest = "sha256:" + std::string(64, 'a');
  co_return transfer({{"pulling manifest", "", {}, {}},
                      {"pulling aaaa", digest, 100, {}},
                      {"pulling aaaa", digest, 100, 100}});
}

Task<Result<std::unique_ptr<lucid::Transfer>>> ReversingNode::push(std::string name) {
  if (!known(name)) {
    co_return no_model();
  }
  co_return transfer({{"success", "", {}, {}}});
}

Task<Result<std::unique_ptr<lucid::Models::Upload>>> ReversingNode::upload(std::string digest) {
  std::unique_ptr<Upload> out = std::make_unique<Blob>(blobs, std::move(digest));
  co_return std::move(out);
}

}  // namespace phase::faces
