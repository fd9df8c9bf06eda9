#include "base/waiters.h"

#include <optional>

namespace phase {
namespace {

/// Takes an event off the list however its coroutine ends.
class Listed {
 public:
  Listed(std::list<Event*>& list, Event& event)
      : list_(list), at_(list.insert(list.end(), &event)) {}
  ~Listed() { list_.erase(at_); }
  Listed(const Listed&) = delete;
  Listed& operator=(const Listed&) = delete;

 private:
  std::list<Event*>& list_;
  std::list<Event*>::iterator at_;
};

}  // namespace

void Waiters::notify_all() {
  for (Event* event : events_) {
    event->notify();
  }
}

Task<bool> Waiters::wait(Deadline deadline) {
  return wait(std::optional<Deadline>{deadline});
}

Task<bool> Waiters::wait() {
  return wait(std::optional<Deadline>{});
}

Task<bool> Waiters::wait(std::optional<Deadline> deadline) {
  Event event(executor_);
  const Listed listed(events_, event);
  Alarm alarm(clock_, executor_);
  if (deadline) {
    alarm.set(deadline->at, [&event] { event.notify(); });
  }
  co_return co_await event.wait();
}

}  // namespace phase
