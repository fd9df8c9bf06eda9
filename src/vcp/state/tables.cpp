#include <algorithm>
#include <array>
#include <utility>

#include "vcp/state/spec_codec.h"
#include "vcp/state/tables_internal.h"

namespace phase::vcp {
namespace {

// Placeholders and types are those that PostgreSQL knows too. A step is never changed once a state
// may have taken it: what should be otherwise is a step of its own.
constexpr std::array<const char*, 4> kSchema = {R"sql(
CREATE TABLE nodes (
  name TEXT NOT NULL PRIMARY KEY,
  owner TEXT NOT NULL,
  region TEXT NOT NULL,
  type TEXT NOT NULL,
  bandwidth_mbps BIGINT NOT NULL,
  cpu_cores BIGINT NOT NULL,
  memory_mb BIGINT NOT NULL,
  gpu BIGINT NOT NULL,
  observability_port BIGINT,
  public_key BLOB,
  join_token_hash BLOB,
  registered BIGINT NOT NULL,
  last_seen BIGINT NOT NULL,
  flags BIGINT NOT NULL,
  completed BIGINT NOT NULL,
  failed BIGINT NOT NULL,
  disputes BIGINT NOT NULL,
  record TEXT NOT NULL
);
CREATE TABLE tasks (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  owner TEXT NOT NULL,
  type BIGINT NOT NULL,
  state BIGINT NOT NULL,
  bid BIGINT NOT NULL,
  submitted BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  paid BIGINT NOT NULL,
  refunded BIGINT NOT NULL,
  reason TEXT NOT NULL,
  result TEXT NOT NULL,
  spec BLOB NOT NULL,
  input BLOB NOT NULL
);
CREATE INDEX tasks_of_owner ON tasks (owner, number);
CREATE INDEX tasks_open ON tasks (number) WHERE state < 2;
CREATE TABLE runs (
  task TEXT NOT NULL,
  attempt BIGINT NOT NULL,
  node TEXT NOT NULL,
  state BIGINT NOT NULL,
  assigned BIGINT NOT NULL,
  ended BIGINT,
  reason TEXT NOT NULL,
  output_sha256 BLOB,
  fuel BIGINT,
  wall_ms BIGINT,
  energy_mj BIGINT,
  job_id TEXT NOT NULL,
  verified BIGINT,
  paid BIGINT NOT NULL,
  manifest BLOB NOT NULL,
  receipt BLOB NOT NULL,
  PRIMARY KEY (task, attempt)
);
CREATE TABLE ledger (
  sequence BIGINT NOT NULL PRIMARY KEY,
  at BIGINT NOT NULL,
  kind BIGINT NOT NULL,
  from_account TEXT NOT NULL,
  to_account TEXT NOT NULL,
  amount BIGINT NOT NULL,
  reference TEXT NOT NULL,
  previous BLOB NOT NULL,
  hash BLOB NOT NULL
);
CREATE UNIQUE INDEX ledger_once ON ledger (kind, reference, to_account) WHERE kind IN (1, 4, 5, 6);
CREATE INDEX ledger_from ON ledger (from_account, sequence);
CREATE INDEX ledger_to ON ledger (to_account, sequence);
)sql",
                                                R"sql(
CREATE TABLE pruned (state BIGINT NOT NULL PRIMARY KEY, tasks BIGINT NOT NULL);
UPDATE tasks SET input = X'' WHERE state >= 2;
CREATE INDEX tasks_final ON tasks (number, state) WHERE state >= 2;
)sql",
                                                // What was called output_sha256 is a commitment.
                                                // Some states have the new name already: by place.
                                                R"sql(
CREATE TABLE runs_3 (
  task TEXT NOT NULL,
  attempt BIGINT NOT NULL,
  node TEXT NOT NULL,
  state BIGINT NOT NULL,
  assigned BIGINT NOT NULL,
  ended BIGINT,
  reason TEXT NOT NULL,
  output_commitment BLOB,
  fuel BIGINT,
  wall_ms BIGINT,
  energy_mj BIGINT,
  job_id TEXT NOT NULL,
  verified BIGINT,
  paid BIGINT NOT NULL,
  manifest BLOB NOT NULL,
  receipt BLOB NOT NULL,
  PRIMARY KEY (task, attempt)
);
INSERT INTO runs_3 SELECT * FROM runs;
DROP TABLE runs;
ALTER TABLE runs_3 RENAME TO runs;
)sql",
                                                R"sql(
