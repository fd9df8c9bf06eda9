// wire_fixture.h — for tests of what speaks HTTP: a loop in a thread, and a client of bytes.
#pragma once

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <future>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

namespace phase::http {

/// An executor that runs in a thread of its own between `start` and `stop`.
class Loop {
 public:
  ~Loop() { stop(); }
  asio::any_io_executor executor() { return context_.get_executor(); }
  void start() {
    thread_ = std::thread([this] { context_.run(); });
  }
  /// Does `work` on the loop and waits for it; here when no thread runs.
  template <typename Work>
  void run(Work work) {
    if (!thread_.joinable()) {
      return work();
    }
    std::promise<void> done;
    asio::post(context_, [&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  /// Until nothing is left to do.
  void stop() {
    work_.reset();
    if (thread_.joinable()) {
      thread_.join();
    }
  }

 private:
  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  std::thread thread_;
};

/// A client of bytes: sends them, reads until the server closes (or 5 s).
class Wire {
 public:
  explicit Wire(const std::filesystem::path& path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "%s", path.c_str());
    connect(reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  explicit Wire(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connect(reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  ~Wire() { leave(); }
  Wire(Wire&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Wire& operator=(Wire&&) = delete;

  void leave() {
    if (fd_ >= 0) {
      ::close(std::exchange(fd_, -1));
    }
  }

  void send(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) {
        return;
      }
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  /// Until `end` was seen, or the server closed.
  std::string read(std::string_view end = "\x01never") const {
    std::string out;
    char piece[4096];
    ssize_t count = 0;
    while (out.find(end) == std::string::npos &&
           (count = ::recv(fd_, piece, sizeof piece, 0)) > 0) {
      out.append(piece, static_cast<std::size_t>(count));
    }
    EXPECT_FALSE(count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        << "the server neither answered nor closed";
    return out;
  }

 private:
  void connect(const sockaddr* address, socklen_t size) const {
    const timeval limit{5, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    EXPECT_EQ(::connect(fd_, address, size), 0);
  }
  int fd_;
};

}  // namespace phase::http
