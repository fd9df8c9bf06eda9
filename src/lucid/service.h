// service.h — the node behind the HTTP faces: decides where an ask runs, has it run, keeps its
// receipt. Implements lucid::Lucid.
//
// Every ask is a job: signed manifest, job stream, receipt, verdict, whether it runs here or
// elsewhere. Belongs to one executor.
#pragma once

#include <functional>
#include <memory>

#include <spdlog/logger.h>

#include "base/clock.h"
#include "base/random.h"
#include "identity/identity.h"
#include "lucid/answer.h"
#include "lucid/catalog.h"
#include "lucid/model_pool.h"
#include "lucid/pulls.h"
#include "protocol/requester/requester.h"
#include "store/store.h"

namespace phase::lucid {

/// Finished asks whose prompt and output are still in memory; oldest go first.
inline constexpr std::size_t kKeptAsksMax = 1'000;
inline constexpr std::uint64_t kKeptBytesMax = 64_MiB;

/// A second provider is asked when the first is late by its record: no sooner, no later than this.
inline constexpr Duration kHedgeMin = 50ms;
inline constexpr Duration kHedgeMax = 5s;
/// While nobody was measured yet.
inline constexpr Duration kHedgeUnmeasured = 1s;

class Service final : public Lucid {
 public:
  struct World {
    Clock& clock;
    Random& random;
    const identity::KeyPair& key;
    asio::any_io_executor executor;
    Catalog& catalog;
    ModelPool& pool;
    Models& models;
    store::Store& store;
    requester::Network& local;
    requester::Network* mesh;  ///< null: off
    spdlog::logger& log;
  };
  struct Options {
    std::uint64_t tokens_max = 1'000'000;     ///< of one answer when the client does not say
    std::uint64_t wall_limit_ms = 3'600'000;  ///< of one answer
    /// The same for answers of others: what a policy grants unless its operator changed it.
    std::uint64_t tokens_max_away = 8'192;
    std::uint64_t wall_limit_away_ms = 600'000;
    requester::RequesterLimits requester;
    /// Elsewhere: silence of a provider that only beats, before its first output and after.
    Duration first_output_max_away = 120s, output_silence_max_away = 30s;
    bool hedge = false;                      ///< every ask that goes elsewhere
    std::size_t asks_max = kAsksWaitingMax;  ///< under way at once; more are busy
    /// Content id of a model that others have, by what a client wrote (there is a name in it).
    /// Empty: none.
    using Resolve = std::function<Task<Result<ArtifactId>>(PullSpec)>;
    Resolve resolve;
    /// Whether asks for this model may leave the machine.
    std::function<bool(const ModelName&)> may_leave;
  };
  Service(World world, Options options);
  ~Service() override;

  [[nodiscard]] Task<Result<std::unique_ptr<Answer>>> ask(Ask ask) override;
  [[nodiscard]] Task<Result<void>> load(std::string model, KeepAlive keep_alive) override;
  [[nodiscard]] Models& models() override;
  [[nodiscard]] Task<Result<Kept>> receipt(std::string job_id) override;
  [[nodiscard]] std::size_t asks_running() const noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with asks under way
};

}  // namespace phase::lucid
