// Giving and getting in one process: several peers, of which some lie, stall or leave.
#include <algorithm>

#include "artifact/artifact_fixture.h"
#include "artifact/fetcher.h"
#include "artifact/server.h"
#include "base/memory_stream.h"

namespace phase::artifact {
namespace {

using identity::PublicKey;

/// One file for everybody.
class OneFile final : public Library {
 public:
  OneFile(std::filesystem::path path, job::ArtifactRef content)
      : path_(std::move(path)), content_(content) {}
  Result<Item> open(const ArtifactId& id, const PublicKey&) override {
    ++asked;
    if (id != content_.id) return fail(Code::not_found, "another");
    if (paused) return fail(Code::busy, "paused");
    PHASE_TRY(FileDescriptor file, open_file(path_, O_RDONLY));
    return Item{content_, std::move(file)};
  }
  std::vector<Bytes> records(const Names&, const PublicKey&) override { return {}; }
  bool paused = false;
  std::size_t asked = 0;

 private:
  std::filesystem::path path_;
  job::ArtifactRef content_;
};

enum class Manner : std::uint8_t { honest, lies, stalls, lies_about_length, leaves };

/// What a peer does with what it reads from its stream.
struct Behaviour {
  std::shared_ptr<Server> server;
  Manner manner = Manner::honest;
  Bytes content;
};

/// Takes asks and answers them wrongly.
Task<void> misbehave(std::shared_ptr<Behaviour> who, std::unique_ptr<ByteStream> stream) {
  const Tree tree = tree_of(who->content);
  for (;;) {
    const Result<Frame> frame = co_await read_frame(*stream);
    if (!frame || !std::holds_alternative<Ask>(*frame)) co_return;
    const Ask ask = std::get<Ask>(*frame);
    const std::uint64_t more = who->manner == Manner::lies_about_length ? 1 : 0;
    const std::uint64_t count = std::min(ask.count, chunk_count(who->content.size()) - ask.first);
    const Frame held = Held{who->content.size() + more, sha256(who->content), count};
    static_cast<void>(co_await write_frame(*stream, held));
    for (std::uint64_t i = ask.first; i < ask.first + count; ++i) {
      Chunk chunk{i, tree.proof(i), to_bytes(chunk_at(who->content, i))};
      if (who->manner == Manner::stalls && i > 0) {
        Bytes nothing(1);
        static_cast<void>(co_await stream->read(nothing));  // until it is reset
        co_return;
      }
      if (who->manner == Manner::leaves && i > 1) co_return;
      if (who->manner == Manner::lies) chunk.data[chunk.data.size() / 2] ^= 1;
      const Frame said = std::move(chunk);
      const Result<void> written = co_await write_frame(*stream, said);
      if (!written) co_return;
    }
  }
}

class MemoryPeers final : public Peers {
 public:
  explicit MemoryPeers(asio::any_io_executor executor) : executor_(std::move(executor)) {}
  std::vector<PublicKey> connected() const override {
    std::vector<PublicKey> out;
    for (const auto& [key, who] : all) out.push_back(key);
    return out;
  }
  Task<Result<std::vector<PublicKey>>> announced(std::string, Deadline) override {
    co_return connected();
  }
  Task<Result<std::unique_ptr<ByteStream>>> open(PublicKey peer, Deadline) override {
    const auto found = all.find(peer);
    if (found == all.end()) co_return fail(Code::unavailable, "nobody");
    ++opened[peer];
    auto ends = make_memory_stream(executor_);
    if (found->second->manner == Manner::honest) {
      found->second->server->serve(std::move(ends.second), PublicKey{});
    } else {
      asio::co_spawn(executor_, misbehave(found->second, std::move(ends.second)), asio::detached);
    }
    co_return std::move(ends.first);
  }
  std::map<PublicKey, std::shared_ptr<Behaviour>> all;
  std::map<PublicKey, std::size_t> opened;

