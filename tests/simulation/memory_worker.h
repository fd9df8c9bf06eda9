// memory_worker.h — a Worker in memory: what phase-worker does, without processes or WebAssembly.
//
// A module is a line of text that names a behaviour:
//   reverse      read stdin to its end, write it backwards
//   echo         write every piece of stdin as it comes
//   flood N      write N bytes, not reading stdin
//   exit N       end at once with exit code N
//   sleep N      end after N ms
//   spin         run until killed
//   vanish N     write N bytes, then the worker process is lost
// Anything else is refused as malformed. Buffers are bounded as those of the real worker.
#pragma once

#include <set>

#include "base/clock.h"
#include "protocol/provider/worker.h"

namespace phase::simulation {

/// Stdin not yet read by the guest, and output not yet taken by the provider.
inline constexpr std::size_t kGuestBufferBytes = 64_KiB;

class MemoryWorker final : public provider::Worker {
 public:
  /// Compiling a module takes `compile_time`.
  MemoryWorker(Clock& clock, asio::any_io_executor executor, Duration compile_time = Duration{0})
      : clock_(clock), executor_(std::move(executor)), compile_time_(compile_time) {}

  [[nodiscard]] Result<void> takes(const job::Job& job) const override;
  [[nodiscard]] bool holds_module(const job::Job& job) const override;
  [[nodiscard]] Task<Result<void>> prepare(const job::Job& job, ByteView module) override;
  [[nodiscard]] Task<Result<std::unique_ptr<provider::Execution>>> start(
      const job::Job& job, const provider::Caller& caller) override;

  /// Runs started and not yet destroyed; the most there were at once.
  [[nodiscard]] std::size_t running() const noexcept { return *running_; }
  [[nodiscard]] std::size_t running_max() const noexcept { return running_max_; }
  /// `prepare` was called so often: modules that were sent.
  [[nodiscard]] std::size_t prepared() const noexcept { return prepared_; }

 private:
  Clock& clock_;
  asio::any_io_executor executor_;
  Duration compile_time_;
  std::map<Sha256, std::string> modules_;
  std::shared_ptr<std::size_t> running_ = std::make_shared<std::size_t>(0);  // with executions
  std::size_t running_max_ = 0;
  std::size_t prepared_ = 0;
};

}  // namespace phase::simulation
