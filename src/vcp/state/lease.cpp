#include "vcp/state/lease.h"

#include <algorithm>
#include <array>
#include <atomic>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <sys/eventfd.h>

#include "base/descriptor.h"
#include "base/pool_task.h"

namespace phase::vcp {
namespace {

constexpr std::array<const char*, 2> kSchema = {
    "CREATE TABLE leadership (id BIGINT NOT NULL PRIMARY KEY, epoch BIGINT NOT NULL, holder TEXT "
    "NOT NULL, address TEXT NOT NULL, fleet BLOB NOT NULL)",
    "CREATE TABLE leader_seen (id BIGINT NOT NULL PRIMARY KEY, at BIGINT NOT NULL)"};

// Milliseconds by the server's clock: the only one that counts here.
constexpr const char* kStillHere =
    "INSERT INTO leader_seen (id, at) VALUES (1, CAST(extract(epoch FROM clock_timestamp()) * 1000 "
    "AS BIGINT)) ON CONFLICT (id) DO UPDATE SET at = excluded.at";
constexpr const char* kSilence =
    "SELECT greatest(0, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) - at) FROM "
    "leader_seen WHERE id = 1";

// Advisory locks of this database: the lead, and bringing the schema of this file up to date.
constexpr const char* kTakeLead = "SELECT pg_try_advisory_lock(1346913281, 1)";
constexpr const char* kEndLeader =
    "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory' AND granted "
    "AND classid = 1346913281 AND objid = 1 AND database = (SELECT oid FROM pg_database WHERE "
    "datname = current_database())";
constexpr const char* kLockSchema = "SELECT pg_advisory_lock(1346913281, 2)";
constexpr const char* kUnlockSchema = "SELECT pg_advisory_unlock(1346913281, 2)";
constexpr const char* kChannel = "phase_leader";

}  // namespace

struct Lease::State {
  State(asio::any_io_executor on, Options chosen)
      : executor(std::move(on)),
        options(std::move(chosen)),
        wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  // All of these block, in the thread.
  [[nodiscard]] Result<sql::Postgres> connect();
  [[nodiscard]] Result<Leader> leader(sql::Postgres& server);
  [[nodiscard]] Result<std::uint64_t> begin_epoch(sql::Postgres& server);
  [[nodiscard]] Result<void> end_silent_leader(sql::Postgres& server);
  [[nodiscard]] Result<Lead> acquire();
  [[nodiscard]] Result<Lead> lead(sql::Postgres server);
  void tell(const Leader& leader);

