// What the requester sends: order, sizes and hashes of its frames; stdin on its way to the guest.
#include "protocol/provider/session_internal.h"

namespace phase::provider {
namespace {

using receipt::Completion;
using receipt::CompletionKind;

const Completion kCancelled{CompletionKind::cancelled, 0, {}};
const Completion kIncomplete{CompletionKind::failed, 0, "input_incomplete"};

}  // namespace

Task<void> Session::read_all() {
  while (!ended_) {
    Result<offer::Frame> frame = co_await link_->read();
    if (!frame) {
      lost();
      break;
    }
    if (!take(*frame)) {
      link_->reset({Code::protocol, "the requester sent a frame out of order", {}});
      lost();
      break;
    }
    while (ahead_bytes_ >= kStdinAheadBytes && !run_over_ && !stop_) {
      const bool woken = co_await room_.wait();
      if (!woken) break;
    }
  }
  reading_ = false;
  wake_.notify();
}

void Session::lost() {
  gone_ = true;
  if (!receipt_sent_) stop(kCancelled);
  wake_.notify();
}

bool Session::take(offer::Frame& frame) {
  if (auto* data = std::get_if<offer::ModuleData>(&frame)) return take_module(data->data);
  if (std::holds_alternative<offer::ModuleEnd>(frame)) return take_module_end();
  if (auto* data = std::get_if<offer::StdinData>(&frame)) return take_stdin(std::move(data->data));
  if (std::holds_alternative<offer::StdinEnd>(frame)) return take_stdin_end();
  if (std::holds_alternative<offer::Cancel>(frame)) {
    cancelled_ = true;
    stop(kCancelled);
    return true;
  }
  if (const auto* reveal = std::get_if<offer::Reveal>(&frame)) {
    if (!committed_ || reveal_asked_ || reveal->nonce) return false;
    reveal_asked_ = true;
    wake_.notify();
    return true;
  }
  if (std::holds_alternative<offer::End>(frame)) {
    if (!receipt_sent_) return false;
    ended_ = true;
    wake_.notify();
    return true;
  }
  return false;
}

bool Session::take_module(const Bytes& data) {
  if (expect_ != Expect::module) return false;
  if (data.size() > module_ref_->length - module_.size()) return false;
  if (stop_) return true;
  module_.insert(module_.end(), data.begin(), data.end());
  // Piece by piece: the hashes of a whole large module would hold the loop for a fraction of a
  // second.
  module_hash_.update(data);
  module_tree_.update(data);
  return true;
}

bool Session::take_module_end() {
  if (expect_ != Expect::module) return false;
  expect_ = Expect::stdin;
  if (stop_) return true;
  const bool same = module_.size() == module_ref_->length &&
                    module_hash_.finish() == module_ref_->sha256 &&
                    module_tree_.finish() == module_ref_->id;
  if (!same) {
    stop(kIncomplete);
    return true;
  }
  module_ready_ = true;
  wake_.notify();
  return true;
}

bool Session::take_stdin(Bytes data) {
  // After `cancel` or the job's end, what was on its way is let in and dropped.
  if (expect_ != Expect::stdin) return expect_ == Expect::module && stop_.has_value();
  const auto& named = job::input_of(*job_);
  const std::uint64_t most = named ? named->length : job::input_bytes_max(*job_);
  if (data.size() > most - input_length_) return false;
  input_hash_.update(data);
  input_length_ += data.size();
  if (run_over_ || stop_) return true;
  ahead_bytes_ += data.size();
  ahead_.push_back(std::move(data));
  stdin_ready_.notify();
  return true;
}

bool Session::take_stdin_end() {
  if (expect_ != Expect::stdin) return expect_ == Expect::module && stop_.has_value();
  expect_ = Expect::nothing;
  input_ended_ = true;
  const auto& named = job::input_of(*job_);
  if (named && *named != received()) stop(kIncomplete);
  stdin_ready_.notify();
  wake_.notify();
  return true;
}

job::Commitment Session::received() const {
  return {input_hash_.finish(), input_length_};
}

Task<void> Session::pump_stdin() {
  while (!run_over_) {
    if (!ahead_.empty()) {
      const Bytes piece = std::move(ahead_.front());
      ahead_.pop_front();
      ahead_bytes_ -= piece.size();
      room_.notify();
      const Result<void> written = co_await execution_->write_stdin(piece);
      if (!written) break;
      continue;
    }
    if (input_ended_) {
      execution_->close_stdin();
      break;
    }
    const bool woken = co_await stdin_ready_.wait();
    if (!woken) break;
  }
  pumping_ = false;
  wake_.notify();
}

}  // namespace phase::provider
