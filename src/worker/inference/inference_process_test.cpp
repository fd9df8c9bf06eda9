// The process around the engine: its walls, its end, files it must refuse, and embeddings.
#include <algorithm>
#include <cmath>
#include <random>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>

#include "worker/inference/inference_fixture_internal.h"

namespace phase::worker {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using receipt::Completion;
using receipt::CompletionKind;

constexpr int kEndTimeoutMs = 30'000;

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Every process whose parent is `parent`.
std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> out;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string status = read_file(entry.path() / "status");
    if (status.find("\nPPid:\t" + std::to_string(parent) + "\n") != std::string::npos) {
      out.push_back(std::stoi(name));
    }
  }
  return out;
}

class InferenceProcessTest : public InferenceFixture {
 protected:
  void SetUp() override {
    InferenceFixture::SetUp();
    folder_ = fs::temp_directory_path() / ("phase-inference-test-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override {
    InferenceFixture::TearDown();
    fs::remove_all(folder_);
  }
  // The model's process: child of the zygote, which is this one's.
  pid_t model_pid() const {
    for (const pid_t zygote : children_of(::getpid())) {
      const auto below = children_of(zygote);
      if (below.size() == 1) return below[0];
    }
    return 0;
  }
  fs::path write(const std::string& bytes) const {
    std::ofstream(folder_ / "model.gguf", std::ios::binary) << bytes;
    return folder_ / "model.gguf";
  }
  void expect_refused(const std::string& bytes, const std::string& what) {
    SCOPED_TRACE(what);
    const auto loaded = try_load(write(bytes));
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Code::malformed) << loaded.error().text();
    EXPECT_FALSE(loaded.error().message.empty());
    EXPECT_FALSE(wait(worker_->inspect(open(folder_ / "model.gguf"))));
  }

  fs::path folder_;
};

