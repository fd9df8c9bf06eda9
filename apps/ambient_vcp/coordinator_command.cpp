// ambient-vcp coordinator: API, scheduler and dashboard in one process.
#include <array>
#include <charconv>
#include <cstdlib>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <unistd.h>

#include "api/http/tls.h"
#include "commands.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/stop_signals.h"
#include "vcp/computation/computation.h"
#include "vcp/server/fleet_secret.h"
#include "vcp/server/front.h"
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

/// Whole seconds of the environment, 1 to an hour.
Result<void> take_seconds(const char* name, Duration& into) {
  const char* const said = std::getenv(name);
  if (said == nullptr || *said == '\0') return {};
  const std::string_view text(said);
  std::uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || seconds == 0 || seconds > 3'600) {
    return fail(Code::invalid_argument, std::string(name) + " is no whole number of 1 to 3600");
  }
  into = std::chrono::seconds(seconds);
  return {};
}

Result<void> read_environment(vcp::ConnectOptions& connect) {
  PHASE_TRY_VOID(take_seconds("CONNECT_SESSION_MONITOR_INTERVAL_SECONDS", connect.sweep));
  PHASE_TRY_VOID(take_seconds("CONNECT_SESSION_SILENCE_SECONDS", connect.silence_max));
  PHASE_TRY_VOID(take_seconds("CONNECT_SESSION_START_SECONDS", connect.start_max));
  return take_seconds("CONNECT_SESSION_NODE_LOST_SECONDS", connect.node_lost_after);
}

Result<vcp::ServerOptions> server_options(const CoordinatorFlags& flags, const fs::path& folder,
                                          const worker::CacheKey& cache_key) {
  vcp::ServerOptions out;
  out.data_dir = folder;
  out.state.tasks_kept = flags.tasks_kept;
  out.coordinator.modules_kept = std::chrono::days(flags.modules_kept_days);
  const auto strategy = vcp::strategy_of(flags.strategy);
  if (!strategy) return fail(Code::invalid_argument, "unknown --strategy " + flags.strategy);
  out.coordinator.strategy = *strategy;
  out.coordinator.computation = vcp::computation_module();
  PHASE_TRY_VOID(vcp::Accounts::read_environment(out.accounts));
  PHASE_TRY_VOID(vcp::api::read_environment(out.api));
  PHASE_TRY_VOID(read_environment(out.coordinator.connect));
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
  out.peer.bootstrap = flags.peer_bootstrap;
  if (flags.peers) out.coordinator.peers_max = flags.peers_max;
  out.peer.agent = kAgent;
  out.peer.connections_max = kConnectionsMax;
  out.peer.streams_max = kStreamsMax;
  out.local = own_worker(flags, folder, cache_key);
  return out;
}

using Keys = vcp::FleetKeys;

/// The same program from its beginning: nothing of a lead that was lost is left. Returns on
/// failure.
Result<int> begin_anew(const std::vector<std::string>& arguments) {
  constexpr auto kBreath = 1s;  // whatever was lost is not asked for all the time
  std::this_thread::sleep_for(kBreath);
  std::vector<char*> raw;
  for (const std::string& argument : arguments) raw.push_back(const_cast<char*>(argument.c_str()));
  raw.push_back(nullptr);
  ::execv("/proc/self/exe", raw.data());
  return fail_errno(errno, "cannot begin anew");
}

/// Of the data folder; of the fleet's secret where several coordinators share a database.
Result<Keys> coordinator_keys(const CoordinatorFlags& flags, const std::string& url,
                              const fs::path& folder, Random& random) {
  if (!url.empty()) {
    PHASE_TRY(const std::string secret, vcp::read_fleet_secret(flags.fleet_secret_file));
    return vcp::fleet_keys(secret);
  }
  PHASE_TRY(auto key, identity::load_or_create_key(folder / "coordinator.key", random));
  return Keys{std::move(key), {}, {}, {}};
}

/// How this coordinator stands beside others on one database.
struct Sharing {
  vcp::Lease::Options lease;
  vcp::FrontAddress listen;
  vcp::FrontKey key{};
};

