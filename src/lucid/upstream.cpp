#include "lucid/upstream.h"

#include <algorithm>

#include <boost/json.hpp>

#include "lucid/upstream_answer.h"
#include "lucid/upstream_request.h"

namespace phase::lucid {
namespace {

namespace json = boost::json;
using receipt::Completion;
using receipt::CompletionKind;
using worker::InferenceEvent;

constexpr Duration kLoadPollPause = 250ms;
constexpr std::size_t kTemplateBytesMax = 256_KiB;

/// Shared by the handle and a `next` that is suspended: either may go first.
struct Exchange {
  Exchange(asio::any_io_executor executor, const UpstreamUrl& where,
           std::shared_ptr<std::size_t> counter)
      : url(where), call(upstream_call(std::move(executor), where)), busy(std::move(counter)) {
    ++*busy;
  }
  ~Exchange() { --*busy; }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  void end(Completion completion, std::string message) {
    if (std::exchange(ended, true)) return;
    worker::InferenceEnd last;
    last.completion = std::move(completion);
    last.claimed.runtime = "upstream";
    last.message = std::move(message);
    events.emplace_back(std::move(last));
  }
  void end_with(const Error& error) {
    if (stopped) return end(*stopped, {});
    end({CompletionKind::failed, 0, "worker_lost"}, error.text());
  }
  /// What the answer gave moves over; its end is this one's.
  void drain() {
    for (InferenceEvent& event : std::exchange(answer->events, {})) {
      if (ended) return;
      ended = std::holds_alternative<worker::InferenceEnd>(event);
      events.push_back(std::move(event));
    }
  }

  UpstreamUrl url;
  std::shared_ptr<UpstreamCall> call;
  std::shared_ptr<std::size_t> busy;
  std::optional<UpstreamRequest> request;  // until it is sent
  std::optional<UpstreamAnswer> answer;    // from the head of the answer on
  std::deque<InferenceEvent> events;
  std::optional<Completion> stopped;
  bool ended = false;
};

Task<void> advance(std::shared_ptr<Exchange> self) {
  if (!self->answer) {
    UpstreamRequest asked = std::move(*self->request);
    Result<unsigned> status =
        co_await UpstreamCall::begin(self->call, std::move(asked.route), std::move(asked.body));
    if (!status) co_return self->end_with(status.error());
    self->answer.emplace(asked.shape, *status, asked.dimensions);
  }
  Result<std::string> piece = co_await UpstreamCall::read(self->call);
  if (!piece) co_return self->end_with(piece.error());
  if (piece->empty()) {
    self->answer->finish();
  } else {
    self->answer->take(*piece);
  }
  self->drain();
}

Task<Result<InferenceEvent>> next_of(std::shared_ptr<Exchange> self) {
  while (self->events.empty()) {
    if (self->ended) co_return fail(Code::internal, "nothing follows the end of a request");
    co_await advance(self);
  }
  InferenceEvent event = std::move(self->events.front());
  self->events.pop_front();
  co_return event;
}

class UpstreamInference final : public worker::Inference {
 public:
  explicit UpstreamInference(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~UpstreamInference() override { exchange_->call->close(); }

  Task<Result<InferenceEvent>> next() override { return next_of(exchange_); }
  void stop(Completion completion) override {
    if (exchange_->ended || exchange_->stopped) return;
    exchange_->stopped = std::move(completion);
    exchange_->call->close();  // the server hears it and frees its slot
  }

 private:
  std::shared_ptr<Exchange> exchange_;
};

class UpstreamModel final : public worker::LoadedModel {
 public:
  UpstreamModel(asio::any_io_executor executor, UpstreamUrl url, worker::ModelInfo info)
      : executor_(std::move(executor)), url_(std::move(url)), info_(std::move(info)) {
    options_.context_tokens =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(info_.context_tokens, UINT32_MAX));
  }
  const worker::ModelInfo& info() const noexcept override { return info_; }
  const worker::EngineOptions& options() const noexcept override { return options_; }
  // Neither is of this node.
  std::uint64_t memory_bytes() const noexcept override { return 0; }
  std::uint64_t gpu_bytes() const noexcept override { return 0; }
  std::size_t busy() const noexcept override { return *busy_; }
  bool ended() const noexcept override { return false; }
  const std::vector<std::string>& isolation() const noexcept override { return isolation_; }
  Task<Result<std::unique_ptr<worker::Inference>>> start(
      worker::InferenceRequest request) override {
    auto exchange = std::make_shared<Exchange>(executor_, url_, busy_);
    auto asked = upstream_request(request);
    if (asked) {
      exchange->request = *std::move(asked);
    } else {
      const bool unsaid = asked.error().code == Code::unsupported;
      exchange->end(
          {CompletionKind::invalid, 0, unsaid ? "template_malformed" : "prompt_malformed"},
          asked.error().text());
    }
    std::unique_ptr<worker::Inference> handle =
        std::make_unique<UpstreamInference>(std::move(exchange));
    co_return handle;
  }

