// ambient-vcp gateway: relays for sessions that a file or a coordinator names.
#include <charconv>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>

#include "api/http/tls.h"
#include "commands.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/stop_signals.h"
#include "vcp/gateway/gateway.h"
#include "vcp/gateway/session_source.h"

namespace phase::ambient_vcp {
namespace {

namespace gateway = vcp::gateway;

/// How soon a changed file is seen, and how often a coordinator is asked.
constexpr Duration kFileEvery = 500ms;
constexpr Duration kUrlEvery = 5s;

/// Where the sessions come from.
struct Source {
  std::optional<gateway::SessionFile> file;
  std::optional<http_client::Url> url;
  std::string api_key, announce;
  std::shared_ptr<const http_client::Trust> trust;
};

Result<void> split_address(const std::string& text, gateway::GatewayOptions& out) {
  const std::size_t colon = text.rfind(':');
  if (colon != std::string::npos && colon > 0) {
    out.address = text.substr(0, colon);
    if (out.address.front() == '[' && out.address.back() == ']') {
      out.address = out.address.substr(1, out.address.size() - 2);
    }
    const char* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data() + colon + 1, end, out.port);
    if (error == std::errc() && at == end) return {};
  }
  return fail(Code::invalid_argument, "--listen is no address and port", "--listen 0.0.0.0:7000");
}

Result<gateway::GatewayOptions> gateway_options(const GatewayFlags& flags) {
  gateway::GatewayOptions out;
  PHASE_TRY_VOID(split_address(flags.listen, out));
  out.allow_private = flags.allow_private;
  out.limits.connect_max = std::chrono::seconds(flags.connect_seconds);
  out.limits.idle_max = std::chrono::seconds(flags.idle_seconds);
  out.limits.handshake_max = std::chrono::seconds(flags.handshake_seconds);
  if (flags.tls_certificate.empty() != flags.tls_key.empty()) {
    return fail(Code::invalid_argument, "--tls-cert and --tls-key go together");
  }
  if (!flags.tls_certificate.empty()) {
    PHASE_TRY(out.tls, http::Tls::load({flags.tls_certificate, flags.tls_key}));
  }
  return out;
}

Result<Source> source_of(const GatewayFlags& flags) {
  Source out;
  if (flags.sessions_file.empty() == flags.sessions_url.empty()) {
    return fail(Code::invalid_argument, "a gateway needs its sessions from one place",
                "--sessions-file FILE, or --sessions-url URL with an API key in VCP_API_KEY");
  }
  if (!flags.sessions_file.empty()) {
    out.file.emplace(flags.sessions_file);
    return out;
  }
  PHASE_TRY(out.url, coordinator_url(flags.sessions_url));
  if (flags.api_key.empty()) {
    return fail(Code::invalid_argument, "--sessions-url needs an API key of the node's owner",
                "VCP_API_KEY=vcp_..., with the scope nodes:read");
  }
  out.api_key = flags.api_key;
  if (!flags.announce.empty()) {
    const auto where = vcp::parse_destination(flags.announce);
    if (!where) {
      return fail(Code::invalid_argument, "--announce is no host:port: " + where.error().message,
                  "--announce gate.example.org:7000");
    }
    out.announce = where->text();
  }
  PHASE_TRY(out.trust, coordinator_trust(flags.coordinator_ca));
  return out;
}

class GatewayDaemon {
 public:
  GatewayDaemon(asio::io_context& context, Clock& clock, spdlog::logger& log, Source source,
                Duration patience)
      : context_(context),
        clock_(clock),
        log_(log),
        source_(std::move(source)),
        patience_(patience) {}

  Result<void> run(gateway::GatewayOptions options) {
    daemon::StopSignals signals(context_, log_,
                                {.ending = "no new relays; those that stand",
                                 .patience = patience_,
                                 .can_drain = [this] { return gateway_ != nullptr; },
                                 .drain = [this] { return drain(); },
                                 .hang_up = [this] { reload_tls(); }});
    asio::co_spawn(context_, live(std::move(options)), [](const std::exception_ptr& error) {
      if (error) std::rethrow_exception(error);  // a bug of ours: ends the process with its text
    });
    context_.run();
    gateway_.reset();
    return std::move(outcome_);
  }