CREATE TABLE connect_sessions (
  id TEXT NOT NULL PRIMARY KEY,
  task TEXT NOT NULL,
  node TEXT NOT NULL,
  requester TEXT NOT NULL,
  tunnel BIGINT NOT NULL,
  seconds BIGINT NOT NULL,
  mbps BIGINT NOT NULL,
  egress BIGINT NOT NULL,
  policy TEXT NOT NULL,
  token_sha256 BLOB NOT NULL,
  state BIGINT NOT NULL,
  created BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  heard BIGINT NOT NULL,
  ended BIGINT,
  reason TEXT NOT NULL
);
CREATE INDEX connect_sessions_of_task ON connect_sessions (task, created);
CREATE TABLE destination_policies (
  owner TEXT NOT NULL,
  id TEXT NOT NULL,
  rules TEXT NOT NULL,
  updated BIGINT NOT NULL,
  PRIMARY KEY (owner, id)
);
)sql"};

constexpr std::string_view kTaskColumns =
    "number, id, owner, type, state, bid, submitted, updated, paid, refunded, reason, result, "
    "spec, "
    "input";

// Of one answer while the state is read: entries are small, tasks hold what they were given.
constexpr std::size_t kRowsAtOnce = 10'000, kTasksAtOnce = 100;

constexpr std::uint64_t kCordoned = 1, kRejected = 2, kRemoved = 4;

template <typename Value>
void bind_optional(sql::Statement& statement, const std::optional<Value>& value) {
  if (!value) {
    statement.bind_null();
  } else if constexpr (std::is_convertible_v<Value, std::uint64_t>) {
    statement.bind(static_cast<std::uint64_t>(*value));
  } else {
    statement.bind(ByteView(value->value));
  }
}

template <typename H>
Result<std::optional<H>> optional_hash(const sql::Statement& row, int column) {
  if (row.is_null(column)) return std::optional<H>{};
  const Bytes bytes = row.blob(column);
  H out;
  if (bytes.size() != out.value.size()) {
    return fail(Code::malformed, "a hash in the state file has another length");
  }
  std::ranges::copy(bytes, out.value.begin());
  return std::optional<H>{out};
}

std::optional<std::uint64_t> optional_number(const sql::Statement& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return row.integer(column);
}

Result<TaskRow> read_task(const sql::Statement& row) {
  TaskRow out;
  Spec& spec = out.spec;
  spec.id = row.text(1);
  spec.owner = row.text(2);
  spec.type = static_cast<TaskType>(row.integer(3));
  out.state = static_cast<TaskState>(row.integer(4));
  spec.bid = row.integer(5);
  spec.submitted = UtcTime{row.integer(6)};
  out.updated = UtcTime{row.integer(7)};
  out.paid = row.integer(8);
  out.refunded = row.integer(9);
  out.reason = row.text(10);
  out.result_json = row.text(11);
  PHASE_TRY_VOID(decode_spec(row.blob(12), spec));
  spec.work.stdin_bytes = row.blob(13);
  return out;
}

Result<RunRow> read_run(const sql::Statement& row) {
  RunRow out;
  out.task = row.text(0);
  out.attempt = static_cast<std::uint32_t>(row.integer(1));
  out.node = row.text(2);
  out.state = static_cast<RunState>(row.integer(3));
  out.assigned = UtcTime{row.integer(4)};
  if (const auto ended = optional_number(row, 5)) out.ended = UtcTime{*ended};
  out.reason = row.text(6);
  PHASE_TRY(out.output_commitment, optional_hash<Sha256>(row, 7));
  out.fuel = optional_number(row, 8);
  out.wall_ms = optional_number(row, 9);
  out.energy_mj = optional_number(row, 10);
  out.job_id = row.text(11);
  if (const auto verified = optional_number(row, 12)) out.verified = *verified != 0;
  out.paid = row.integer(13);
  out.manifest = row.blob(14);
  out.receipt = row.blob(15);
  return out;
}

