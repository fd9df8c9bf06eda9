// death.h — ends the process at a chosen moment, as if the power of it alone had failed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "vcp/state/journal.h"

namespace phase::vcp::crash {

/// When, seen from the n-th write.
enum class Moment : std::uint8_t {
  never,
  before,   ///< nothing of it is on the disk
  during,   ///< of a file: half of it is; of the journal: at any time from when it is asked for
  unheard,  ///< all of it is, and nobody heard
  heard     ///< a little later: some heard
};
[[nodiscard]] std::optional<Moment> moment_of(std::string_view word) noexcept;

struct Death {
  Moment moment = Moment::never;
  std::uint64_t write = 1;  ///< counted from 1
};

/// Says `why` in one line on standard error and is gone: SIGKILL, nothing is flushed or destroyed.
[[noreturn]] void die(std::string_view why);

/// Dies at a write of the journal `inner`; a write is an append that is not empty.
[[nodiscard]] std::unique_ptr<Journal> killing_journal(std::unique_ptr<Journal> inner,
                                                       asio::any_io_executor executor, Death death);

/// Dies at a write to any file of SQLite in this process, from now on. Call once, before a database
/// is opened.
void kill_at_file_write(Death death);

}  // namespace phase::vcp::crash