 private:
  asio::any_io_executor executor_;
};

class FetchTest : public ArtifactTest {
 protected:
  FetchTest() {
    std::ofstream(folder_ / "source", std::ios::binary)
        .write(as_text(content_).data(), static_cast<std::streamsize>(content_.size()));
    limits_.chunk_max = 2s;  // an honest one on a busy machine needs a part of it
    limits_.nobody_max = 1s;
    limits_.look_again = 50ms;
  }
  ~FetchTest() override {
    fetcher_.reset();
    for (auto& [key, who] : peers_.all) {
      if (who->server) who->server->close();
    }
    context_.restart();
    context_.poll();
  }
  PublicKey add(Manner manner) {
    const PublicKey key = identity::KeyPair::generate(random_).public_key();
    auto who = std::make_shared<Behaviour>();
    who->manner = manner;
    who->content = content_;
    if (manner == Manner::honest) {
      auto kept = store("peer" + std::to_string(peers_.all.size()));
      const auto file = open_file(folder_ / "source", O_RDONLY);
      EXPECT_TRUE(kept->make_tree(ref_.id, file->get(), ref_.length, go_on_));
      who->server = std::make_shared<Server>(
          Server::World{clock_, context_.get_executor(), std::move(kept)}, server_limits_);
      who->server->share(&library_);
    }
    peers_.all[key] = std::move(who);
    return key;
  }
  std::unique_ptr<Fetcher::Ticket> begin() {
    if (!fetcher_) {
      fetcher_ = std::make_unique<Fetcher>(
          Fetcher::World{clock_, context_.get_executor(), peers_, store_, log_}, limits_);
    }
    auto ticket = fetcher_->fetch(ref_.id, "key", {});
    EXPECT_TRUE(ticket);
    return *std::move(ticket);
  }
  static Task<Result<FetchProgress>> follow(Fetcher::Ticket& ticket) {
    for (;;) {
      Result<FetchProgress> at = co_await ticket.next();
      if (!at || at->content) co_return at;
    }
  }
  Result<FetchProgress> fetched() {
    const auto ticket = begin();
    return run(follow(*ticket));
  }
  void is_right(const Result<FetchProgress>& done) {
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(*done->content, ref_);
    EXPECT_EQ(read_all(store_->blob_path(ref_.sha256)), content_);
  }

  Bytes content_ = content_of(40 * kArtifactChunkBytes + 5);
  job::ArtifactRef ref_ = job::reference(content_);
  OneFile library_{folder_ / "source", ref_};
  std::shared_ptr<Store> store_ = store();
  MemoryPeers peers_{context_.get_executor()};
  FetchLimits limits_;
  ServerLimits server_limits_;
  std::unique_ptr<Fetcher> fetcher_;
};

TEST_F(FetchTest, FromOnePeer) {
  add(Manner::honest);
  const auto done = fetched();
  is_right(done);
  EXPECT_EQ(done->fetched, content_.size());
  EXPECT_EQ(done->peers, 1U);
}

TEST_F(FetchTest, OneLongerThanTheLimitIsNotFetched) {
  add(Manner::honest);
  limits_.bytes_max = content_.size() - 1;
  const auto done = fetched();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::too_large);
}

TEST_F(FetchTest, FromThreePeersAtOnce) {
  server_limits_.bytes_per_second = 8_MiB;  // so that none is done before the others begin
  std::vector<std::shared_ptr<Server>> servers;
  for (int i = 0; i < 3; ++i) servers.push_back(peers_.all[add(Manner::honest)]->server);
  const auto done = fetched();
  is_right(done);
  EXPECT_EQ(done->peers, 3U);
  EXPECT_EQ(done->fetched, content_.size());
  std::uint64_t sent = 0;
  for (const auto& server : servers) {
    EXPECT_GT(server->bytes_sent(), 0U);
    sent += server->bytes_sent();
  }
  EXPECT_LE(sent, 2 * content_.size() + 3 * kArtifactChunkBytes) << "at most two were asked";
}

TEST_F(FetchTest, ALiarIsFoundAtOnceAndLeftAlone) {
  const PublicKey liar = add(Manner::lies);
  EXPECT_FALSE(fetched()) << "from a liar alone nothing comes";
  EXPECT_EQ(peers_.opened[liar], 1U);
  add(Manner::honest);
  is_right(fetched());
  EXPECT_EQ(peers_.opened[liar], 1U) << "it was not asked again";
}

TEST_F(FetchTest, ALieAboutTheLengthIsALie) {
  const PublicKey liar = add(Manner::lies_about_length);
  add(Manner::honest);
  is_right(fetched());
  EXPECT_LE(peers_.opened[liar], 1U);
}

TEST_F(FetchTest, ALiarAndAStallerBesideAnHonestOne) {
  add(Manner::lies);
  add(Manner::stalls);
  add(Manner::leaves);
  add(Manner::honest);
  is_right(fetched());
}

TEST_F(FetchTest, StallersAloneAreGivenUp) {
  add(Manner::stalls);
  const auto done = fetched();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::unavailable) << done.error().text();
  EXPECT_FALSE(done.error().hint.empty());
}

