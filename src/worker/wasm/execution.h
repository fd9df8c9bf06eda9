// execution.h — one run, seen from the parent: stdin in, output and the end out, killed on demand.
#pragma once

#include <memory>

#include <boost/asio/any_io_executor.hpp>

#include "protocol/provider/worker.h"
#include "worker/sandbox/launcher.h"

namespace phase::worker {

/// How long the zygote may take to say how a child ended that said nothing itself.
inline constexpr Duration kExitStatusTimeout = 2s;
/// Output joined into one event, when the child has more ready.
inline constexpr std::size_t kEventBytesMax = sandbox::kPieceBytesMax;
/// Messages read for one event; then others on the loop have their turn.
inline constexpr std::size_t kEventMessagesMax = 64;

struct ExecutionSetup {
  std::shared_ptr<sandbox::Child> child;  ///< already started
  std::uint64_t output_bytes_max = 0;
  std::vector<std::string> isolation;
  std::string runtime;
  std::shared_ptr<void> slot;  ///< released when the run is over
};
[[nodiscard]] std::unique_ptr<provider::Execution> make_execution(asio::any_io_executor executor,
                                                                  ExecutionSetup setup);

}  // namespace phase::worker
