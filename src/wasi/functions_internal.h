// functions_internal.h — helpers shared by the files that implement groups of functions.
#pragma once

#include "wasi/wasi.h"

namespace phase::wasi {

// Rights bits of preview 1 that our three descriptors have.
inline constexpr std::uint64_t kRightFdRead = 1ULL << 1;
inline constexpr std::uint64_t kRightFdWrite = 1ULL << 6;
inline constexpr std::uint64_t kRightFdstatSetFlags = 1ULL << 3;
inline constexpr std::uint64_t kRightFilestatGet = 1ULL << 21;
inline constexpr std::uint64_t kRightPoll = 1ULL << 27;
inline constexpr std::uint16_t kFlagNonblock = 1U << 2;
/// A stream is neither file nor terminal; C libraries then buffer fully, which is what a pipe gets.
inline constexpr std::uint8_t kFiletypeUnknown = 0;

inline Call answer(Errno error) noexcept {
  return {Call::Kind::returned, static_cast<std::uint32_t>(error)};
}
inline Call answer(bool stored) noexcept {
  return answer(stored ? Errno::success : Errno::fault);
}
inline std::uint32_t u32(std::uint64_t argument) noexcept {
  return static_cast<std::uint32_t>(argument);
}

// fd.cpp
Call fd_read(Guest& guest, Memory memory, const std::uint64_t* a);
Call fd_write(Guest& guest, Memory memory, const std::uint64_t* a);
Call fd_close(Guest& guest, Memory memory, const std::uint64_t* a);
Call fd_renumber(Guest& guest, Memory memory, const std::uint64_t* a);
Call fd_fdstat_get(Guest& guest, Memory memory, const std::uint64_t* a);
Call fd_fdstat_set_flags(Guest& guest, Memory memory, const std::uint64_t* a);
Call fd_fdstat_set_rights(Guest& guest, Memory memory, const std::uint64_t* a);
Call fd_filestat_get(Guest& guest, Memory memory, const std::uint64_t* a);
// poll.cpp
Call poll_oneoff(Guest& guest, Memory memory, const std::uint64_t* a);
/// Value of a clock, or nothing when there is no such clock.
std::optional<std::uint64_t> clock_now(Guest& guest, std::uint32_t id);

}  // namespace phase::wasi
