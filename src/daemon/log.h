// log.h — a daemon's log: stderr, text or JSON, one line per event.
//
// Callers pass texts of others through printable(); secrets are never passed at all.
#pragma once

#include <memory>
#include <string>

#include <spdlog/logger.h>

namespace phase::daemon {

/// `name` of the program; `format` "text" or "json", `level` a name of spdlog or "error", "warn".
[[nodiscard]] std::shared_ptr<spdlog::logger> make_log(const std::string& name,
                                                       const std::string& format,
                                                       const std::string& level);

/// The level that RUST_LOG means for `program` ("info,lucidd=debug"): empty when it says nothing.
[[nodiscard]] std::string level_of_rust_log(std::string_view text, std::string_view program);

}  // namespace phase::daemon
