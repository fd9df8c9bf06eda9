#include "lucid/echo.h"

#include <algorithm>
#include <deque>

#include <boost/json.hpp>

namespace phase::lucid {
namespace {

namespace json = boost::json;
using worker::InferenceEvent;

/// Scalar values in one piece of output.
constexpr std::size_t kPieceScalars = 16;

std::size_t scalar_bytes(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  std::size_t count = 1;
  if (lead >= 0xc2) count = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 1;
  if (count > text.size()) return 1;
  const auto follows = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  return std::ranges::all_of(text.substr(1, count - 1), follows) ? count : 1;
}

std::vector<std::string_view> scalars(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const std::size_t count = scalar_bytes(text);
    out.push_back(text.substr(0, count));
    text.remove_prefix(count);
  }
  return out;
}

std::string text_of(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_string()) return {};
  return {value->as_string().data(), value->as_string().size()};
}

/// What it was told: the last user message, else the prompt.
Result<std::string> told(const worker::InferenceRequest& request) {
  if (request.job.prompt_kind == job::PromptKind::text) return std::string(as_text(request.prompt));
  boost::system::error_code error;
  const json::value document = json::parse(as_text(request.prompt), error);
  if (error || !document.is_object()) return fail(Code::malformed, "the prompt is no JSON object");
  const json::value* messages = document.as_object().if_contains("messages");
  if (messages == nullptr) return text_of(document.as_object(), "prompt");
  if (!messages->is_array()) return fail(Code::malformed, "messages is no list");
  std::string last;
  for (const json::value& message : messages->as_array()) {
    if (message.is_object() && text_of(message.as_object(), "role") == "user") {
      last = text_of(message.as_object(), "content");
    }
  }
  return last;
}

class EchoInference final : public worker::Inference {
 public:
  explicit EchoInference(std::shared_ptr<std::size_t> busy) : busy_(std::move(busy)) { ++*busy_; }
  ~EchoInference() override { --*busy_; }

  void run(const worker::InferenceRequest& request) {
    using receipt::CompletionKind;
    const auto kind = request.job.prompt_kind;
    if (kind != job::PromptKind::text && kind != job::PromptKind::request) {
      return end({CompletionKind::invalid, 0, "model_unfit"}, "echo makes no embeddings");
    }
    const Result<std::string> said = told(request);
    if (!said) return end({CompletionKind::invalid, 0, "prompt_malformed"}, said.error().message);
    const std::string answer = said->empty() ? "(empty input)" : reverse_text(*said);
    const std::vector<std::string_view> all = scalars(answer);
    const std::size_t count = std::min<std::uint64_t>(all.size(), request.job.tokens_max);
    for (std::size_t at = 0; at < count; at += kPieceScalars) {
      std::string piece;
      for (std::size_t i = at; i < std::min(count, at + kPieceScalars); ++i) piece += all[i];
      events_.emplace_back(job::OutputPiece{job::OutputStream::out, to_bytes(piece)});
    }
    const bool cut = count < all.size();
    const std::size_t prompt_tokens = scalars(*said).size();
    const json::object done{{"done", json::object{{"prompt_tokens", prompt_tokens},
                                                  {"completion_tokens", count},
                                                  {"reason", cut ? "length" : "stop"}}}};
    events_.emplace_back(
        job::OutputPiece{job::OutputStream::err, to_bytes(json::serialize(done) + "\n")});
    events_.emplace_back(worker::InferenceProgress{"prompt", 0, prompt_tokens});
    events_.emplace_back(worker::InferenceProgress{"eval", 0, count});
    end(cut ? receipt::Completion{CompletionKind::limited, 0, "tokens"} : receipt::Completion{},
        {});
  }

  Task<Result<InferenceEvent>> next() override {
    if (events_.empty()) co_return fail(Code::internal, "nothing follows the end");
    InferenceEvent event = std::move(events_.front());
    events_.pop_front();
    co_return event;
  }
  void stop(receipt::Completion completion) override {
    if (events_.empty()) return;
    events_.clear();
    end(std::move(completion), {});
  }

 private:
  void end(receipt::Completion completion, std::string message) {
    worker::InferenceEnd last;
    last.completion = std::move(completion);
    last.claimed.runtime = "echo";
    last.message = std::move(message);
    events_.emplace_back(std::move(last));
  }

  std::shared_ptr<std::size_t> busy_;
  std::deque<InferenceEvent> events_;
};

class Echo final : public worker::LoadedModel {
 public:
  explicit Echo(const worker::ModelInfo& info) : info_(info) {
    options_.context_tokens = static_cast<std::uint32_t>(info.context_tokens);
  }
  const worker::ModelInfo& info() const noexcept override { return info_; }
  const worker::EngineOptions& options() const noexcept override { return options_; }
  std::uint64_t memory_bytes() const noexcept override { return 0; }
  std::uint64_t gpu_bytes() const noexcept override { return 0; }
  std::size_t busy() const noexcept override { return *busy_; }
  bool ended() const noexcept override { return false; }
  const std::vector<std::string>& isolation() const noexcept override { return isolation_; }
  Task<Result<std::unique_ptr<worker::Inference>>> start(
      worker::InferenceRequest request) override {
    auto out = std::make_unique<EchoInference>(busy_);
    out->run(request);
    std::unique_ptr<worker::Inference> handle = std::move(out);
    co_return handle;
  }

 private:
  worker::ModelInfo info_;
  worker::EngineOptions options_;
  std::vector<std::string> isolation_{"none"};  // it runs no stranger's bytes
  std::shared_ptr<std::size_t> busy_ = std::make_shared<std::size_t>(0);
};

}  // namespace

std::string reverse_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const std::vector<std::string_view> all = scalars(text);
  for (auto one = all.rbegin(); one != all.rend(); ++one) out += *one;
  return out;
}

std::unique_ptr<worker::LoadedModel> make_echo(const worker::ModelInfo& info) {
  return std::make_unique<Echo>(info);
}

}  // namespace phase::lucid
