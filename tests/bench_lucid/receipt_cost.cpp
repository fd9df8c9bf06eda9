// What lucidd's receipts cost of the processor, for one answer given on this machine to its own
// clients: the manifest signed and opened, prompt and output hashed on both sides, the receipt
// signed, verified and kept. lucid.py sets it beside the processor time of whole answers.
//
//   receipt_cost PIECES
//
// PIECES: output pieces of an answer, one a token. Prints microseconds of processor time an answer.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <time.h>

#include "base/check.h"
#include "base/random.h"
#include "protocol/verify/verify.h"
#include "store/store.h"

namespace phase::bench {
namespace {

constexpr int kAnswers = 300, kRounds = 11;
constexpr std::string_view kPiece = " word";
constexpr std::string_view kPrompt =
    R"({"messages":[{"role":"user","content":"Tell me a long story."}]})";

double processor_us() {
  timespec now{};
  PHASE_CHECK(::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
}

class Answers {
 public:
  Answers(std::unique_ptr<store::Store> store, int pieces)
      : store_(std::move(store)), pieces_(pieces) {}

  /// All of it but the answer.
  void one() {
    const manifest::SignedManifest asked = ask();
    // The provider's half.
    const auto opened = manifest::open(asked.envelope);
    PHASE_CHECK(opened.has_value());
    PHASE_CHECK(store_->admit(opened->id, opened->manifest.created, opened->manifest.expires, now_)
                    .has_value());
    const job::Commitment input = job::commit(as_bytes(kPrompt));
    const receipt::SignedReceipt made = answer(*opened, input);
    PHASE_CHECK(store_->keep(*opened, made).has_value());
    // The requester's.
    verify::Evidence evidence;
    evidence.manifest = asked.envelope;
    evidence.provider = key_.public_key();
    evidence.output = output();
    PHASE_CHECK(verify::check(made.envelope, evidence).ok());
    PHASE_CHECK(manifest::open(asked.envelope).has_value());  // once more, to keep the transcript
  }

 private:
  manifest::SignedManifest ask() {
    job::InferenceJob job;
    job.model_name = "tiny:latest";
    job.prompt_kind = job::PromptKind::request;
    job.prompt = job::commit(as_bytes(kPrompt));
    job.tokens_max = 64;
    manifest::Manifest out;
    out.job = job;
    out.audience = key_.public_key();
    out.wall_limit_ms = 3'600'000;
    out.created = now_;
    out.expires = {now_.unix_ms + 60'000};
    random_.fill(out.nonce);
    return manifest::sign(out, key_);
  }

  receipt::SignedReceipt answer(const manifest::SignedManifest& asked,
                                const job::Commitment& input) {
    const job::Job& job = asked.manifest.job;
    receipt::Receipt out;
    out.job_id = asked.id;
    out.execution_id = job::execution_id(job);
    out.job_kind = static_cast<std::uint8_t>(job.index());
    out.subject_id = job::subject_id(job);
    out.subject_sha256 = job::subject_sha256(job);
    out.input = input;
    out.output = output();
    out.profile = job::profile_of(job);
    out.isolation = {"landlock", "rlimits", "seccomp"};
    out.claimed.wall_us = 900;
    out.claimed.runtime = "llama.cpp";
    return receipt::sign(out, key_);
  }

  [[nodiscard]] job::OutputSummary output() const {
    job::OutputChain chain;
    for (int i = 0; i < pieces_; ++i) chain.append(job::OutputStream::out, as_bytes(kPiece));
    chain.append(job::OutputStream::err, as_bytes(R"({"done":{"prompt_tokens":20}})"));
    return chain.summary();
  }

  std::unique_ptr<store::Store> store_;
  int pieces_;
  SystemRandom random_;
  identity::KeyPair key_ = identity::KeyPair::generate(random_);
  UtcTime now_{4'000'000'000'000};
};

int program(int argc, char** argv) {
  const int pieces = argc == 2 ? std::atoi(argv[1]) : 0;
  if (pieces < 1) {
    std::fputs("usage: receipt_cost PIECES\n", stderr);
    return 2;
  }
  std::string folder = (std::filesystem::temp_directory_path() / "receipt-cost-XXXXXX").string();
  PHASE_CHECK(::mkdtemp(folder.data()) != nullptr);
  store::StoreOptions options;
  options.path = std::filesystem::path(folder) / "store.db";
  options.durability = store::Durability::process;  // as lucidd
  auto store = store::Store::open(options, UtcTime{0});
  PHASE_CHECK(store.has_value());
  std::vector<double> took;
  {
    Answers answers(*std::move(store), pieces);
    for (int round = 0; round < kRounds; ++round) {
      const double begin = processor_us();
      for (int i = 0; i < kAnswers; ++i) answers.one();
      took.push_back((processor_us() - begin) / kAnswers);
    }
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  std::ranges::sort(took);
  std::printf("%.1f\n", took[took.size() / 2]);
  return 0;
}

}  // namespace
}  // namespace phase::bench

int main(int argc, char** argv) {
  return phase::bench::program(argc, argv);
}