Result<Entry> read_entry(const sql::Statement& row) {
  Entry out;
  out.sequence = row.integer(0);
  out.at = UtcTime{row.integer(1)};
  out.transfer = {static_cast<TransferKind>(row.integer(2)), row.text(3), row.text(4),
                  row.integer(5), row.text(6)};
  PHASE_TRY(const auto previous, optional_hash<Sha256>(row, 7));
  PHASE_TRY(const auto hash, optional_hash<Sha256>(row, 8));
  if (!previous || !hash) return fail(Code::malformed, "a ledger entry without a hash");
  out.previous = *previous;
  out.hash = *hash;
  return out;
}

constexpr std::string_view kEntryColumns =
    "sequence, at, kind, from_account, to_account, amount, reference, previous, hash";
constexpr std::string_view kRunColumns =
    "task, attempt, node, state, assigned, ended, reason, output_commitment, fuel, wall_ms, "
    "energy_mj, "
    "job_id, verified, paid, manifest, receipt";

std::string select(std::string_view columns, std::string_view rest) {
  return "SELECT " + std::string(columns) + " " + std::string(rest);
}

}  // namespace

Result<Tables> Tables::open(const std::filesystem::path& file) {
  PHASE_TRY(sql::Database database, sql::Database::open(file));
  PHASE_TRY_VOID(database.execute("PRAGMA synchronous=FULL"));
  return make(std::move(database));
}

Result<Tables> Tables::make(sql::Database database) {
  Tables out;
  out.database_ = std::move(database);
  PHASE_TRY_VOID(sql::migrate(out.database_, "fleet", kSchema));
  PHASE_TRY_VOID(out.prepare());
  return out;
}

Result<void> Tables::ask(const std::string& change) {
  PHASE_TRY(sql::Transaction transaction, sql::Transaction::begin(database_));
  if (!change.empty()) PHASE_TRY_VOID(database_.execute(change));
  return transaction.commit();
}

Result<void> Tables::prepare() {
  PHASE_TRY(put_node_,
            database_.prepare(
                "INSERT INTO nodes VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,"
                "$17,$18) ON CONFLICT (name) DO UPDATE SET owner=excluded.owner, "
                "region=excluded.region, type=excluded.type, "
                "bandwidth_mbps=excluded.bandwidth_mbps, cpu_cores=excluded.cpu_cores, "
                "memory_mb=excluded.memory_mb, gpu=excluded.gpu, "
                "observability_port=excluded.observability_port, public_key=excluded.public_key, "
                "join_token_hash=excluded.join_token_hash, registered=excluded.registered, "
                "last_seen=excluded.last_seen, flags=excluded.flags, completed=excluded.completed, "
                "failed=excluded.failed, disputes=excluded.disputes, record=excluded.record"));
  PHASE_TRY(
      put_task_,
      database_.prepare(
          "INSERT INTO tasks (id, owner, type, state, bid, submitted, updated, paid, refunded, "
          "reason, result, spec, input) VALUES "
          "($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13) ON CONFLICT (id) DO UPDATE SET "
          "state=excluded.state, updated=excluded.updated, paid=excluded.paid, "
          "refunded=excluded.refunded, reason=excluded.reason, result=excluded.result, "
          "input=CASE WHEN excluded.state < 2 THEN tasks.input ELSE excluded.input END"));
  PHASE_TRY(put_run_,
            database_.prepare(
                "INSERT INTO runs VALUES "
                "($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16) ON CONFLICT (task, "
                "attempt) DO UPDATE SET state=excluded.state, ended=excluded.ended, "
                "reason=excluded.reason, output_commitment=excluded.output_commitment, "
                "fuel=excluded.fuel, "
                "wall_ms=excluded.wall_ms, energy_mj=excluded.energy_mj, job_id=excluded.job_id, "
                "verified=excluded.verified, paid=excluded.paid, manifest=excluded.manifest, "
                "receipt=excluded.receipt"));
  PHASE_TRY(put_entry_,
            database_.prepare("INSERT INTO ledger VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9)"));
  PHASE_TRY(get_task_, database_.prepare(select(kTaskColumns, "FROM tasks WHERE id = $1")));
  PHASE_TRY(get_runs_,
            database_.prepare(select(kRunColumns, "FROM runs WHERE task = $1 ORDER BY attempt")));
  return prepare_connect();
}

