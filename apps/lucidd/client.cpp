#include "client.h"

#include <ctime>
#include <functional>
#include <iostream>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>
#include <unistd.h>

#include "lucid/catalog_files.h"

namespace phase::lucidd {
namespace {

namespace beast = boost::beast;
namespace json = boost::json;
namespace ssl = asio::ssl;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kPieceBytes = 16_KiB;
constexpr std::size_t kPemBytesMax = 1_MiB;

using Socket = beast::basic_stream<asio::ip::tcp, asio::any_io_executor>;
/// Hears the body of an answer piece by piece.
using Heard = std::function<void(std::string_view)>;

struct Call {
  const Remote& remote;
  beast::http::verb method;
  std::string target, body;
  Duration silence_max = kAnswerMax;
  Heard heard;
  unsigned status = 0;
};

Error gone(const Remote& remote, const boost::system::error_code& error) {
  if (error == beast::error::timeout) {
    return {Code::timed_out, "the lucidd at " + remote.url() + " did not answer in time",
            "its log says what it does"};
  }
  return {Code::connection_closed,
          "the connection to " + remote.url() + " broke: " + error.message(),
          remote.certificate ? "is it the certificate that lucidd runs with?"
                             : "if it speaks TLS: --tls-cert FILE"};
}

template <typename Stream>
Task<Result<void>> exchange(Stream& stream, Socket& socket, Call& call) {
  namespace http = beast::http;
  http::request<http::string_body> request(call.method, call.target, 11);
  request.set(http::field::host, "localhost");
  request.set(http::field::connection, "close");
  request.set(http::field::user_agent, "lucidd/" PHASE_VERSION);
  if (!call.remote.key.empty()) {
    request.set(http::field::authorization, "Bearer " + call.remote.key);
  }
  if (!call.body.empty()) request.set(http::field::content_type, "application/json");
  request.body() = call.body;
  request.prepare_payload();
  socket.expires_after(kAnswerMax);
  auto [write_error, sent] = co_await http::async_write(stream, request, kAwait);
  if (write_error) co_return fail(gone(call.remote, write_error));
  beast::flat_buffer buffer;
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(boost::none);  // who hears it counts
  socket.expires_after(call.silence_max);
  auto [head_error, head] = co_await http::async_read_header(stream, buffer, parser, kAwait);
  if (head_error) co_return fail(gone(call.remote, head_error));
  call.status = parser.get().result_int();
  std::string piece(kPieceBytes, '\0');
  while (!parser.is_done()) {
    auto& body = parser.get().body();
    body.data = piece.data();
    body.size = piece.size();
    body.more = true;
    socket.expires_after(call.silence_max);
    auto [error, count] = co_await http::async_read(stream, buffer, parser, kAwait);
    if (error && error != http::error::need_buffer) co_return fail(gone(call.remote, error));
    call.heard(std::string_view{piece}.substr(0, piece.size() - body.size));
  }
  co_return Result<void>{};
}

/// Trusts exactly the first certificate of the file.
Result<void> trust(ssl::context& context, const std::filesystem::path& file) {
  PHASE_TRY(const std::string text, lucid::read_file(file, kPemBytesMax));
  boost::system::error_code error;
  context.use_certificate(asio::buffer(text), ssl::context::pem, error);
  X509* const own = ::SSL_CTX_get0_certificate(context.native_handle());
  if (error || own == nullptr) {
    return fail(Code::invalid_argument, file.string() + " has no certificate in PEM");
  }
  X509_STORE* const store = ::SSL_CTX_get_cert_store(context.native_handle());
  ::X509_STORE_add_cert(store, own);
  ::X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  context.set_verify_mode(ssl::verify_peer, error);
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  return {};
}

Task<Result<void>> converse(Call& call) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const Remote& remote = call.remote;
  Socket socket(executor);
  boost::system::error_code bad;
  const asio::ip::tcp::endpoint where(asio::ip::make_address(remote.host, bad), remote.port);
  socket.expires_after(kAnswerMax);
  auto [error] = co_await socket.async_connect(where, kAwait);
  if (error) {
    co_return fail(Code::unavailable, "no lucidd answers at " + remote.url(),
                   "start one with `lucidd`, or say where it is: --host, --port");
  }
  if (!remote.certificate) {
    Result<void> done = co_await exchange(socket, socket, call);
    co_return done;
  }
  ssl::context context(ssl::context::tls_client);
  PHASE_CO_TRY_VOID(trust(context, *remote.certificate));
  ssl::stream<Socket&> secure(socket, context);
  socket.expires_after(kAnswerMax);
  auto [handshake] = co_await secure.async_handshake(ssl::stream_base::client, kAwait);
  if (handshake) co_return fail(gone(remote, handshake));
  Result<void> done = co_await exchange(secure, socket, call);
  co_return done;
}

Result<void> perform(Call& call) {
  asio::io_context context(1);
  Result<void> out;
  asio::co_spawn(
      context, converse(call), [&out](const std::exception_ptr& error, Result<void> done) {
        out = error ? Result<void>(fail(Code::internal, "the request failed")) : std::move(done);
      });
  context.run();
  return out;
}

/// {"error": "text"} or {"error": {"message", "hint"}}.
Error error_of(const Call& call, std::string_view body) {
  const Code code = call.status == 401   ? Code::unauthorized
                    : call.status == 403 ? Code::permission_denied
                    : call.status == 404 ? Code::not_found
                                         : Code::unavailable;
  Error out{code, "lucidd answered " + std::to_string(call.status), {}};
  boost::system::error_code bad;
  const json::value value = json::parse({body.data(), body.size()}, bad);
  const json::object* object = bad ? nullptr : value.if_object();
  const json::value* said = object == nullptr ? nullptr : object->if_contains("error");
  if (said != nullptr && said->is_string()) out.message = printable(said->as_string(), 512);
  if (said != nullptr && said->is_object()) {
    const json::value* message = said->as_object().if_contains("message");
    if (message != nullptr && message->is_string())
      out.message = printable(message->as_string(), 512);
  }
  if (code == Code::unauthorized) out.hint = "--api-keys FILE: the file the node was started with";
  return out;
}

Result<json::object> ask(const Remote& remote, beast::http::verb method, std::string target,
                         std::string body) {
  std::string text;
  bool whole = true;
  Call call{remote,
            method,
            std::move(target),
            std::move(body),
            kAnswerMax,
            [&text, &whole](std::string_view piece) {
              whole = whole && text.size() + piece.size() <= kAnswerBytesMax;
              if (whole) text.append(piece);
            }};
  PHASE_TRY_VOID(perform(call));
  const Error foreign{Code::protocol,
                      "what answers at " + remote.url() + " is no lucidd of this version",
                      "perhaps Ollama; say where lucidd is: --host, --port"};
  if (call.status == 404) return fail(foreign);
  if (call.status != 200) return fail(error_of(call, text));
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  if (error || !whole || !value.is_object()) return fail(foreign);
  return std::move(value.as_object());
}

// ── What is printed ──

std::string text_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || value->is_null()) return {};
  if (value->is_string()) return printable(value->as_string(), 256);
  return json::serialize(*value);
}

