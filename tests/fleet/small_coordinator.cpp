// small_coordinator — the coordinator's half of a fleet session and nothing else, for tests of the
// agent. One line of JSON out for each thing that happens; commands in:
//   run NODE MODULE-FILE   one job; it waits for its input
//   input                  gives it
//   dismiss NODE | quit
#include <csignal>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <sstream>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <unistd.h>

#include "api/http/server.h"
#include "base/event.h"
#include "base/system_clock.h"
#include "peer/peer.h"
#include "protocol/requester/requester.h"
#include "tests/simulation/world.h"
#include "vcp/session/session.h"

namespace phase {
namespace {

namespace json = boost::json;

constexpr const char* kToken = "jt_good";

void tell(json::object line) {
  std::cout << json::serialize(line) << std::endl;
}

/// Streams to the one node that a request names.
class OnePeer final : public requester::Network {
 public:
  explicit OnePeer(peer::Peer& peer) : peer_(peer) {}
  Task<Result<std::vector<requester::Candidate>>> find(requester::Wanted, Deadline) override {
    co_return std::vector<requester::Candidate>{};
  }
  Task<Result<std::unique_ptr<ByteStream>>> open(identity::PublicKey to, std::string protocol,
                                                 Deadline deadline) override {
    return peer_.open(to, std::move(protocol), deadline);
  }

 private:
  peer::Peer& peer_;
};

/// "Hello, World", once it is let go.
class HeldInput final : public requester::StdinSource {
 public:
  explicit HeldInput(asio::any_io_executor executor) : wake_(std::move(executor)) {}
  void let_go() { wake_.notify(); }
  Task<Result<Bytes>> read() override {
    if (std::exchange(given_, true)) co_return Bytes{};
    const bool woken = co_await wake_.wait();
    if (!woken) co_return fail(Code::cancelled, "the input was cancelled");
    co_return to_bytes("Hello, World");
  }
  bool rewind() override { return false; }

 private:
  Event wake_;
  bool given_ = false;
};

class Coordinator final : public vcp::SessionSink {
 public:
  Coordinator(asio::io_context& io, identity::KeyPair key, vcp::SessionLimits limits)
      : io_(io),
        clock_(io.get_executor()),
        key_(std::move(key)),
        sessions_({clock_, random_, *this, io.get_executor()}, limits) {}

  Task<Result<void>> start(std::uint16_t port) {
    peer::Options options;
    options.listen = {"/ip4/127.0.0.1/tcp/0"};
    options.mdns = false;
    auto started = co_await peer::Peer::start(io_.get_executor(), key_, std::move(options));
    if (!started) co_return fail(started.error());
    peer_ = *std::move(started);
    peer_->handle(std::string(vcp::kFleetProtocol),
                  [this](std::unique_ptr<ByteStream> stream, identity::PublicKey from) {
                    asio::co_spawn(io_, sessions_.serve(std::move(stream), from), asio::detached);
                  });
    http::Router router;
    http::Route route;
    route.pattern = "/api/v1/mesh";
    route.handler = [this](http::Request) -> Task<http::Reply> {
      json::array addresses;
      for (const std::string& one : peer_->listen_addresses()) addresses.emplace_back(one);
      const json::object body{{"peer_id", key_.peer_id().text()}, {"addresses", addresses}};
      co_return http::Reply{http::json_response(200, json::serialize(body))};
    };
    router.add(std::move(route));
    server_ =
        std::make_unique<http::Server>(io_.get_executor(), std::move(router), http::ServerLimits{});
    http::TcpListen where;
    where.port = port;
    where.token_optional = true;
    const Result<std::uint16_t> listening = server_->listen(where);
    if (!listening) co_return fail(listening.error());
    tell({{"event", "ready"}, {"port", *listening}, {"peer_id", key_.peer_id().text()}});
    co_return Result<void>{};
  }

