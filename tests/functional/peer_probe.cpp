// peer_probe — one node of src/peer, driven over stdin by tests between network namespaces.
//
// Each line in is a command, each line out its answer: "ok ..." or "error <code> <text>".
//   dial ADDRESS | echo PEER BYTES TIMEOUT_MS | connected | known | listening | warnings | quit
#include <csignal>
#include <functional>
#include <iostream>
#include <istream>
#include <sstream>
#include <string>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <unistd.h>

#include "base/random.h"
#include "base/system_clock.h"
#include "peer/peer.h"

namespace phase {
namespace {

constexpr const char* kEcho = "/phase/test/echo/1";
constexpr std::size_t kLineBytesMax = 1024;

Task<void> serve_echo(std::unique_ptr<ByteStream> stream) {
  Bytes buffer(65'536);
  while (true) {
    const Result<std::size_t> count = co_await stream->read(buffer);
    if (!count) co_return;
    if (*count == 0) break;
    const auto sent = co_await stream->write(ByteView(buffer).first(*count));
    if (!sent) co_return;
  }
  stream->close_write();
}

/// Sends `sent` and the end. A part of `echo`, which waits for the other end's.
Task<void> send_all(std::shared_ptr<ByteStream> stream, Bytes sent) {
  const auto written = co_await stream->write(sent);
  if (written) stream->close_write();  // else the reading half finds out
}

class Probe {
 public:
  explicit Probe(asio::io_context& io) : io_(io), clock_(io.get_executor()) {}

  Task<int> run(peer::Options options) {
    auto key = identity::KeyPair::generate(random_);
    auto started = co_await peer::Peer::start(io_.get_executor(), key, std::move(options));
    if (!started) {
      answer(describe(started.error()));
      co_return 1;
    }
    peer_ = *std::move(started);
    peer_->handle(kEcho, [this](std::unique_ptr<ByteStream> stream, const identity::PublicKey&) {
      asio::co_spawn(io_, serve_echo(std::move(stream)), asio::detached);
    });
    answer("ok " + key.peer_id().text());
    asio::posix::stream_descriptor input(io_, ::dup(STDIN_FILENO));
    asio::streambuf buffer(kLineBytesMax);
    while (true) {
      auto [error, count] =
          co_await asio::async_read_until(input, buffer, '\n', asio::as_tuple(asio::use_awaitable));
      if (error) break;
      std::istream lines(&buffer);
      std::string line;
      std::getline(lines, line);
      if (line == "quit") break;
      std::string said = co_await obey(line);
      answer(said);
    }
    peer_.reset();
    co_return 0;
  }

 private:
  static void answer(const std::string& text) { std::cout << text << std::endl; }
  static std::string describe(const Error& error) {
    return "error " + std::string(code_name(error.code)) + " " + error.text();
  }
  static std::string joined(const std::vector<std::string>& words) {
    std::string out = "ok";
    for (const std::string& word : words) out += "\t" + word;
    return out;
  }

  std::string ids(bool connected_only) const {
    std::vector<std::string> words;
    for (const peer::PeerInfo& info : peer_->peers()) {
      if (info.connected || !connected_only) words.push_back(info.id.text());
    }
    return joined(words);
  }

  Task<std::string> obey(std::string line) {
    std::istringstream words(line);
    std::string verb, what;
    words >> verb >> what;
    if (verb == "connected") co_return ids(true);
    if (verb == "known") co_return ids(false);
    if (verb == "listening") co_return joined(peer_->listen_addresses());
    if (verb == "warnings") co_return joined(peer_->warnings());
    if (verb == "dial") {
      const auto who = co_await peer_->dial(what, clock_.deadline_after(20s));
      co_return who ? "ok " + identity::PeerId::from(*who).text() : describe(who.error());
    }
    if (verb == "echo") {
      std::size_t bytes = 0;
      std::int64_t timeout_ms = 0;
      words >> bytes >> timeout_ms;
      const auto done = co_await echo(what, bytes, std::chrono::milliseconds(timeout_ms));
      co_return done ? "ok" : describe(done.error());
    }
    co_return "error invalid_argument no such command";
  }

  Task<Result<void>> echo(std::string who, std::size_t bytes, Duration timeout) {
    PHASE_CO_TRY(const identity::PeerId id, identity::PeerId::parse(who));
    const Deadline deadline = clock_.deadline_after(timeout);
    PHASE_CO_TRY(auto opened, co_await peer_->open(id.key(), kEcho, deadline));
    const std::shared_ptr<ByteStream> stream = std::move(opened);
    // At the same time: what is on the way is bounded, and whoever only writes is not read from.
    asio::co_spawn(io_, send_all(stream, Bytes(bytes, 0x5a)), asio::detached);
    Bytes buffer(65'536);
    std::size_t got = 0;
    while (true) {
      PHASE_CO_TRY(const std::size_t count, co_await stream->read(buffer));
      if (count == 0) break;
      got += count;
    }
    if (got != bytes) co_return fail(Code::protocol, "another number of bytes came back");
    co_return Result<void>{};
  }

  asio::io_context& io_;
  SystemClock clock_;
  SystemRandom random_;
  std::unique_ptr<peer::Peer> peer_;
};

/// --listen A, --bootstrap A, --mdns, --idle-ms N.
Result<peer::Options> parse(const std::vector<std::string>& words) {
  peer::Options options;
  options.listen.clear();
  options.mdns = false;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--mdns") {
      options.mdns = true;
      continue;
    }
    if (i + 1 == words.size()) return fail(Code::invalid_argument, words[i] + " has no value");
    const std::string& value = words[++i];
    if (words[i - 1] == "--listen") {
      options.listen.push_back(value);
    } else if (words[i - 1] == "--bootstrap") {
      options.bootstrap.push_back(value);
    } else if (words[i - 1] == "--idle-ms") {
      options.idle_timeout = std::chrono::milliseconds(std::atoi(value.c_str()));
    } else {
      return fail(Code::invalid_argument, "no such option: " + words[i - 1]);
    }
  }
  return options;
}

}  // namespace
}  // namespace phase

int main(int argc, char** argv) {
  auto options = phase::parse(std::vector<std::string>(argv + 1, argv + argc));
  if (!options) {
    std::cerr << options.error().text() << "\n";
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  boost::asio::io_context io;
  int status = 1;
  phase::Probe probe(io);
  boost::asio::co_spawn(io, probe.run(*std::move(options)),
                        [&status, &io](std::exception_ptr error, int result) {
                          status = error ? 1 : result;
                          io.stop();
                        });
  io.run();
  return status;
}
