#include "base/memory_stream.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/event.h"

namespace phase {
namespace {

/// One direction. Shared by the end that writes and the end that reads; lives until both are gone
/// and no coroutine is inside.
struct Pipe {
  Pipe(const asio::any_io_executor& executor, std::size_t limit)
      : bytes_max(limit), readable(executor), writable(executor) {}

  [[nodiscard]] std::size_t held() const { return buffer.size() - taken; }

  void append(ByteView bytes) {
    if (taken == buffer.size()) {
      buffer.clear();
      taken = 0;
    } else if (taken >= bytes_max) {
      buffer.erase(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(taken));
      taken = 0;
    }
    buffer.insert(buffer.end(), bytes.begin(), bytes.end());
    readable.notify();
  }

  std::size_t take(std::span<std::uint8_t> out) {
    const std::size_t n = std::min(out.size(), held());
    std::memcpy(out.data(), buffer.data() + taken, n);
    taken += n;
    writable.notify();
    return n;
  }

  void reset() {
    broken = true;
    buffer.clear();
    taken = 0;
    readable.notify();
    writable.notify();
  }

  const std::size_t bytes_max;
  Bytes buffer;  // at most 2 × bytes_max, of which `taken` are read
  std::size_t taken = 0;
  bool ended = false;   // the writer closed
  bool broken = false;  // reset by either side
  Event readable, writable;
};

Task<Result<std::size_t>> read_pipe(std::shared_ptr<Pipe> pipe, std::span<std::uint8_t> out) {
  while (true) {
    if (pipe->broken) co_return fail(Code::connection_closed, "the stream was reset");
    if (pipe->held() > 0) co_return pipe->take(out);
    if (pipe->ended) co_return std::size_t{0};
    const bool woken = co_await pipe->readable.wait();
    if (!woken) co_return fail(Code::cancelled, "reading was cancelled");
  }
}

Task<Result<void>> write_pipe(std::shared_ptr<Pipe> pipe, ByteView bytes) {
  while (true) {
    if (pipe->broken) co_return fail(Code::connection_closed, "the stream was reset");
    if (pipe->ended) co_return fail(Code::connection_closed, "the stream was closed for writing");
    const std::size_t room = pipe->bytes_max - pipe->held();
    const std::size_t n = std::min(room, bytes.size());
    if (n > 0) pipe->append(bytes.first(n));
    bytes = bytes.subspan(n);
    if (bytes.empty()) co_return Result<void>{};
    const bool woken = co_await pipe->writable.wait();
    if (!woken) co_return fail(Code::cancelled, "writing was cancelled");
  }
}

class MemoryStream final : public ByteStream {
 public:
  MemoryStream(std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out)
      : in_(std::move(in)), out_(std::move(out)) {}
  ~MemoryStream() override {
    // What was written before close_write is still delivered; nobody reads here any more.
    if (!out_->ended) out_->reset();
    in_->reset();
  }

  Task<Result<std::size_t>> read(std::span<std::uint8_t> out) override {
    return read_pipe(in_, out);
  }
  Task<Result<void>> write(ByteView bytes) override { return write_pipe(out_, bytes); }
  void close_write() override {
    out_->ended = true;
    out_->readable.notify();
    out_->writable.notify();
  }
  void reset() override {
    in_->reset();
    out_->reset();
  }

 private:
  std::shared_ptr<Pipe> in_, out_;  // shared with the other end, and with coroutines inside
};

}  // namespace

MemoryStreamPair make_memory_stream(asio::any_io_executor executor, std::size_t bytes_max) {
  PHASE_CHECK(bytes_max > 0);
  auto there = std::make_shared<Pipe>(executor, bytes_max);
  auto back = std::make_shared<Pipe>(executor, bytes_max);
  MemoryStreamPair pair;
  pair.first = std::make_unique<MemoryStream>(back, there);
  pair.second = std::make_unique<MemoryStream>(there, back);
  return pair;
}

}  // namespace phase
