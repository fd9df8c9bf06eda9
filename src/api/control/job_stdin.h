// job_stdin.h — a job's stdin between the client that writes it and the requester that sends it on.
// Private to this folder.
#pragma once

#include <memory>

#include "base/waiters.h"
#include "protocol/requester/requester.h"

namespace phase::control {

/// Streamed: a bounded buffer; the first bytes are kept so that another provider can be tried while
/// not more than the buffer's size was handed out. Given: all of it, kept to the end.
class JobStdin final : public requester::StdinSource {
 public:
  JobStdin(Clock& clock, asio::any_io_executor executor, std::size_t buffer_max);
  /// Everything at once. Before the first read.
  void give(Bytes all);

  [[nodiscard]] Task<Result<Bytes>> read() override;
  [[nodiscard]] bool rewind() override;

  /// Suspends while the buffer is full. Writers take turns. Errors: Code::invalid_argument after
  /// the end.
  [[nodiscard]] Task<Result<void>> write(Bytes bytes, bool end);
  /// The job is over: readers see the end, bytes are dropped from now on.
  void stop();

 private:
  /// Bytes not handed out yet.
  [[nodiscard]] std::size_t waiting() const noexcept { return kept_.size() - position_; }
  const std::size_t buffer_max_;
  Waiters changed_;
  Bytes kept_;  // handed out up to `position_`
  std::size_t position_ = 0;
  bool replayable_ = true;  // nothing was dropped from kept_'s front
  bool given_ = false;
  bool ended_ = false;
  bool stopped_ = false;
  bool writing_ = false;
};

}  // namespace phase::control
