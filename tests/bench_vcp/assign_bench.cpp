// Submit to assigned over HTTP with 1,000 tasks running, open loop: from the moment a task was to
// be sent to the answer that names its node and is durable. Runs take as long as keeps 1,000
// running.
#include <cstdlib>
#include <string>
#include <thread>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <sodium.h>

#include "tests/bench/samples.h"
#include "tests/bench_vcp/core.h"

namespace phase::bench {
namespace {

using asio::ip::tcp;
namespace beast = boost::beast;
namespace http = boost::beast::http;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

constexpr std::size_t kNodes = 1'000;
constexpr std::size_t kRunning = 1'000;
constexpr std::size_t kPerSecond = 100;
constexpr std::size_t kWarm = kRunning + 200, kMeasured = 1'500;
constexpr std::size_t kConnections = 64;  // free ones wait for the next moment

/// Sends tasks at fixed moments, whatever came of those before.
class OpenLoop {
 public:
  OpenLoop(std::uint16_t port, Sha256 module) : port_(port), module_(module) {}

  void run() {
    asio::co_spawn(io_, begin(*this), [](const std::exception_ptr& error) {
      if (error) std::rethrow_exception(error);
    });
    io_.run();
  }
  Samples samples;

 private:
  static Task<void> begin(OpenLoop& self) {
    beast::tcp_stream stream(self.io_);
    co_await self.connect(stream);
    const std::string who = co_await self.ask(
        stream, "/api/v1/auth/register", R"({"username":"ada","password":"correct horse"})", {});
    constexpr std::string_view field = R"("api_key":")";
    const std::size_t at = who.find(field);
    PHASE_CHECK(at != std::string::npos);
    const std::size_t from = at + field.size();
    self.key_ = who.substr(from, who.find('"', from) - from);
    self.start_ = Samples::Clock::now() + std::chrono::milliseconds(100);
    for (std::size_t i = 0; i < kConnections; ++i) {
      asio::co_spawn(self.io_, submit(self), [](const std::exception_ptr& error) {
        if (error) std::rethrow_exception(error);
      });
    }
  }
  Task<void> connect(beast::tcp_stream& stream) {
    const auto [error] =
        co_await stream.async_connect({asio::ip::address_v4::loopback(), port_}, kAwait);
    PHASE_CHECK(!error);
    stream.socket().set_option(tcp::no_delay(true));
  }
  Task<std::string> ask(beast::tcp_stream& stream, std::string path, std::string body,
                        std::string key) {
    http::request<http::string_body> request(http::verb::post, path, 11);
    request.set(http::field::host, "127.0.0.1");
    request.set(http::field::content_type, "application/json");
    if (!key.empty()) request.set("X-API-Key", key);
    request.body() = std::move(body);
    request.prepare_payload();
    const auto [wrote, sent] = co_await http::async_write(stream, request, kAwait);
    PHASE_CHECK(!wrote && sent > 0);
    beast::flat_buffer buffer;
    http::response<http::string_body> answer;
    const auto [read, got] = co_await http::async_read(stream, buffer, answer, kAwait);
    PHASE_CHECK(!read && got > 0);
    if (answer.result_int() != 201) {
      std::fprintf(stderr, "%s: %u %s\n", path.c_str(), answer.result_int(), answer.body().c_str());
      std::exit(EXIT_FAILURE);
    }
    co_return answer.body();
  }
  static Task<void> submit(OpenLoop& self) {
    beast::tcp_stream stream(self.io_);
    co_await self.connect(stream);
    const std::string body =
        R"({"task_type":"wasm_execution","inputs":{"stdin":"x"},"bid":10,"module_sha256":")" +
        self.module_.hex() +
        R"(","requirements":{"min_nodes":1,"max_execution_time_sec":60,"require_gpu":false,)"
        R"("require_proof":false}})";
    asio::steady_timer timer(self.io_);
    while (self.next_ < kWarm + kMeasured) {
      const std::size_t number = self.next_++;
      const auto due = self.start_ + std::chrono::microseconds(1'000'000 / kPerSecond) * number;
      timer.expires_at(due);
      const auto [stopped] = co_await timer.async_wait(kAwait);
      PHASE_CHECK(!stopped);
      std::string text = body;
      std::string key = self.key_;
      const std::string answer =
          co_await self.ask(stream, "/api/v1/tasks", std::move(text), std::move(key));
      const auto took = Samples::Clock::now() - due;
      const bool assigned = answer.find(R"("assigned_nodes":["node-)") != std::string::npos;
      PHASE_CHECK(assigned);
      if (number >= kWarm) self.samples.add(took);
    }
  }

  std::uint16_t port_;
  Sha256 module_;
  asio::io_context io_{1};
  std::string key_;
  std::size_t next_ = 0;
  Samples::Clock::time_point start_;
};

int bench_main() {
  Core core(kNodes, std::chrono::milliseconds(1'000 * kRunning / kPerSecond));
  OpenLoop load(core.serve(), core.module());
  std::atomic<bool> done{false};
  std::thread client([&] {
    load.run();
    done = true;
  });
  std::uint64_t running = 0;
  core.play([&]() -> Task<void> {
    SystemClock clock(core.context().get_executor());
    while (!done) {
      static_cast<void>(co_await clock.sleep_for(100ms));
      running = std::max(running, core.coordinator().stats().running_tasks);
    }
  });
  client.join();
  load.samples.print("vcp/submit_to_assigned");
  std::printf("%-58s %zu /s open loop, at most %llu tasks running\n", "vcp/submit_to_assigned_load",
              kPerSecond, static_cast<unsigned long long>(running));
  return 0;
}

}  // namespace
}  // namespace phase::bench

int main() {
  if (::sodium_init() < 0) return EXIT_FAILURE;
  return phase::bench::bench_main();
}
