#include "daemon.h"

#include <csignal>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <unistd.h>

#include "api/faces/face.h"
#include "api/http/server.h"
#include "api/http/tls.h"
#include "api/ollama/ollama.h"
#include "api/openai/openai.h"
#include "api/ui/ui.h"
#include "base/system_clock.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/stop_signals.h"
#include "identity/identity.h"
#include "lucid/lucid_node.h"

namespace phase::lucidd {
namespace {

/// Clients of one machine's programs, with their streams.
constexpr std::size_t kConnectionsMax = 1024;
/// While the last answers go out, whether they have is looked at this often.
constexpr Duration kDrainLook = 10ms;

void tell_what_runs(spdlog::logger& log, const Settings& settings) {
  const auto& node = settings.node;
  if (!node.serves) {
    log.info("relay: no model runs here");
  } else if (node.upstream) {
    log.warn("worker llama-server: {} runs the models, outside any sandbox of this node",
             node.upstream->text());
  } else if (settings.worker == "echo") {
    log.info("worker echo: answers are the last message reversed; --model-dir DIR for models");
  } else {
    log.info("worker llama-cpp: {}{}", node.catalog.model_dir.string(),
             node.catalog.ollama_dir.empty() ? "" : " and " + node.catalog.ollama_dir.string());
  }
  if (node.mesh_models.empty()) {
    log.info("mesh off for prompts: what is not here is not asked elsewhere (--mesh turns it on)");
  } else {
    log.warn("mesh on: a model that is not here is asked of peers, who see prompt and answer");
  }
  if (is_loopback(settings.host)) return;
  if (settings.api_keys.empty()) {
    log.warn("SECURITY: anybody who reaches {}:{} can use this node; --api-keys FILE asks for keys",
             settings.host, settings.port);
  }
  if (!settings.tls_certificate) {
    log.warn(
        "SECURITY: {}:{} is not encrypted: who is on the way reads prompts, answers and keys; "
        "--tls-cert FILE --tls-key FILE encrypt it",
        settings.host, settings.port);
  }
}

/// A relay of verdicts: what is asked here is not heard before it is verified.
class Careful final : public lucid::Lucid {
 public:
  explicit Careful(lucid::Lucid& inner) : inner_(inner) {}
  Task<Result<std::unique_ptr<lucid::Answer>>> ask(lucid::Ask ask) override {
    ask.require_verified = true;
    return inner_.ask(std::move(ask));
  }
  Task<Result<void>> load(std::string model, lucid::KeepAlive keep_alive) override {
    return inner_.load(std::move(model), keep_alive);
  }
  lucid::Models& models() override { return inner_.models(); }
  Task<Result<Kept>> receipt(std::string job_id) override {
    return inner_.receipt(std::move(job_id));
  }

 private:
  lucid::Lucid& inner_;
};

class Daemon {
 public:
  Daemon(asio::io_context& context, const Settings& settings, const identity::KeyPair& key,
         spdlog::logger& log)
      : context_(context),
        settings_(settings),
        key_(key),
        log_(log),
        clock_(context.get_executor()) {}

  Result<int> run() {
    daemon::StopSignals signals(context_, log_,
                                {.ending = "no new requests; running ones",
                                 .patience = std::chrono::seconds(settings_.drain_seconds),
                                 .can_drain = [this] { return node_ != nullptr; },
                                 .drain = [this] { return drain(); },
                                 .at_once = [this] { stop(); },
                                 .hang_up = [this] { read_again(); }});
    asio::co_spawn(context_, live(), [](const std::exception_ptr& error) {
      if (error) std::rethrow_exception(error);  // a bug of ours: ends the process with its text
    });
    context_.run();
    stop();
    if (error_) return fail(*error_);
    return 0;
  }

 private:
  void read_again() {
    if (node_ != nullptr) node_->reload_policy();
    reload_certificate();
  }

  void reload_certificate() {
    if (tls_ == nullptr) return;
    const auto done = tls_->reload();
    if (!done) {
      log_.error("TLS: {}; the last good certificate stays", printable(done.error().text()));
      return;
    }
    log_.info("TLS: the certificate is read again, good until {}", tls_->expires());
  }

  /// Addresses of first peers, as DNS says them now.
  Result<void> look_up_peers(lucid::LucidNode::Options& options) {
    PHASE_TRY(const DnsFound found, bootstrap_addresses(settings_.dns));
    for (const std::string& problem : found.problems) log_.warn("{}", problem);
    if (!found.addresses.empty()) {
      log_.info("--bootstrap-dns: {} addresses of peers", found.addresses.size());
    }
    if (options.mesh) {
      auto& known = options.mesh->peer.bootstrap;
      known.insert(known.end(), found.addresses.begin(), found.addresses.end());
    }
    return {};
  }

