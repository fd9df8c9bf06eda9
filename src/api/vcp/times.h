// times.h — times as the API writes them: RFC 3339, UTC, "2026-01-31T12:00:00.250Z".
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace phase::vcp::api {

[[nodiscard]] std::string utc_text(UtcTime time);
/// With or without a fraction; an offset is taken too. From 1970 to 9999; nothing otherwise.
[[nodiscard]] std::optional<UtcTime> parse_utc(std::string_view text);

}  // namespace phase::vcp::api
