// crowd — many nodes in one process, each with its own key, libp2p connection and session with a
// real coordinator; they report, are measured, and run nothing. For sessions.py:
//   crowd MULTIADDR-OF-COORDINATOR < lines "NAME JOIN-TOKEN"
// Prints "joined N of M" each second, until SIGTERM.
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "base/event.h"
#include "base/random.h"
#include "base/system_clock.h"
#include "identity/identity.h"
#include "peer/peer.h"
#include "vcp/session/session.h"

namespace phase::vcp {
namespace {

constexpr std::size_t kComingAtOnce = 8;
constexpr Duration kOpenMax = 30s;
constexpr Duration kPauseMin = 500ms, kPauseMax = 16s;  // doubling between tries, as of a real node
constexpr int kTriesMax = 50;

struct Member {
  std::string name, token;
  std::optional<identity::KeyPair> key;
  std::unique_ptr<peer::Peer> peer;
  std::unique_ptr<NodeSession> session;
  bool coming = false;  ///< holds a place of the turnstile
};

class Crowd {
 public:
  Crowd(std::string address, std::vector<Member> members)
      : address_(std::move(address)),
        members_(std::move(members)),
        clock_(io_.get_executor()),
        gate_(io_.get_executor(), kComingAtOnce) {}

  void run() {
    asio::signal_set signals(io_, SIGTERM, SIGINT);
    signals.async_wait([](const boost::system::error_code&, int) { std::_Exit(0); });
    for (Member& member : members_) asio::co_spawn(io_, live(*this, member), asio::detached);
    asio::co_spawn(io_, tell(*this), asio::detached);
    io_.run();
  }

 private:
  /// Comes, stays, and comes again when the session ends, as a node does.
  static Task<void> live(Crowd& self, Member& member) {
    Duration pause = kPauseMin;
    for (int tries = 0; tries < kTriesMax; ++tries) {
      if (!co_await self.gate_.enter()) co_return;
      member.coming = true;
      const Result<bool> stayed = co_await self.stay(member);
      self.arrived(member);
      if (!stayed) self.last_ = member.name + ": " + stayed.error().text();
      pause = stayed && *stayed ? kPauseMin : std::min(2 * pause, kPauseMax);
      static_cast<void>(co_await self.clock_.sleep_for(pause));
    }
  }
  void arrived(Member& member) {
    if (std::exchange(member.coming, false)) gate_.leave();
  }

  Task<Result<void>> start(Member& member) {
    if (!member.key) member.key = identity::KeyPair::generate(random_);
    if (member.peer) co_return Result<void>{};
    peer::Options options;
    options.listen = {};
    options.mdns = false;
    options.dht_client = true;
    options.small = true;
    options.agent = "crowd";
    options.connections_max = 4;
    auto started = co_await peer::Peer::start(io_.get_executor(), *member.key, options);
    if (!started) co_return fail(started.error());
    member.peer = *std::move(started);
    co_return Result<void>{};
  }

  /// One session to its end. True when it was welcome.
  Task<Result<bool>> stay(Member& member) {
    const auto started = co_await start(member);
    if (!started) co_return fail(started.error());
    const Deadline deadline = clock_.deadline_after(kOpenMax);
    std::string address = address_;
    auto who = co_await member.peer->dial(std::move(address), deadline);
    if (!who) co_return fail(who.error());
    std::string protocol(kFleetProtocol);
    auto stream = co_await member.peer->open(*who, std::move(protocol), deadline);
    if (!stream) co_return fail(stream.error());
    NodeSession::World world{clock_, random_, *member.key, io_.get_executor(), {}, {}};
    world.measure = [] {
      Telemetry out;
      out.cpu_millipercent = 20'000;
      out.memory_millipercent = 40'000;
      return out;
    };
    world.on_welcome = [this, &member](const Welcome&) {
      ++joined_;
      arrived(member);
    };
    member.session = std::make_unique<NodeSession>(std::move(world));
    Hello hello;
    hello.name = member.name;
    hello.region = "crowd";
    hello.type = "compute";
    hello.cpu_cores = 2;
    hello.memory_bytes = 1'024ULL * 1024 * 1024;
    hello.jobs_max = 1;
    hello.agent = "crowd";
    hello.join_token = member.token;
    const SessionEnd end = co_await member.session->run(*std::move(stream), std::move(hello));
    if (end.joined) --joined_;
    last_ = member.name + ": " + end.detail + (end.refused ? end.refused->text : "");
    co_return end.joined;
  }
  static Task<void> tell(Crowd& self) {
    while (true) {
      std::cout << "joined " << self.joined_ << " of " << self.members_.size() << " " << self.last_
                << std::endl;
      static_cast<void>(co_await self.clock_.sleep_for(1s));
    }
  }

  std::string address_;
  std::vector<Member> members_;
  asio::io_context io_{1};
  SystemClock clock_;
  SystemRandom random_;
  Turnstile gate_;
  std::size_t joined_ = 0;
  std::string last_;
};

}  // namespace
}  // namespace phase::vcp

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  if (argc != 2) {
    std::cerr << "crowd MULTIADDR < lines of NAME JOIN-TOKEN\n";
    return 2;
  }
  std::vector<phase::vcp::Member> members;
  for (std::string name, token; std::cin >> name >> token;) {
    members.emplace_back();
    members.back().name = name;
    members.back().token = token;
  }
  phase::vcp::Crowd(argv[1], std::move(members)).run();
  return 0;
}