TEST_F(InferenceProcessTest, SaysWhatTheModelIs) {
  for (const bool whole : {false, true}) {
    SCOPED_TRACE(whole ? "loaded" : "inspected");
    ModelInfo info;
    if (whole) {
      load("tiny-chat.q8_0.gguf", {.context_tokens = 256, .sequences = 3});
      info = model_->info();
    } else {
      const auto inspected = wait(worker_->inspect(open(models() / "tiny-chat.q8_0.gguf")));
      ASSERT_TRUE(inspected) << inspected.error().text();
      info = *inspected;
    }
    EXPECT_EQ(info.architecture, "llama");
    EXPECT_EQ(info.quantization, "Q8_0");
    EXPECT_GT(info.parameters, 100'000U);
    EXPECT_GT(info.context_tokens, 0U);
    EXPECT_GT(info.embedding_length, 0U);
    EXPECT_GT(info.vocabulary, 100U);
    EXPECT_TRUE(info.completes && info.chats && info.calls_tools && info.infills);
    EXPECT_FALSE(info.embeds || info.ranks || info.thinks);
    EXPECT_NE(info.chat_template.find("im_start"), std::string::npos);
    const auto metadata = json::parse(info.metadata).as_object();
    EXPECT_EQ(metadata.at("general.architecture").as_string(), "llama");
    EXPECT_TRUE(metadata.at("tokenizer.ggml.tokens").is_null());
  }
  EXPECT_EQ(model_->options().context_tokens, 256U);
  EXPECT_EQ(model_->options().sequences, 3U);
  EXPECT_GT(model_->memory_bytes(), fs::file_size(models() / "tiny-chat.q8_0.gguf") / 2);
}

TEST_F(InferenceProcessTest, LoadingMovesFromNothingToAll) {
  std::vector<double> steps;
  auto loaded = wait(worker_->load(open(models() / "random-20m.f16.gguf"), {},
                                   [&steps](double part) { steps.push_back(part); }));
  ASSERT_TRUE(loaded) << loaded.error().text();
  ASSERT_FALSE(steps.empty());
  EXPECT_TRUE(std::ranges::is_sorted(steps));
  EXPECT_EQ(steps.back(), 1.0);
}

TEST_F(InferenceProcessTest, EveryLayerIsThere) {
  load("tiny-chat.f16.gguf");
  const auto& layers = model_->isolation();
  EXPECT_TRUE(std::ranges::is_sorted(layers));
  for (const std::string layer :
       {"landlock", "network_namespace", "rlimits", "seccomp", "user_namespace"}) {
    EXPECT_NE(std::ranges::find(layers, layer), layers.end()) << layer;
  }
  // As the kernel sees it: filtered, without capabilities, with nothing open but its socket and
  // what it computes with, and the model mapped, not copied.
  const pid_t pid = model_pid();
  ASSERT_GT(pid, 0);
  const fs::path proc = "/proc/" + std::to_string(pid);
  const std::string status = read_file(proc / "status");
  EXPECT_NE(status.find("\nSeccomp:\t2\n"), std::string::npos) << status;
  EXPECT_NE(status.find("\nNoNewPrivs:\t1\n"), std::string::npos);
  EXPECT_NE(status.find("\nCapEff:\t0000000000000000\n"), std::string::npos);
  model_.reset();
  start_worker(false);
  load("tiny-chat.f16.gguf");
  EXPECT_EQ(model_->isolation(), std::vector<std::string>{"none"});
  EXPECT_EQ(ask(chat("Hello")).text, "Hello! How can I help you today?");
}

TEST_F(InferenceProcessTest, ALostProcessEndsItsRequests) {
  load("tiny-chat.f16.gguf");
  const pid_t pid = model_pid();
  ASSERT_GT(pid, 0);
  const auto answer = wait([](LoadedModel& model, pid_t process) -> Task<Result<Answer>> {
    InferenceRequest request = chat("Tell me a story.");
    PHASE_CO_TRY(auto running, co_await model.start(std::move(request)));
    for (;;) {
      PHASE_CO_TRY(auto event, co_await running->next());
      if (std::holds_alternative<job::OutputPiece>(event)) break;
    }
    ::kill(process, SIGKILL);
    auto rest = co_await read(*running);
    co_return rest;
  }(*model_, pid));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->end.completion, (Completion{CompletionKind::failed, 0, "worker_lost"}));
  EXPECT_TRUE(model_->ended());
  EXPECT_EQ(model_->busy(), 0U);
  const auto refused = wait(model_->start(chat("Hello")));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::unavailable);
  // The next one is not touched by it.
  load("tiny-chat.f16.gguf");
  EXPECT_EQ(ask(chat("Hello")).text, "Hello! How can I help you today?");
}

/// What a stranger's template or grammar can make the engine do without end: the processor time of
/// it is bounded (CpuGuard), and what it costs is its own process. Processor time is counted, so it
/// takes as long as it takes on a busy machine, and no longer.
TEST_F(InferenceProcessTest, ALoopingTemplateAndAnExplodingGrammarEndTheirProcessOnly) {
  load("tiny-chat.f16.gguf");
  const std::string endless =
      "{%- for a in range(20000) %}{%- for b in range(20000) %}{%- for c in range(20000) %}"
      "{%- endfor %}{%- endfor %}{%- endfor %}x";
  // Each step doubles what it may be in the middle of.
  const std::string doubling = R"(root ::= "x" root "y" | "x" root "z")";
  const auto quoted = [](const std::string& text) {
    return boost::json::serialize(boost::json::string(text));
  };
  for (const std::string& more :
       {",\"template\":" + quoted(endless), ",\"grammar\":" + quoted(doubling)}) {
    SCOPED_TRACE(more);
    auto victim = try_load(models() / "tiny-chat.f16.gguf", {.request_cpu_seconds = 1});
    ASSERT_TRUE(victim) << victim.error().text();
    const auto answer = wait(follow(**victim, chat("Hello", more)));
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_EQ(answer->end.completion, (Completion{CompletionKind::failed, 0, "worker_lost"}));
    EXPECT_NE(answer->end.message.find("more than 1 s of processor time"), std::string::npos)
        << answer->end.message;
    EXPECT_TRUE((*victim)->ended());
  }
  EXPECT_FALSE(model_->ended());
  EXPECT_EQ(ask(chat("Hello")).text, "Hello! How can I help you today?");
}

