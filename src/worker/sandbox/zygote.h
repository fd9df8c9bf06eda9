// zygote.h — the inside of a worker process: warmed up once, then forked for every piece of work.
//
// The zygote never reads a stranger's byte. It locks itself down as far as forking allows; a child
// adds the rest before it reads anything, does one thing, and ends. So no state of one guest can
// reach another (docs/decisions/0002).
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "worker/sandbox/layers.h"

namespace phase::sandbox {

/// Children alive at once, per zygote.
inline constexpr std::size_t kChildrenMax = 256;

enum class Isolation : std::uint8_t {
  full,  ///< every layer the system has
  none,  ///< no layer; for tests and platforms without them, and named in receipts
};
/// "full", "none".
[[nodiscard]] std::string_view isolation_name(Isolation isolation) noexcept;
/// Errors: Code::invalid_argument.
[[nodiscard]] Result<Isolation> isolation_from(std::string_view name);

/// What the children of a zygote do.
class Work {
 public:
  virtual ~Work() = default;
  /// Once, in the zygote, before lock-down and with one thread; leaves one thread. What can be
  /// shared by all children is loaded here. Returns a description for the parent, at most
  /// control::kAboutBytesMax.
  [[nodiscard]] virtual Result<Bytes> prepare() = 0;
  /// Whether children of Role::accelerate open devices. Drivers do not survive a fork, so these
  /// layers then wait for each child, which adds them before it reads a stranger's byte.
  [[nodiscard]] virtual bool has_devices() const { return false; }
  /// In a child of Role::accelerate, before lock-down; may leave threads.
  [[nodiscard]] virtual Result<void> open_devices() { return {}; }
  /// Limits of a child; `data_bytes` may be lowered by `run`.
  [[nodiscard]] virtual Limits limits(Role role) const = 0;
  /// In a child, locked down. `socket` leads to the parent. Returns the status to exit with.
  [[nodiscard]] virtual int run(Role role, int socket) = 0;
};

/// Serves the parent at `control` (a SOCK_SEQPACKET socket, always control::kSocketNumber) until it
/// closes. Closes every descriptor above it and clears the environment. 0, 1 and 2 must be open, 0
/// on a device that takes anything. Errors: those of the layers and of `work`; Code::io.
[[nodiscard]] Result<void> run_zygote(int control, Isolation isolation, Work& work);

}  // namespace phase::sandbox