Result<void> Tables::write(const std::vector<Batch>& batches) {
  PHASE_TRY(sql::Transaction transaction, sql::Transaction::begin(database_));
  for (const Batch& batch : batches) {
    for (const NodeRow& row : batch.nodes) PHASE_TRY_VOID(put(row));
    for (const TaskRow& row : batch.tasks) PHASE_TRY_VOID(put(row));
    for (const RunRow& row : batch.runs) PHASE_TRY_VOID(put(row));
    for (const Entry& entry : batch.entries) PHASE_TRY_VOID(put(entry));
    for (const ConnectSession& row : batch.sessions) PHASE_TRY_VOID(put(row));
    for (const DestinationPolicy& row : batch.policies) PHASE_TRY_VOID(put(row));
    put_since_pruned_ += batch.tasks.size();
  }
  if (put_since_pruned_ >= prune_every_) PHASE_TRY_VOID(prune());
  return transaction.commit();
}

/// Of the oldest final tasks, at most as many as were written since the last time go.
Result<void> Tables::prune() {
  const std::uint64_t most = std::exchange(put_since_pruned_, 0);
  PHASE_TRY(const std::uint64_t final,
            database_.integer("SELECT count(*) FROM tasks WHERE state >= 2"));
  if (final <= kept_) return {};
  PHASE_TRY(sql::Statement last,
            database_.prepare("SELECT number FROM tasks WHERE state >= 2 ORDER BY number "
                              "LIMIT 1 OFFSET $1"));
  last.bind(std::min(most, final - kept_) - 1);
  PHASE_TRY(const bool there, last.step());
  if (!there) return {};
  const std::uint64_t until = last.integer(0);
  for (const char* sql :
       {"INSERT INTO pruned SELECT state, count(*) FROM tasks WHERE state >= 2 AND number <= $1 "
        "GROUP BY state ON CONFLICT (state) DO UPDATE SET tasks = pruned.tasks + excluded.tasks",
        "DELETE FROM runs WHERE task IN (SELECT id FROM tasks WHERE state >= 2 AND number <= $1)",
        "DELETE FROM connect_sessions WHERE task IN (SELECT id FROM tasks WHERE state >= 2 AND "
        "number <= $1)",
        "DELETE FROM tasks WHERE state >= 2 AND number <= $1"}) {
    PHASE_TRY(sql::Statement change, database_.prepare(sql));
    change.bind(until);
    PHASE_TRY_VOID(change.run());
  }
  return {};
}

Result<std::unique_ptr<sql::Copy>> Tables::copy(const std::filesystem::path& to) {
  return sql::Copy::begin(database_, to);
}

Result<std::uint64_t> Tables::tasks_held() {
  return database_.integer("SELECT count(*) FROM tasks");
}

Result<void> Tables::put(const NodeRow& row) {
  const std::uint64_t flags = (row.cordoned ? kCordoned : 0) | (row.rejected ? kRejected : 0) |
                              (row.removed ? kRemoved : 0);
  put_node_.bind(row.name).bind(row.owner).bind(row.region).bind(row.type);
  put_node_.bind(row.bandwidth_mbps).bind(std::uint64_t{row.cpu_cores}).bind(row.memory_mb);
  put_node_.bind(std::uint64_t{row.gpu});
  bind_optional(put_node_, row.observability_port);
  bind_optional(put_node_, row.key);
  bind_optional(put_node_, row.join_token_hash);
  put_node_.bind(row.registered.unix_ms).bind(row.last_seen.unix_ms).bind(flags);
  put_node_.bind(row.completed).bind(row.failed).bind(row.disputes).bind(row.record);
  return put_node_.run();
}

Result<void> Tables::put(const TaskRow& row) {
  const Spec& spec = row.spec;
  const Bytes encoded = encode_spec(spec);
  // What a final task was given is not needed any more; its commitment stands in the spec.
  const ByteView input = is_final(row.state) ? ByteView() : ByteView(spec.work.stdin_bytes);
  put_task_.bind(spec.id).bind(spec.owner).bind(static_cast<std::uint64_t>(spec.type));
  put_task_.bind(static_cast<std::uint64_t>(row.state)).bind(spec.bid);
  put_task_.bind(spec.submitted.unix_ms).bind(row.updated.unix_ms);
  put_task_.bind(row.paid).bind(row.refunded).bind(row.reason).bind(row.result_json);
  put_task_.bind(ByteView(encoded)).bind(input);
  return put_task_.run();
}

