// crashing_coordinator — a whole coordinator that dies at a chosen write. For the crash test:
//   crashing_coordinator FOLDER API-PORT MESH-PORT WORKER journal|file MOMENT WRITE
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "base/random.h"
#include "base/system_clock.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "tests/vcp_crash/death.h"
#include "vcp/server/server.h"

namespace phase::vcp::crash {
namespace {

constexpr Duration kHeartbeat = 500ms;

Result<ServerOptions> options_of(char** argv, Random& random) {
  ServerOptions out;
  out.data_dir = argv[1];
  PHASE_TRY_VOID(Accounts::read_environment(out.accounts));
  PHASE_TRY_VOID(api::read_environment(out.api));
  out.api.port = static_cast<std::uint16_t>(std::atoi(argv[2]));
  out.coordinator.grant = 1'000'000'000;
  out.coordinator.health.heartbeat = out.coordinator.node_tick = kHeartbeat;
  out.sessions.heartbeat = kHeartbeat;
  out.peer.listen = {"/ip4/127.0.0.1/tcp/" + std::string(argv[3])};
  out.peer.mdns = false;
  out.peer.dht_client = true;
  out.local.agent = "crashing_coordinator";
  out.local.worker.worker_path = argv[4];
  out.local.worker.cache_folder = std::string(argv[1]) + "/modules";
  out.local.worker.cache_key = random.array<32>();
  out.local.worker.executions_max = 1;
  out.local.worker.idle_children = 1;
  out.local.policy.resources.cpu_cores = 2;
  out.local.policy.resources.memory_bytes = job::kMemoryBytesMax;
  out.local.policy.takes_others = false;
  return out;
}

int run(char** argv, Death of_journal) {
  const auto log = daemon::make_log("crashing_coordinator", "text", "info");
  daemon::raise_descriptor_limit(*log);
  asio::io_context context(1);
  SystemClock clock(context.get_executor());
  SystemRandom random;
  const auto key =
      identity::load_or_create_key(std::filesystem::path(argv[1]) / "coordinator.key", random);
  auto options = options_of(argv, random);
  if (!key || !options) {
    std::cerr << (key ? options.error() : key.error()).text() << '\n';
    return 1;
  }
  Server::World world{clock, random, *key, context.get_executor(), log};
  world.around_journal = [&](std::unique_ptr<Journal> inner) {
    return killing_journal(std::move(inner), context.get_executor(), of_journal);
  };
  Result<std::unique_ptr<Server>> server = fail(Code::internal, "not started");
  const auto broken = [&](const Error& error) {
    std::cerr << "broken: " << error.text() << '\n';
    std::_Exit(3);
  };
  asio::co_spawn(
      context,
      [&]() -> Task<void> {
        server = co_await Server::start(std::move(world), *std::move(options), broken);
        if (!server) co_return context.stop();
        std::cout << "code " << (*server)->bootstrap_code() << "\nready" << std::endl;
      },
      asio::detached);
  asio::signal_set signals(context, SIGTERM, SIGINT);
  signals.async_wait([&](const boost::system::error_code&, int) { context.stop(); });
  context.run();
  if (server) return 0;
  std::cerr << server.error().text() << '\n';
  return 1;
}

}  // namespace
}  // namespace phase::vcp::crash

int main(int argc, char** argv) {
  using namespace phase::vcp::crash;
  std::signal(SIGPIPE, SIG_IGN);
  const auto moment = argc == 8 ? moment_of(argv[6]) : std::nullopt;
  if (!moment) {
    std::cerr << "crashing_coordinator FOLDER API-PORT MESH-PORT WORKER journal|file MOMENT N\n";
    return 2;
  }
  const Death death{*moment, std::strtoull(argv[7], nullptr, 10)};
  const bool file = std::string_view(argv[5]) == "file";
  if (file) kill_at_file_write(death);
  return run(argv, file ? Death{} : death);
}
