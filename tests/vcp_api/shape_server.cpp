// The API over a real socket and real accounts, with the fleet of src/api/vcp/memory_fleet.h: for
// the schema fuzzer, which looks at the shape of HTTP only. Prints one JSON line {port, code}; ends
// with its standard input.
#include <cstdio>
#include <memory>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include "api/vcp/api_server.h"
#include "api/vcp/memory_fleet.h"
#include "base/system_clock.h"
#include "base/temp_folder.h"

using namespace phase;  // NOLINT(google-build-using-namespace): a program of one file

int main() {
  asio::io_context context;
  SystemClock clock{context.get_executor()};
  SystemRandom random;
  vcp::api::MemoryFleet fleet{clock, random};
  const auto folder = TempFolder::make("phase-shape");
  if (!folder) return 1;
  vcp::Accounts::Options with;
  with.folder = folder->path() / "data";
  with.limits.password_passes = 1;
  with.limits.password_memory = 8_KiB;
  with.limits.keys_per_user = with.limits.overrides = with.limits.answers_per_user = 1'000'000;
  auto accounts = vcp::Accounts::open({clock, random, context.get_executor()}, with);
  if (!accounts) return 1;
  vcp::api::ApiOptions options;
  options.port = 0;
  for (vcp::api::Rate* rate : {&options.rates.auth, &options.rates.node, &options.rates.task,
                               &options.rates.proof, &options.rates.general, &options.rates.read}) {
    *rate = {1'000'000, 1'000'000};
  }
  auto log =
      std::make_shared<spdlog::logger>("shape", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  log->set_level(spdlog::level::warn);
  auto server = vcp::api::ApiServer::start(
      {clock, random, context.get_executor(), fleet, **accounts, log}, options);
  if (!server) {
    std::fprintf(stderr, "%s\n", server.error().text().c_str());
    return 1;
  }
  std::printf("{\"port\":%u,\"code\":\"%s\"}\n", unsigned{(*server)->port()},
              (*accounts)->bootstrap_code().c_str());
  std::fflush(stdout);
  asio::posix::stream_descriptor input(context, ::dup(STDIN_FILENO));
  char byte = 0;
  input.async_read_some(asio::buffer(&byte, 1), [&](const boost::system::error_code&, std::size_t) {
    server->reset();
    context.stop();
  });
  context.run();
  accounts->reset();
  return 0;
}
