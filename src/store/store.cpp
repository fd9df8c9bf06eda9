#include "store/store.h"

#include <algorithm>
#include <fstream>

#include "base/check.h"
#include "store/schema.h"
#include "store/state.h"

namespace phase::store {
namespace {

std::string boot_id_of_machine() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

Bytes number_bytes(std::uint64_t value) {
  Bytes out(8);
  for (std::size_t i = 0; i < 8; ++i) {
    out[7 - i] = static_cast<std::uint8_t>(value >> (8 * i));
  }
  return out;
}

std::uint64_t bytes_number(ByteView bytes) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) {
    value = value << 8 | byte;
  }
  return value;
}

}  // namespace

Store::Store(std::unique_ptr<State> state) : state_(std::move(state)) {}

Store::~Store() {
  if (state_ != nullptr && state_->database.execute("PRAGMA synchronous=FULL")) {
    // When this fails the next start takes the end for an unclean one, which is safe.
    static_cast<void>(state_->set_fact("clean", 1));
  }
}

Result<std::unique_ptr<Store>> Store::open(StoreOptions options, UtcTime now) {
  auto state = std::make_unique<State>();
  state->options = std::move(options);
  if (state->options.boot_id.empty()) {
    state->options.boot_id = boot_id_of_machine();
  }
  PHASE_TRY(state->database, sql::Database::open(state->options.path));
  PHASE_TRY_VOID(migrate(state->database));
  PHASE_TRY_VOID(state->prepare());
  PHASE_TRY_VOID(state->begin(now));
  return std::unique_ptr<Store>(new Store(std::move(state)));
}

Result<void> Store::State::prepare() {
  const auto make = [this](sql::Statement& into, std::string_view sql) -> Result<void> {
    PHASE_TRY(into, database.prepare(sql));
    return {};
  };
  PHASE_TRY_VOID(make(put_fact, "INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)"));
  PHASE_TRY_VOID(make(has_replay, "SELECT 1 FROM replays WHERE job_id = ?"));
  PHASE_TRY_VOID(make(add_replay, "INSERT INTO replays (job_id, expires) VALUES (?, ?)"));
  PHASE_TRY_VOID(
      make(add_receipt,
           "INSERT INTO receipts (job_id, requester, manifest, receipt) VALUES (?, ?, ?, ?) "
           "ON CONFLICT (job_id) DO NOTHING"));
  PHASE_TRY_VOID(make(get_receipt, "SELECT manifest, receipt FROM receipts WHERE job_id = ?"));
  PHASE_TRY_VOID(make(drop_oldest_receipt,
                      "DELETE FROM receipts WHERE number = (SELECT min(number) FROM receipts)"));
  PHASE_TRY_VOID(make(
      put_job,
      "INSERT INTO jobs (id, state, created, finished, document, manifest, receipt, "
      "transcript_bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO UPDATE SET "
      "state = ?2, finished = ?4, document = ?5, manifest = ?6, receipt = ?7, "
      "transcript_bytes = ?8"));
  PHASE_TRY_VOID(make(job_state, "SELECT finished FROM jobs WHERE id = ?"));
  PHASE_TRY_VOID(
      make(get_job,
           "SELECT id, state, created, finished, document, transcript_bytes, manifest, receipt "
           "FROM jobs WHERE id = ?"));
  PHASE_TRY_VOID(make(list_jobs,
                      "SELECT id, state, created, finished, document, transcript_bytes "
                      "FROM jobs ORDER BY number DESC LIMIT ?"));
  PHASE_TRY_VOID(make(list_unfinished,
                      "SELECT id, state, created, finished, document, transcript_bytes "
                      "FROM jobs WHERE finished IS NULL ORDER BY number LIMIT ?"));
  PHASE_TRY_VOID(make(
      add_part,
      "INSERT INTO transcripts (job, part, bytes) SELECT number, ?2, ?3 FROM jobs WHERE id = ?1"));
  PHASE_TRY_VOID(make(get_part,
                      "SELECT t.bytes FROM transcripts t JOIN jobs j ON j.number = t.job "
                      "WHERE j.id = ? AND t.part = ?"));

  PHASE_TRY(replay_count, database.integer("SELECT count(*) FROM replays"));
  PHASE_TRY(receipt_count, database.integer("SELECT count(*) FROM receipts"));
  PHASE_TRY(finished_count,
            database.integer("SELECT count(*) FROM jobs WHERE finished IS NOT NULL"));
  PHASE_TRY(transcript_bytes,
            database.integer("SELECT coalesce(sum(length(bytes)), 0) FROM transcripts"));
  return {};
}

