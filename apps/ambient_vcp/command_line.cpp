#include "command_line.h"

#include <cstdlib>

#include <CLI/CLI.hpp>

#include "daemon/log.h"

namespace phase::ambient_vcp {
namespace {

constexpr const char* kExamples = R"(
Examples:
  ambient-vcp coordinator             # API, scheduler and dashboard at http://127.0.0.1:3000
  ambient-vcp coordinator --database postgres://vcp@db/vcp --fleet-secret-file fleet.secret
                                                # one of several on a database
  ambient-vcp node --id node-us-1 --region us-west --coordinator-url http://127.0.0.1:3000 \
      --join-token jt_...                       # as POST /api/v1/nodes answers it
  ambient-vcp gateway --sessions-file sessions.json --tls-cert cert.pem --tls-key key.pem
  ambient-vcp health                  # can this machine take jobs?
Environment: VCP_API_URL, VCP_COORDINATOR_CA, VCP_JOIN_TOKEN, VCP_API_KEY, VCP_FLEET_SECRET,
DATABASE_URL, PORT, RUST_LOG.
)";

void add_places(CLI::App& verb, NodeFlags& out) {
  verb.add_option("--data-dir", out.data_dir, "Where the node keeps its key and its records");
  verb.add_option("--worker-path", out.worker_path, "The program phase-worker")->group("");
  verb.add_option("--sys-root", out.sys_root, "Where sensors are read (default /sys)")->group("");
  verb.add_option("--proc-root", out.proc_root, "Where use is read (default /proc)")->group("");
}

void add_coordinator_ca(CLI::App& verb, std::filesystem::path& out) {
  verb.add_option("--coordinator-ca", out,
                  "PEM: who may have signed the certificate of an https address, instead of this "
                  "system's authorities")
      ->envname("VCP_COORDINATOR_CA");
}

void add_coordinator_url(CLI::App& verb, NodeFlags& out) {
  verb.add_option("--coordinator-url", out.coordinator_url,
                  "The coordinator's address; several with commas between are tried in turn")
      ->envname("VCP_API_URL");
  add_coordinator_ca(verb, out.coordinator_ca);
}

void add_node(CLI::App& app, CommandLine& out) {
  CLI::App& verb = *app.add_subcommand("node", "Take part in a coordinator's fleet");
  NodeFlags& node = out.node;
  verb.callback([&out] { out.verb = Verb::node; });
  verb.add_option("-i,--id", node.id, "The node's name in its fleet")->required();
  verb.add_option("-r,--region", node.region, "Where it stands (default us-west)");
  verb.add_option("-t,--node-type", node.type, "What it is for (default compute)")
      ->check(CLI::IsMember({"compute", "gateway", "storage", "validator", "open_internet", "any",
                             "feen_resonator"}));
  add_coordinator_url(verb, node);
  verb.add_option("--join-token", node.join_token,
                  "Of the answer to POST /api/v1/nodes; for the first start only")
      ->envname("VCP_JOIN_TOKEN");
  verb.add_flag("--observability", node.observability, "Tell GET /node/status on 127.0.0.1");
  verb.add_option("--observability-port", node.observability_port, "Its port (default 9090)");
  verb.add_option("--jobs", node.jobs, "Jobs at once (default: one per core)")
      ->check(CLI::Range(1, 256));
  verb.add_option("--memory-mb", node.memory_mb, "Memory of one job (default 512)")
      ->check(CLI::Range(1, 4096));
  verb.add_option("--max-seconds", node.max_seconds, "Time of one job (default 3600)")
      ->check(CLI::Range(1, 3600));
  verb.add_option("--bandwidth-mbps", node.bandwidth_mbps,
                  "What you say your link carries; placement uses what is measured")
      ->check(CLI::Range(0, 1'000'000));
  verb.add_option("--drain-seconds", node.drain_seconds,
                  "After SIGTERM running jobs have so long (default 30)")
      ->check(CLI::Range(0, 3600));
  add_places(verb, node);
}

void add_coordinator(CLI::App& app, CommandLine& out) {
  CLI::App& verb = *app.add_subcommand("coordinator", "API, scheduler and dashboard of a fleet");
  verb.alias("api-server");
  verb.callback([&out] { out.verb = Verb::coordinator; });
  verb.add_option("-c,--cluster-id", out.coordinator.cluster_id, "Its name (default \"default\")");
  verb.add_option("-s,--strategy", out.coordinator.strategy, "How nodes are chosen")
      ->check(CLI::IsMember({"weighted", "round-robin", "least-loaded", "latency-aware"}));
  CoordinatorFlags& to = out.coordinator;
  verb.add_option("--listen", to.listen,
                  "Where API and dashboard are (default 127.0.0.1:3000; PORT changes the port)");
  verb.add_option(
      "--mesh-listen", to.mesh_listen,
      "Multiaddr that nodes dial; may be repeated (default: TCP and QUIC at the address "
      "of --listen, one port above it, WebSocket two above)");
  verb.add_option(
      "--mesh-announce", to.mesh_announce,
      "Multiaddr that nodes are told instead, as /dns4/NAME/tcp/443/wss behind a proxy; "
      "may be repeated");
  verb.add_option("--data-dir", to.data_dir, "Where its state is (default: by the cluster id)");
  verb.add_option("--database", to.database,
                  "postgres://USER@HOST/NAME: keep the state there, beside other coordinators (or "
                  "DATABASE_URL; default: SQLite in the data folder)");
  verb.add_option("--fleet-secret-file", to.fleet_secret_file,
                  "With --database: the secret all coordinators of the fleet share (or "
                  "VCP_FLEET_SECRET)");
  verb.add_option("--advertise", to.advertise,
                  "With --database: HOST:PORT at which other coordinators reach this API (default: "
                  "--listen)");
  verb.add_option("--allow-host", to.hosts,
                  "A name by which people reach it, as in https://NAME; may be repeated");
  verb.add_option("--tls-cert", to.tls_certificate, "PEM: certificate and chain");
  verb.add_option("--tls-key", to.tls_key, "PEM: its key, readable by this user only");
  verb.add_flag("--metrics-open", to.metrics_open, "GET /metrics needs no account");
  verb.add_flag("--no-registration", to.no_registration, "Only administrators make accounts");
  verb.add_option("--heartbeat-ms", to.heartbeat_ms, "How often nodes report (default 5000)")
      ->check(CLI::Range(100, 600'000));
  verb.add_option("--drain-seconds", to.drain_seconds,
                  "After SIGTERM running tasks have so long (default 30)")
      ->check(CLI::Range(0, 3600));
  verb.add_option("--tasks-kept", to.tasks_kept,
                  "Finished tasks that stay, with results and receipts (default 100000)")
      ->check(CLI::Range(1, 100'000'000));
  auto* const peers = verb.add_flag(
      "--peers", to.peers, "Also ask providers of the mesh, for tasks that set allow_peers");
  verb.add_option("--peer-bootstrap", to.peer_bootstrap,
                  "With --peers: multiaddr with /p2p/ID of a node of the mesh; may be repeated")
      ->needs(peers);
  verb.add_option("--peers-max", to.peers_max, "With --peers: so many at once (default 64)")
      ->check(CLI::Range(1, 1'024))
      ->needs(peers);
  verb.add_option("--modules-kept-days", to.modules_kept_days,
                  "Uploaded modules that nobody uses stay so long (default 30)")
      ->check(CLI::Range(1, 36'500));
  verb.add_option("--worker", to.worker_path, "phase-worker, when it is not beside this program");
}

void add_backups(CLI::App& app, CommandLine& out) {
  const auto add = [&](const char* name, const char* about, Verb verb, const char* folder) {
    CLI::App& made = *app.add_subcommand(name, about);
    made.callback([&out, verb] { out.verb = verb; });
    made.add_option("-c,--cluster-id", out.coordinator.cluster_id, "As the coordinator has it");
    made.add_option("--data-dir", out.coordinator.data_dir, "As the coordinator has it");
    made.add_option("folder", out.backup, folder)->required();
  };
  add("backup", "Copies a coordinator's state, while it runs or not", Verb::backup,
      "A new folder for the copy");
  add("restore", "Makes a coordinator's data folder of a backup", Verb::restore, "The backup");
}

void add_ledger(CLI::App& app, CommandLine& out) {
  CLI::App& ledger = *app.add_subcommand("ledger", "Credits");
  ledger.require_subcommand(1);
  CLI::App& check = *ledger.add_subcommand(
      "check", "Checks the chain of an export (GET /api/v1/ledger/export) entry by entry");
  check.callback([&out] { out.verb = Verb::ledger_check; });
  check.add_option("file", out.ledger_file, "The export; - for standard input")->required();
}

void add_gateway(CLI::App& app, CommandLine& out) {
  CLI::App& verb =
      *app.add_subcommand("gateway", "Relay clients with a session to its destinations");
  verb.callback([&out] { out.verb = Verb::gateway; });
  GatewayFlags& to = out.gateway;
  verb.add_option("--listen", to.listen, "Where clients connect (default 0.0.0.0:7000)");
  verb.add_option("--sessions-file", to.sessions_file,
                  "The sessions, as GET /api/v1/nodes/NAME/gateway-sessions answers them; watched");
  verb.add_option("--sessions-url", to.sessions_url, "That address instead; asked every 5 seconds");
  verb.add_option("--api-key", to.api_key, "For it: of the node's owner, scope nodes:read")
      ->envname("VCP_API_KEY");
  verb.add_option("--announce", to.announce,
                  "HOST:PORT where clients reach this gateway, told to the coordinator; their "
                  "sessions show it");
  add_coordinator_ca(verb, to.coordinator_ca);
  verb.add_option("--connect-timeout-seconds", to.connect_seconds,
                  "To reach a destination (default 5)")
      ->check(CLI::Range(1, 300));
  verb.add_option("--idle-timeout-seconds", to.idle_seconds,
                  "A relay may be silent so long (default 600)")
      ->check(CLI::Range(1, 86'400));
  verb.add_option("--handshake-timeout-seconds", to.handshake_seconds,
                  "A client's first line may take so long (default 10)")
      ->check(CLI::Range(1, 300));
  verb.add_option("--tls-cert", to.tls_certificate, "PEM: certificate and chain");
  verb.add_option("--tls-key", to.tls_key, "PEM: its key, readable by this user only");
  verb.add_flag("--allow-private", to.allow_private,
                "Also destinations on this machine and in private networks");
  verb.add_option("--drain-seconds", to.drain_seconds,
                  "After SIGTERM relays have so long (default 30)")
      ->check(CLI::Range(0, 3600));
}

void add_others(CLI::App& app, CommandLine& out) {
  CLI::App& health = *app.add_subcommand("health", "Can this machine take jobs?");
  health.callback([&out] { out.verb = Verb::health; });
  health.add_option("-i,--id", out.node.id, "Of this node (default: none; a new folder)");
  add_coordinator_url(health, out.node);
  add_places(health, out.node);
  CLI::App& info = *app.add_subcommand("info", "What is known here of a node of this machine");
  info.callback([&out] { out.verb = Verb::info; });
  info.add_option("-i,--id", out.node.id, "The node's name")->required();
  add_places(info, out.node);
}

}  // namespace

std::variant<CommandLine, int> parse_command_line(int argc, const char* const* argv) {
  CommandLine out;
  CLI::App app("Ambient VCP: a coordinator that measures, places, runs, verifies and credits",
               "ambient-vcp");
  app.footer(kExamples);
  app.set_version_flag("--version", "ambient-vcp " PHASE_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--log-level", out.log_level, "trace, debug, info, warn, error, off")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}));
  app.add_option("--log-format", out.log_format, "text or json")
      ->check(CLI::IsMember({"text", "json"}));
  out.arguments.assign(argv, argv + argc);
  add_node(app, out);
  add_coordinator(app, out);
  add_backups(app, out);
  add_ledger(app, out);
  add_gateway(app, out);
  add_others(app, out);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  if (out.log_level.empty()) {
    const char* const wish = std::getenv("RUST_LOG");
    out.log_level = daemon::level_of_rust_log(wish == nullptr ? "" : wish, "ambient_vcp");
  }
  if (out.log_level.empty()) out.log_level = "info";
  return out;
}

}  // namespace phase::ambient_vcp
