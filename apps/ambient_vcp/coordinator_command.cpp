// ambient-vcp coordinator: API, scheduler and dashboard in one process.
#include <charconv>
#include <cstdlib>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "api/http/tls.h"
#include "commands.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/stop_signals.h"
#include "vcp/computation/computation.h"
#include "vcp/server/server.h"

namespace phase::ambient_vcp {
namespace {

namespace fs = std::filesystem;

/// Each node costs a connection and a stream; each of its runs a stream.
constexpr std::size_t kConnectionsMax = 20'000;
constexpr std::size_t kStreamsMax = 60'000;

struct Address {
  std::string host;
  std::uint16_t port = 0;
};

Result<std::uint16_t> port_of(std::string_view text, std::string_view what) {
  std::uint16_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return fail(Code::invalid_argument, std::string(what) + " names no port",
                "--listen 127.0.0.1:3000");
  }
  return out;
}

/// --listen, else loopback at PORT or 3000.
Result<Address> listen_address(const CoordinatorFlags& flags) {
  if (flags.listen.empty()) {
    Address out{"127.0.0.1", 3000};
    if (const char* port = std::getenv("PORT"); port != nullptr && *port != '\0') {
      PHASE_TRY(out.port, port_of(port, "PORT"));
    }
    return out;
  }
  const std::size_t colon = flags.listen.rfind(':');
  if (colon == std::string::npos || colon == 0) {
    return fail(Code::invalid_argument, "--listen is no address and port",
                "--listen 127.0.0.1:3000");
  }
  Address out{flags.listen.substr(0, colon), 0};
  if (out.host.front() == '[' && out.host.back() == ']') {
    out.host = out.host.substr(1, out.host.size() - 2);
  }
  PHASE_TRY(out.port, port_of(std::string_view(flags.listen).substr(colon + 1), "--listen"));
  return out;
}

std::vector<std::string> mesh_addresses(const CoordinatorFlags& flags, const Address& api) {
  if (!flags.mesh_listen.empty()) return flags.mesh_listen;
  const std::string host = (api.host.find(':') == std::string::npos ? "/ip4/" : "/ip6/") + api.host;
  const std::string port = std::to_string(api.port == 0 ? 0 : api.port + 1);
  const std::string web = std::to_string(api.port == 0 ? 0 : api.port + 2);
  return {host + "/tcp/" + port, host + "/udp/" + port + "/quic-v1", host + "/tcp/" + web + "/ws"};
}

node::LocalOptions own_worker(const CoordinatorFlags& flags, const fs::path& folder,
                              const worker::CacheKey& cache_key) {
  node::LocalOptions out;
  out.agent = kAgent;
  out.worker.worker_path = flags.worker_path.empty()
                               ? daemon::sibling_program("phase-worker").string()
                               : flags.worker_path.string();
  out.worker.cache_folder = (folder / "modules").string();
  out.worker.cache_key = cache_key;
  out.worker.executions_max = 1;
  out.worker.idle_children = 1;
  out.policy.resources.cpu_cores = std::max(1U, std::thread::hardware_concurrency());
  out.policy.resources.memory_bytes = job::kMemoryBytesMax;
  out.policy.ceilings.wall_ms = vcp::kTaskSecondsMax * 1'000;
  out.policy.takes_others = false;
  out.provider.jobs_running_max = 1;
  return out;
}

Result<vcp::ServerOptions> server_options(const CoordinatorFlags& flags, const fs::path& folder,
                                          const worker::CacheKey& cache_key) {
  if (!flags.database.empty()) {
    return fail(Code::unsupported, "--database is not available yet",
                "leave it out: the state is kept in SQLite in the data folder");
  }
  vcp::ServerOptions out;
  out.data_dir = folder;
  out.state.tasks_kept = flags.tasks_kept;
  const auto strategy = vcp::strategy_of(flags.strategy);
  if (!strategy) return fail(Code::invalid_argument, "unknown --strategy " + flags.strategy);
  out.coordinator.strategy = *strategy;
  out.coordinator.computation = vcp::computation_module();
  PHASE_TRY_VOID(vcp::Accounts::read_environment(out.accounts));
  PHASE_TRY_VOID(vcp::api::read_environment(out.api));
  PHASE_TRY(const Address address, listen_address(flags));
  out.api.address = address.host;
  out.api.port = address.port;
  out.api.hosts = flags.hosts;
  out.api.metrics_open = flags.metrics_open;
  out.api.open_registration = !flags.no_registration;
  if (flags.tls_certificate.empty() != flags.tls_key.empty()) {
    return fail(Code::invalid_argument, "--tls-cert and --tls-key go together");
  }
  if (!flags.tls_certificate.empty()) {
    PHASE_TRY(out.api.tls, http::Tls::load({flags.tls_certificate, flags.tls_key}));
  }
  out.sessions.heartbeat = std::chrono::milliseconds(flags.heartbeat_ms);
  out.coordinator.health.heartbeat = out.sessions.heartbeat;
  out.coordinator.node_tick = out.sessions.heartbeat;
  out.peer.listen = mesh_addresses(flags, address);
  out.announced = flags.mesh_announce;
  out.peer.mdns = false;
  out.peer.dht_client = true;
  out.peer.agent = kAgent;
  out.peer.connections_max = kConnectionsMax;
  out.peer.streams_max = kStreamsMax;
  out.local = own_worker(flags, folder, cache_key);
  return out;
}

class CoordinatorDaemon {
 public:
  CoordinatorDaemon(asio::io_context& context, vcp::Server::World world, Duration patience)
      : context_(context), world_(std::move(world)), patience_(patience) {}