  // ── vcp::SessionSink ──
  Task<std::optional<vcp::Refused>> join(vcp::Hello hello, identity::PublicKey key) override {
    const auto known = keys_.find(hello.name);
    if (known != keys_.end()) {
      if (known->second == key) co_return std::nullopt;
      co_return vcp::Refused{vcp::RefusalReason::key_wrong, "that name is of another key"};
    }
    if (!hello.join_token) co_return vcp::Refused{vcp::RefusalReason::token_needed, "no token"};
    if (*hello.join_token != kToken) {
      co_return vcp::Refused{vcp::RefusalReason::token_wrong, "not its token"};
    }
    keys_[hello.name] = key;
    co_return std::nullopt;
  }
  void joined(const vcp::NodeName& name, const identity::PublicKey& key,
              const vcp::Hello& hello) override {
    keys_[name] = key;
    tell({{"event", "joined"},
          {"node", name},
          {"region", hello.region},
          {"jobs_max", hello.jobs_max},
          {"draining", hello.draining}});
  }
  void telemetry(const vcp::NodeName& name, const vcp::Telemetry& now) override {
    json::object line{{"event", "telemetry"},
                      {"node", name},
                      {"sequence", now.sequence},
                      {"jobs", now.jobs_running}};
    if (now.temperature_millicelsius) line["temperature"] = *now.temperature_millicelsius;
    if (now.memory_millipercent) line["memory"] = *now.memory_millipercent;
    if (now.energy_millijoules) line["energy"] = *now.energy_millijoules;
    tell(std::move(line));
  }
  void telemetry_refused(const vcp::NodeName& name, const Error& why) override {
    tell({{"event", "telemetry_refused"}, {"node", name}, {"why", why.message}});
  }
  void latency(const vcp::NodeName& name, Duration round_trip) override {
    tell({{"event", "latency"}, {"node", name}, {"ns", round_trip.count()}});
  }
  void bandwidth(const vcp::NodeName& name, vcp::MeasuredBandwidth measured) override {
    tell({{"event", "bandwidth"},
          {"node", name},
          {"down_kbps", measured.down_kbps},
          {"up_kbps", measured.up_kbps}});
  }
  void draining(const vcp::NodeName& name) override {
    tell({{"event", "draining"}, {"node", name}});
  }
  void gone(const vcp::NodeName& name, vcp::GoneReason reason, const std::string&) override {
    tell({{"event", "gone"}, {"node", name}, {"reason", vcp::gone_name(reason)}});
  }
  bool may_probe(const vcp::NodeName&) const override { return true; }

  Task<void> obey() {
    asio::posix::stream_descriptor input(io_, ::dup(STDIN_FILENO));
    asio::streambuf buffer(65'536);
    std::istream lines(&buffer);
    while (true) {
      const auto await = asio::as_tuple(asio::use_awaitable);
      auto [error, count] = co_await asio::async_read_until(input, buffer, '\n', await);
      if (error) break;
      std::string line, verb, node, file;
      std::getline(lines, line);
      std::istringstream words(line);
      words >> verb >> node >> file;
      if (verb == "quit") break;
      if (verb == "dismiss") sessions_.dismiss(node, vcp::ByeReason::removed);
      if (verb == "input" && input_) input_->let_go();
      if (verb == "run") asio::co_spawn(io_, run(node, file), asio::detached);
    }
    io_.stop();
  }

 private:
  Task<void> run(std::string node, std::string file) {
    std::ifstream in(file, std::ios::binary);
    const std::string module(std::istreambuf_iterator<char>(in), {});
    requester::Request request = simulation::make_request(module);
    request.provider = keys_[node];
    request.wall_limit_ms = 60'000;
    OnePeer network(*peer_);
    requester::Requester requester({clock_, random_, key_, network, io_.get_executor()}, {});
    input_.emplace(io_.get_executor());
    simulation::Recorder recorder;
    recorder.hook = [](const std::string& what) {
      if (what.starts_with("accepted")) tell({{"event", "accepted"}});
    };
    requester::CancelToken cancel;
    Result<requester::Outcome> outcome =
        co_await requester.run(std::move(request), *input_, recorder, cancel);
    json::object line{{"event", "ran"}, {"node", node}};
    if (!outcome) {
      line["error"] = outcome.error().text();
    } else {
      line["output"] = recorder.text();
      line["verdict"] = outcome->verdict.text();
      line["ok"] = outcome->verdict.ok();
      const auto receipt = receipt::open(outcome->receipt);
      if (receipt && receipt->receipt.claimed.energy_mj) {
        line["energy_mj"] = *receipt->receipt.claimed.energy_mj;
      }
    }
    tell(std::move(line));
  }

  asio::io_context& io_;
  SystemClock clock_;
  SystemRandom random_;
  identity::KeyPair key_;
  std::map<vcp::NodeName, identity::PublicKey> keys_;
  std::optional<HeldInput> input_;  // of the one job that runs
  vcp::Sessions sessions_;
  std::unique_ptr<peer::Peer> peer_;
  std::unique_ptr<http::Server> server_;
};

int program(const std::string& key_file, std::uint16_t port) {
  SystemRandom random;
  auto key = identity::load_or_create_key(key_file, random);
  if (!key) {
    std::cerr << key.error().text() << '\n';
    return 1;
  }
  asio::io_context io(1);
  vcp::SessionLimits limits;
  limits.heartbeat = 500ms;
  Coordinator coordinator(io, *std::move(key), limits);
  bool started = true;
  asio::co_spawn(io, coordinator.start(port), [&](const std::exception_ptr&, Result<void> up) {
    if (up) return;
    std::cerr << up.error().text() << '\n';
    started = false;
    io.stop();
  });
  asio::co_spawn(io, coordinator.obey(), asio::detached);
  io.run();
  return started ? 0 : 1;
}

}  // namespace
}  // namespace phase

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  if (argc != 3) {
    std::cerr << "usage: small_coordinator KEY-FILE PORT\n";
    return 2;
  }
  return phase::program(argv[1], static_cast<std::uint16_t>(std::stoi(argv[2])));
}
