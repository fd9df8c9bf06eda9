// modules.h — modules that mean harm, as text, and a builder for those too large for it.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"

namespace phase::hostile {

/// Text format to binary; aborts on a mistake in the text.
[[nodiscard]] Bytes from_wat(std::string_view text);

/// Never ends.
extern const std::string_view kEndlessLoop;
/// Grows memory until it cannot, touching every page; writes one byte per page grown; exits 0.
extern const std::string_view kMemoryBomb;
/// Starts with more memory (4096 pages) than most jobs grant.
extern const std::string_view kMemoryFromStart;
/// Grows its table until it cannot; exits with the number of times modulo 100.
extern const std::string_view kTableBomb;
/// Starts with a table of ten million elements.
extern const std::string_view kTableFromStart;
/// Calls itself without end.
extern const std::string_view kRecursion;
/// Writes to both streams without end.
extern const std::string_view kOutputFlood;
/// Fills 64 MiB again and again: each fill is one instruction.
extern const std::string_view kMemoryFill;
/// Reads stdin.
extern const std::string_view kBlockedStdin;
/// Sleeps for an hour, by poll_oneoff.
extern const std::string_view kSleeper;
/// Wants a function that does not exist.
extern const std::string_view kUndefinedImport;
/// Wants a function that exists, with another type.
extern const std::string_view kWrongImportType;
/// Runs a loop in its start function.
extern const std::string_view kEndlessStart;
/// Asks for random bytes into memory it does not have.
extern const std::string_view kBadPointers;

/// No harm: exits with 5 when `_initialize` was called before `work`.
extern const std::string_view kReactor;

/// A valid module of `functions` functions with `operations` operations each.
[[nodiscard]] Bytes compile_bomb(std::size_t functions, std::size_t operations);

}  // namespace phase::hostile
