// Asks one server over and over, from as many kept connections as told: for the figures of lucidd
// beside llama-server, so it knows neither. Each connection asks again as soon as it was answered.
//
//   load_client PORT PATH CONCURRENT REQUESTS MARK < BODY
//
// In BODY, @ becomes the number of the request. An answer begins to say something with the first
// byte behind MARK ("content":" for one) that is not its closing quote. Prints one JSON object:
// requests/s, microseconds to the first word and to the end of each, words of the last answer.
#include <cstdio>
#include <iostream>
#include <iterator>
#include <optional>
#include <string>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "base/clock.h"
#include "tests/bench/samples.h"

namespace phase::bench {
namespace {

using asio::ip::tcp;
namespace beast = boost::beast;
namespace http = boost::beast::http;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr Duration kAnswerMax = 300s;
constexpr std::size_t kConcurrentMax = 1'024;
constexpr std::size_t kReadBytes = 64 * 1'024;

struct Plan {
  std::uint16_t port = 0;
  std::string path;
  std::size_t concurrent = 1, requests = 1;
  std::string mark, body;
};

/// Where an answer says something, found as its bytes come.
class Words {
 public:
  explicit Words(const std::string& mark) : mark_(mark) {}

  /// `text` is all that came. True once there was a word.
  bool look(const std::string& text) {
    while (true) {
      const std::size_t found = text.find(mark_, at_);
      if (found == std::string::npos || found + mark_.size() >= text.size()) return count_ > 0;
      at_ = found + mark_.size();
      if (text[at_] == '"') continue;
      ++count_;
    }
  }
  [[nodiscard]] std::size_t count() const { return count_; }

 private:
  const std::string& mark_;
  std::size_t at_ = 0, count_ = 0;
};

class Load {
 public:
  explicit Load(Plan plan) : plan_(std::move(plan)) {}

  int run() {
    const auto begin = Samples::Clock::now();
    for (std::size_t i = 0; i < plan_.concurrent; ++i) {
      asio::co_spawn(io_, ask_on(*this), asio::detached);
    }
    io_.run();
    const std::chrono::duration<double> took = Samples::Clock::now() - begin;
    if (!problem_.empty()) {
      std::fprintf(stderr, "load_client: %s\n", problem_.c_str());
      return 1;
    }
    print(took.count());
    return 0;
  }

 private:
  static Task<void> ask_on(Load& self) {
    beast::tcp_stream stream(self.io_);
    beast::flat_buffer buffer;
    while (self.begun_ < self.plan_.requests && self.problem_.empty()) {
      const std::size_t number = self.begun_++;
      const http::request<http::string_body> asked = self.request(number);
      const auto begin = Samples::Clock::now();
      bool kept = stream.socket().is_open();
      if (!kept) co_await connect(self, stream);
      bool answered = co_await ask(self, stream, buffer, asked, begin);
      if (!answered && kept && self.problem_.empty()) {
        // A server may close a connection it kept, at any time: then on a new one.
        kept = false;
        co_await connect(self, stream);
        answered = co_await ask(self, stream, buffer, asked, begin);
      }
      if (!answered && self.problem_.empty()) self.problem_ = "the connection was closed";
    }
  }

  static Task<void> connect(Load& self, beast::tcp_stream& stream) {
    stream.close();
    stream.expires_after(kAnswerMax);
    const tcp::endpoint to(asio::ip::address_v4::loopback(), self.plan_.port);
    auto [refused] = co_await stream.async_connect(to, kAwait);
    if (refused) {
      self.problem_ = "connecting failed: " + refused.message();
      co_return;
    }
    boost::system::error_code ignored;
    stream.socket().set_option(tcp::no_delay(true), ignored);
  }

  [[nodiscard]] http::request<http::string_body> request(std::size_t number) const {
    http::request<http::string_body> out(http::verb::post, plan_.path, 11);
    out.set(http::field::host, "127.0.0.1:" + std::to_string(plan_.port));
    out.set(http::field::content_type, "application/json");
    out.body() = plan_.body;
    const std::size_t place = out.body().find('@');
    if (place != std::string::npos) out.body().replace(place, 1, std::to_string(number));
    out.prepare_payload();
    return out;
  }

  /// False: the connection was closed before a byte of the answer came.
  static Task<bool> ask(Load& self, beast::tcp_stream& stream, beast::flat_buffer& buffer,
                        const http::request<http::string_body>& asked,
                        Samples::Clock::time_point begin) {
    http::response_parser<http::string_body> answer;
    answer.body_limit(boost::none);
    answer.eager(true);
    stream.expires_after(kAnswerMax);
    Words words(self.plan_.mark);
    std::optional<Samples::Clock::duration> first;
    auto [unsent, sent] = co_await http::async_write(stream, asked, kAwait);
    if (unsent) co_return false;
    while (!answer.is_done()) {
      // Not http::async_read_some: it keeps a chunk until the next one begins.
      auto [error, count] = co_await stream.async_read_some(buffer.prepare(kReadBytes), kAwait);
      buffer.commit(count);
      if (error && !answer.got_some()) co_return false;
      boost::system::error_code wrong = error;
      if (!error) buffer.consume(answer.put(buffer.data(), wrong));
      if (wrong && wrong != http::error::need_more) {
        self.problem_ = "reading an answer failed: " + wrong.message();
        co_return false;
      }
      const bool says = words.look(answer.get().body());
      if (says && !first) first = Samples::Clock::now() - begin;
    }
    self.all_.add(Samples::Clock::now() - begin);
    if (!answer.get().keep_alive()) stream.close();
    if (answer.get().result() != http::status::ok || !first) {
      self.problem_ = "answered without a word: " + answer.get().body().substr(0, 400);
      co_return true;
    }
    self.first_.add(*first);
    self.words_ = words.count();
    co_return true;
  }

  void print(double seconds) const {
    std::printf(R"({"requests":%zu,"seconds":%.6f,"words":%zu,"first_us":%s,"all_us":%s})"
                "\n",
                plan_.requests, seconds, words_, first_.json().c_str(), all_.json().c_str());
  }

  Plan plan_;
  asio::io_context io_{1};
  std::size_t begun_ = 0, words_ = 0;
  Samples first_, all_;
  std::string problem_;
};

int program(int argc, char** argv) {
  if (argc != 6) {
    std::fputs("usage: load_client PORT PATH CONCURRENT REQUESTS MARK < BODY\n", stderr);
    return 2;
  }
  Plan plan;
  plan.port = static_cast<std::uint16_t>(std::stoul(argv[1]));
  plan.path = argv[2];
  plan.concurrent = std::min<std::size_t>(std::stoul(argv[3]), kConcurrentMax);
  plan.requests = std::stoul(argv[4]);
  plan.mark = argv[5];
  plan.body.assign(std::istreambuf_iterator<char>(std::cin), {});
  return Load(std::move(plan)).run();
}

}  // namespace
}  // namespace phase::bench

int main(int argc, char** argv) {
  return phase::bench::program(argc, argv);
}