/// The first of these that is a PostgreSQL URL, --database before all; names in braces were left
/// for somebody else to fill in.
std::string database_url(const CoordinatorFlags& flags) {
  if (!flags.database.empty()) return flags.database;
  for (const char* name :
       {"DATABASE_URL", "DATABASE_INTERNAL_URL", "POSTGRES_INTERNAL_URL", "POSTGRES_URL"}) {
    const char* value = std::getenv(name);
    std::string url = value == nullptr ? "" : value;
    std::erase_if(url, [](char c) { return c == '"' || c == '\'' || c == ' ' || c == '\n'; });
    const bool known = url.starts_with("postgres://") || url.starts_with("postgresql://");
    if (known && url.find_first_of("${}") == std::string::npos) return url;
  }
  return {};
}

Result<Sharing> sharing(const CoordinatorFlags& flags, std::string url, const Keys& keys) {
  PHASE_TRY(const Address api, listen_address(flags));
  Sharing out;
  out.listen = {api.host, api.port};
  const bool anywhere = api.host == "0.0.0.0" || api.host == "::" || api.port == 0;
  if (flags.advertise.empty() && anywhere) {
    return fail(Code::invalid_argument,
                "other coordinators on this database must know where this one's API is",
                "--advertise HOST:PORT, as they reach it");
  }
  const bool v6 = api.host.find(':') != std::string::npos;
  out.lease.address = flags.advertise.empty()
                          ? (v6 ? "[" + api.host + "]" : api.host) + ":" + std::to_string(api.port)
                          : flags.advertise;
  PHASE_TRY_VOID(vcp::front_address(out.lease.address));
  std::array<char, 65> host{};
  ::gethostname(host.data(), host.size() - 1);
  out.lease.holder = printable(host.data()) + " " + std::to_string(::getpid());
  out.lease.url = std::move(url);
  out.lease.fleet = keys.coordinator.public_key();
  out.key = keys.front;
  return out;
}

class CoordinatorDaemon {
 public:
  CoordinatorDaemon(asio::io_context& context, vcp::Server::World world, Duration patience)
      : context_(context), world_(std::move(world)), patience_(patience) {}

  Result<int> run(vcp::ServerOptions options, std::optional<Sharing> shared) {
    daemon::StopSignals signals(context_, *world_.log,
                                {.ending = "no new tasks; runs under way",
                                 .patience = patience_,
                                 .can_drain = [this] { return server_ || front_; },
                                 .drain = [this] { return drain(); }});
    if (shared) lease_ = std::make_unique<vcp::Lease>(world_.executor, shared->lease);
    auto work = shared ? live_shared(std::move(options), *shared) : live(std::move(options));
    asio::co_spawn(context_, std::move(work), [](const std::exception_ptr& error) {
      if (error) std::rethrow_exception(error);  // a bug of ours: ends the process with its text
    });
    context_.run();
    server_.reset();
    front_.reset();
    lease_.reset();
    if (error_) return fail(*error_);
    return again_ ? kAgain : 0;
  }
  /// What `run` answers when the program should begin anew.
  static constexpr int kAgain = -1;

 private:
  /// Alone, with the state in the data folder.
  Task<void> live(vcp::ServerOptions options) {
    const std::function<void(const Error&)> broken = [this](const Error& error) { end(error); };
    const Result<void> up = co_await serve(std::move(options), std::nullopt, broken);
    if (!up) end(up.error());
  }

