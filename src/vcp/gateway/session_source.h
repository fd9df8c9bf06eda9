// session_source.h — where a gateway's sessions come from: a file that is watched.
#pragma once

#include <compare>
#include <filesystem>
#include <optional>
#include <vector>

#include "http_client/http_client.h"
#include "vcp/gateway/session.h"

namespace phase::vcp::gateway {

/// Blocks as long as the file system does.
class SessionFile {
 public:
  explicit SessionFile(std::filesystem::path path) : path_(std::move(path)) {}

  /// Whether it is another file, or has changed, since the last `read`, failed ones included.
  [[nodiscard]] bool changed() const;
  /// Errors: those of read_file and parse_sessions, naming the path.
  [[nodiscard]] Result<std::vector<Session>> read();
  /// True when everybody on this machine may read it.
  [[nodiscard]] bool open_to_all() const;

 private:
  struct Mark {
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t seconds = 0, nanoseconds = 0;
    friend bool operator==(const Mark&, const Mark&) = default;
  };
  [[nodiscard]] std::optional<Mark> mark() const;

  std::filesystem::path path_;
  std::optional<Mark> read_;
};

/// Asks a coordinator once: GET <url>, with an API key, saying where clients reach this gateway
/// (`announce`, host:port; empty: not said); `trust` is of https, null: this system's
/// authorities. Errors: those of http_client::get,
/// Code::unauthorized, unavailable (another status than 200), and of parse_sessions.
[[nodiscard]] Task<Result<std::vector<Session>>> fetch_sessions(
    asio::any_io_executor executor, http_client::Url url, std::string api_key, std::string announce,
    std::shared_ptr<const http_client::Trust> trust);

}  // namespace phase::vcp::gateway
