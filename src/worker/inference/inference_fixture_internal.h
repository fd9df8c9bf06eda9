// inference_fixture_internal.h — a real InferenceWorker with real small models, for the tests of
// this folder. The models are made by tools/models (`make models`).
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/json.hpp>
#include <fcntl.h>
#include <gtest/gtest.h>

#include "worker/inference/inference_worker.h"

namespace phase::worker {

/// All that a request gave.
struct Answer {
  std::string text;                        ///< stream 1
  std::vector<boost::json::object> notes;  ///< stream 2
  std::vector<InferenceProgress> progress;
  InferenceEnd end;

  /// The value of every note that has this member, in order.
  [[nodiscard]] std::vector<boost::json::value> all(std::string_view member) const {
    std::vector<boost::json::value> out;
    for (const auto& note : notes) {
      if (const auto* value = note.if_contains(member)) out.push_back(*value);
    }
    return out;
  }
  [[nodiscard]] std::string joined(std::string_view member) const {
    std::string out;
    for (const auto& value : all(member)) out += value.as_string();
    return out;
  }
  [[nodiscard]] std::uint64_t done_of(std::string_view stage) const {
    for (const auto& step : progress) {
      if (step.stage == stage) return step.done;
    }
    return UINT64_MAX;
  }
};

class InferenceFixture : public testing::Test {
 protected:
  static std::filesystem::path models() {
    if (const char* folder = std::getenv("PHASE_MODELS")) return folder;
    if (const char* cache = std::getenv("PHASE_CACHE_DIR")) {
      return std::filesystem::path(cache) / "models";
    }
    const char* base = std::getenv("XDG_CACHE_HOME");
    const char* home = std::getenv("HOME");
    const std::filesystem::path folder =
        base != nullptr ? std::filesystem::path(base)
                        : std::filesystem::path(home != nullptr ? home : "/") / ".cache";
    return folder / "phase-build" / "models";
  }
  void SetUp() override {
    if (!std::filesystem::exists(models() / "tiny-chat.f16.gguf")) {
      GTEST_SKIP() << "no models in " << models() << "; make models";
    }
    start_worker(true);
  }
  void TearDown() override {
    model_.reset();
    worker_.reset();
    context_.restart();
    context_.poll();
  }
  void start_worker(bool isolated, const std::string& devices = {}) {
    auto worker = InferenceWorker::start(context_.get_executor(),
                                         {PHASE_BINARY_DIR "/bin/phase-worker", isolated, devices});
    ASSERT_TRUE(worker) << worker.error().text();
    worker_ = *std::move(worker);
  }

  template <typename T>
  T wait(Task<T> task) {
    auto future = asio::co_spawn(context_, std::move(task), asio::use_future);
    context_.restart();
    while (future.wait_for(0s) != std::future_status::ready) context_.run_one();
    return future.get();
  }

  static sandbox::FileDescriptor open(const std::filesystem::path& path) {
    return sandbox::FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  }
  Result<std::unique_ptr<LoadedModel>> try_load(const std::filesystem::path& path,
                                                EngineOptions options = {}) {
    return wait(worker_->load(open(path), options, nullptr));
  }
  /// Into model_.
  void load(const std::string& name, EngineOptions options = {}) {
    auto loaded = try_load(models() / name, options);
    ASSERT_TRUE(loaded) << loaded.error().text();
    model_ = *std::move(loaded);
  }

  /// Greedy and without penalties, so that the small model recites what it learned.
  static InferenceRequest greedy(int kind, std::string_view prompt,
                                 std::uint64_t tokens_max = 200) {
    InferenceRequest request;
    request.job.prompt_kind = static_cast<job::PromptKind>(kind);
    request.job.sampling.temperature_ppm = 0;
    request.job.sampling.repeat_penalty_ppm = 1'000'000;
    request.job.tokens_max = tokens_max;
    request.prompt = to_bytes(prompt);
    return request;
  }
  static InferenceRequest chat(std::string_view text, std::string_view more = "") {
    return greedy(1, "{\"messages\":[{\"role\":\"user\",\"content\":" +
                         boost::json::serialize(boost::json::string(text)) + "}]" +
                         std::string(more) + "}");
  }
  static Task<Result<Answer>> follow(LoadedModel& model, InferenceRequest request) {
    PHASE_CO_TRY(auto running, co_await model.start(std::move(request)));
    auto answer = co_await read(*running);
    co_return answer;
  }
  static Task<Result<Answer>> read(Inference& running) {
    Answer answer;
    std::string notes;
    for (;;) {
      PHASE_CO_TRY(auto event, co_await running.next());
      if (const auto* piece = std::get_if<job::OutputPiece>(&event)) {
        auto& text = piece->stream == job::OutputStream::out ? answer.text : notes;
        text += as_text(piece->data);
      } else if (const auto* step = std::get_if<InferenceProgress>(&event)) {
        answer.progress.push_back(*step);
      } else {
        answer.end = std::get<InferenceEnd>(event);
        break;
      }
    }
    for (std::size_t at = 0; at < notes.size();) {
      const std::size_t end = notes.find('\n', at);
      EXPECT_NE(end, std::string::npos) << "a note without an end";
      boost::system::error_code error;
      auto value = boost::json::parse(notes.substr(at, end - at), error);
      EXPECT_FALSE(error) << notes.substr(at, end - at);
      if (value.is_object()) answer.notes.push_back(value.as_object());
      at = end == std::string::npos ? notes.size() : end + 1;
    }
    co_return answer;
  }
  Answer ask(InferenceRequest request) {
    auto answer = wait(follow(*model_, std::move(request)));
    EXPECT_TRUE(answer) << answer.error().text();
    return answer ? *std::move(answer) : Answer{};
  }

  asio::io_context context_;
  std::unique_ptr<InferenceWorker> worker_;
  std::unique_ptr<LoadedModel> model_;
};

}  // namespace phase::worker