Result<void> Tables::put(const RunRow& row) {
  put_run_.bind(row.task).bind(std::uint64_t{row.attempt}).bind(row.node);
  put_run_.bind(static_cast<std::uint64_t>(row.state)).bind(row.assigned.unix_ms);
  std::optional<std::uint64_t> ended, verified;
  if (row.ended) ended = row.ended->unix_ms;
  if (row.verified) verified = *row.verified ? 1 : 0;
  bind_optional(put_run_, ended);
  put_run_.bind(row.reason);
  bind_optional(put_run_, row.output_commitment);
  bind_optional(put_run_, row.fuel);
  bind_optional(put_run_, row.wall_ms);
  bind_optional(put_run_, row.energy_mj);
  put_run_.bind(row.job_id);
  bind_optional(put_run_, verified);
  put_run_.bind(row.paid).bind(ByteView(row.manifest)).bind(ByteView(row.receipt));
  return put_run_.run();
}

Result<void> Tables::put(const Entry& entry) {
  const Transfer& moved = entry.transfer;
  put_entry_.bind(entry.sequence).bind(entry.at.unix_ms);
  put_entry_.bind(static_cast<std::uint64_t>(moved.kind)).bind(moved.from).bind(moved.to);
  put_entry_.bind(moved.amount).bind(moved.reference);
  put_entry_.bind(ByteView(entry.previous.value)).bind(ByteView(entry.hash.value));
  return put_entry_.run();
}

Result<std::vector<NodeRow>> Tables::nodes() {
  PHASE_TRY(sql::Statement query, database_.prepare("SELECT * FROM nodes ORDER BY name"));
  std::vector<NodeRow> out;
  while (true) {
    PHASE_TRY(const bool there, query.step());
    if (!there) return out;
    NodeRow row;
    row.name = query.text(0);
    row.owner = query.text(1);
    row.region = query.text(2);
    row.type = query.text(3);
    row.bandwidth_mbps = query.integer(4);
    row.cpu_cores = static_cast<std::uint32_t>(query.integer(5));
    row.memory_mb = query.integer(6);
    row.gpu = query.integer(7) != 0;
    if (const auto port = optional_number(query, 8)) {
      row.observability_port = static_cast<std::uint16_t>(*port);
    }
    PHASE_TRY(row.key, optional_hash<identity::PublicKey>(query, 9));
    PHASE_TRY(row.join_token_hash, optional_hash<Sha256>(query, 10));
    row.registered = UtcTime{query.integer(11)};
    row.last_seen = UtcTime{query.integer(12)};
    const std::uint64_t flags = query.integer(13);
    row.cordoned = (flags & kCordoned) != 0;
    row.rejected = (flags & kRejected) != 0;
    row.removed = (flags & kRemoved) != 0;
    row.completed = query.integer(14);
    row.failed = query.integer(15);
    row.disputes = query.integer(16);
    row.record = query.text(17);
    out.push_back(std::move(row));
  }
}

Result<void> Tables::replay(Book& book) {
  std::size_t found = kRowsAtOnce;
  while (found == kRowsAtOnce) {
    PHASE_TRY(const std::vector<Entry> some, entries({}, book.sequence(), kRowsAtOnce));
    for (const Entry& entry : some) PHASE_TRY_VOID(book.take(entry));
    found = some.size();
  }
  return {};
}

Result<void> Tables::load_open(Loaded& out) {
  PHASE_TRY(sql::Statement open,
            database_.prepare(select(kTaskColumns,
                                     "FROM tasks WHERE state < 2 AND number > $1 ORDER BY number "
                                     "LIMIT $2")));
  std::uint64_t last = 0;
  std::size_t found = kTasksAtOnce;
  while (found == kTasksAtOnce) {
    open.bind(last).bind(std::uint64_t{kTasksAtOnce});
    found = 0;
    PHASE_TRY(bool there, open.step());
    while (there) {
      ++found;
      last = open.integer(0);
      PHASE_TRY(TaskRow row, read_task(open));
      PHASE_TRY(std::vector<RunRow> of_task, runs(row.spec.id));
      out.tasks.push_back(std::move(row));
      std::ranges::move(of_task, std::back_inserter(out.runs));
      PHASE_TRY(there, open.step());
    }
    open.reset();
  }
  return {};
}

