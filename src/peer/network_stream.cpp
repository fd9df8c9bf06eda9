#include <optional>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/event.h"
#include "peer/limits.h"
#include "peer/network_stream_internal.h"

namespace phase::peer {

/// Shared with the coroutines inside `read` and `write`, which may outlast the stream.
struct StreamState {
  using Table = std::unordered_map<std::uint64_t, StreamState*>;

  StreamState(asio::any_io_executor the_executor, NetworkStream the_stream,
              std::shared_ptr<Table> the_table)
      : executor(std::move(the_executor)),
        stream(std::move(the_stream)),
        table(std::move(the_table)) {
    table->emplace(stream.id(), this);
  }
  ~StreamState() { table->erase(stream.id()); }
  StreamState(const StreamState&) = delete;
  StreamState& operator=(const StreamState&) = delete;

  void close(bool reset) {
    if (!std::exchange(open, false)) return;
    stream.end(reset);
    wake(readable);
    wake(writable);
  }
  static void wake(std::optional<Event>& event) {
    if (event) event->notify();
  }
  /// Waits until `event` is notified. False when cancelled.
  Task<bool> wait(std::optional<Event>& event) {
    turns = 0;
    if (!event) event.emplace(executor);  // most streams never wait to write
    return event->wait();
  }

  asio::any_io_executor executor;
  NetworkStream stream;
  std::shared_ptr<Table> table;
  bool open = true;
  bool write_closed = false;
  std::size_t turns = 0;  ///< reads and writes since others had a turn
  std::optional<Event> readable, writable;
};

namespace {

tl::unexpected<Error> broken() {
  return fail(Code::connection_closed, "the stream was reset, or the connection is gone");
}
tl::unexpected<Error> cancelled() {
  return fail(Code::cancelled, "the stream's operation was cancelled");
}

/// Whoever never has to wait lets others run now and then.
Task<void> take_turn(StreamState& state) {
  if (++state.turns < kStreamTurnsMax) co_return;
  state.turns = 0;
  co_await asio::post(state.executor, asio::use_awaitable);
}

Task<Result<std::size_t>> read_some(std::shared_ptr<StreamState> state,
                                    std::span<std::uint8_t> out) {
  while (true) {
    if (!state->open) co_return broken();
    if (out.empty()) co_return std::size_t{0};
    const Attempt got = state->stream.read(out);
    switch (got.kind) {
      case Attempt::Kind::moved:
        co_await take_turn(*state);
        co_return got.count;
      case Attempt::Kind::ended:
        co_return std::size_t{0};
      case Attempt::Kind::reset:
        co_return broken();
      case Attempt::Kind::would_block:
        break;
    }
    const bool woken = co_await state->wait(state->readable);
    if (!woken && state->open) co_return cancelled();
  }
}

Task<Result<void>> write_all(std::shared_ptr<StreamState> state, ByteView bytes) {
  while (true) {
    if (state->write_closed || !state->open) {
      co_return fail(Code::connection_closed, "the stream was closed for writing");
    }
    if (bytes.empty()) co_return Result<void>{};
    const Attempt put = state->stream.write(bytes);
    if (put.kind == Attempt::Kind::moved) {
      bytes = bytes.subspan(put.count);
      co_await take_turn(*state);
      if (bytes.empty()) co_return Result<void>{};
      continue;
    }
    if (put.kind != Attempt::Kind::would_block) co_return broken();
    const bool woken = co_await state->wait(state->writable);
    if (!woken && state->open) co_return cancelled();
  }
}

class LibraryStream final : public ByteStream {
 public:
  explicit LibraryStream(std::shared_ptr<StreamState> state) : state_(std::move(state)) {}
  ~LibraryStream() override { state_->close(!state_->write_closed); }

  Task<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    return read_some(state_, out);
  }
  Task<Result<void>> write(ByteView bytes) override { return write_all(state_, bytes); }
  void close_write() override {
    if (std::exchange(state_->write_closed, true) || !state_->open) return;
    state_->stream.shut_down();
    StreamState::wake(state_->writable);
  }
  void reset() override { state_->close(true); }

 private:
  std::shared_ptr<StreamState> state_;
};

}  // namespace

StreamTable::StreamTable(asio::any_io_executor executor)
    : executor_(std::move(executor)), live_(std::make_shared<StreamState::Table>()) {}

StreamTable::~StreamTable() {
  close_all();
}

std::unique_ptr<ByteStream> StreamTable::make(NetworkStream stream) {
  auto state = std::make_shared<StreamState>(executor_, std::move(stream), live_);
  return std::make_unique<LibraryStream>(std::move(state));
}

void StreamTable::readable(std::uint64_t id) {
  const auto found = live_->find(id);
  if (found != live_->end()) StreamState::wake(found->second->readable);
}

void StreamTable::writable(std::uint64_t id) {
  const auto found = live_->find(id);
  if (found != live_->end()) StreamState::wake(found->second->writable);
}

void StreamTable::close_all() {
  for (const auto& [id, state] : *live_) state->close(true);
}

}  // namespace phase::peer
