#include "vcp/gateway/session_source.h"

#include <sys/stat.h>

#include "base/files.h"

namespace phase::vcp::gateway {
namespace {

constexpr const char* kHint =
    "--sessions-url https://HOST:3000/api/v1/nodes/NAME/gateway-sessions, and an API key of the "
    "node's owner with the scope nodes:read in VCP_API_KEY";

/// Brackets of an IPv6 address are nothing that a query may hold (RFC 3986 §3.4).
std::string in_query(std::string_view address) {
  std::string out;
  for (const char c : address) {
    out += c == '[' ? "%5B" : c == ']' ? "%5D" : std::string(1, c);
  }
  return out;
}

}  // namespace

std::optional<SessionFile::Mark> SessionFile::mark() const {
  struct stat facts{};
  if (::stat(path_.c_str(), &facts) != 0) return std::nullopt;
  return Mark{facts.st_dev, facts.st_ino, static_cast<std::uint64_t>(facts.st_size),
              facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec};
}

bool SessionFile::changed() const {
  return mark() != read_;
}

Result<std::vector<Session>> SessionFile::read() {
  read_ = mark();  // before the bytes: a change while they are read shows at the next look
  PHASE_TRY(const std::string text, read_file(path_, kSessionsBytesMax));
  auto sessions = parse_sessions(text);
  if (sessions) return sessions;
  Error error = std::move(sessions).error();
  error.message = path_.string() + ": " + error.message;
  return fail(std::move(error));
}

bool SessionFile::open_to_all() const {
  struct stat facts{};
  return ::stat(path_.c_str(), &facts) == 0 && (facts.st_mode & S_IROTH) != 0;
}

Task<Result<std::vector<Session>>> fetch_sessions(asio::any_io_executor executor,
                                                  http_client::Url url, std::string api_key,
                                                  std::string announce,
                                                  std::shared_ptr<const http_client::Trust> trust) {
  const std::string where = url.text();
  http_client::Options options;
  options.who = "the coordinator";
  options.hint = kHint;
  options.trust = std::move(trust);
  options.trust_hint =
      "--coordinator-ca FILE (or VCP_COORDINATOR_CA) names the authority that signed it, in PEM";
  options.answer_bytes_max = kSessionsBytesMax;
  options.headers.emplace_back("X-API-Key", std::move(api_key));
  std::string route = announce.empty() ? "" : "?address=" + in_query(announce);
  auto answer = co_await http_client::get(std::move(executor), std::move(url), std::move(route),
                                          std::move(options));
  if (!answer) co_return fail(std::move(answer).error());
  if (answer->status == 401 || answer->status == 403 || answer->status == 404) {
    co_return fail(Code::unauthorized, where + " answers " + std::to_string(answer->status), kHint);
  }
  if (answer->status != 200) {
    co_return fail(Code::unavailable, where + " answers " + std::to_string(answer->status), kHint);
  }
  co_return parse_sessions(answer->body);
}

}  // namespace phase::vcp::gateway