/// The limit is of each request and each step, not of the process: it may live as long as it is
/// wanted.
TEST_F(InferenceProcessTest, HonestWorkIsNotCounted) {
  load("tiny-chat.f16.gguf", {.request_cpu_seconds = 1});
  const std::string grammar =
      ",\"grammar\":" + boost::json::serialize(boost::json::string("root ::= [a-z ]+"));
  constexpr std::uint64_t kLongUs = 3'200'000;  // more than one limit and what is rounded up
  constexpr int kAsksMax = 20'000;
  std::uint64_t used_us = 0;
  for (int i = 0; i < kAsksMax && used_us < kLongUs; i++) {
    const Answer answer = ask(chat("Hello", grammar));
    ASSERT_NE(answer.end.completion.kind, CompletionKind::failed) << answer.end.message;
    used_us += answer.end.claimed.cpu_us.value_or(0);
  }
  EXPECT_GE(used_us, kLongUs) << "too little to tell";
}

TEST_F(InferenceProcessTest, AModelThatIsUnloadedLeavesNoProcess) {
  load("tiny-chat.f16.gguf");
  const pid_t pid = model_pid();
  ASSERT_GT(pid, 0);
  const sandbox::FileDescriptor process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  ASSERT_TRUE(process.valid());
  model_.reset();
  pollfd ended{process.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&ended, 1, kEndTimeoutMs), 1);
}