Result<void> Store::State::begin(UtcTime now) {
  PHASE_TRY_VOID(database.execute("PRAGMA synchronous=FULL"));
  PHASE_TRY(sql::Transaction transaction, sql::Transaction::begin(database));
  PHASE_TRY(const auto known_boot, fact("boot_id"));
  PHASE_TRY(record_start, fact_number("record_start"));
  PHASE_TRY(pruned_through, fact_number("pruned_through"));
  PHASE_TRY(const std::uint64_t clean, fact_number("clean"));
  const bool is_new = !known_boot;
  const bool same_boot = known_boot && !options.boot_id.empty() &&
                         as_text(*known_boot) == std::string_view{options.boot_id};
  if (is_new || (!same_boot && clean == 0)) {
    // A machine that lost power may have lost the last ids. No manifest older than this moment is
    // taken.
    record_start = std::max(record_start, now.unix_ms);
    PHASE_TRY_VOID(set_fact("record_start", record_start));
  }
  PHASE_TRY_VOID(set_fact("boot_id", as_bytes(options.boot_id)));
  PHASE_TRY_VOID(set_fact("clean", 0));
  PHASE_TRY_VOID(transaction.commit());
  return database.execute("PRAGMA synchronous=NORMAL");
}

Result<void> Store::State::set_fact(std::string_view name, ByteView value) {
  const sql::ResetAtEnd reset(put_fact);
  return put_fact.bind(name).bind(value).run();
}

Result<void> Store::State::set_fact(std::string_view name, std::uint64_t value) {
  const Bytes bytes = number_bytes(value);
  return set_fact(name, ByteView{bytes});
}

Result<std::optional<Bytes>> Store::State::fact(std::string_view name) {
  PHASE_TRY(sql::Statement query, database.prepare("SELECT value FROM facts WHERE name = ?"));
  PHASE_TRY(const bool found, query.bind(name).step());
  return found ? std::optional<Bytes>{query.blob(0)} : std::nullopt;
}

Result<std::uint64_t> Store::State::fact_number(std::string_view name) {
  PHASE_TRY(const auto value, fact(name));
  return value ? bytes_number(*value) : 0;
}

Result<void> Store::State::prune_replays(UtcTime now) {
  next_replay_prune = now.unix_ms + kReplayPruneIntervalMs;
  PHASE_TRY(sql::Transaction transaction, sql::Transaction::begin(database));
  PHASE_TRY(sql::Statement last,
            database.prepare("SELECT max(expires), count(*) FROM (SELECT expires FROM replays "
                             "WHERE expires <= ? ORDER BY expires LIMIT ?)"));
  last.bind(now.unix_ms).bind(static_cast<std::uint64_t>(kReplaysPrunedAtOnce));
  PHASE_TRY(const bool row, last.step());
  if (!row || last.integer(1) == 0) {
    return {};
  }
  const std::uint64_t through = std::max(pruned_through, last.integer(0));
  last.reset();
  PHASE_TRY(sql::Statement drop,
            database.prepare("DELETE FROM replays WHERE job_id IN (SELECT job_id FROM replays "
                             "WHERE expires <= ? ORDER BY expires LIMIT ?)"));
  drop.bind(now.unix_ms).bind(static_cast<std::uint64_t>(kReplaysPrunedAtOnce));
  PHASE_TRY_VOID(drop.run());
  const std::uint64_t dropped = database.changes();
  PHASE_TRY_VOID(set_fact("pruned_through", through));
  PHASE_TRY_VOID(transaction.commit());
  pruned_through = through;
  replay_count -= std::min(replay_count, dropped);
  return {};
}

