// postgres_fixture.h — a PostgreSQL server for one test program (tests/postgres/server.py).
#pragma once

#include <array>
#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "sql/postgres.h"

namespace phase::sql {

/// Runs until the program ends; started by the first who asks.
class TestServer {
 public:
  /// `source`: the root of the source tree (PHASE_SOURCE_DIR).
  static TestServer& instance(const std::string& source) {
    static TestServer server(source + "/tests/postgres/server.py");
    return server;
  }
  /// False: PostgreSQL is not installed here.
  [[nodiscard]] bool there() const { return !url_.empty(); }
  /// The URL of a database that is made anew: what was there is gone.
  [[nodiscard]] std::string fresh(const std::string& name) const {
    auto server = Postgres::connect(url_);
    EXPECT_TRUE(server) << server.error().text();
    if (!server) return url_;
    for (const char* change : {"DROP DATABASE IF EXISTS ", "CREATE DATABASE "}) {
      const Result<void> done = server->execute(change + name);
      EXPECT_TRUE(done) << done.error().text();
    }
    return url_.substr(0, url_.rfind('/') + 1) + name;
  }

  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;
  ~TestServer() {
    in_.reset();  // it ends with its input
    if (process_ > 0) ::waitpid(process_, nullptr, 0);
  }

 private:
  explicit TestServer(const std::string& program) {
    std::array<int, 2> to{}, from{};
    if (::pipe2(to.data(), O_CLOEXEC) != 0 || ::pipe2(from.data(), O_CLOEXEC) != 0) return;
    process_ = ::fork();
    if (process_ == 0) {
      ::dup2(to[0], STDIN_FILENO);
      ::dup2(from[1], STDOUT_FILENO);
      ::execl(program.c_str(), program.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    in_.reset(to[1]);
    const FileDescriptor out(from[0]);
    char letter = 0;
    while (::read(out.get(), &letter, 1) == 1 && letter != '\n') url_ += letter;
  }

  FileDescriptor in_;
  pid_t process_ = -1;
  std::string url_;
};

}  // namespace phase::sql
