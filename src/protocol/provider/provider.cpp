#include "protocol/provider/provider.h"

#include "protocol/provider/session_internal.h"

namespace phase::provider {
namespace {

const receipt::Completion kShutdown{receipt::CompletionKind::failed, 0, "shutdown"};

}  // namespace

Provider::Provider(World world, ProviderLimits limits)
    : state_(std::make_shared<State>(std::move(world), limits)) {}

Provider::~Provider() = default;

Task<void> Provider::serve(std::unique_ptr<ByteStream> stream, identity::PublicKey peer) {
  const std::shared_ptr<State> state = state_;  // this provider may go while the session ends
  if (state->sessions.size() >= state->limits.sessions_max) {
    stream->reset();
    co_return;
  }
  const auto session = std::make_shared<Session>(state, std::move(stream), peer);
  co_await session->run();
}

Task<void> Provider::drain(Deadline deadline) {
  const std::shared_ptr<State> state = state_;
  state->draining = true;
  Alarm alarm(state->world.clock, state->world.executor);
  bool late = false;
  const auto wake_at = [&](Instant at) {
    late = false;
    alarm.set(at, [&late, state] {
      late = true;
      state->changed.notify();
    });
  };
  wake_at(deadline.at);
  while (state->accepted > 0 && !late) {
    const bool woken = co_await state->changed.wait();
    if (!woken) co_return;
  }
  // None goes inside these loops: sessions end on the executor, later.
  for (const auto& [serial, session] : state->sessions) session->stop(kShutdown);
  wake_at(state->world.clock.now() + state->limits.drain_delivery_max);
  while (!state->sessions.empty()) {
    if (late) {
      // Those that still run are in the hands of the worker; their receipts are kept, not sent.
      for (const auto& [serial, session] : state->sessions) {
        session->drop({Code::unavailable, "this node shuts down", {}});
      }
    }
    const bool woken = co_await state->changed.wait();
    if (!woken) co_return;
  }
}

std::size_t Provider::jobs_running() const noexcept {
  return state_->running;
}
std::size_t Provider::jobs_queued() const noexcept {
  return state_->accepted - state_->running;
}
std::size_t Provider::jobs_of(const identity::PublicKey& requester) const noexcept {
  const auto found = state_->per_requester.find(requester);
  return found == state_->per_requester.end() ? 0 : found->second;
}

}  // namespace phase::provider