std::string clock_text(const json::object& job) {
  boost::system::error_code error;
  const json::value* value = job.if_contains("ended_unix_ms");
  const auto ms = value == nullptr ? 0 : value->to_number<std::int64_t>(error);
  const auto seconds = static_cast<std::time_t>(error ? 0 : ms / 1000);
  std::tm local{};
  char text[32] = {};
  if (::localtime_r(&seconds, &local) == nullptr ||
      std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local) == 0) {
    return "?";
  }
  return text;
}

void print_job(const json::object& job) {
  const bool served = text_at(job, "for") == "others";
  const std::string tokens = text_at(job, "answer_tokens");
  std::cout << "  " << clock_text(job) << (served ? "  for " : "  by  ") << text_at(job, "peer_id")
            << "  " << text_at(job, "model") << ", "
            << (tokens.empty() ? text_at(job, "answer_bytes") + " bytes" : tokens + " tokens")
            << ", " << text_at(job, "completion") << ", " << text_at(job, "verdict") << '\n';
}

void print_status(const json::object& status, const Remote& remote) {
  const std::string paused = text_at(status, "paused");
  const bool network = text_at(status, "network") == "true";
  const bool takes = text_at(status, "takes_others") == "true";
  std::cout << text_at(status, "agent") << " at " << remote.url() << ", "
            << text_at(status, "peer_id") << "\nworker: " << text_at(status, "worker")
            << "\nserving others: "
            << (!network         ? "no: it stays off the network"
                : !takes         ? "no: the policy lets nobody"
                : paused.empty() ? "yes"
                                 : "paused: " + paused)
            << '\n';
  if (network) std::cout << "peers connected: " << text_at(status, "peers_connected") << '\n';
  if (const json::value* jobs = status.if_contains("jobs"); jobs != nullptr && jobs->is_object()) {
    std::cout << "running now: " << text_at(jobs->as_object(), "own") << " own, "
              << text_at(jobs->as_object(), "others") << " of others\n";
  }
}