  Task<void> live() {
    auto options = settings_.node;
    const Result<void> looked = look_up_peers(options);
    if (!looked) co_return give_up(looked.error());
    const lucid::LucidNode::World place{clock_, random_, key_, context_.get_executor(), log_};
    Result<std::unique_ptr<lucid::LucidNode>> node =
        co_await lucid::LucidNode::start(place, std::move(options));
    if (!node) co_return give_up(node.error());
    node_ = *std::move(node);
    const Result<std::uint16_t> port = listen();
    if (!port) co_return give_up(port.error());
    for (const auto& address : node_->listen_addresses()) {
      log_.info("peers: listening on {}", address);
    }
    tell_what_runs(log_, settings_);
    const bool v6 = settings_.host.find(':') != std::string::npos;
    log_.info("ready: {}://{}:{} {}", tls_ == nullptr ? "http" : "https",
              v6 ? "[" + settings_.host + "]" : settings_.host, *port, key_.peer_id().text());
  }

  Result<std::uint16_t> listen() {
    lucid::Lucid* service = &node_->service();
    if (settings_.require_verified) {
      careful_ = std::make_unique<Careful>(*service);
      service = careful_.get();
    }
    face_ = std::make_shared<faces::Face>(faces::Face{*service, clock_, random_});
    http::Router router(faces::request_headers());
    ollama::add_routes(router, face_);
    openai::add_routes(router, face_);
    ui::add_routes(router, face_, *node_);
    http::ServerLimits limits;
    limits.connections_max = kConnectionsMax;
    std::vector<std::string> hosts = settings_.hosts;
    if (settings_.tls_certificate) {
      PHASE_TRY(tls_, http::Tls::load({*settings_.tls_certificate, *settings_.tls_key}));
      log_.info("TLS: certificate good until {}", tls_->expires());
      // Who has the key of a name is not a page that made the name point here.
      hosts.insert(hosts.end(), tls_->names().begin(), tls_->names().end());
    }
    http::AccessPolicy access = faces::access_policy(std::move(hosts), settings_.origins);
    access.open_paths = ui::open_paths();
    server_ = std::make_unique<http::Server>(context_.get_executor(), std::move(router), limits,
                                             std::move(access));
    http::TcpListen where;
    where.address = settings_.host;
    where.port = settings_.port;
    where.any_address = true;
    where.token_optional = settings_.api_keys.empty();
    where.tokens = settings_.api_keys;
    where.tls = tls_;
    auto port = server_->listen(where);
    if (!port && port.error().code == Code::already_exists) {
      return fail(
          Code::already_exists,
          "port " + std::to_string(settings_.port) + " of " + settings_.host +
              " is taken, perhaps by Ollama",
          "stop that program, or choose another: --port 11435 (and OLLAMA_HOST for clients)");
    }
    return port;
  }

  void give_up(Error error) {
    error_ = std::move(error);
    context_.stop();
  }

  Task<void> drain() {
    const Deadline deadline = clock_.deadline_after(std::chrono::seconds(settings_.drain_seconds));
    server_->drain();
    co_await node_->drain(deadline);
    // Jobs are at their end before the last of their words are on the way to the client.
    while (server_->connections() > 0 && clock_.now() < deadline.at) {
      const auto slept = co_await clock_.sleep_for(kDrainLook);
      if (!slept) break;
    }
    log_.info("drained");
    context_.stop();
  }

  void stop() {
    if (face_ != nullptr) face_->closed = true;
    server_.reset();
    node_.reset();
  }

  asio::io_context& context_;
  const Settings& settings_;
  const identity::KeyPair& key_;
  spdlog::logger& log_;
  SystemClock clock_;
  SystemRandom random_;
  std::unique_ptr<lucid::LucidNode> node_;
  std::unique_ptr<Careful> careful_;
  faces::FaceRef face_;
  std::shared_ptr<http::Tls> tls_;
  std::unique_ptr<http::Server> server_;
  std::optional<Error> error_;
};

}  // namespace

Result<int> serve(const Settings& settings) {
  const auto log = daemon::make_log("lucidd", settings.log_format, settings.log_level);
  daemon::raise_descriptor_limit(*log);
  PHASE_TRY_VOID(daemon::make_folder(settings.node.data_dir, "--data DIR"));
  SystemRandom random;
  PHASE_TRY(const identity::KeyPair key,
            identity::load_or_create_key(settings.identity_path, random));
  asio::io_context context(1);
  return Daemon(context, settings, key, *log).run();
}

}  // namespace phase::lucidd
