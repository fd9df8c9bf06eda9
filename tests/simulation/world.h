// world.h — everything a provider and a requester need besides each other, in memory. Works on a
// SimContext and on an io_context alike; which one is all that differs.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/event.h"
#include "base/random.h"
#include "protocol/manifest/memory_replay_record.h"
#include "protocol/provider/provider.h"
#include "protocol/requester/requester.h"
#include "tests/simulation/memory_worker.h"
#include "tests/simulation/sim_network.h"

namespace phase::simulation {

/// Repeatable bytes.
class SimRandom final : public Random {
 public:
  explicit SimRandom(std::uint64_t seed) : engine_(seed) {}
  void fill(std::span<std::uint8_t> out) override;

 private:
  std::mt19937_64 engine_;
};

/// Keeps receipts, and how many there are for each job.
class MemoryReceipts final : public provider::ReceiptSink {
 public:
  Result<void> keep(const manifest::SignedManifest& manifest,
                    const receipt::SignedReceipt& receipt) override;

  bool broken = false;  ///< refuse to keep
  std::map<manifest::JobId, std::vector<Bytes>> kept;
};

/// Remembers job ids, and which were admitted at any time.
class MemoryReplays final : public manifest::ReplayRecord {
 public:
  explicit MemoryReplays(UtcTime began) : record_(began) {}
  Result<void> admit(const manifest::JobId& id, UtcTime created, UtcTime expires,
                     UtcTime now) override;
  std::vector<manifest::JobId> admitted;

 private:
  manifest::MemoryReplayRecord record_;
};

/// Takes everything in profile fast at level signature, unless told otherwise.
class MemoryPolicy final : public provider::AdmissionPolicy {
 public:
  std::variant<provider::Admitted, provider::Refused> admit(
      const provider::AdmissionRequest& request) override;

  std::optional<provider::Refused> refusal;
  std::map<manifest::JobId, std::size_t> asked;
};

/// A provider with all it needs, and a name on a network.
struct ProviderNode {
  ProviderNode(Clock& clock, Random& random, asio::any_io_executor executor,
               provider::ProviderLimits limits = {}, Duration compile_time = Duration{0});

  [[nodiscard]] requester::Candidate candidate() const;
  [[nodiscard]] SimNetwork::Handler handler();
  [[nodiscard]] Task<void> serve(std::unique_ptr<ByteStream> stream, identity::PublicKey peer);

  identity::KeyPair key;
  MemoryWorker worker;
  MemoryPolicy policy;
  MemoryReplays replays;
  MemoryReceipts receipts;
  provider::Provider provider;
  std::size_t serving = 0;   // streams served now
  std::size_t jobs_max = 0;  // running and queued, the most seen
};

/// Stdin out of memory, in pieces. With `ends` off, it stays open behind its last byte.
class MemoryInput final : public requester::StdinSource {
 public:
  MemoryInput(asio::any_io_executor executor, Bytes bytes, std::size_t piece = 1000)
      : wake_(std::move(executor)), bytes_(std::move(bytes)), piece_(piece) {}
  Task<Result<Bytes>> read() override;
  bool rewind() override;

  bool ends = true;
  bool repeatable = true;
  std::size_t reads_open = 0;  ///< calls of read that did not return

 private:
  Event wake_;
  Bytes bytes_;
  std::size_t piece_;
  std::size_t at_ = 0;
};

/// Remembers what it was told. `said` is a line per call.
class Recorder final : public requester::Observer {
 public:
  void on_attempt(const identity::PublicKey& provider,
                  const manifest::SignedManifest& manifest) override;
  void on_accepted() override;
  void on_output(const job::OutputPiece& piece) override;
  void on_checkpoint(const receipt::Checkpoint& checkpoint) override;
  void on_progress(const offer::Progress& progress) override;
  void on_commit() override { say("commit"); }
  void on_attempt_failed(const identity::PublicKey& provider, const Error& error) override;
  void on_restart() override;

  std::function<void(const std::string&)> hook;  ///< hears each line too
  std::vector<std::string> said;
  std::vector<manifest::JobId> attempts;
  std::vector<manifest::JobId> accepted;
  std::vector<job::OutputPiece> output;  ///< of the attempt that runs now
  std::vector<Error> errors;
  [[nodiscard]] std::string text() const;  ///< output, both streams in order
  [[nodiscard]] bool heard(std::string_view word) const;

 private:
  void say(std::string line);
};

/// A request for a module that is a behaviour of MemoryWorker.
[[nodiscard]] requester::Request make_request(std::string_view behaviour);

}  // namespace phase::simulation