Result<void> tell_status(const CommandLine& line, const Remote& remote) {
  using beast::http::verb;
  PHASE_TRY(json::object status, ask(remote, verb::get, "/api/lucid/status", {}));
  PHASE_TRY(json::object jobs, ask(remote, verb::get, "/api/lucid/jobs", {}));
  if (line.json) {
    status["work"] = std::move(jobs["jobs"]);
    std::cout << json::serialize(status) << '\n';
    return {};
  }
  print_status(status, remote);
  const json::value* list = jobs.if_contains("jobs");
  if (list == nullptr || !list->is_array() || list->as_array().empty()) {
    std::cout << "no job for or by another node is on record\n";
    return {};
  }
  std::cout << "what ran for whom:\n";
  for (const json::value& job : list->as_array()) {
    if (job.is_object()) print_job(job.as_object());
  }
  return {};
}

Result<void> set_pause(const CommandLine& line, const Remote& remote, bool paused) {
  PHASE_TRY(const json::object status, ask(remote, beast::http::verb::post, "/api/lucid/pause",
                                           json::serialize(json::object{{"paused", paused}})));
  if (line.json) {
    std::cout << json::serialize(status) << '\n';
  } else {
    print_status(status, remote);
  }
  return {};
}

/// Lines of a pull as they come. The last one with an error is the result.
class PullLines {
 public:
  explicit PullLines(bool json) : json_(json), terminal_(::isatty(STDERR_FILENO) == 1) {}

  void hear(std::string_view piece) {
    if (rest_.size() + piece.size() > kAnswerBytesMax) return;
    rest_.append(piece);
    std::size_t end = 0;
    while ((end = rest_.find('\n')) != std::string::npos) {
      take(rest_.substr(0, end));
      rest_.erase(0, end + 1);
    }
  }
  [[nodiscard]] Result<void> result(const Call& call) {
    if (terminal_ && !json_) std::cerr << '\n';
    if (call.status != 200) return fail(error_of(call, rest_.empty() ? last_ : rest_));
    if (!error_.empty()) return fail(Code::unavailable, error_);
    if (!done_)
      return fail(Code::connection_closed, "the pull ended without saying that it is done");
    return {};
  }

 private:
  void take(const std::string& line) {
    last_ = line;
    boost::system::error_code bad;
    const json::value value = json::parse(line, bad);
    if (bad || !value.is_object()) return;
    const json::object& said = value.as_object();
    error_ = text_at(said, "error");
    const std::string status = text_at(said, "status");
    done_ = status == "success";
    if (json_) {
      std::cout << json::serialize(value) << std::endl;
      return;
    }
    const std::string total = text_at(said, "total"), completed = text_at(said, "completed");
    const std::string text =
        total.empty() ? status : status + " " + (completed.empty() ? "0" : completed) + "/" + total;
    if (terminal_) {
      std::cerr << "\r\x1b[K" << text << std::flush;
    } else if (status != shown_) {
      std::cerr << text << '\n';
    }
    shown_ = status;
  }

  bool json_, terminal_, done_ = false;
  std::string rest_, last_, error_, shown_;
};

Result<void> pull(const CommandLine& line, const Remote& remote) {
  PullLines lines(line.json);
  Call call{remote,          beast::http::verb::post,
            "/api/pull",     json::serialize(json::object{{"model", line.model}}),
            kPullSilenceMax, [&lines](std::string_view piece) { lines.hear(piece); }};
  PHASE_TRY_VOID(perform(call));
  return lines.result(call);
}

}  // namespace

Result<void> run_verb(const CommandLine& line, const Remote& remote) {
  switch (line.verb) {
    case Verb::pause:
      return set_pause(line, remote, true);
    case Verb::resume:
      return set_pause(line, remote, false);
    case Verb::pull:
      return pull(line, remote);
    default:
      return tell_status(line, remote);
  }
}

}  // namespace phase::lucidd
