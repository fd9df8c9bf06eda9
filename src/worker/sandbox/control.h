// control.h — what a zygote and the process that started it say to each other.
//
//   parent → zygote   fork(role)
//   zygote → parent   hello, once; then forked(id) with a socket and a pidfd, or refused;
//   exited(id, status)
//
// Both sides are ours and run nothing of a stranger; messages are checked all the same.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "worker/sandbox/layers.h"

namespace phase::sandbox::control {

/// The descriptor number of the control socket in a fresh zygote, and of its socket in each child.
inline constexpr int kSocketNumber = 3;
/// Status of a worker process that aborted: no memory left, or a check of ours or of the engine
/// failed. The worker program ends so instead of by SIGABRT, since the layers take the call that
/// raises a signal away.
inline constexpr int kExitAborted = 134;
/// Status of a child that could not put on its layers, and so did nothing (EX_SOFTWARE).
inline constexpr int kExitUnlocked = 70;
/// Longest description a kind of work may give of itself.
inline constexpr std::size_t kAboutBytesMax = 4_KiB;

struct Hello {
  std::vector<std::string> layers;  ///< in force in every child, ascending
  std::string missing;              ///< layers that are not there and why, for people; or empty
  Bytes about;                      ///< from the work itself; opaque here
};
struct Forked {
  std::uint64_t id = 0;
};
struct Refused {
  std::string why;
};
struct Exited {
  std::uint64_t id = 0;
  int signal = 0;  ///< that ended it, or 0
  int code = 0;    ///< of _exit, when signal is 0
};
using FromZygote = std::variant<Hello, Forked, Refused, Exited>;

[[nodiscard]] Bytes encode(const FromZygote& message);
/// Errors: Code::malformed.
[[nodiscard]] Result<FromZygote> decode(ByteView bytes);

[[nodiscard]] Bytes encode_fork(Role role);
/// Errors: Code::malformed.
[[nodiscard]] Result<Role> decode_fork(ByteView bytes);

}  // namespace phase::sandbox::control
