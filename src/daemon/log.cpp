#include "daemon/log.h"

#include <boost/json/serialize.hpp>
#include <boost/json/string_view.hpp>
#include <boost/json/value.hpp>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/formatter.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace phase::daemon {
namespace {

/// {"time":…,"level":…,"message":…}: spdlog's patterns cannot escape.
class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const auto since = message.time.time_since_epoch();
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since).count() % 1000;
    const auto level = spdlog::level::to_string_view(message.level);
    const boost::json::string_view text(message.payload.data(), message.payload.size());
    fmt::format_to(std::back_inserter(out),
                   R"({{"time":"{:%Y-%m-%dT%H:%M:%S}.{:03}Z","level":"{}","message":{}}})"
                   "\n",
                   fmt::gmtime(spdlog::log_clock::to_time_t(message.time)), ms,
                   std::string_view(level.data(), level.size()),
                   boost::json::serialize(boost::json::value(text)));
  }
  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>();
  }
};

}  // namespace

std::shared_ptr<spdlog::logger> make_log(const std::string& name, const std::string& format,
                                         const std::string& level) {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  auto log = std::make_shared<spdlog::logger>(name, std::move(sink));
  if (format == "json") {
    log->set_formatter(std::make_unique<JsonFormatter>());
  } else {
    log->set_formatter(std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%S.%eZ %-7l %v",
                                                                   spdlog::pattern_time_type::utc));
  }
  log->set_level(spdlog::level::from_str(level));
  log->flush_on(spdlog::level::trace);
  return log;
}

std::string level_of_rust_log(std::string_view text, std::string_view program) {
  std::string general, own;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t equals = word.find('=');
    const std::string_view target = equals == std::string_view::npos ? "" : word.substr(0, equals);
    if (equals != std::string_view::npos) word.remove_prefix(equals + 1);
    for (const std::string_view level : {"trace", "debug", "info", "warn", "error", "off"}) {
      if (word != level) continue;
      if (target.empty()) general = level;
      if (target == program) own = level;
    }
  }
  return own.empty() ? general : own;
}

}  // namespace phase::daemon
