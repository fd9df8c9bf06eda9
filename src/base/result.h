// result.h — errors as values.
//
// An Error says which wrong it is (Code), and in words what was being done and with what. Codes are
// stable: each has a row in spec/errors.md (wire name, HTTP status, exit code, retry helps).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

namespace phase {

/// What went wrong. Values are stable and never reused; wire names are the enumerators.
enum class Code : std::uint8_t {
  invalid_argument = 1,  ///< the caller's words are off (flag, field, range)
  malformed = 2,         ///< bytes that do not have the form they should
  too_large = 3,         ///< above a named limit
  version_unknown = 4,   ///< a version or profile that this program does not know
  not_found = 5,         ///< no such file, job, peer, module
  already_exists = 6,
  permission_denied = 7,  ///< the operating system or a policy says no
  unauthorized = 8,       ///< the key is not allowed here
  timed_out = 9,
  cancelled = 10,
  unavailable = 11,  ///< nobody there now; trying again can help
  busy = 12,         ///< at a limit now; trying again helps
  rejected = 13,     ///< the provider declined, with a reason
  verification_failed = 14,
  io = 15,                 ///< a system call failed; errno text in the message
  connection_closed = 16,  ///< the other side went away mid-way
  protocol = 17,           ///< the peer broke the protocol
  replayed = 18,           ///< a job id seen before, or older than the replay record
  expired = 19,
  unsupported = 20,  ///< known, but not offered here
  internal = 21,
};

/// Wire name of a code, for example "timed_out".
[[nodiscard]] std::string_view code_name(Code code) noexcept;
/// HTTP status for a code (spec/errors.md).
[[nodiscard]] int code_http_status(Code code) noexcept;
/// Exit status of a program that ends with this error (spec/errors.md).
[[nodiscard]] int code_exit_status(Code code) noexcept;
/// True when the same request may succeed later or elsewhere.
[[nodiscard]] bool code_retryable(Code code) noexcept;

struct Error {
  Code code = Code::internal;
  std::string message;  ///< one sentence: what failed, with what; never a secret
  std::string hint;     ///< the next step for a person, or empty

  /// "message (hint)" for a terminal.
  [[nodiscard]] std::string text() const;
};

template <typename T>
using Result = tl::expected<T, Error>;

/// Shorthand: `return fail(Code::not_found, "no module at " + path);`
[[nodiscard]] inline tl::unexpected<Error> fail(Code code, std::string message,
                                                std::string hint = {}) {
  return tl::unexpected<Error>(Error{code, std::move(message), std::move(hint)});
}
/// Passes an error on.
[[nodiscard]] inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}
/// `fail` with the text of an errno appended. Code::permission_denied for EACCES and EPERM,
/// Code::not_found for ENOENT, Code::already_exists for EEXIST, else Code::io.
[[nodiscard]] tl::unexpected<Error> fail_errno(int error_number, std::string message,
                                               std::string hint = {});

}  // namespace phase

#define PHASE_CONCAT_INNER(a, b) a##b
#define PHASE_CONCAT(a, b) PHASE_CONCAT_INNER(a, b)

/// `PHASE_TRY(auto value, expression);` returns the error of `expression` or binds its value.
#define PHASE_TRY(declaration, ...)                                              \
  auto PHASE_CONCAT(phase_try_, __LINE__) = (__VA_ARGS__);                       \
  if (!PHASE_CONCAT(phase_try_, __LINE__))                                       \
    return ::phase::fail(std::move(PHASE_CONCAT(phase_try_, __LINE__)).error()); \
  declaration = *std::move(PHASE_CONCAT(phase_try_, __LINE__))
/// The same for Result<void>.
#define PHASE_TRY_VOID(...)                                 \
  if (auto phase_try_void = (__VA_ARGS__); !phase_try_void) \
  return ::phase::fail(std::move(phase_try_void).error())
/// Inside coroutines: `PHASE_CO_TRY(auto value, co_await something());`
#define PHASE_CO_TRY(declaration, ...)                                              \
  auto PHASE_CONCAT(phase_try_, __LINE__) = (__VA_ARGS__);                          \
  if (!PHASE_CONCAT(phase_try_, __LINE__))                                          \
    co_return ::phase::fail(std::move(PHASE_CONCAT(phase_try_, __LINE__)).error()); \
  declaration = *std::move(PHASE_CONCAT(phase_try_, __LINE__))
#define PHASE_CO_TRY_VOID(...)                              \
  if (auto phase_try_void = (__VA_ARGS__); !phase_try_void) \
  co_return ::phase::fail(std::move(phase_try_void).error())
