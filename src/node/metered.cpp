#include "node/metered.h"

#include <cmath>

namespace phase::node {
namespace {

class MeteredRun final : public provider::Execution {
 public:
  MeteredRun(std::unique_ptr<provider::Execution> run, EnergyMeter& meter)
      : run_(std::move(run)), meter_(meter) {
    meter_.run_began();
    began_ = meter_.share_mj();
  }
  ~MeteredRun() override { end(); }

  [[nodiscard]] Task<Result<void>> write_stdin(ByteView bytes) override {
    return run_->write_stdin(bytes);
  }
  void close_stdin() override { run_->close_stdin(); }
  [[nodiscard]] Task<Result<provider::WorkerEvent>> next() override {
    Result<provider::WorkerEvent> event = co_await run_->next();
    if (event) {
      if (auto* const exit = std::get_if<provider::WorkerExit>(&*event)) settle(*exit);
    }
    co_return event;
  }
  void kill(receipt::Completion completion) override { run_->kill(std::move(completion)); }

 private:
  void settle(provider::WorkerExit& exit) {
    const std::optional<double> ended = meter_.share_mj();
    if (began_ && ended && *ended >= *began_) {
      exit.claimed.energy_mj = static_cast<std::uint64_t>(std::llround(*ended - *began_));
    }
    end();
  }
  void end() {
    if (std::exchange(over_, true)) return;
    meter_.run_ended();
  }

  std::unique_ptr<provider::Execution> run_;
  EnergyMeter& meter_;
  std::optional<double> began_;
  bool over_ = false;
};

}  // namespace

Task<Result<std::unique_ptr<provider::Execution>>> Metered::start(const job::Job& job,
                                                                  const provider::Caller& caller) {
  Result<std::unique_ptr<provider::Execution>> run = co_await worker_.start(job, caller);
  if (!run || meter_ == nullptr) co_return run;
  co_return std::make_unique<MeteredRun>(*std::move(run), *meter_);
}

}  // namespace phase::node