TEST_F(FetchTest, NobodyIsSaidWithAWayOut) {
  const auto done = fetched();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::unavailable);
  EXPECT_FALSE(done.error().hint.empty());
}

TEST_F(FetchTest, WhatCameIsNotFetchedAgain) {
  server_limits_.bytes_per_second = 20_MiB;
  add(Manner::honest);
  {
    const auto ticket = begin();
    run([](Fetcher::Ticket& one) -> Task<int> {
      for (;;) {
        const auto at = co_await one.next();
        if (!at || at->fetched > 8 * kArtifactChunkBytes) co_return 0;
      }
    }(*ticket));
  }  // nobody waits for it any more: it stops
  ASSERT_TRUE(store_->has_partial(ref_.id));
  const auto done = fetched();
  is_right(done);
  EXPECT_LE(done->fetched, content_.size() - 8 * kArtifactChunkBytes);
}

TEST_F(FetchTest, TwoWhoWantItShareOneFetch) {
  server_limits_.bytes_per_second = 20_MiB;
  const PublicKey peer = add(Manner::honest);
  const auto first = begin();
  auto second = begin();
  bool left = false;
  asio::co_spawn(
      context_,
      [](std::unique_ptr<Fetcher::Ticket>& one, bool& gone) -> Task<void> {
        const auto at = co_await one->next();
        EXPECT_TRUE(at);
        one.reset();  // the other still wants it
        gone = true;
      }(second, left),
      asio::detached);
  is_right(run(follow(*first)));
  EXPECT_TRUE(left);
  EXPECT_EQ(peers_.opened[peer], 1U);
}

TEST_F(FetchTest, ABusyHolderIsWaitedFor) {
  add(Manner::honest);
  library_.paused = true;
  const auto ticket = begin();
  bool over = false;
  asio::co_spawn(
      context_,
      [](OneFile& library, Clock& clock) -> Task<void> {
        while (library.asked == 0) {
          static_cast<void>(co_await clock.sleep_for(5ms));
        }
        library.paused = false;
      }(library_, clock_),
      [&over](const std::exception_ptr&) { over = true; });
  is_right(run(follow(*ticket)));
  EXPECT_TRUE(over);
}

TEST_F(FetchTest, ATreeThatIsMissingIsMadeWhenAsked) {
  const PublicKey key = add(Manner::honest);
  peers_.all[key]->server->close();
  auto server = std::make_shared<Server>(
      Server::World{clock_, context_.get_executor(), store("fresh")}, server_limits_);
  server->share(&library_);
  peers_.all[key]->server = server;
  is_right(fetched());
}

TEST_F(FetchTest, AFileThatChangedIsNotSent) {
  add(Manner::honest);
  overwrite(folder_ / "source", 100, Bytes{static_cast<std::uint8_t>(~content_[100])});
  const auto done = fetched();
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().code, Code::verification_failed) << "the holder noticed before us";
}

TEST_F(FetchTest, NothingIsAnArtifactToo) {
  ref_ = job::reference({});
  content_.clear();
  is_right(fetched());
}

TEST_F(FetchTest, StreamsOfOnePeerAreBounded) {
  server_limits_.streams_per_peer_max = 1;
  add(Manner::honest);
  auto& server = *peers_.all.begin()->second->server;
  auto first = make_memory_stream(context_.get_executor());
  auto second = make_memory_stream(context_.get_executor());
  server.serve(std::move(first.second), PublicKey{});
  server.serve(std::move(second.second), PublicKey{});
  Bytes buffer(1);
  const auto read = run(second.first->read(buffer));
  EXPECT_FALSE(read && *read > 0) << "the second was reset";
  const auto served = [&]() -> Task<Result<Frame>> {
    const Frame ask = Ask{ref_.id, 0, 0};
    static_cast<void>(co_await write_frame(*first.first, ask));
    co_return co_await read_frame(*first.first);
  };
  const auto held = run(served());
  ASSERT_TRUE(held) << held.error().text();
  EXPECT_EQ(std::get<Held>(*held).length, ref_.length);
}

}  // namespace
}  // namespace phase::artifact
