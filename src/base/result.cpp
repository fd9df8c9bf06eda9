#include "base/result.h"

#include <array>
#include <cerrno>
#include <cstddef>
#include <system_error>

namespace phase {
namespace {

struct CodeRow {
  Code code;
  std::string_view name;
  int http_status;
  int exit_status;
  bool retryable;
};

// The table of spec/errors.md; a test compares them.
constexpr std::array<CodeRow, 21> kCodes{{
    {Code::invalid_argument, "invalid_argument", 400, 2, false},
    {Code::malformed, "malformed", 400, 1, false},
    {Code::too_large, "too_large", 413, 1, false},
    {Code::version_unknown, "version_unknown", 400, 1, false},
    {Code::not_found, "not_found", 404, 1, false},
    {Code::already_exists, "already_exists", 409, 1, false},
    {Code::permission_denied, "permission_denied", 403, 1, false},
    {Code::unauthorized, "unauthorized", 401, 1, false},
    {Code::timed_out, "timed_out", 504, 124, true},
    {Code::cancelled, "cancelled", 409, 130, false},
    {Code::unavailable, "unavailable", 503, 69, true},
    {Code::busy, "busy", 503, 75, true},
    {Code::rejected, "rejected", 409, 1, true},
    {Code::verification_failed, "verification_failed", 422, 3, true},
    {Code::io, "io", 500, 1, false},
    {Code::connection_closed, "connection_closed", 502, 69, true},
    {Code::protocol, "protocol", 502, 1, true},
    {Code::replayed, "replayed", 409, 1, false},
    {Code::expired, "expired", 410, 1, false},
    {Code::unsupported, "unsupported", 501, 1, false},
    {Code::internal, "internal", 500, 70, false},
}};

constexpr CodeRow kUnknown{Code::internal, "internal", 500, 70, false};

const CodeRow& row(Code code) noexcept {
  for (const CodeRow& candidate : kCodes) {
    if (candidate.code == code) return candidate;
  }
  return kUnknown;
}

Code code_of_errno(int error_number) noexcept {
  switch (error_number) {
    case EACCES:
    case EPERM:
      return Code::permission_denied;
    case ENOENT:
      return Code::not_found;
    case EEXIST:
      return Code::already_exists;
    default:
      return Code::io;
  }
}

}  // namespace

std::string_view code_name(Code code) noexcept {
  return row(code).name;
}
int code_http_status(Code code) noexcept {
  return row(code).http_status;
}
int code_exit_status(Code code) noexcept {
  return row(code).exit_status;
}
bool code_retryable(Code code) noexcept {
  return row(code).retryable;
}

std::string Error::text() const {
  return hint.empty() ? message : message + " (" + hint + ")";
}

tl::unexpected<Error> fail_errno(int error_number, std::string message, std::string hint) {
  message += ": " + std::generic_category().message(error_number);
  return fail(code_of_errno(error_number), std::move(message), std::move(hint));
}

}  // namespace phase