TEST_F(InferenceProcessTest, HostileFilesAreRefused) {
  const std::string good = read_file(models() / "tiny-chat.f16.gguf");
  expect_refused("", "empty");
  expect_refused("GGUF", "a magic alone");
  expect_refused(std::string(100'000, 'x'), "garbage");
  expect_refused(good.substr(0, 100), "cut in the keys");
  expect_refused(good.substr(0, 5000), "cut in the vocabulary");
  std::string counts = good;
  counts.replace(8, 8, std::string(8, '\x7f'));
  expect_refused(counts, "more tensors than bytes");
  std::string keys = good;
  keys.replace(16, 8, std::string(8, '\x7f'));
  expect_refused(keys, "more keys than bytes");
  std::string architecture = good;
  const std::size_t at = architecture.find("llama");
  architecture.replace(at, 5, "drama");
  expect_refused(architecture, "an architecture nobody knows");
  // Weights that are missing: what stands before them is whole, so only loading tells.
  const auto cut = try_load(write(good.substr(0, good.size() - 50'000)));
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, Code::malformed);
}

// Whatever is wrong in a file, this process goes on, and says malformed, too large, or loads it.
TEST_F(InferenceProcessTest, DamagedFilesCostTheirProcessOnly) {
  const std::string good = read_file(models() / "tiny-chat.q8_0.gguf");
  std::mt19937 random(20);
  for (int i = 0; i < 60; i++) {
    std::string bad = good;
    for (int k = 0; k < 1 + i % 4; k++) {
      // Most of what is parsed stands at the front.
      const std::size_t where = random() % (i % 2 == 0 ? 2000 : 20'000);
      bad[where] = static_cast<char>(random());
    }
    const auto loaded = try_load(write(bad), {.memory_bytes_max = 1024_MiB});
    if (loaded) continue;
    EXPECT_TRUE(loaded.error().code == Code::malformed || loaded.error().code == Code::too_large)
        << loaded.error().text();
  }
  load("tiny-chat.f16.gguf");
  EXPECT_EQ(ask(chat("Hello")).text, "Hello! How can I help you today?");
}

// Threads are started behind the layers.
TEST_F(InferenceProcessTest, SeveralThreadsComputeTheSame) {
  load("tiny-chat.f16.gguf", {.threads = 2});
  EXPECT_EQ(model_->options().threads, 2U);
  EXPECT_EQ(ask(chat("Hello")).text, "Hello! How can I help you today?");
}

TEST_F(InferenceProcessTest, MemoryIsLimited) {
  const auto loaded = try_load(models() / "random-20m.f16.gguf",
                               {.context_tokens = 100'000, .memory_bytes_max = 256_MiB});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, Code::too_large) << loaded.error().text();
}

TEST_F(InferenceProcessTest, LoadingCanBeCancelled) {
  asio::cancellation_signal signal;
  std::optional<Code> code;
  asio::co_spawn(
      context_, worker_->load(open(models() / "random-20m.f16.gguf"), {}, nullptr),
      asio::bind_cancellation_slot(
          signal.slot(), [&code](std::exception_ptr, Result<std::unique_ptr<LoadedModel>> loaded) {
            code = loaded ? Code::internal : loaded.error().code;
          }));
  context_.restart();
  context_.run_one();
  signal.emit(asio::cancellation_type::terminal);
  while (!code) context_.run_one();
  EXPECT_NE(*code, Code::malformed);
}

// --- embeddings

class EmbeddingTest : public InferenceFixture {
 protected:
  void SetUp() override {
    InferenceFixture::SetUp();
    if (!IsSkipped()) load("minilm.f16.gguf");
  }
  static std::vector<std::vector<double>> vectors(const Answer& answer) {
    std::vector<std::vector<double>> out;
    const auto value = json::parse(answer.text);
    for (const auto& row : value.at("embeddings").as_array()) {
      auto& numbers = out.emplace_back();
      for (const auto& number : row.as_array()) numbers.push_back(number.to_number<double>());
    }
    return out;
  }
  static double product(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); i++) sum += a[i] * b[i];
    return sum;
  }
};

TEST_F(EmbeddingTest, NearWordsAreNear) {
  EXPECT_TRUE(model_->info().embeds);
  EXPECT_FALSE(model_->info().completes || model_->info().chats || model_->info().ranks);
  EXPECT_EQ(model_->info().architecture, "bert");
  const Answer answer = ask(greedy(2, R"({"input":["cat","kitten","finance"]})"));
  EXPECT_EQ(answer.end.completion, Completion{});
  const auto rows = vectors(answer);
  ASSERT_EQ(rows.size(), 3U);
  for (const auto& row : rows) {
    EXPECT_EQ(row.size(), 384U);
    EXPECT_NEAR(product(row, row), 1.0, 1e-5);
  }
  EXPECT_NEAR(product(rows[0], rows[1]), 0.788, 0.01);
  EXPECT_NEAR(product(rows[0], rows[2]), 0.293, 0.01);
  EXPECT_EQ(json::parse(answer.text).at("prompt_tokens").to_number<int>(), 9);
}

TEST_F(EmbeddingTest, ManyInputsAndRequestsShareBatches) {
  std::string inputs;
  for (int i = 0; i < 100; i++)
    inputs += (i > 0 ? ",\"word " : "\"word ") + std::to_string(i) + "\"";
  const auto rows = vectors(ask(greedy(2, "{\"input\":[" + inputs + "]}")));
  ASSERT_EQ(rows.size(), 100U);
  const auto alone = vectors(ask(greedy(2, R"({"input":["word 57"]})")));
  EXPECT_GT(product(rows[57], alone[0]), 0.9999);
  EXPECT_TRUE(vectors(ask(greedy(2, R"({"input":[]})"))).empty());
}

// More than one reader may leave lying: it is paused, others are served, and nothing is lost.
TEST_F(EmbeddingTest, AReaderThatIsBehindPausesItsRequestOnly) {
  constexpr std::size_t kInputs = 400;  // some 1.6 MB
  std::string inputs = "\"word\"";
  for (std::size_t i = 1; i < kInputs; i++) inputs += ",\"word\"";
  auto slow = wait(model_->start(greedy(2, "{\"input\":[" + inputs + "]}")));
  ASSERT_TRUE(slow) << slow.error().text();
  for (int i = 0; i < 20; i++) {
    EXPECT_EQ(vectors(ask(greedy(2, R"({"input":["cat"]})"))).size(), 1U);
  }
  const auto answer = wait(read(**slow));
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(answer->end.completion, Completion{});
  const auto rows = vectors(*answer);
  ASSERT_EQ(rows.size(), kInputs);
  EXPECT_GT(product(rows.front(), rows.back()), 0.9999);
}

TEST_F(EmbeddingTest, DimensionsAndLengths) {
  const auto whole = vectors(ask(greedy(2, R"({"input":["a cat"]})")))[0];
  const auto cut = vectors(ask(greedy(2, R"({"input":["a cat"],"dimensions":64})")))[0];
  ASSERT_EQ(cut.size(), 64U);
  EXPECT_NEAR(product(cut, cut), 1.0, 1e-5);
  EXPECT_NEAR(cut[0] / cut[1], whole[0] / whole[1], 1e-3);
  std::string text;
  for (int i = 0; i < 2000; i++) text += "word ";
  EXPECT_EQ(vectors(ask(greedy(2, "{\"input\":[\"" + text + "\"]}"))).size(), 1U);
  const auto refused = ask(greedy(2, "{\"input\":[\"" + text + "\"],\"truncate\":false}"));
  EXPECT_EQ(refused.end.completion, (Completion{CompletionKind::invalid, 0, "prompt_too_long"}));
  for (const std::string prompt :
       {"{}", R"({"input":"x"})", R"({"input":[1]})", R"({"input":["x"],"dimensions":0})",
        R"({"input":["x"],"dimensions":385})", R"({"input":["x"],"other":1})"}) {
    EXPECT_EQ(ask(greedy(2, prompt)).end.completion.reason, "prompt_malformed") << prompt;
  }
}

TEST_F(EmbeddingTest, DoesNotChatOrRank) {
  EXPECT_EQ(ask(chat("Hello")).end.completion,
            (Completion{CompletionKind::invalid, 0, "model_unfit"}));
  EXPECT_EQ(ask(greedy(3, R"({"query":"x","documents":["y"]})")).end.completion,
            (Completion{CompletionKind::invalid, 0, "model_unfit"}));
}

// The embedding model, told to rank: what it says of relevance means nothing, but it says it of
// each pair alone, once, in order.
TEST_F(EmbeddingTest, RanksDocuments) {
  std::string bytes = read_file(models() / "minilm.f16.gguf");
  constexpr std::string_view kKey = "bert.pooling_type";
  constexpr std::size_t kTypeBytes = 4;
  constexpr char kRank = 4;
  bytes[bytes.find(kKey) + kKey.size() + kTypeBytes] = kRank;
  // A vector the model can do without becomes the head: both names have 17 letters.
  constexpr std::string_view kSpare = "blk.5.attn_q.bias", kHead = "cls.output.weight";
  bytes.replace(bytes.find(kSpare), kSpare.size(), kHead);
  const fs::path path =
      fs::temp_directory_path() / ("phase-rank-" + std::to_string(::getpid()) + ".gguf");
  std::ofstream(path, std::ios::binary) << bytes;
  auto loaded = try_load(path);
  fs::remove(path);
  ASSERT_TRUE(loaded) << loaded.error().text();
  model_ = *std::move(loaded);
  EXPECT_TRUE(model_->info().ranks);
  const auto scores_of = [this](std::string_view documents) {
    const Answer answer =
        ask(greedy(3, R"({"query":"a cat","documents":)" + std::string(documents) + "}"));
    EXPECT_EQ(answer.end.completion, Completion{});
    const auto value = json::parse(answer.text);
    std::vector<double> scores;
    for (const auto& score : value.at("scores").as_array()) {
      scores.push_back(score.to_number<double>());
    }
    return scores;
  };
  const auto three = scores_of(R"(["a kitten","finance and taxes","a kitten"])");
  ASSERT_EQ(three.size(), 3U);
  EXPECT_NE(three[0], three[1]);
  EXPECT_NEAR(three[0], three[2], 1e-4);
  EXPECT_NEAR(scores_of(R"(["finance and taxes"])").at(0), three[1], 1e-4);
  EXPECT_TRUE(scores_of("[]").empty());
  std::string words = "long";
  for (int i = 0; i < 3000; i++) words += " long";
  EXPECT_EQ(scores_of("[\"" + words + "\"]").size(), 1U);
  EXPECT_EQ(ask(greedy(2, R"({"input":["x"]})")).end.completion.reason, "model_unfit");
  EXPECT_EQ(ask(greedy(3, R"({"query":"x"})")).end.completion.reason, "prompt_malformed");
}

}  // namespace
}  // namespace phase::worker
