#include "artifact/server.h"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "base/pool_task.h"

namespace phase::artifact {

struct Server::Conversation {
  Conversation(Clock& clock, const asio::any_io_executor& executor,
               std::unique_ptr<ByteStream> with, const identity::PublicKey& peer)
      : stream(std::move(with)), from(peer), alarm(clock, executor) {}
  std::unique_ptr<ByteStream> stream;
  identity::PublicKey from;
  Alarm alarm;
};

Server::~Server() {
  close();
}

void Server::close() {
  library_ = nullptr;
  if (closed_.exchange(true)) return;
  reads_.join();
  hashes_.join();
}

void Server::serve(std::unique_ptr<ByteStream> stream, const identity::PublicKey& from) {
  const auto known = streams_of_.find(from);
  const std::size_t of_peer = known == streams_of_.end() ? 0 : known->second;
  if (closed_ || library_ == nullptr || streams_ >= limits_.streams_max ||
      of_peer >= limits_.streams_per_peer_max) {
    stream->reset();
    return;
  }
  ++streams_;
  ++streams_of_[from];
  auto with =
      std::make_shared<Conversation>(world_.clock, world_.executor, std::move(stream), from);
  asio::co_spawn(world_.executor, converse(shared_from_this(), std::move(with)), asio::detached);
}

Task<void> Server::converse(std::shared_ptr<Server> self, std::shared_ptr<Conversation> with) {
  bool more = true;
  for (std::uint64_t asks = 0; more && asks <= self->limits_.asks_per_stream_max; ++asks) {
    with->alarm.set(self->world_.clock.now() + self->limits_.idle_max,
                    [s = with->stream.get()] { s->reset(); });
    Result<Frame> frame = co_await read_frame(*with->stream);
    with->alarm.stop();
    more = false;
    if (!frame || self->closed_ || self->library_ == nullptr) break;
    if (const auto* ask = std::get_if<Ask>(&*frame)) {
      Ask asked = *ask;
      more = co_await answer(self, with, asked);
    } else if (const auto* names = std::get_if<Names>(&*frame)) {
      Frame records = Records{self->library_->records(*names, with->from)};
      more = co_await say(self, with, std::move(records));
    } else if (std::holds_alternative<End>(*frame)) {
      Frame end = End{};
      const bool said = co_await say(self, with, std::move(end));
      if (said) with->stream->close_write();
      break;
    }
  }
  with->alarm.stop();
  if (more) with->stream->reset();  // a stream of too many asks
  --self->streams_;
  const auto of_peer = self->streams_of_.find(with->from);
  if (--of_peer->second == 0) self->streams_of_.erase(of_peer);
}

/// False: the other side is gone, or takes nothing.
Task<bool> Server::say(std::shared_ptr<Server> self, std::shared_ptr<Conversation> with,
                       Frame frame) {
  with->alarm.set(self->world_.clock.now() + self->limits_.stall_max,
                  [s = with->stream.get()] { s->reset(); });
  const Result<void> written = co_await write_frame(*with->stream, frame);
  with->alarm.stop();
  co_return written.has_value() && !self->closed_;
}

Task<bool> Server::answer(std::shared_ptr<Server> self, std::shared_ptr<Conversation> with,
                          Ask ask) {
  Result<Library::Item> item = self->library_->open(ask.id, with->from);
  Frame no = NotHere{};
  if (!item) {
    if (item.error().code == Code::busy) no = Busy{kComeAgainMs};
    co_return co_await say(self, with, std::move(no));
  }
  const std::uint64_t count = chunk_count(item->content.length);
  Held held{item->content.length, item->content.sha256, 0};
  if (ask.count == 0 || count == 0) {
    Frame only = held;
    co_return co_await say(self, with, std::move(only));
  }
  if (ask.first >= count) co_return co_await say(self, with, std::move(no));
  ask.count = std::min(ask.count, count - ask.first);
  auto file = std::make_shared<FileDescriptor>(std::move(item->file));
  auto looks = [&self, &ask] { return self->world_.store->tree(ask.id); };
  Result<std::shared_ptr<const Tree>> tree = co_await in_pool(self->reads_, looks);
  if (!tree) {
    asio::co_spawn(self->world_.executor, make_tree(self, item->content, std::move(file)),
                   asio::detached);
    Frame later = Busy{kComeAgainMs};
    co_return co_await say(self, with, std::move(later));
  }
  held.chunks = ask.count;
  Frame head = held;
  const bool said = co_await say(self, with, std::move(head));
  if (!said) co_return false;
  std::shared_ptr<const Tree> kept = *std::move(tree);
  co_return co_await send_chunks(self, with, ask, std::move(kept), std::move(file));
}

Task<bool> Server::send_chunks(std::shared_ptr<Server> self, std::shared_ptr<Conversation> with,
                               Ask ask, std::shared_ptr<const Tree> tree,
                               std::shared_ptr<FileDescriptor> file) {
  for (std::uint64_t index = ask.first; index < ask.first + ask.count; ++index) {
    Chunk chunk{index, tree->proof(index), Bytes(chunk_bytes(tree->length(), index))};
    // A file that changed is not sent: who gets a wrong chunk shuns us, rightly.
    auto reads = [&chunk, &file, &tree]() -> bool {
      const auto read =
          read_at(file->get(), chunk.data, chunk.index * kArtifactChunkBytes, "an artifact");
      return read && tree_leaf(chunk.data) == tree->leaves()[chunk.index];
    };
    const bool good = co_await in_pool(self->reads_, reads);
    if (!good || self->closed_) {
      with->stream->reset();
      co_return false;
    }
    const std::size_t bytes = chunk.data.size();
    co_await self->pace(bytes);
    Frame frame = std::move(chunk);
    const bool said = co_await say(self, with, std::move(frame));
    if (!said) co_return false;
    self->sent_ += bytes;
  }
  co_return true;
}

/// Waits for this many bytes' turn.
Task<void> Server::pace(std::size_t bytes) {
  if (limits_.bytes_per_second == 0) co_return;
  const Instant now = world_.clock.now();
  const Instant turn = std::max(now, free_at_);
  const double seconds = static_cast<double>(bytes) / static_cast<double>(limits_.bytes_per_second);
  free_at_ = turn + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  if (turn > now) {
    const auto slept = co_await world_.clock.sleep_until(turn);
    static_cast<void>(slept);
  }
}

Task<void> Server::make_tree(std::shared_ptr<Server> self, job::ArtifactRef content,
                             std::shared_ptr<FileDescriptor> file) {
  const bool place = self->making_.size() < self->limits_.trees_making_max;
  if (self->closed_ || !place || !self->making_.insert(content.id).second) co_return;
  auto makes = [&self, &content, &file] {
    return self->world_.store->make_tree(content.id, file->get(), content.length, self->closed_)
        .has_value();
  };
  const bool made = co_await in_pool(self->hashes_, makes);
  static_cast<void>(made);  // who asks again begins it again
  self->making_.erase(content.id);
}

void Server::prepare(const ArtifactId& id, const identity::PublicKey& self) {
  if (closed_ || library_ == nullptr || world_.store->tree(id)) return;
  Result<Library::Item> item = library_->open(id, self);
  if (!item) return;
  auto file = std::make_shared<FileDescriptor>(std::move(item->file));
  asio::co_spawn(world_.executor, make_tree(shared_from_this(), item->content, std::move(file)),
                 asio::detached);
}

}  // namespace phase::artifact
