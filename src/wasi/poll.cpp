// Clocks, and waiting for them or for stdin.
#include <algorithm>
#include <cstring>

#include "wasi/functions_internal.h"

namespace phase::wasi {
namespace {

constexpr std::uint32_t kClockRealtime = 0;
constexpr std::uint32_t kClockMonotonic = 1;
constexpr std::uint32_t kClockProcessCpu = 2;
constexpr std::uint32_t kClockThreadCpu = 3;

constexpr std::uint32_t kSubscriptionBytes = 48;
constexpr std::uint32_t kEventBytes = 32;
constexpr std::uint8_t kEventClock = 0;
constexpr std::uint8_t kEventFdRead = 1;
constexpr std::uint8_t kEventFdWrite = 2;
constexpr std::uint16_t kSubscriptionAbsolute = 1;

struct Subscription {
  std::uint64_t userdata = 0;
  std::uint8_t tag = 0;
  std::uint32_t clock_or_fd = 0;
  std::uint64_t timeout_ns = 0;
  std::uint16_t flags = 0;
};

Subscription load_subscription(const std::uint8_t* from) {
  Subscription s;
  std::memcpy(&s.userdata, from, 8);
  s.tag = from[8];
  std::memcpy(&s.clock_or_fd, from + 16, 4);
  std::memcpy(&s.timeout_ns, from + 24, 8);
  std::memcpy(&s.flags, from + 40, 2);
  return s;
}

void store_event(std::uint8_t* to, const Subscription& s, Errno error, std::uint64_t bytes) {
  std::memset(to, 0, kEventBytes);
  std::memcpy(to, &s.userdata, 8);
  const auto code = static_cast<std::uint16_t>(error);
  std::memcpy(to + 8, &code, 2);
  to[10] = s.tag;
  std::memcpy(to + 16, &bytes, 8);
}

// What a subscription comes to before any waiting.
struct State {
  bool waits_for_stdin = false;
  std::optional<std::uint64_t> left_ns;  // clock subscriptions: time still to pass
  Errno error = Errno::success;          // an event at once when not success
  bool ready = false;
};

State examine(Guest& guest, const Subscription& s) {
  State state;
  if (s.tag == kEventClock) {
    // Waiting for processor time would never end: nothing runs while the guest waits.
    const bool waitable = s.clock_or_fd == kClockRealtime || s.clock_or_fd == kClockMonotonic;
    const auto now = waitable ? clock_now(guest, s.clock_or_fd) : std::nullopt;
    if (!now) {
      state.error = Errno::inval;
    } else if ((s.flags & kSubscriptionAbsolute) != 0) {
      state.left_ns = s.timeout_ns > *now ? s.timeout_ns - *now : 0;
    } else {
      state.left_ns = s.timeout_ns;
    }
    return state;
  }
  const Guest::Descriptor* descriptor = guest.descriptor(s.clock_or_fd);
  using Kind = Guest::Descriptor::Kind;
  if (descriptor == nullptr) {
    state.error = Errno::badf;
  } else if ((descriptor->kind == Kind::in) != (s.tag == kEventFdRead)) {
    state.error = Errno::badf;
  } else if (s.tag == kEventFdRead) {
    state.waits_for_stdin = true;
  } else {
    state.ready = true;  // output is always taken; back-pressure is felt in fd_write
  }
  return state;
}

}  // namespace

std::optional<std::uint64_t> clock_now(Guest& guest, std::uint32_t id) {
  switch (id) {
    case kClockRealtime:
      return guest.config().clock_start_ns + guest.world().elapsed_ns();
    case kClockMonotonic:
      return guest.world().elapsed_ns();
    case kClockProcessCpu:
    case kClockThreadCpu:
      return guest.world().cpu_ns();
    default:
      return std::nullopt;
  }
}

Call poll_oneoff(Guest& guest, Memory memory, const std::uint64_t* a) {
  const std::uint32_t count = u32(a[2]);
  if (count == 0 || count > kSubscriptionsMax) return answer(Errno::inval);
  const auto in = memory.slice(u32(a[0]), count * kSubscriptionBytes);
  const auto out = memory.slice(u32(a[1]), count * kEventBytes);
  if (!in || !out || !memory.slice(u32(a[3]), 4)) return answer(Errno::fault);

  // Read completely first: the two arrays may overlap.
  std::vector<Subscription> subscriptions(count);
  std::vector<State> states(count);
  bool at_once = false, stdin_wanted = false;
  std::optional<std::uint64_t> timeout;
  for (std::uint32_t i = 0; i < count; i++) {
    subscriptions[i] = load_subscription(in->data() + i * kSubscriptionBytes);
    if (subscriptions[i].tag > kEventFdWrite) return answer(Errno::inval);
    states[i] = examine(guest, subscriptions[i]);
    at_once = at_once || states[i].ready || states[i].error != Errno::success;
    stdin_wanted = stdin_wanted || states[i].waits_for_stdin;
    if (states[i].left_ns) timeout = std::min(timeout.value_or(UINT64_MAX), *states[i].left_ns);
  }
  if (at_once) timeout = 0;

  const std::uint64_t begin = guest.world().elapsed_ns();
  bool stdin_ready = false;
  if (stdin_wanted || timeout.value_or(1) > 0) {
    const auto ready = guest.world().wait(stdin_wanted, timeout);
    if (!ready) return {Call::Kind::stopped, 0};
    stdin_ready = *ready;
  }
  // When stdin did not end the wait, the earliest clock did, whatever rounding the wait had.
  std::uint64_t passed = guest.world().elapsed_ns() - begin;
  if (!stdin_ready && timeout) passed = std::max(passed, *timeout);

  std::uint32_t events = 0;
  for (std::uint32_t i = 0; i < count; i++) {
    const State& state = states[i];
    const bool fired = state.ready || state.error != Errno::success ||
                       (state.waits_for_stdin && stdin_ready) ||
                       (state.left_ns && *state.left_ns <= passed);
    if (!fired) continue;
    const bool is_fd = subscriptions[i].tag != kEventClock && state.error == Errno::success;
    store_event(out->data() + events++ * kEventBytes, subscriptions[i], state.error, is_fd ? 1 : 0);
  }
  return answer(memory.store_u32(u32(a[3]), events));
}

}  // namespace phase::wasi
