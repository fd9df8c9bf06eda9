#include "examples/demo/agent_process.h"

#include <csignal>
#include <iostream>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "base/system_clock.h"
#include "daemon/log.h"
#include "identity/identity.h"

namespace phase::vcp {
namespace {

int failed(const AgentProcess& process, const Error& error) {
  std::cerr << process.agent << ": " << error.text() << '\n';
  return 1;
}

}  // namespace

int run_agent(const AgentProcess& process,
              const std::function<void(AgentOptions&, Random&)>& change) {
  std::signal(SIGPIPE, SIG_IGN);
  const auto log = daemon::make_log(process.agent, "text", process.log_level);
  asio::io_context context(1);
  SystemClock clock(context.get_executor());
  SystemRandom random;
  Meter meter(clock, {"/sys", "/proc"});
  const auto key = identity::load_or_create_key(process.folder / "node.key", random);
  if (!key) return failed(process, key.error());
  const auto url = http_client::parse_url(process.url);
  if (!url) return failed(process, url.error());
  AgentOptions options;
  options.name = process.name;
  options.coordinators = {*url};
  if (!process.join_token.empty()) options.join_token = process.join_token;
  options.data_dir = process.folder;
  options.local.agent = process.agent;
  options.local.worker.worker_path = process.worker;
  options.local.worker.cache_folder = (process.folder / "modules").string();
  change(options, random);
  auto agent = Agent::make({clock, random, *key, meter, context.get_executor(), *log}, options);
  if (!agent) return failed(process, agent.error());
  asio::signal_set signals(context, SIGTERM, SIGINT);
  signals.async_wait([&](const boost::system::error_code&, int) { context.stop(); });
  Result<void> outcome;
  asio::co_spawn(
      context,
      [&]() -> Task<void> {
        outcome = co_await (*agent)->run();
        context.stop();
      },
      asio::detached);
  context.run();
  agent->reset();
  return outcome ? 0 : failed(process, outcome.error());
}

}  // namespace phase::vcp