  /// Beside others on one database: hands connections on to whoever leads, until this one does.
  Task<void> live_shared(vcp::ServerOptions options, Sharing shared) {
    auto front = vcp::Front::start(world_.executor, world_.clock, shared.listen, shared.key);
    if (!front) co_return end(front.error());
    front_ = *std::move(front);
    const std::function<void(const vcp::Leader&)> heard = [this](const vcp::Leader& leader) {
      const auto address = vcp::front_address(leader.address);
      if (!address || front_ == nullptr) return;
      world_.log->info("ready: {} leads (lead {}); connections go on to {}",
                       printable(leader.holder), leader.epoch, printable(leader.address));
      front_->set_leader(*address);
    };
    auto lead = co_await lease_->acquire(heard);
    Duration wait = kRetryFirst;
    while (!lead && can_pass(lead.error().code)) {
      world_.log->warn("no database, trying again: {}", lead.error().text());
      const Instant until = world_.clock.now() + wait;
      static_cast<void>(co_await world_.clock.sleep_until(until));
      wait = std::min(wait * 2, kRetryMax);
      lead = co_await lease_->acquire(heard);
    }
    if (!lead) co_return end(lead.error());
    world_.log->info("this coordinator leads now (lead {})", lead->epoch);
    front_.reset();
    const std::function<void(const Error&)> broken = [this](const Error& error) {
      if (leaving_) return;
      world_.log->error("this coordinator leads no more: {}", error.text());
      again_ = true;
      context_.stop();
    };
    const Result<void> up = co_await serve(std::move(options), *std::move(lead), broken);
    if (!up) end(up.error());
  }

  /// What another moment may mend.
  static bool can_pass(Code code) {
    return code == Code::unavailable || code == Code::busy || code == Code::timed_out;
  }

  Task<Result<void>> serve(vcp::ServerOptions options, std::optional<vcp::Lead> lead,
                           std::function<void(const Error&)> broken) {
    const std::string scheme = options.api.tls ? "https" : "http";
    const std::string host = options.api.address;
    vcp::Server::World world{world_.clock, world_.random, world_.key, world_.executor, world_.log};
    world.lead = std::move(lead);
    auto server = co_await vcp::Server::start(std::move(world), std::move(options), broken);
    if (!server) co_return fail(std::move(server).error());
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
    co_return Result<void>{};
  }

  Task<void> drain() {
    leaving_ = true;
    if (server_ == nullptr) co_return context_.stop();  // only handed connections on
    const Deadline deadline = world_.clock.deadline_after(patience_);
    co_await server_->drain(deadline);
    world_.log->info("drained");
    context_.stop();
  }

  void end(const Error& error) {
    error_ = error;
    context_.stop();
  }

  static constexpr Duration kRetryFirst = 500ms, kRetryMax = 10s;

  asio::io_context& context_;
  vcp::Server::World world_;
  Duration patience_;
  bool leaving_ = false, again_ = false;
  std::unique_ptr<vcp::Lease> lease_;
  std::unique_ptr<vcp::Front> front_;
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
  const std::string url = database_url(flags);
  PHASE_TRY(Keys keys, coordinator_keys(flags, url, folder, random));
  PHASE_TRY(const auto cache, identity::load_or_create_key(folder / "modules.key", random));
  worker::CacheKey cache_key{};
  std::ranges::copy(cache.seed(), cache_key.begin());
  PHASE_TRY(vcp::ServerOptions options, server_options(flags, folder, cache_key));
  if (options.accounts.jwt_secret.empty()) options.accounts.jwt_secret = keys.jwt_secret;
  options.accounts.secret = keys.accounts_secret;
  std::optional<Sharing> shared;
  if (!url.empty()) {
    PHASE_TRY(shared, sharing(flags, url, keys));
    options.api.introduced = [key = keys.front](std::string_view begin) {
      return vcp::introduced(key, begin);
    };
  }
  log->info("Ambient VCP coordinator: Cluster ID {}, Strategy {}, key {}",
            printable(flags.cluster_id), flags.strategy, keys.coordinator.peer_id().text());
  vcp::Server::World world{clock, random, keys.coordinator, context->get_executor(), log};
  const Duration patience = std::chrono::seconds(flags.drain_seconds);
  auto ended = CoordinatorDaemon(*context, std::move(world), patience)
                   .run(std::move(options), std::move(shared));
  context.reset();  // before the clock and the key that its last handlers refer to
  if (!ended || *ended != CoordinatorDaemon::kAgain) return ended;
  return begin_anew(line.arguments);
}

}  // namespace phase::ambient_vcp