Result<void> Store::admit(const manifest::JobId& id, UtcTime created, UtcTime expires,
                          UtcTime now) {
  State& s = *state_;
  if (created.unix_ms < s.record_start) {
    return fail(Code::replayed,
                "the manifest was created before this provider's replay record began",
                "sign a new manifest");
  }
  if (expires.unix_ms <= s.pruned_through) {
    return fail(Code::replayed,
                "the manifest expires before the oldest id that the replay record still knows",
                "sign a new manifest");
  }
  {
    const sql::ResetAtEnd reset(s.has_replay);
    PHASE_TRY(const bool known, s.has_replay.bind(id.bytes()).step());
    if (known) {
      return fail(Code::replayed, "job " + id.hex() + " was accepted before");
    }
  }
  const bool full = s.replay_count >= s.options.limits.replays_max;
  if (full || now.unix_ms >= s.next_replay_prune) {
    PHASE_TRY_VOID(s.prune_replays(now));
  }
  if (s.replay_count >= s.options.limits.replays_max) {
    return fail(Code::busy, "the replay record is full",
                "try again when accepted manifests have expired");
  }
  const sql::ResetAtEnd reset(s.add_replay);
  PHASE_TRY_VOID(s.add_replay.bind(id.bytes()).bind(expires.unix_ms).run());
  ++s.replay_count;
  return {};
}

Result<void> Store::keep(const manifest::SignedManifest& manifest,
                         const receipt::SignedReceipt& receipt) {
  State& s = *state_;
  const bool to_disk =
      s.options.durability == Durability::power && manifest.requester != s.options.owner;
  if (to_disk) {
    PHASE_TRY_VOID(s.database.execute("PRAGMA synchronous=FULL"));
  }
  const sql::ResetAtEnd reset(s.add_receipt);
  auto added = s.add_receipt.bind(manifest.id.bytes())
                   .bind(manifest.requester.bytes())
                   .bind(ByteView{manifest.envelope})
                   .bind(ByteView{receipt.envelope})
                   .run();
  const bool is_new = added && s.database.changes() == 1;
  if (to_disk) {
    PHASE_TRY_VOID(s.database.execute("PRAGMA synchronous=NORMAL"));
  }
  if (!added) {
    return added;
  }
  if (!is_new) {
    return fail(Code::already_exists, "a receipt of job " + manifest.id.hex() + " was kept before");
  }
  ++s.receipt_count;
  for (int i = 0; i < kReceiptsPrunedAtOnce && s.receipt_count > s.options.limits.receipts_kept_max;
       ++i) {
    PHASE_TRY_VOID(s.drop_oldest_receipt.run());
    --s.receipt_count;
  }
  return {};
}

Result<KeptReceipt> Store::receipt_of(const manifest::JobId& id) {
  sql::Statement& query = state_->get_receipt;
  const sql::ResetAtEnd reset(query);
  PHASE_TRY(const bool found, query.bind(id.bytes()).step());
  if (!found) {
    return fail(Code::not_found, "no receipt of job " + id.hex() + " is kept");
  }
  return KeptReceipt{id, query.blob(0), query.blob(1)};
}

Result<std::vector<KeptReceipt>> Store::receipts_of_others(const identity::PublicKey& self,
                                                           std::size_t limit,
                                                           std::size_t looked_through) {
  PHASE_TRY(
      sql::Statement query,
      state_->database.prepare(
          "SELECT job_id, manifest, receipt FROM receipts WHERE requester != ?1 AND number > "
          "(SELECT coalesce(max(number), 0) FROM receipts) - ?3 ORDER BY number DESC LIMIT ?2"));
  query.bind(ByteView{self.value})
      .bind(static_cast<std::uint64_t>(limit))
      .bind(static_cast<std::uint64_t>(looked_through));
  std::vector<KeptReceipt> out;
  PHASE_TRY(bool more, query.step());
  while (more) {
    KeptReceipt one{{}, query.blob(1), query.blob(2)};
    const Bytes id = query.blob(0);
    std::copy_n(id.begin(), std::min(id.size(), one.job_id.value.size()), one.job_id.value.begin());
    out.push_back(std::move(one));
    PHASE_TRY(more, query.step());
  }
  return out;
}

std::size_t Store::replays() const noexcept {
  return state_->replay_count;
}

UtcTime Store::record_start() const noexcept {
  return {state_->record_start};
}

}  // namespace phase::store
