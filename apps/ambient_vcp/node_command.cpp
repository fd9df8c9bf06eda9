// ambient-vcp node: the agent's life — start, take part, drain on a signal, stop.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "commands.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/stop_signals.h"
#include "vcp/agent/agent.h"

namespace phase::ambient_vcp {
namespace {

class NodeDaemon {
 public:
  NodeDaemon(asio::io_context& context, vcp::Agent& agent, Clock& clock, Duration patience,
             spdlog::logger& log)
      : context_(context), agent_(agent), clock_(clock), patience_(patience), log_(log) {}

  Result<void> run() {
    daemon::StopSignals signals(context_, log_,
                                {.ending = "no new jobs; running ones",
                                 .patience = patience_,
                                 .can_drain = [] { return true; },
                                 .drain = [this] { return drain(); }});
    asio::co_spawn(context_, live(), [](const std::exception_ptr& error) {
      if (error) std::rethrow_exception(error);  // a bug of ours: ends the process with its text
    });
    context_.run();
    return std::move(outcome_);
  }

 private:
  Task<void> live() {
    outcome_ = co_await agent_.run();
    context_.stop();
  }
  Task<void> drain() {
    const Deadline deadline = clock_.deadline_after(patience_);
    co_await agent_.drain(deadline);
    log_.info("drained");
  }

  asio::io_context& context_;
  vcp::Agent& agent_;
  Clock& clock_;
  Duration patience_;
  spdlog::logger& log_;
  Result<void> outcome_;
};

Result<vcp::AgentOptions> agent_options(const NodeFlags& flags, const NodeWorld& world) {
  if (!flags.coordinator_url || flags.coordinator_url->empty()) {
    return fail(Code::invalid_argument, "a node needs its coordinator's address",
                "--coordinator-url http://HOST:3000, or VCP_API_URL");
  }
  vcp::AgentOptions out;
  PHASE_TRY(out.coordinators, coordinator_urls(*flags.coordinator_url));
  PHASE_TRY(out.trust, coordinator_trust(flags.coordinator_ca));
  if (flags.region.empty() || flags.region.size() > vcp::kRegionBytesMax) {
    return fail(Code::invalid_argument, "a region has 1 to 32 bytes", "--region us-west");
  }
  if (flags.join_token && flags.join_token->size() > vcp::kJoinTokenBytesMax) {
    return fail(Code::invalid_argument, "a join token has at most 128 bytes",
                "--join-token jt_...");
  }
  out.name = flags.id;
  out.region = flags.region;
  out.type = flags.type;
  if (flags.join_token && !flags.join_token->empty()) out.join_token = flags.join_token;
  out.data_dir = world.folder;
  out.local = local_options(flags, world);
  out.bandwidth_claimed_kbps = flags.bandwidth_mbps * 1000;
  if (flags.observability) out.observability_port = flags.observability_port;
  return out;
}

}  // namespace

Result<int> node_command(const CommandLine& line) {
  const NodeFlags& flags = line.node;
  const auto log = daemon::make_log("ambient-vcp", line.log_format, line.log_level);
  daemon::raise_descriptor_limit(*log);
  PHASE_TRY_VOID(vcp::check_node_name(flags.id));
  auto context = std::make_unique<asio::io_context>(1);
  PHASE_TRY(const auto world, NodeWorld::make(context->get_executor(), flags));
  PHASE_TRY(vcp::AgentOptions options, agent_options(flags, *world));
  log->info("Ambient node {} of region {}, type {}; key {}", flags.id, printable(flags.region),
            flags.type, world->key->peer_id().text());
  auto agent = vcp::Agent::make(
      {world->clock, world->random, *world->key, world->meter, context->get_executor(), *log},
      std::move(options));
  if (!agent) return fail(agent.error());
  if (const std::uint16_t port = (*agent)->observability_port(); port != 0) {
    log->info("status: curl http://127.0.0.1:{}/node/status", port);
  }
  const Duration patience = std::chrono::seconds(flags.drain_seconds);
  const Result<void> ended = NodeDaemon(*context, **agent, world->clock, patience, *log).run();
  agent->reset();
  context.reset();  // before the world that its last handlers refer to
  if (!ended) return fail(ended.error());
  log->info("stopped");
  return 0;
}

}  // namespace phase::ambient_vcp