 private:
  asio::any_io_executor executor_;
  UpstreamUrl url_;
  worker::ModelInfo info_;
  worker::EngineOptions options_;
  std::vector<std::string> isolation_{"upstream"};
  std::shared_ptr<std::size_t> busy_ = std::make_shared<std::size_t>(0);
};

Result<json::object> object_of(std::string_view text, const char* what) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  if (error || !value.is_object()) {
    return fail(Code::protocol, std::string("the upstream's ") + what + " is no JSON object",
                "is it a llama-server?");
  }
  return std::move(value.get_object());
}

std::uint64_t count_at(const json::object& from, std::string_view name) {
  const json::value* value = from.if_contains(name);
  boost::system::error_code error;
  const auto out =
      value == nullptr || !value->is_number() ? 0 : value->to_number<std::uint64_t>(error);
  return error ? 0 : out;
}

std::string text_at(const json::object& from, std::string_view name) {
  const json::value* value = from.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string{};
}

/// A server without an alias calls its model by its file's path.
ModelName name_of(std::string_view id) {
  id.remove_prefix(id.rfind('/') == std::string_view::npos ? 0 : id.rfind('/') + 1);
  if (id.ends_with(".gguf")) id.remove_suffix(5);
  if (auto name = ModelName::parse(std::string(id))) return *std::move(name);
  ModelName plain;
  plain.name = "upstream";
  return plain;
}

void read_props(const json::object& props, worker::ModelInfo& info) {
  info.chat_template = text_at(props, "chat_template");
  if (info.chat_template.size() > kTemplateBytesMax) info.chat_template.clear();
  info.chats = true;
  const json::value* settings = props.if_contains("default_generation_settings");
  if (settings != nullptr && settings->is_object()) {
    info.context_tokens = count_at(settings->get_object(), "n_ctx");
  }
  const json::value* caps = props.if_contains("chat_template_caps");
  const json::value* tools = caps != nullptr && caps->is_object()
                                 ? caps->get_object().if_contains("supports_tools")
                                 : nullptr;
  info.calls_tools = tools == nullptr || !tools->is_bool() || tools->get_bool();
}

LocalModel model_of(const json::object& entry, const json::object& props) {
  LocalModel out;
  const std::string id = text_at(entry, "id");
  out.name = name_of(id);
  const json::value* meta = entry.if_contains("meta");
  const json::object facts =
      meta != nullptr && meta->is_object() ? meta->get_object() : json::object{};
  // Of what the server says of it: its weights are not seen here.
  out.content =
      job::reference(as_bytes("phase/lucid/upstream\n" + id + "\n" + json::serialize(facts)));
  out.content.length = 0;
  out.info.architecture = "upstream";
  out.info.quantization = "unknown";
  out.info.parameters = count_at(facts, "n_params");
  out.info.embedding_length = count_at(facts, "n_embd");
  out.info.vocabulary = count_at(facts, "n_vocab");
  out.info.metadata = "{}";
  read_props(props, out.info);
  // The server refuses by name what its model or its flags do not allow.
  out.info.completes = out.info.embeds = out.info.ranks = true;
  out.info.infills = out.info.thinks = true;
  return out;
}

}  // namespace

Result<std::vector<LocalModel>> read_upstream_models(std::string_view models,
                                                     std::string_view props) {
  PHASE_TRY(const json::object said, object_of(models, "list of models"));
  PHASE_TRY(const json::object about, object_of(props, "/props"));
  const json::value* data = said.if_contains("data");
  std::vector<LocalModel> out;
  if (data != nullptr && data->is_array()) {
    for (const json::value& entry : data->get_array()) {
      if (out.size() >= kUpstreamModelsMax || !entry.is_object()) break;
      out.push_back(model_of(entry.get_object(), about));
    }
  }
  if (out.empty()) {
    return fail(Code::protocol, "the upstream names no models", "is it a llama-server?");
  }
  return out;
}

Task<Result<std::vector<LocalModelPtr>>> upstream_models(asio::any_io_executor executor,
                                                         Clock& clock, UpstreamUrl url) {
  const Instant until = clock.now() + kUpstreamLoadMax;
  Result<std::string> props = co_await upstream_get(executor, url, "/props");
  while (!props && props.error().code == Code::busy && clock.now() < until) {
    const auto slept = co_await clock.sleep_for(kLoadPollPause);
    if (!slept) break;
    props = co_await upstream_get(executor, url, "/props");
  }
  // Other servers of OpenAI's API have no such page; chats and embeddings work with them.
  if (!props && props.error().code == Code::not_found) props = "{}";
  if (!props) co_return fail(props.error());
  Result<std::string> models = co_await upstream_get(executor, url, "/v1/models");
  if (!models) co_return fail(models.error());
  PHASE_CO_TRY(std::vector<LocalModel> read, read_upstream_models(*models, *props));
  std::vector<LocalModelPtr> out;
  for (LocalModel& model : read) {
    const worker::ModelInfo info = model.info;
    model.opens = [executor, url, info]() -> std::unique_ptr<worker::LoadedModel> {
      return std::make_unique<UpstreamModel>(executor, url, info);
    };
    out.push_back(std::make_shared<const LocalModel>(std::move(model)));
  }
  co_return out;
}

}  // namespace phase::lucid
