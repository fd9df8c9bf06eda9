// lying_node — a node of a fleet that changes what jobs wrote and signs it as if it were true. For
// the demo and the tests of a coordinator: `lying_node ID URL TOKEN FOLDER WORKER [one job in N]`.
#include <cstdlib>
#include <iostream>

#include "examples/demo/agent_process.h"

namespace {

using namespace phase;

class LyingExecution final : public provider::Execution {
 public:
  explicit LyingExecution(std::unique_ptr<provider::Execution> honest)
      : honest_(std::move(honest)) {}
  Task<Result<void>> write_stdin(ByteView bytes) override { return honest_->write_stdin(bytes); }
  void close_stdin() override { honest_->close_stdin(); }
  Task<Result<provider::WorkerEvent>> next() override {
    auto event = co_await honest_->next();
    if (event) {
      if (auto* piece = std::get_if<job::OutputPiece>(&*event)) piece->data.front() ^= 1;
    }
    co_return event;
  }
  void kill(receipt::Completion completion) override { honest_->kill(std::move(completion)); }

 private:
  std::unique_ptr<provider::Execution> honest_;
};

class LyingWorker final : public provider::Worker {
 public:
  LyingWorker(provider::Worker& honest, std::uint64_t one_in) : honest_(honest), one_in_(one_in) {}
  Result<void> takes(const job::Job& job) const override { return honest_.takes(job); }
  bool holds_module(const job::Job& job) const override { return honest_.holds_module(job); }
  Task<Result<void>> prepare(const job::Job& job, ByteView module) override {
    return honest_.prepare(job, module);
  }
  Task<Result<std::unique_ptr<provider::Execution>>> start(
      const job::Job& job, const provider::Caller& caller) override {
    auto run = co_await honest_.start(job, caller);
    if (run && ++jobs_ % one_in_ == 0) {
      std::unique_ptr<provider::Execution> liar = std::make_unique<LyingExecution>(*std::move(run));
      co_return liar;
    }
    co_return run;
  }

 private:
  provider::Worker& honest_;
  std::uint64_t one_in_, jobs_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    std::cerr << "lying_node ID URL TOKEN FOLDER WORKER [one job in N]\n";
    return 2;
  }
  const std::uint64_t one_in = argc > 6 ? std::strtoull(argv[6], nullptr, 10) : 1;
  return vcp::run_agent({argv[1], argv[2], argv[3], argv[4], argv[5], "lying_node"},
                        [one_in](vcp::AgentOptions& options, Random&) {
                          options.local.policy.resources.cpu_cores = 8;
                          options.local.policy.resources.memory_bytes = 1024_MiB;
                          options.local.around_worker = [one_in](provider::Worker& honest) {
                            return std::make_unique<LyingWorker>(honest, one_in);
                          };
                        });
}
