#include "vcp/server/snapshot_door.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"
#include "daemon/daemon.h"

namespace phase::vcp {
namespace {

namespace fs = std::filesystem;
using Local = asio::local::stream_protocol;

constexpr const char* kSocket = "backup.sock";
constexpr const char* kFolder = "snapshot";
constexpr std::string_view kReady = "ready\n";
constexpr std::size_t kAnswerBytesMax = 4'096;

Result<fs::path> socket_path(const fs::path& data_dir) {
  fs::path path = data_dir / kSocket;
  if (path.string().size() >= sizeof(sockaddr_un{}.sun_path)) {
    return fail(Code::invalid_argument, path.string() + " is too long for a socket",
                "a shorter --data-dir; or stop the coordinator for a backup");
  }
  return path;
}

}  // namespace

struct SnapshotDoor::State : std::enable_shared_from_this<State> {
  State(asio::any_io_executor executor, fs::path where, Take taking)
      : data_dir(std::move(where)), take(std::move(taking)), acceptor(executor), life(executor) {}
  static Task<void> serve(std::shared_ptr<State> self);
  static Task<void> give(std::shared_ptr<State> self, Local::socket socket);

  fs::path data_dir;
  Take take;
  Local::acceptor acceptor;
  asio::steady_timer life;
  Local::socket* open = nullptr;  ///< of the one that is served
  bool closed = false;
};

Task<void> SnapshotDoor::State::serve(std::shared_ptr<State> self) {
  const auto await = asio::as_tuple(asio::use_awaitable);
  while (!self->closed) {
    auto [error, socket] = co_await self->acceptor.async_accept(await);
    if (error || self->closed) co_return;
    co_await give(self, std::move(socket));
  }
}

Task<void> SnapshotDoor::State::give(std::shared_ptr<State> self, Local::socket socket) {
  const auto await = asio::as_tuple(asio::use_awaitable);
  const fs::path folder = self->data_dir / kFolder;
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  Result<void> done = daemon::make_folder(folder / "accounts", "an absolute path");
  self->open = &socket;
  if (done) {
    fs::path to = folder;
    done = co_await self->take(std::move(to));
  }
  if (!self->closed) {
    const std::string answer = done ? std::string(kReady) : done.error().text() + "\n";
    static_cast<void>(co_await asio::async_write(socket, asio::buffer(answer), await));
    self->life.expires_after(kSnapshotLife);
    self->life.async_wait([weak = std::weak_ptr<State>(self)](const auto& error) {
      const auto state = weak.lock();
      if (!error && state && state->open != nullptr) state->open->cancel();
    });
    std::array<char, 1> byte{};
    static_cast<void>(co_await asio::async_read(socket, asio::buffer(byte), await));
    self->life.cancel();
  }
  self->open = nullptr;
  fs::remove_all(folder, ignored);
}

Result<std::unique_ptr<SnapshotDoor>> SnapshotDoor::open(asio::any_io_executor executor,
                                                         const fs::path& data_dir, Take take) {
  PHASE_TRY(const fs::path path, socket_path(data_dir));
  auto state = std::make_shared<State>(std::move(executor), data_dir, std::move(take));
  std::error_code ignored;
  fs::remove(path, ignored);
  fs::remove_all(data_dir / kFolder, ignored);
  boost::system::error_code error;
  state->acceptor.open(Local(), error);
  // The folder is 0700: nobody else gets there between bind and chmod.
  if (!error) state->acceptor.bind(Local::endpoint(path.string()), error);
  if (!error && ::chmod(path.c_str(), 0600) != 0) {
    return fail_errno(errno, "cannot make " + path.string() + " private");
  }
  if (!error) state->acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return fail_errno(error.value(), "cannot listen at " + path.string());
  asio::co_spawn(state->acceptor.get_executor(), State::serve(state), asio::detached);
  return std::unique_ptr<SnapshotDoor>(new SnapshotDoor(std::move(state)));
}

SnapshotDoor::SnapshotDoor(std::shared_ptr<State> state) : state_(std::move(state)) {}

SnapshotDoor::~SnapshotDoor() {
  state_->closed = true;
  boost::system::error_code ignored;
  state_->acceptor.close(ignored);
  state_->life.cancel();
  if (state_->open != nullptr) state_->open->cancel(ignored);
  std::error_code none;
  fs::remove(state_->data_dir / kSocket, none);
}

Result<std::unique_ptr<Snapshot>> Snapshot::ask(const fs::path& data_dir) {
  const auto path = socket_path(data_dir);
  if (!path) return std::unique_ptr<Snapshot>{};  // then no coordinator listens there either
  FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return fail_errno(errno, "cannot make a socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path->string().copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) return std::unique_ptr<Snapshot>{};
    return fail_errno(errno, "cannot ask the coordinator at " + path->string());
  }
  std::string answer;
  while (answer.size() < kAnswerBytesMax && !answer.ends_with('\n')) {
    std::array<char, 256> piece{};
    const ssize_t got = ::read(socket.get(), piece.data(), piece.size());
    if (got <= 0) return fail(Code::unavailable, "the coordinator stopped", "try again");
    answer.append(piece.data(), static_cast<std::size_t>(got));
  }
  if (answer != kReady) {
    return fail(Code::io, "the coordinator cannot copy its state: " + printable(answer, 400));
  }
  return std::unique_ptr<Snapshot>(new Snapshot(std::move(socket), data_dir / kFolder));
}

}  // namespace phase::vcp
