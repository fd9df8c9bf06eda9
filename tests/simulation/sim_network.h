// sim_network.h — a network in memory, with as many faults as asked for. Works on any executor with
// any clock; with a SimContext's choices and time every fault replays.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "base/memory_stream.h"
#include "base/random.h"
#include "protocol/requester/requester.h"

namespace phase::simulation {

/// What happens to the bytes of one stream, both directions together.
struct WireFaults {
  Duration delay_max{0};                       ///< each piece waits up to so long
  std::size_t piece_max = kMemoryStreamBytes;  ///< bytes travel in pieces of 1 … so many
  std::optional<std::uint64_t> cut_after;      ///< after so many bytes both ends see a reset
  std::optional<std::uint64_t>
      mute_after;  ///< after so many bytes nothing arrives; told a minute later
};

/// Pieces travel only outside of [from, to); who waits meanwhile is not told.
struct Partition {
  Instant from, to;
};

class SimNetwork final : public requester::Network {
 public:
  using Handler = std::function<Task<void>(std::unique_ptr<ByteStream>, identity::PublicKey)>;

  /// `self`: whom the other side sees. All borrowed.
  SimNetwork(Clock& clock, Random& random, asio::any_io_executor executor, identity::PublicKey self)
      : clock_(clock), random_(random), executor_(std::move(executor)), self_(self) {}

  /// A provider that can be found and reached. Faults apply to streams opened afterwards.
  void add(requester::Candidate candidate, Handler handler, WireFaults faults = {});
  void remove(const identity::PublicKey& key) { places_.erase(key); }
  void set_faults(const identity::PublicKey& key, WireFaults faults);
  void partition(Partition partition) { partition_ = partition; }

  [[nodiscard]] Task<Result<std::vector<requester::Candidate>>> find(requester::Wanted wanted,
                                                                     Deadline deadline) override;
  [[nodiscard]] Task<Result<std::unique_ptr<ByteStream>>> open(identity::PublicKey provider,
                                                               std::string protocol,
                                                               Deadline deadline) override;

 private:
  struct Place {
    requester::Candidate candidate;
    Handler handler;
    WireFaults faults;
  };
  struct Wire;
  [[nodiscard]] Task<void> relay(std::shared_ptr<Wire> wire, ByteStream* from, ByteStream* to);
  [[nodiscard]] std::unique_ptr<ByteStream> wired(std::unique_ptr<ByteStream> near,
                                                  const WireFaults& faults);

  Clock& clock_;
  Random& random_;
  asio::any_io_executor executor_;
  identity::PublicKey self_;
  std::map<identity::PublicKey, Place> places_;
  std::optional<Partition> partition_;
};

}  // namespace phase::simulation