 private:
  void reload_tls() {
    if (!tls_) return;
    const auto done = tls_->reload();
    if (done) {
      log_.info("certificate read again; it ends {}", tls_->expires());
    } else {
      log_.warn("the certificate that was there stays: {}", done.error().text());
    }
  }

  Task<Result<std::vector<gateway::Session>>> ask() {
    if (source_.file) co_return source_.file->read();
    http_client::Url url = *source_.url;
    std::string key = source_.api_key;
    std::string announce = source_.announce;
    auto trust = source_.trust;
    auto out =
        co_await gateway::fetch_sessions(context_.get_executor(), std::move(url), std::move(key),
                                         std::move(announce), std::move(trust));
    co_return out;
  }

  Task<void> live(gateway::GatewayOptions options) {
    auto first = co_await ask();
    if (!first) co_return stop(std::move(first).error());
    const std::string address = options.address;
    tls_ = options.tls;
    warn(options);
    log_.info("{} sessions", first->size());
    auto made = gateway::Gateway::start({clock_, context_.get_executor(), log_}, std::move(options),
                                        *std::move(first));
    if (!made) co_return stop(std::move(made).error());
    gateway_ = *std::move(made);
    log_.info("ready: {}:{}", address, gateway_->port());
    co_await watch();
  }

  void warn(const gateway::GatewayOptions& options) {
    boost::system::error_code error;
    const auto address = asio::ip::make_address(options.address, error);
    if (!options.tls && !error && !address.is_loopback()) {
      log_.warn(
          "WITHOUT TLS: session tokens and all that is relayed cross the network in the "
          "clear at {}; give --tls-cert and --tls-key, or --listen 127.0.0.1:7000",
          options.address);
    }
    if (options.allow_private) {
      log_.warn("--allow-private: sessions reach this machine's own services and networks");
    }
    if (source_.file && source_.file->open_to_all()) {
      log_.warn("everybody on this machine can read the sessions file: chmod 600");
    }
  }

  /// A source that cannot be read leaves what was there.
  Task<void> watch() {
    std::string said;
    while (!draining_) {
      const auto slept = co_await clock_.sleep_for(source_.file ? kFileEvery : kUrlEvery);
      if (!slept || draining_) co_return;
      if (source_.file && !source_.file->changed()) continue;
      auto next = co_await ask();
      if (draining_) co_return;
      if (!next) {
        const std::string why = next.error().text();
        if (why != said) log_.warn("the sessions that were there stay: {}", why);
        said = why;
        continue;
      }
      if (source_.file || !said.empty()) log_.info("{} sessions", next->size());
      said.clear();
      gateway_->replace_sessions(*std::move(next));
    }
  }

  Task<void> drain() {
    draining_ = true;
    gateway_->stop_accepting();
    log_.info("nobody is accepted any more");
    const Deadline deadline = clock_.deadline_after(patience_);
    co_await gateway_->drain(deadline);
    log_.info("drained");
    context_.stop();
  }

  void stop(Error error) {
    outcome_ = fail(std::move(error));
    context_.stop();
  }

  asio::io_context& context_;
  Clock& clock_;
  spdlog::logger& log_;
  Source source_;
  Duration patience_;
  std::shared_ptr<http::Tls> tls_;  // shared with the gateway
  std::unique_ptr<gateway::Gateway> gateway_;
  bool draining_ = false;
  Result<void> outcome_;
};

}  // namespace

Result<int> gateway_command(const CommandLine& line) {
  const GatewayFlags& flags = line.gateway;
  const auto log = daemon::make_log("ambient-vcp", line.log_format, line.log_level);
  daemon::raise_descriptor_limit(*log);
  PHASE_TRY(Source source, source_of(flags));
  PHASE_TRY(gateway::GatewayOptions options, gateway_options(flags));
  auto context = std::make_unique<asio::io_context>(1);
  SystemClock clock(context->get_executor());
  const Duration patience = std::chrono::seconds(flags.drain_seconds);
  const Result<void> ended =
      GatewayDaemon(*context, clock, *log, std::move(source), patience).run(std::move(options));
  context.reset();  // before the clock that its last handlers refer to
  if (!ended) return fail(ended.error());
  log->info("stopped");
  return 0;
}

}  // namespace phase::ambient_vcp
