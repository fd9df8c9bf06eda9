// Goal: our readers take every good vector and refuse every bad one for its reason.
// Method: nothing but the files is used: bytes in, value, re-encoding and error out.
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <gtest/gtest.h>
#include <sodium.h>

#include "artifact/name_record.h"
#include "base/memory_stream.h"
#include "base/random.h"
#include "basics.h"
#include "describe.h"
#include "protocol/verify/verify.h"
#include "vcp/session/frame.h"

namespace phase::vectors {
namespace {

json::array cases_of(const std::string& name) {
  std::ifstream in(std::string(PHASE_SOURCE_DIR "/spec/vectors/") + name, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  return json::parse(text).at("cases").as_array();
}

Bytes hex(const json::value& value) {
  return from_hex(std::string_view(value.as_string())).value();
}

std::optional<Bytes> optional_hex(const json::value& value) {
  if (value.is_null()) return std::nullopt;
  return hex(value);
}

std::string name_of(const json::value& c) {
  return std::string(c.at("name").as_string());
}

template <typename Visit>
void for_each_case(const std::string& file, Visit&& visit) {
  const json::array cases = cases_of(file);
  ASSERT_GT(cases.size(), 5U) << file;
  for (const json::value& c : cases) {
    SCOPED_TRACE(file + ": " + name_of(c));
    visit(c);
  }
}

/// Numbers of a parsed file may be int64 where ours are uint64: compare the texts.
void expect_same(const json::value& expected, const json::value& actual) {
  EXPECT_EQ(to_text(expected), to_text(actual));
}

TEST(ReadVectors, Encoding) {
  for_each_case("encoding.json", [](const json::value& c) {
    expect_same(c.at("error"), error_of(cbor_check(hex(c.at("bytes")))));
  });
}

void check_key(const json::value& c) {
  const auto key = identity::KeyPair::from_seed(hex(c.at("key_file"))).value();
  EXPECT_EQ(key.public_key().hex(), std::string_view(c.at("public_key").as_string()));
  EXPECT_EQ(key.peer_id().text(), std::string_view(c.at("peer_id").as_string()));
  EXPECT_EQ(identity::PeerId::parse(key.peer_id().text()).value(), key.peer_id());
  const Bytes message = hex(c.at("message"));
  const Bytes signature = hex(c.at("signature"));
  EXPECT_EQ(crypto_sign_verify_detached(signature.data(), message.data(), message.size(),
                                        key.public_key().value.data()),
            0);
}

TEST(ReadVectors, Identity) {
  const std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / ("vector-key-" + SystemRandom().uuid());
  for_each_case("identity.json", [&](const json::value& c) {
    const std::string_view kind = c.at("kind").as_string();
    if (kind == "key") {
      check_key(c);
    } else if (kind == "key_file") {
      std::ofstream(path, std::ios::binary) << as_text(hex(c.at("key_file")));
      std::filesystem::permissions(path, std::filesystem::perms(0600));
      expect_same(c.at("error"), error_of(identity::load_key(path)));
    } else {
      expect_same(c.at("error"), error_of(identity::PeerId::parse(c.at("peer_id").as_string())));
    }
  });
  std::filesystem::remove(path);
}

/// What another implementation of libp2p identities wrote for the key files it shares with us.
TEST(ReadVectors, IdentityAgreesWithAnotherImplementation) {
  struct Fact {
    std::string_view key_file, peer_id, signature_begins;
  };
  constexpr Fact kFacts[] = {
      {"8acf98e0507d8198cf4e53ef7bcc87198e5d5d701268609f554dde4e1360b474",
       "12D3KooWHfmrzACTnmJpbq3wvf1YwH73wrkFAEvPhG95Um9RdG4s", "7cb383d61ed25bc6d695c245624571ff"},
      {"139c5fc7802a08a6c57ed769be6c1e4be7c3e1dd98390209a7cbcfbec33b4697",
       "12D3KooWHuaAzJ8FPcXgxgMe3iRbfhu4TPMaRsxAPsopZ8yaY739", "cd46068c1ac92fad6dbb04e736032cb4"},
      {"e51e5825455119adca74b03f7c49d6e115c993a0a973ac0997d326ddf9c11a41",
       "12D3KooWDfSZFeyrvuCmHaxvrzk7FUc6pdKMjCFvVJ71jZRgrbEU", "7ab988b7d859325e68a26d19a75d5528"}};
  std::size_t found = 0;
  for (const json::value& c : cases_of("identity.json")) {
    for (const Fact& fact : kFacts) {
      if (name_of(c).starts_with("key file") || !c.as_object().contains("key_file") ||
          std::string_view(c.at("key_file").as_string()) != fact.key_file)
        continue;
      ++found;
      EXPECT_EQ(c.at("peer_id").as_string(), fact.peer_id);
      EXPECT_EQ(c.at("signature").as_string().subview(0, 32), fact.signature_begins);
    }
  }
  EXPECT_EQ(found, std::size(kFacts));
}

std::optional<identity::Domain> domain_of(std::string_view name) {
  using identity::Domain;
  for (const Domain domain : {Domain::manifest, Domain::receipt, Domain::checkpoint, Domain::node,
                              Domain::commit, Domain::name, Domain::telemetry}) {
    if (identity::domain_name(domain) == name) return domain;
  }
  return std::nullopt;
}

TEST(ReadVectors, Envelope) {
  for_each_case("envelope.json", [](const json::value& c) {
    const identity::Domain domain = domain_of(c.at("domain").as_string()).value();
    const Bytes envelope = hex(c.at("envelope"));
    const auto opened = identity::open(domain, envelope);
    expect_same(c.at("error"), error_of(opened));
    if (!opened) return;
    EXPECT_EQ(opened->signer.bytes().size(), 32U);
    EXPECT_EQ(opened->payload, hex(c.at("payload")));
    EXPECT_EQ(opened->signed_hash.hex(), std::string_view(c.at("signed_hash").as_string()));
    const auto key = identity::KeyPair::from_seed(hex(c.at("seed"))).value();
    EXPECT_EQ(key.public_key(), opened->signer);
    EXPECT_EQ(identity::seal(domain, opened->payload, key), envelope);
  });
}

TEST(ReadVectors, Artifact) {
  for_each_case("artifact.json", [](const json::value& c) {
    const Bytes bytes(c.at("count").to_number<std::size_t>(), hex(c.at("fill")).at(0));
    const job::ArtifactRef ref = job::reference(bytes);
    EXPECT_EQ(ref.id.hex(), std::string_view(c.at("id").as_string()));
    EXPECT_EQ(ref.sha256.hex(), std::string_view(c.at("sha256").as_string()));
  });
}

void expect_artifact_frame(const json::value& c) {
  const Bytes bytes = hex(c.at("bytes"));
  const auto frame = artifact::decode(ByteView(bytes).subspan(4));
  expect_same(c.at("error"), error_of(frame));
  if (frame) {
    EXPECT_EQ(artifact::encode(*frame), bytes);
  }
}

void expect_proof(const json::value& c) {
  artifact::Proof proof;
  for (const json::value& hash : c.at("proof").as_array()) {
    proof.push_back(Sha256::from(hex(hash)).value());
  }
  const Bytes data(c.at("count").to_number<std::size_t>(), hex(c.at("fill")).at(0));
  expect_same(c.at("error"), error_of(artifact::verify_chunk(
                                 ArtifactId::from(hex(c.at("id"))).value(),
                                 c.at("length").to_number<std::uint64_t>(),
                                 c.at("index").to_number<std::uint64_t>(), data, proof)));
}

void expect_record(const json::value& c) {
  const auto record =
      artifact::open_record(hex(c.at("envelope")), {c.at("now").to_number<std::uint64_t>()});
  expect_same(c.at("error"), error_of(record));
  if (!record) return;
  EXPECT_EQ(record->publisher.hex(), std::string_view(c.at("publisher").as_string()));
  EXPECT_EQ(record->record.name, std::string_view(c.at("value").at("name").as_string()));
  EXPECT_EQ(record->record.content.id.hex(), std::string_view(c.at("value").at("id").as_string()));
}

void expect_fleet_frame(const json::value& c) {
  const Bytes bytes = hex(c.at("bytes"));
  const auto frame = vcp::decode_fleet(ByteView(bytes).subspan(4));
  expect_same(c.at("error"), error_of(frame));
  if (frame) {
    EXPECT_EQ(vcp::encode(*frame), bytes);
  }
}

void expect_telemetry(const json::value& c) {
  const Bytes envelope = hex(c.at("envelope"));
  const auto signer = identity::PublicKey::from_hex_text(c.at("signer").as_string()).value();
  const auto telemetry = vcp::open_telemetry(envelope, signer);
  expect_same(c.at("error"), error_of(telemetry));
  if (telemetry) {
    EXPECT_EQ(vcp::encode_payload(*telemetry), hex(c.at("payload")));
  }
}

TEST(ReadVectors, Fleet) {
  for_each_case("fleet.json", [](const json::value& c) {
    if (c.at("kind").as_string() == "frame") return expect_fleet_frame(c);
    expect_telemetry(c);
  });
}

TEST(ReadVectors, ArtifactFrames) {
  for_each_case("artifact-frames.json", [](const json::value& c) {
    const std::string_view kind = c.at("kind").as_string();
    if (kind == "frame") return expect_artifact_frame(c);
    if (kind == "proof") return expect_proof(c);
    expect_record(c);
  });
}

TEST(ReadVectors, Job) {
  for_each_case("job.json", [](const json::value& c) {
    const Bytes bytes = hex(c.at("job"));
    const Result<job::Job> job = job::decode(bytes);
    expect_same(c.at("error"), error_of(job));
    if (!job) return;
    EXPECT_EQ(job::encode(*job), bytes);
    expect_same(c.at("value"), describe(*job));
    EXPECT_EQ(job::complete(*job), !c.at("execution_id").is_null());
    if (!job::complete(*job)) return;
    const job::ExecutionId id = job::execution_id(*job);
    EXPECT_EQ(id.hex(), std::string_view(c.at("execution_id").as_string()));
    const Sha256 salt = Sha256::from(hex(c.at("salt"))).value();
    EXPECT_EQ(job::salted(salt.value, id.bytes()).hex(),
              std::string_view(c.at("salted_execution_id").as_string()));
  });
}

std::vector<job::OutputPiece> transcript_of(const json::value& pieces) {
  std::vector<job::OutputPiece> out;
  for (const json::value& piece : pieces.as_array()) {
    const auto stream = static_cast<job::OutputStream>(piece.at("stream").to_number<int>());
    if (piece.as_object().contains("data")) {
      out.push_back({stream, hex(piece.at("data"))});
    } else {
      out.push_back(
          {stream, Bytes(piece.at("count").to_number<std::size_t>(), hex(piece.at("fill")).at(0))});
    }
  }
  return out;
}

TEST(ReadVectors, Output) {
  for_each_case("output.json", [](const json::value& c) {
    expect_same(c.at("summary"), describe(summary_of(transcript_of(c.at("transcript")))));
  });
}

void expect_times(const json::value& rows, const std::function<Result<void>(UtcTime)>& judge) {
  EXPECT_GT(rows.as_array().size(), 3U);
  for (const json::value& row : rows.as_array()) {
    expect_same(row.at("error"), error_of(judge({row.at("now").to_number<std::uint64_t>()})));
  }
}

TEST(ReadVectors, Manifest) {
  for_each_case("manifest.json", [](const json::value& c) {
    const auto opened = manifest::open(hex(c.at("envelope")));
    expect_same(c.at("error"), error_of(opened));
    if (!opened) return;
    expect_same(c.at("value"), describe(opened->manifest));
    EXPECT_EQ(manifest::encode_payload(opened->manifest), hex(c.at("payload")));
    EXPECT_EQ(opened->id.hex(), std::string_view(c.at("job_id").as_string()));
    EXPECT_EQ(opened->requester.hex(), std::string_view(c.at("requester").as_string()));
    if (const json::value* times = c.as_object().if_contains("times")) {
      expect_times(*times, [&](UtcTime now) { return check_time(opened->manifest, now); });
    }
  });
}

void check_receipt(const json::value& c) {
  const auto opened = receipt::open(hex(c.at("envelope")));
  expect_same(c.at("error"), error_of(opened));
  if (!opened) return;
  expect_same(c.at("value"), describe(opened->receipt));
  EXPECT_EQ(opened->provider.hex(), std::string_view(c.at("provider").as_string()));
  if (name_of(c) == "claimed with keys nobody knows") return;  // those are not written again
  EXPECT_EQ(receipt::encode_payload(opened->receipt), hex(c.at("payload")));
}

void check_commit(const json::value& c) {
  const auto opened = receipt::open_commit(hex(c.at("envelope")));
  expect_same(c.at("error"), error_of(opened));
  if (!opened) return;
  expect_same(c.at("value"), describe(opened->commit));
  const auto nonce = Sha256::from(hex(c.at("nonce"))).value();
  const auto output = job::OutputCommitment::from(hex(c.at("output_commitment"))).value();
  EXPECT_EQ(receipt::commit_value(nonce.value, opened->provider, output, {}), opened->commit.value);
}

TEST(ReadVectors, Receipt) {
  for_each_case("receipt.json", [](const json::value& c) {
    const std::string_view kind = c.at("kind").as_string();
    if (kind == "receipt") return check_receipt(c);
    if (kind == "commit") return check_commit(c);
    const auto opened = receipt::open_checkpoint(hex(c.at("envelope")));
    expect_same(c.at("error"), error_of(opened));
    if (opened) expect_same(c.at("value"), describe(opened->checkpoint));
  });
}

verify::Verdict verdict_of(const json::value& c) {
  const Bytes manifest = hex(c.at("manifest"));
  verify::Evidence evidence;
  evidence.manifest = manifest;
  if (const auto key = optional_hex(c.at("provider"))) {
    evidence.provider = identity::PublicKey::from(*key).value();
  }
  if (const auto input = optional_hex(c.at("input"))) evidence.input = job::commit(*input);
  if (const auto salt = optional_hex(c.at("salt"))) {
    evidence.salt = Sha256::from(*salt).value().value;
  }
  std::vector<job::OutputPiece> transcript;
  if (!c.at("transcript").is_null()) {
    transcript = transcript_of(c.at("transcript"));
    evidence.output = summary_of(transcript);
  }
  std::vector<Bytes> envelopes;
  std::vector<verify::SeenCheckpoint> seen;
  for (const json::value& point : c.at("checkpoints").as_array()) {
    envelopes.push_back(hex(point.at("envelope")));
    const auto end = transcript.begin() + point.at("pieces").to_number<std::ptrdiff_t>();
    seen.push_back({envelopes.back(), summary_of({transcript.begin(), end})});
  }
  evidence.checkpoints = seen;
  const auto level = manifest::level_from_name(c.at("level").as_string()).value();
  return verify::check(hex(c.at("receipt")), evidence, level);
}

TEST(ReadVectors, Verify) {
  std::set<std::string> named;
  for_each_case("verify.json", [&](const json::value& c) {
    const verify::Verdict verdict = verdict_of(c);
    json::value failed = nullptr;
    if (verdict.failed) failed = verify::check_name(*verdict.failed);
    expect_same(c.at("failed_check"), failed);
    EXPECT_EQ(verdict.ok(), c.at("failed_check").is_null());
    EXPECT_EQ(verdict.ok() && verdict.verified->output_checked(), c.at("output_checked").as_bool());
    if (verdict.failed) named.insert(std::string(verify::check_name(*verdict.failed)));
  });
  EXPECT_EQ(named.size(), 16U) << "a check is named by no vector";
}

/// One frame from a stream that holds `bytes` and then ends.
Result<offer::Frame> read_all(const Bytes& bytes) {
  asio::io_context context;
  auto [near, far] = make_memory_stream(context.get_executor());
  Result<offer::Frame> out = fail(Code::internal, "nothing was read");
  const auto write = [](ByteStream& stream, const Bytes& sent) -> Task<void> {
    EXPECT_TRUE((co_await stream.write(sent)).has_value());
    stream.close_write();
  };
  const auto read = [](ByteStream& stream, Result<offer::Frame>& frame) -> Task<void> {
    frame = co_await offer::read_frame(stream);
  };
  asio::co_spawn(context, write(*near, bytes), asio::detached);
  asio::co_spawn(context, read(*far, out), asio::detached);
  context.run();
  return out;
}

TEST(ReadVectors, Frames) {
  for_each_case("frames.json", [](const json::value& c) {
    const Bytes bytes = hex(c.at("bytes"));
    const Result<offer::Frame> frame = read_all(bytes);
    expect_same(c.at("error"), error_of(frame));
    if (!frame) return;
    EXPECT_EQ(offer::encode(*frame), bytes);
    expect_same(c.at("value"), describe(*frame));
    const json::value* node = c.as_object().if_contains("node");
    if (node == nullptr) return;
    const Bytes& envelope = std::get<offer::NodeFrame>(*frame).envelope;
    const auto peer = identity::PublicKey::from(hex(c.at("peer"))).value();
    expect_times(c.at("times"), [&](UtcTime now) -> Result<void> {
      const auto opened = offer::open_capabilities(envelope, peer, now);
      if (!opened) return fail(opened.error());
      expect_same(*node, describe(*opened));
      return {};
    });
    EXPECT_EQ(offer::open_capabilities(envelope, requester().public_key(), {}).error().code,
              Code::verification_failed);
  });
}

}  // namespace
}  // namespace phase::vectors
