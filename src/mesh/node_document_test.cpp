#include "mesh/node_document.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "base/memory_stream.h"
#include "base/system_clock.h"

namespace phase::mesh {
namespace {

class NodeDocumentTest : public ::testing::Test {
 protected:
  offer::Capabilities capabilities() {
    offer::Capabilities out;
    out.created = clock_.now_utc();
    out.expires = {out.created.unix_ms + lifetime_ms_};
    out.agent = "test/1";
    out.arch = "x86_64";
    out.kinds = {"wasm"};
    out.runtime = "wasmtime-1";
    out.jobs_running = ++asked_;
    return out;
  }
  std::shared_ptr<NodeDocument> document(const identity::KeyPair& key) {
    return std::make_shared<NodeDocument>(NodeDocument::World{clock_, key, context_.get_executor()},
                                          [this] { return capabilities(); });
  }
  /// What asking `served` gives to somebody who expects `peer`.
  Result<offer::Capabilities> ask(NodeDocument& served, const identity::PublicKey& peer) {
    auto ends = make_memory_stream(context_.get_executor());
    served.serve(std::move(ends.second));
    return ask(std::move(ends.first), peer, 5s);
  }
  Result<offer::Capabilities> ask(std::unique_ptr<ByteStream> stream,
                                  const identity::PublicKey& peer, Duration patience) {
    std::optional<Result<offer::Capabilities>> out;
    asio::co_spawn(context_,
                   ask_document(clock_, context_.get_executor(), std::move(stream), peer,
                                clock_.deadline_after(patience)),
                   [&out](const std::exception_ptr&, Result<offer::Capabilities> result) {
                     out = std::move(result);
                   });
    context_.restart();
    context_.run();
    return out ? *std::move(out) : fail(Code::internal, "the question did not end");
  }
  /// Writes frames as a peer that does as it likes.
  std::unique_ptr<ByteStream> says(std::vector<offer::Frame> frames) {
    auto ends = make_memory_stream(context_.get_executor());
    asio::co_spawn(context_, write(std::move(ends.second), std::move(frames)), asio::detached);
    return std::move(ends.first);
  }
  static Task<void> write(std::unique_ptr<ByteStream> stream, std::vector<offer::Frame> frames) {
    for (const auto& frame : frames) {
      static_cast<void>(co_await offer::write_frame(*stream, frame));
    }
    stream->close_write();
    Bytes rest(64);
    static_cast<void>(co_await stream->read(rest));
  }

  asio::io_context context_;
  SystemClock clock_{context_.get_executor()};
  SystemRandom random_;
  identity::KeyPair key_ = identity::KeyPair::generate(random_);
  identity::KeyPair other_ = identity::KeyPair::generate(random_);
  std::uint64_t lifetime_ms_ = 60'000;
  std::uint64_t asked_ = 0;
};

TEST_F(NodeDocumentTest, IsToldToWhoAsks) {
  const auto served = document(key_);
  const auto said = ask(*served, key_.public_key());
  ASSERT_TRUE(said) << said.error().text();
  EXPECT_EQ(said->agent, "test/1");
  EXPECT_EQ(said->kinds, std::vector<std::string>{"wasm"});
}

TEST_F(NodeDocumentTest, IsNotBelievedOfAnotherPeer) {
  const auto served = document(key_);
  EXPECT_EQ(ask(*served, other_.public_key()).error().code, Code::verification_failed);
}

TEST_F(NodeDocumentTest, IsNotBelievedWhenItExpired) {
  lifetime_ms_ = 1;
  auto old = capabilities();
  old.created.unix_ms -= 100'000;
  old.expires.unix_ms -= 100'000;
  auto stream = says({offer::NodeFrame{offer::seal(old, key_)}, offer::End{}});
  EXPECT_EQ(ask(std::move(stream), key_.public_key(), 5s).error().code, Code::expired);
}

TEST_F(NodeDocumentTest, RefusesWhatIsNotADocument) {
  for (const auto& frames : std::vector<std::vector<offer::Frame>>{
           {}, {offer::End{}}, {offer::Heartbeat{}, offer::End{}}}) {
    EXPECT_FALSE(ask(says(frames), key_.public_key(), 5s));
  }
  auto cut = says({offer::NodeFrame{offer::seal(capabilities(), key_)}});  // no `end`
  EXPECT_FALSE(ask(std::move(cut), key_.public_key(), 5s));
}

TEST_F(NodeDocumentTest, ASilentPeerIsGivenUp) {
  auto ends = make_memory_stream(context_.get_executor());
  const auto said = ask(std::move(ends.first), key_.public_key(), 20ms);
  EXPECT_EQ(said.error().code, Code::timed_out);
}

TEST_F(NodeDocumentTest, IsSignedOnceForMany) {
  const auto served = document(key_);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(ask(*served, key_.public_key()));
  }
  EXPECT_EQ(asked_, 1U);
}

TEST_F(NodeDocumentTest, IsNotToldOnceClosed) {
  const auto served = document(key_);
  served->close();
  EXPECT_FALSE(ask(*served, key_.public_key()));
}

TEST_F(NodeDocumentTest, AnswersABoundedNumberAtOnce) {
  const auto served = document(key_);
  std::vector<std::unique_ptr<ByteStream>> silent;  // open streams that ask nothing
  for (std::size_t i = 0; i < kDocumentStreamsMax; ++i) {
    auto ends = make_memory_stream(context_.get_executor());
    served->serve(std::move(ends.second));
    silent.push_back(std::move(ends.first));
  }
  auto ends = make_memory_stream(context_.get_executor());
  served->serve(std::move(ends.second));
  Result<std::size_t> read = 1;
  asio::co_spawn(
      context_,
      [](ByteStream& stream, Result<std::size_t>& out) -> Task<void> {
        Bytes buffer(8);
        out = co_await stream.read(buffer);
      }(*ends.first, read),
      asio::detached);
  context_.run_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(read);
  for (auto& stream : silent) {
    stream->reset();
  }
  context_.restart();
  context_.run();
}

}  // namespace
}  // namespace phase::mesh
