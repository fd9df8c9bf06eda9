#include "vcp/coordinator/requester_runner.h"

#include <algorithm>

namespace phase::vcp {
namespace {

/// The task's stdin, piece by piece.
class SpecInput final : public requester::StdinSource {
 public:
  explicit SpecInput(std::shared_ptr<const Spec> spec) : spec_(std::move(spec)) {}
  [[nodiscard]] Task<Result<Bytes>> read() override {
    const Bytes& all = spec_->work.stdin_bytes;
    const std::size_t count = std::min<std::size_t>(offer::kDataBytesMax, all.size() - at_);
    const auto from = all.begin() + static_cast<std::ptrdiff_t>(at_);
    Bytes piece(from, from + static_cast<std::ptrdiff_t>(count));
    at_ += count;
    co_return piece;
  }
  [[nodiscard]] bool rewind() override {
    at_ = 0;
    return true;
  }

 private:
  std::shared_ptr<const Spec> spec_;
  std::size_t at_ = 0;
};

/// Keeps the output, and tells the watch.
class Keeper final : public requester::Observer {
 public:
  explicit Keeper(RunWatch& watch) : watch_(watch) {}
  void on_attempt(const identity::PublicKey&, const manifest::SignedManifest& manifest) override {
    result.job_id = manifest.id.hex();
  }
  void on_accepted() override { watch_.accepted(result.job_id); }
  void on_output(const job::OutputPiece& piece) override {
    Bytes& kept = piece.stream == job::OutputStream::out ? result.out : result.err;
    const std::size_t room = std::min(kResultBytesMax - kept.size(), piece.data.size());
    kept.insert(kept.end(), piece.data.begin(),
                piece.data.begin() + static_cast<std::ptrdiff_t>(room));
    result.truncated = result.truncated || room < piece.data.size();
    watch_.output(piece);
  }
  void on_checkpoint(const receipt::Checkpoint&) override {}
  void on_progress(const offer::Progress&) override {}
  void on_commit() override { watch_.committed(); }
  void on_attempt_failed(const identity::PublicKey&, const Error&) override {}
  void on_restart() override {
    result.out.clear();
    result.err.clear();
    result.truncated = false;
  }

  RunResult result;

 private:
  RunWatch& watch_;
};

}  // namespace

Task<Result<RunResult>> RequesterRunner::run(RunOrder order, RunWatch& watch,
                                             requester::CancelToken& cancel,
                                             requester::RevealGate& gate) {
  const Spec& spec = *order.spec;
  requester::Request request;
  request.job = spec.work.job;
  request.module = order.module;
  request.wall_limit_ms = spec.requirements.max_execution_seconds * 1'000;
  request.provider = self_ ? *self_ : order.key;
  if (order.commit_first) request.reveal = &gate;
  SpecInput input(order.spec);
  Keeper keeper(watch);
  requester::Requester requester(world_, limits_);
  auto outcome = co_await requester.run(std::move(request), input, keeper, cancel);
  if (!outcome) co_return fail(std::move(outcome).error());
  RunResult out = std::move(keeper.result);
  out.manifest = std::move(outcome->manifest);
  out.receipt = std::move(outcome->receipt);
  out.output = outcome->output;
  if (!outcome->verdict.ok()) {
    out.refused = outcome->verdict.text();
    co_return out;
  }
  const receipt::Receipt& said = outcome->verdict.verified->get().receipt;
  out.completion = said.completion;
  out.fuel = said.claimed.fuel;
  if (said.claimed.wall_us) out.wall_ms = *said.claimed.wall_us / 1'000;
  out.energy_mj = said.claimed.energy_mj;
  co_return out;
}

}  // namespace phase::vcp
