// plasmd start: the daemon.
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "base/system_clock.h"
#include "commands.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/stop_signals.h"
#include "node/node.h"
#include "world.h"

namespace phase::plasmd {
namespace {

node::Options node_options(const Settings& settings, const worker::CacheKey& cache_key) {
  const Config& config = settings.config;
  node::Options out;
  out.local = local_options(settings, cache_key, settings.data_dir);
  out.local.policy.allow = settings.allow;
  out.local.policy.open = config.open;
  out.local.policy.takes_others =
      config.network && !config.requester_only && (config.open || !settings.allow.empty());
  out.store.path = settings.data_dir / "plasmd.db";
  out.modules_folder = settings.data_dir / "artifacts";
  out.modules.bytes_max = config.modules_max_bytes;
  out.modules.received = config.modules_keep_received;
  out.control.socket = settings.control_socket;
  out.control.group = config.control_group;
  if (settings.tcp_token) {
    out.control.tcp = control::ControlTcp{config.control_tcp_address,
                                          static_cast<std::uint16_t>(config.control_tcp_port),
                                          *settings.tcp_token};
  }
  out.keep_peers = config.peer_addrs;
  if (config.network) {
    peer::Options peer;
    peer.listen = settings.listen;
    peer.bootstrap = config.bootstrap_peers;
    peer.mdns = config.mdns;
    peer.upnp = config.upnp;
    peer.dht_client = config.dht == "client";
    peer.agent = kAgent;
    out.peer = std::move(peer);
  }
  return out;
}

void tell_who_may(spdlog::logger& log, const Settings& settings) {
  const Config& config = settings.config;
  if (!config.network) {
    log.info("network off: local jobs only");
  } else if (config.requester_only) {
    log.info("requester only: no jobs of others");
  } else if (config.open) {
    log.warn(
        "open: anybody who can reach this node may run jobs here, each within {} bytes of memory "
        "and {} s, {} at "
        "once; they see no file, no network and no key of this machine, but use its processor",
        config.max_memory_bytes, config.max_timeout_seconds, config.max_concurrent_jobs);
  } else if (settings.allow.empty()) {
    log.info(
        "no jobs of others: nobody is on the allowlist (--allow PEER_ID, or --open for anybody)");
  } else {
    log.info("jobs of {} requester(s) on the allowlist are taken", settings.allow.size());
  }
}

/// The daemon's life: start, wait for a signal, drain, stop.
class Daemon {
 public:
  Daemon(asio::io_context& context, const Settings& settings, OneNode& world, spdlog::logger& log)
      : context_(context), settings_(settings), world_(world), log_(log) {}

  /// Exit status once the loop ended.
  Result<int> run() {
    daemon::StopSignals signals(
        context_, log_,
        {.ending = "no new jobs; running ones",
         .patience = std::chrono::seconds(settings_.config.drain_seconds),
         .can_drain = [this] { return node_ != nullptr; },
         .drain = [this] { return drain(); },
         .at_once = [this] { node_.reset(); }});  // receipts in progress are lost
    asio::co_spawn(context_, live(), [](const std::exception_ptr& error) {
      if (error) {
        std::rethrow_exception(error);  // a bug of ours: ends the process with its text
      }
    });
    context_.run();
    node_.reset();
    if (error_) {
      return fail(*error_);
    }
    return 0;
  }

 private:
  Task<void> live() {
    auto options = node_options(settings_, world_.cache_key);
    auto node = co_await node::Node::start(
        {world_.clock, world_.random, *world_.key, context_.get_executor(), log_},
        std::move(options));
    if (!node) {
      error_ = node.error();
      context_.stop();
      co_return;
    }
    node_ = *std::move(node);
    for (const auto& address : node_->listen_addresses()) {
      log_.info("listening on {}", address);
    }
    log_.info("control API on {}", settings_.control_socket.string());
    if (const auto port = node_->control_tcp_port(); port != 0) {
      log_.info("control API on {}:{}", settings_.config.control_tcp_address, port);
    }
    tell_who_may(log_, settings_);
    log_.info("ready: {}", world_.key->peer_id().text());
  }

  Task<void> drain() {
    co_await node_->drain(
        world_.clock.deadline_after(std::chrono::seconds(settings_.config.drain_seconds)));
    log_.info("drained");
    context_.stop();
  }

  asio::io_context& context_;
  const Settings& settings_;
  OneNode& world_;
  spdlog::logger& log_;
  std::unique_ptr<node::Node> node_;
  std::optional<Error> error_;
};

}  // namespace

Result<int> start_command(const Settings& settings) {
  const std::string& level = settings.config.log_level;
  const auto log =
      daemon::make_log("plasmd", settings.config.log_format, level.empty() ? "info" : level);
  log->info("plasmd {} with {}", PHASE_VERSION,
            settings.file.empty() ? "no configuration file" : settings.file.string());
  daemon::raise_descriptor_limit(*log);
  PHASE_TRY_VOID(daemon::make_folder(settings.data_dir, "--data DIR"));
  auto context = std::make_unique<asio::io_context>(1);
  PHASE_TRY(auto world,
            OneNode::make(context->get_executor(), settings.identity_path, settings.data_dir));
  auto status = Daemon(*context, settings, *world, *log).run();
  context.reset();  // before the world that its last handlers refer to
  return status;
}

}  // namespace phase::plasmd
