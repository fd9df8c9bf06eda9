#include <utility>

#include "protocol/requester/requester.h"

namespace phase::requester {

void CancelToken::request() {
  if (requested_) return;
  requested_ = true;
  if (auto callback = std::exchange(callback_, nullptr)) callback();
}

void CancelToken::on_request(std::function<void()> callback) {
  if (requested_) {
    callback_ = nullptr;
    if (callback) callback();
    return;
  }
  callback_ = std::move(callback);
}

}  // namespace phase::requester
