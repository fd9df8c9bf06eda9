// Names: who says what, what is believed, what a name is held to.
#include <thread>

#include "artifact/artifact_fixture.h"
#include "artifact/name_book.h"
#include "artifact/name_search.h"
#include "artifact/server.h"
#include "base/memory_stream.h"

namespace phase::artifact {
namespace {

class NameTest : public ArtifactTest {
 protected:
  NameRecord record(std::string_view content, std::string name = "tiny:latest",
                    std::uint64_t age_ms = 0) {
    NameRecord out;
    out.name = std::move(name);
    out.content = job::reference(as_bytes(content));
    out.created = {now_.unix_ms - age_ms};
    out.expires = {out.created.unix_ms + 3'600'000};
    return out;
  }
  SignedRecord said(const identity::KeyPair& by, std::string_view content,
                    std::uint64_t age_ms = 0) {
    return sign(record(content, "tiny:latest", age_ms), by);
  }
  static std::string peer(const identity::KeyPair& key) { return key.peer_id().text(); }

  identity::KeyPair alice_ = identity::KeyPair::generate(random_);
  identity::KeyPair bob_ = identity::KeyPair::generate(random_);
  UtcTime now_ = clock_.now_utc();
  NameBook book_{folder_};
};

TEST_F(NameTest, ARecordIsReadAsSigned) {
  const SignedRecord signed_one = said(alice_, "weights");
  const auto read = open_record(signed_one.envelope, now_);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->record, signed_one.record);
  EXPECT_EQ(read->publisher, alice_.public_key());
}

TEST_F(NameTest, EveryTurnedBitOfARecordIsRefused) {
  const Bytes envelope = said(alice_, "weights").envelope;
  for (std::size_t bit = 0; bit < envelope.size() * 8; ++bit) {
    Bytes turned = envelope;
    turned[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    EXPECT_FALSE(open_record(turned, now_)) << bit;
  }
}

TEST_F(NameTest, TimesAreKeptTo) {
  NameRecord one = record("weights");
  EXPECT_EQ(open_record(sign(one, alice_).envelope, one.expires).error().code, Code::expired);
  one.created.unix_ms = now_.unix_ms + kRecordSkewMsMax + 1;
  one.expires.unix_ms = one.created.unix_ms + 1;
  EXPECT_EQ(open_record(sign(one, alice_).envelope, now_).error().code, Code::expired);
  one.created = now_;
  one.expires.unix_ms = now_.unix_ms + kRecordLifeMsMax + 1;
  EXPECT_EQ(open_record(sign(one, alice_).envelope, now_).error().code, Code::malformed);
  one.expires.unix_ms = now_.unix_ms + 1;
  one.name = "a\x1b[31m";
  EXPECT_EQ(open_record(sign(one, alice_).envelope, now_).error().code, Code::malformed);
  one.name = std::string(kNameBytesMax + 1, 'a');
  EXPECT_EQ(open_record(sign(one, alice_).envelope, now_).error().code, Code::malformed);
}

TEST_F(NameTest, PublishersWhoAgreeAreBelieved) {
  const auto chosen = choose("tiny:latest", {said(alice_, "one"), said(bob_, "one")}, {}, "");
  ASSERT_TRUE(chosen) << chosen.error().text();
  EXPECT_EQ(*chosen, job::reference(as_bytes("one")));
  EXPECT_EQ(choose("tiny:latest", {}, {}, "").error().code, Code::not_found);
}

TEST_F(NameTest, AConflictNamesEachContentAndWhoSaysSo) {
  const std::vector<SignedRecord> both{said(alice_, "one"), said(bob_, "two")};
  const auto refused = choose("tiny:latest", both, {}, "");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::already_exists);
  const std::string text = refused.error().text();
  for (const auto& word : {peer(alice_), peer(bob_), sha256(as_bytes("one")).hex().substr(0, 12),
                           sha256(as_bytes("two")).hex().substr(0, 12), std::string("conflict"),
                           std::string("@sha256:")}) {
    EXPECT_NE(text.find(word), std::string::npos) << word << " in " << text;
  }
  const std::string digest = sha256(as_bytes("two")).hex();
  EXPECT_EQ(choose("tiny:latest", both, {}, digest)->sha256.hex(), digest);
  EXPECT_EQ(choose("tiny:latest", both, {}, digest.substr(0, kDigestPrefixMin))->sha256.hex(),
            digest);
  EXPECT_EQ(choose("tiny:latest", both, {}, std::string(64, '0')).error().code, Code::not_found);
}

TEST_F(NameTest, TheNewestOfAPublisherStands) {
  const auto chosen =
      choose("tiny:latest", {said(alice_, "old", 1000), said(alice_, "new")}, {}, "");
  ASSERT_TRUE(chosen) << chosen.error().text();
  EXPECT_EQ(*chosen, job::reference(as_bytes("new")));
}

TEST_F(NameTest, APinDecidesAndADifferenceIsShown) {
  const Sha256 one = sha256(as_bytes("one"));
  const Pin to_content{"tiny:latest", one, {}, {}, false, now_};
  const std::vector<SignedRecord> both{said(alice_, "one"), said(bob_, "two")};
  EXPECT_EQ(choose("tiny:latest", both, to_content, "")->sha256, one);
  const auto changed = choose("tiny:latest", {said(bob_, "two")}, to_content, "");
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, Code::already_exists);
  EXPECT_NE(changed.error().text().find("lucidd unpin"), std::string::npos);
  EXPECT_NE(changed.error().text().find(peer(bob_)), std::string::npos);
  const Pin to_bob{"tiny:latest", {}, {}, bob_.public_key(), true, now_};
  EXPECT_EQ(choose("tiny:latest", both, to_bob, "")->sha256, sha256(as_bytes("two")));
  EXPECT_FALSE(choose("tiny:latest", {said(alice_, "one")}, to_bob, ""));
  EXPECT_EQ(choose("tiny:latest", both, to_bob, one.hex())->sha256, one) << "asked by digest";
}

