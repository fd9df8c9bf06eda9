// launcher.h — the outside of worker processes: starts a zygote, has children forked, kills them,
// starts it again.
//
// Belongs to one executor; every call and every coroutine here runs on it. Nothing blocks, except
// `start` once.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/clock.h"
#include "worker/sandbox/control.h"
#include "worker/sandbox/message.h"
#include "worker/sandbox/zygote.h"

namespace phase::sandbox {

/// How long a fresh zygote may take until it says hello (loading and warming up an engine on a busy
/// machine).
inline constexpr Duration kHelloTimeout = 30s;
/// How long a fork may take.
inline constexpr Duration kForkTimeout = 10s;
/// How long a zygote may take to end when it is told to; then it is killed. Blocks the loop that
/// long at most.
inline constexpr Duration kCloseTimeout = 1s;
/// Pause before a lost zygote is started again: doubled each time, from the first to the second.
inline constexpr Duration kRestartPauseMin = 100ms, kRestartPauseMax = 5s;

/// A child process and the socket to it. Destroying it kills the process.
class Child {
 public:
  Child(asio::any_io_executor executor, std::uint64_t id, FileDescriptor socket,
        FileDescriptor process);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  /// True once it is known that the process is gone.
  [[nodiscard]] bool ended() const noexcept { return exit_known_; }
  /// SIGKILL, at once, whatever it does. Bytes it already sent can still be received. Idempotent.
  void kill() noexcept;
  /// Sends one message; suspends while the socket is full. Errors: Code::connection_closed,
  /// Code::cancelled.
  [[nodiscard]] Task<Result<void>> send(ByteView head, ByteView body = {},
                                        std::span<const int> descriptors = {});
  /// As `send`, but false instead of waiting.
  [[nodiscard]] Result<bool> try_send(ByteView head, ByteView body = {},
                                      std::span<const int> descriptors = {});
  /// Receives one message into `buffer` (kMessageBytesMax); the number of its bytes, 0 at the end.
  /// Descriptors sent along are closed: a child has none to give.
  [[nodiscard]] Task<Result<std::size_t>> receive(std::span<std::uint8_t> buffer);
  /// As `receive`, but nothing instead of waiting.
  [[nodiscard]] Result<std::optional<std::size_t>> try_receive(std::span<std::uint8_t> buffer);
  /// How it ended, as the zygote saw it; nothing when that is not known within `limit`.
  [[nodiscard]] Task<std::optional<control::Exited>> wait_exit(Duration limit);

 private:
  friend class Launcher;
  void set_exit(std::optional<control::Exited> exited);

  std::uint64_t id_;
  asio::posix::stream_descriptor socket_;
  FileDescriptor process_;
  asio::steady_timer exit_event_;
  bool exit_known_ = false;
  std::optional<control::Exited> exit_;
};

class Launcher {
 public:
  struct Options {
    std::string path;                    ///< the worker program
    std::vector<std::string> arguments;  ///< after its name
  };
  /// Starts the zygote and waits (blocking, kHelloTimeout) until it is ready.
  /// Errors: Code::not_found, Code::io, Code::timed_out, Code::internal when it ends before it is
  /// ready.
  [[nodiscard]] static Result<std::unique_ptr<Launcher>> start(asio::any_io_executor executor,
                                                               Options options);
  /// Closes the control socket: the zygote ends, and all its children with it.
  ~Launcher();

  [[nodiscard]] const control::Hello& hello() const noexcept;
  /// Process id of the zygote, for tests and diagnosis; 0 while there is none.
  [[nodiscard]] int zygote_pid() const noexcept;
  /// A fresh child that waits for its first message. Errors: Code::unavailable while the zygote is
  /// being restarted or refuses, Code::timed_out.
  [[nodiscard]] Task<Result<std::shared_ptr<Child>>> fork(Role role);

 private:
  struct State;
  explicit Launcher(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with the coroutine that reads the control socket
};

}  // namespace phase::sandbox
