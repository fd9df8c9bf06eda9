// wire.h — pieces of the control API's JSON that several files read, here and in apps/phase.
#pragma once

#include <string_view>

#include <boost/json/fwd.hpp>

#include "base/result.h"
#include "protocol/job/output.h"

namespace phase::sdk {

/// Containers inside containers in any answer of the daemon.
inline constexpr std::size_t kJsonDepthMax = 16;

/// Errors: Code::malformed.
[[nodiscard]] Result<boost::json::object> parse_object(std::string_view text);
/// `{"code", "message", "hint"}`; made safe for a terminal.
[[nodiscard]] Error read_error_object(const boost::json::object& object);
/// The error of an answer whose status is not 2xx.
[[nodiscard]] Error read_error_answer(int status, std::string_view text);
/// `{"stream", "data"}`. Errors: Code::malformed.
[[nodiscard]] Result<job::OutputPiece> read_output(const boost::json::value& value);

}  // namespace phase::sdk