TEST_F(NameTest, TheBookRemembersWithinBounds) {
  EXPECT_TRUE(book_.records(now_)->empty());
  ASSERT_TRUE(book_.remember({said(alice_, "one"), said(bob_, "two")}, now_));
  ASSERT_TRUE(book_.remember({said(alice_, "three")}, now_));
  const auto all = book_.records({"tiny:latest", {}, {}}, now_);
  ASSERT_EQ(all->size(), 2U) << "the newest of each";
  EXPECT_EQ(book_.records({"other:latest", {}, {}}, now_)->size(), 0U);
  EXPECT_EQ(book_.records({"", sha256(as_bytes("two")), {}}, now_)->size(), 1U);
  EXPECT_EQ(book_.records({now_.unix_ms + 4'000'000})->size(), 0U) << "they expired";
  std::vector<SignedRecord> many;
  for (std::size_t i = 0; i < kRecordsKeptMax + 50; ++i) {
    many.push_back(sign(record("x", "m" + std::to_string(i) + ":latest"), alice_));
  }
  ASSERT_TRUE(book_.remember(many, now_));
  EXPECT_EQ(book_.records(now_)->size(), kRecordsKeptMax);
}

TEST_F(NameTest, PinsAreKeptByWhoeverWritesThem) {
  const Sha256 one = sha256(as_bytes("one"));
  EXPECT_FALSE(book_.pin_of("tiny:latest")->has_value());
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([this, writer, one] {
      NameBook mine(folder_);
      for (int i = 0; i < 10; ++i) {
        const std::string name = std::to_string(writer) + "-" + std::to_string(i) + ":latest";
        EXPECT_TRUE(mine.pin({name, one, {}, {}, true, now_}));
      }
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(book_.pins()->size(), 40U);
  ASSERT_TRUE(book_.pin({"tiny:latest", {}, {}, bob_.public_key(), false, now_}));
  const auto pin = book_.pin_of("tiny:latest");
  ASSERT_TRUE(pin && *pin);
  EXPECT_EQ((*pin)->publisher, bob_.public_key());
  EXPECT_TRUE(*book_.unpin("tiny:latest"));
  EXPECT_FALSE(*book_.unpin("tiny:latest"));
  std::ofstream(folder_ / "pins.json") << R"({"pins":[{"name":"a:latest","sha256":"no"}]})";
  EXPECT_FALSE(book_.pin_of("a:latest")) << "a damaged pin must not open what it closed";
}

/// Says what it is told to, to everybody.
class Says final : public Library {
 public:
  Result<Item> open(const ArtifactId&, const identity::PublicKey&) override {
    return fail(Code::not_found, "nothing");
  }
  std::vector<Bytes> records(const Names& asked, const identity::PublicKey&) override {
    last = asked;
    return what;
  }
  std::vector<Bytes> what;
  Names last;
};

class Neighbours final : public Peers {
 public:
  Neighbours(Clock& clock, asio::any_io_executor executor, std::shared_ptr<Store> store)
      : clock_(clock), executor_(std::move(executor)), store_(std::move(store)) {}
  ~Neighbours() override {
    for (auto& [key, server] : servers_) server->close();
  }
  void add(const identity::PublicKey& key, Library& library) {
    auto server =
        std::make_shared<Server>(Server::World{clock_, executor_, store_}, ServerLimits{});
    server->share(&library);
    servers_[key] = std::move(server);
  }
  std::vector<identity::PublicKey> connected() const override {
    std::vector<identity::PublicKey> out;
    for (const auto& [key, server] : servers_) out.push_back(key);
    return out;
  }
  Task<Result<std::vector<identity::PublicKey>>> announced(std::string, Deadline) override {
    co_return std::vector<identity::PublicKey>{};
  }
  Task<Result<std::unique_ptr<ByteStream>>> open(identity::PublicKey peer, Deadline) override {
    auto ends = make_memory_stream(executor_);
    servers_.at(peer)->serve(std::move(ends.second), identity::PublicKey{});
    co_return std::move(ends.first);
  }

 private:
  Clock& clock_;
  asio::any_io_executor executor_;
  std::shared_ptr<Store> store_;
  std::map<identity::PublicKey, std::shared_ptr<Server>> servers_;
};

TEST_F(NameTest, PeersAreAskedAndOnlySignaturesAreBelieved) {
  Says honest, liar;
  Bytes forged = said(alice_, "forged").envelope;
  forged.back() ^= 1;
  honest.what = {said(alice_, "one").envelope, said(bob_, "one").envelope};
  liar.what = {forged, sign(record("two", "other:latest"), bob_).envelope, to_bytes("junk")};
  Neighbours peers(clock_, context_.get_executor(), store());
  peers.add(alice_.public_key(), honest);
  peers.add(bob_.public_key(), liar);
  const auto found = run(
      search_names({clock_, context_.get_executor(), peers}, {"tiny:latest", {}, {}}, "key", {}));
  EXPECT_EQ(found.size(), 2U);
  for (const auto& one : found) EXPECT_EQ(one.record.content, job::reference(as_bytes("one")));
  EXPECT_EQ(honest.last.name, "tiny:latest");
}

TEST_F(NameTest, NobodyHasIt) {
  Neighbours peers(clock_, context_.get_executor(), store());
  SearchLimits limits;
  limits.search_max = 50ms;
  const auto found = run(search_names({clock_, context_.get_executor(), peers},
                                      {"tiny:latest", {}, {}}, "key", limits));
  EXPECT_TRUE(found.empty());
}

}  // namespace
}  // namespace phase::artifact