  Result<int> run(vcp::ServerOptions options) {
    daemon::StopSignals signals(context_, *world_.log,
                                {.ending = "no new tasks; runs under way",
                                 .patience = patience_,
                                 .can_drain = [this] { return server_ != nullptr; },
                                 .drain = [this] { return drain(); }});
    asio::co_spawn(context_, live(std::move(options)), [](const std::exception_ptr& error) {
      if (error) std::rethrow_exception(error);  // a bug of ours: ends the process with its text
    });
    context_.run();
    server_.reset();
    if (error_) return fail(*error_);
    return 0;
  }

 private:
  Task<void> live(vcp::ServerOptions options) {
    const std::function<void(const Error&)> broken = [this](const Error& error) {
      error_ = error;
      context_.stop();
    };
    const std::string scheme = options.api.tls ? "https" : "http";
    const std::string host = options.api.address;
    auto server = co_await vcp::Server::start(world_, std::move(options), broken);
    if (!server) {
      error_ = server.error();
      context_.stop();
      co_return;
    }
    server_ = *std::move(server);
    for (const std::string& address : server_->mesh_addresses()) {
      world_.log->info("nodes dial {}", address);
    }
    const std::string url = scheme + "://" +
                            (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" +
                            std::to_string(server_->port());
    if (const std::string code = server_->bootstrap_code(); !code.empty()) {
      // On the console only, not in the log: it makes an administrator.
      std::printf(
          "No administrator yet. One-time code: %s\n"
          "Use it on %s or with POST /api/v1/auth/bootstrap.\n",
          code.c_str(), url.c_str());
      std::fflush(stdout);
    }
    world_.log->info("ready: dashboard and API at {}", url);
  }

  Task<void> drain() {
    const Deadline deadline = world_.clock.deadline_after(patience_);
    co_await server_->drain(deadline);
    world_.log->info("drained");
    context_.stop();
  }

  asio::io_context& context_;
  vcp::Server::World world_;
  Duration patience_;
  std::unique_ptr<vcp::Server> server_;
  std::optional<Error> error_;
};

}  // namespace

Result<int> coordinator_command(const CommandLine& line) {
  const CoordinatorFlags& flags = line.coordinator;
  const auto log = daemon::make_log("ambient-vcp", line.log_format, line.log_level);
  daemon::raise_descriptor_limit(*log);
  PHASE_TRY(const fs::path folder, coordinator_folder(flags));
  PHASE_TRY_VOID(daemon::make_folder(folder, "--data-dir DIR"));
  auto context = std::make_unique<asio::io_context>(1);
  SystemClock clock(context->get_executor());
  SystemRandom random;
  PHASE_TRY(const identity::KeyPair key,
            identity::load_or_create_key(folder / "coordinator.key", random));
  PHASE_TRY(const auto cache, identity::load_or_create_key(folder / "modules.key", random));
  worker::CacheKey cache_key{};
  std::ranges::copy(cache.seed(), cache_key.begin());
  PHASE_TRY(vcp::ServerOptions options, server_options(flags, folder, cache_key));
  log->info("Ambient VCP coordinator: Cluster ID {}, Strategy {}, key {}",
            printable(flags.cluster_id), flags.strategy, key.peer_id().text());
  const vcp::Server::World world{clock, random, key, context->get_executor(), log};
  const Duration patience = std::chrono::seconds(flags.drain_seconds);
  auto ended = CoordinatorDaemon(*context, world, patience).run(std::move(options));
  context.reset();  // before the clock and the key that its last handlers refer to
  return ended;
}

}  // namespace phase::ambient_vcp