  asio::any_io_executor executor;
  Options options;
  FileDescriptor wake;
  std::atomic<bool> stopped = false;
  std::function<void(const Leader&)> heard;
  std::uint64_t told = 0;
  asio::thread_pool thread{1};
};

Result<sql::Postgres> Lease::State::connect() {
  PHASE_TRY(sql::Postgres out, sql::Postgres::connect(options.url));
  PHASE_TRY_VOID(out.integer(kLockSchema));
  PHASE_TRY_VOID(sql::migrate(out, "leadership", kSchema));
  PHASE_TRY_VOID(out.integer(kUnlockSchema));
  PHASE_TRY_VOID(out.listen(kChannel));
  return out;
}

/// Errors: Code::not_found while nobody ever led; Code::invalid_argument for another fleet.
Result<Leader> Lease::State::leader(sql::Postgres& server) {
  PHASE_TRY(sql::Statement query,
            server.prepare("SELECT epoch, holder, address, fleet FROM leadership WHERE id = 1"));
  PHASE_TRY(const bool there, query.step());
  if (!there) return fail(Code::not_found, "nobody led this fleet yet");
  const Bytes fleet = query.blob(3);
  if (!std::ranges::equal(fleet, options.fleet.value)) {
    return fail(Code::invalid_argument, "this database is of a fleet with another secret",
                "give every coordinator of a fleet the same --fleet-secret-file");
  }
  return Leader{query.integer(0), query.text(1), query.text(2)};
}

/// The row is changed under the lock that transactions of a former leader wait for, or hold.
Result<std::uint64_t> Lease::State::begin_epoch(sql::Postgres& server) {
  PHASE_TRY(sql::Transaction change, sql::Transaction::begin(server));
  PHASE_TRY(
      sql::Statement put,
      server.prepare(
          "INSERT INTO leadership (id, epoch, holder, address, fleet) VALUES (1, 1, $1, $2, $3) ON "
          "CONFLICT (id) DO UPDATE SET epoch = leadership.epoch + 1, holder = excluded.holder, "
          "address = excluded.address RETURNING epoch"));
  put.bind(options.holder).bind(options.address).bind(ByteView(options.fleet.value));
  PHASE_TRY(const bool there, put.step());
  if (!there) return fail(Code::internal, "the lead could not be written");
  const std::uint64_t epoch = put.integer(0);
  put.reset();
  PHASE_TRY(sql::Statement seen, server.prepare(kStillHere));
  PHASE_TRY_VOID(seen.run());
  PHASE_TRY_VOID(change.commit());
  return epoch;
}

Result<Lead> Lease::State::lead(sql::Postgres server) {
  Lead out;
  PHASE_TRY(out.epoch, begin_epoch(server));
  PHASE_TRY(out.accounts, sql::Postgres::connect(options.url));
  PHASE_TRY(out.modules, sql::Postgres::connect(options.url));
  const std::string fence =
      "SELECT 1 FROM leadership WHERE epoch = " + std::to_string(out.epoch) + " FOR SHARE";
  server.fence(fence);
  out.still_here = kStillHere;
  out.accounts.fence(fence);
  out.modules.fence(fence);
  PHASE_TRY_VOID(server.execute("UNLISTEN *; NOTIFY " + std::string(kChannel)));
  out.journal = std::move(server);
  return out;
}

/// A process that stands still keeps its connections: they are ended for it.
Result<void> Lease::State::end_silent_leader(sql::Postgres& server) {
  PHASE_TRY(const std::uint64_t silent_ms, server.integer(kSilence));
  if (silent_ms <= static_cast<std::uint64_t>(kLeaderSilentMax / 1ms)) return {};
  PHASE_TRY_VOID(server.integer(kEndLeader));
  return {};
}

void Lease::State::tell(const Leader& leader) {
  if (leader.epoch == told) return;
  told = leader.epoch;
  asio::post(executor, [tell = heard, leader] { tell(leader); });
}

Result<Lead> Lease::State::acquire() {
  PHASE_TRY(sql::Postgres server, connect());
  while (!stopped) {
    Result<Leader> now = leader(server);
    if (!now && now.error().code != Code::not_found) return fail(std::move(now).error());
    PHASE_TRY(const std::uint64_t taken, server.integer(kTakeLead));
    if (taken != 0) return lead(std::move(server));
    if (now) tell(*now);
    PHASE_TRY_VOID(end_silent_leader(server));
    PHASE_TRY_VOID(server.wait_for_notice(kLeadLookedForEvery, wake.get()));
  }
  return fail(Code::cancelled, "the coordinator stops");
}

Lease::Lease(asio::any_io_executor executor, Options options)
    : state_(std::make_shared<State>(std::move(executor), std::move(options))) {}

Lease::~Lease() {
  stop();
  state_->thread.join();
}

void Lease::stop() {
  state_->stopped = true;
  static_cast<void>(::eventfd_write(state_->wake.get(), 1));
}

Task<Result<Lead>> Lease::acquire(std::function<void(const Leader&)> heard) {
  const std::shared_ptr<State> state = state_;
  state->heard = std::move(heard);
  state->told = 0;
  const std::function<Result<Lead>()> wait = [state] { return state->acquire(); };
  auto out = co_await in_pool(state->thread, wait);
  co_return out;
}

}  // namespace phase::vcp