Result<Loaded> Tables::load() {
  Loaded out;
  PHASE_TRY(out.nodes, nodes());
  PHASE_TRY_VOID(replay(out.book));
  PHASE_TRY_VOID(load_open(out));
  PHASE_TRY_VOID(load_sessions(out));
  const auto count = [this](TaskState state) -> Result<std::uint64_t> {
    const std::string of = " WHERE state = " + std::to_string(static_cast<int>(state));
    PHASE_TRY(const std::uint64_t kept, database_.integer("SELECT count(*) FROM tasks" + of));
    PHASE_TRY(const std::uint64_t gone,
              database_.integer("SELECT CAST(coalesce(sum(tasks), 0) AS BIGINT) FROM pruned" + of));
    return kept + gone;
  };
  PHASE_TRY(out.completed, count(TaskState::completed));
  PHASE_TRY(out.failed, count(TaskState::failed));
  PHASE_TRY(out.cancelled, count(TaskState::cancelled));
  return out;
}

Result<std::optional<TaskRow>> Tables::task(const TaskId& id) {
  const sql::ResetAtEnd reset(get_task_);
  get_task_.bind(id);
  PHASE_TRY(const bool there, get_task_.step());
  if (!there) return std::optional<TaskRow>{};
  PHASE_TRY(TaskRow row, read_task(get_task_));
  return std::optional<TaskRow>{std::move(row)};
}

Result<std::vector<RunRow>> Tables::runs(const TaskId& id) {
  const sql::ResetAtEnd reset(get_runs_);
  get_runs_.bind(id);
  std::vector<RunRow> out;
  while (true) {
    PHASE_TRY(const bool there, get_runs_.step());
    if (!there) return out;
    PHASE_TRY(RunRow row, read_run(get_runs_));
    out.push_back(std::move(row));
  }
}

Result<TaskPage> Tables::tasks(const TaskQuery& query) {
  std::string where = "FROM tasks WHERE number < $1";
  int next = 1;
  if (query.owner) where += " AND owner = $" + std::to_string(++next);
  if (query.state) where += " AND state = $" + std::to_string(++next);
  if (query.type) where += " AND type = $" + std::to_string(++next);
  where += " ORDER BY number DESC LIMIT $" + std::to_string(++next);
  PHASE_TRY(sql::Statement rows, database_.prepare(select(kTaskColumns, where)));
  constexpr std::uint64_t kEnd = 1ULL << 62;
  rows.bind(query.before == 0 ? kEnd : query.before);
  if (query.owner) rows.bind(*query.owner);
  if (query.state) rows.bind(static_cast<std::uint64_t>(*query.state));
  if (query.type) rows.bind(static_cast<std::uint64_t>(*query.type));
  rows.bind(std::uint64_t{query.limit} + 1);
  TaskPage out;
  std::uint64_t last = 0;
  while (true) {
    PHASE_TRY(const bool there, rows.step());
    if (!there) return out;
    if (out.tasks.size() == query.limit) {
      out.next = last;
      return out;
    }
    last = rows.integer(0);
    PHASE_TRY(TaskRow row, read_task(rows));
    out.tasks.push_back(std::move(row));
  }
}

Result<std::vector<Entry>> Tables::entries(const std::string& account, std::uint64_t sequence,
                                           std::size_t limit) {
  const std::string where =
      account.empty()
          ? "FROM ledger WHERE sequence > $1 ORDER BY sequence LIMIT $2"
          : "FROM ledger WHERE sequence > $1 AND (from_account = $2 OR to_account = $3) "
            "ORDER BY sequence LIMIT $4";
  PHASE_TRY(sql::Statement rows, database_.prepare(select(kEntryColumns, where)));
  rows.bind(sequence);
  if (!account.empty()) rows.bind(account).bind(account);
  rows.bind(std::uint64_t{limit});
  std::vector<Entry> out;
  while (true) {
    PHASE_TRY(const bool there, rows.step());
    if (!there) return out;
    PHASE_TRY(Entry entry, read_entry(rows));
    out.push_back(std::move(entry));
  }
}

}  // namespace phase::vcp
