// console.h — the process's own stdin, stdout and stderr beside an event loop.
//
// They may block for as long as the other side likes, and may not be made non-blocking: others
// share them. So each direction has a thread of its own.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/thread_pool.hpp>

#include "base/bytes.h"
#include "base/clock.h"

namespace phase::plasmd {

/// Read from stdin at once.
inline constexpr std::size_t kConsoleReadBytes = 64_KiB;

class Console {
 public:
  explicit Console(asio::any_io_executor executor);
  ~Console();  // stops reading; waits for a write in progress

  /// The next bytes of stdin; empty at its end, after stop_reading() and when stdin cannot be read.
  /// One reader.
  [[nodiscard]] Task<Bytes> read();
  void stop_reading();
  /// Writes all to descriptor 1 or 2. False when nobody reads it any more. One writer.
  [[nodiscard]] Task<bool> write(int descriptor, Bytes bytes);

 private:
  asio::any_io_executor executor_;
  int stop_ = -1;  // an eventfd; readable once reading stops
  asio::thread_pool reader_{1}, writer_{1};
};

}  // namespace phase::plasmd
