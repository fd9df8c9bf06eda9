// What it costs to keep a receipt before it leaves: our store against a bare SQLite row, one run.
#include <cstdlib>
#include <filesystem>
#include <string>

#include <sodium.h>
#include <sqlite3.h>
#include <unistd.h>

#include "base/check.h"
#include "base/system_clock.h"
#include "identity/identity.h"
#include "store/store.h"
#include "tests/bench/samples.h"

namespace phase::bench {
namespace {

namespace fs = std::filesystem;
constexpr int kRounds = 300;

/// One table, one statement prepared before: the least that makes a receipt durable.
class BareRow {
 public:
  explicit BareRow(const fs::path& path) {
    PHASE_CHECK(::sqlite3_open(path.c_str(), &db_) == SQLITE_OK);
    PHASE_CHECK(::sqlite3_exec(db_,
                               "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                               "CREATE TABLE receipts(id BLOB PRIMARY KEY, manifest BLOB, "
                               "receipt BLOB) WITHOUT ROWID",
                               nullptr, nullptr, nullptr) == SQLITE_OK);
    PHASE_CHECK(::sqlite3_prepare_v2(db_, "INSERT INTO receipts VALUES(?,?,?)", -1, &insert_,
                                     nullptr) == SQLITE_OK);
  }
  ~BareRow() {
    ::sqlite3_finalize(insert_);
    ::sqlite3_close(db_);
  }
  BareRow(const BareRow&) = delete;
  BareRow& operator=(const BareRow&) = delete;

  void add(ByteView id, ByteView manifest, ByteView receipt) {
    int at = 0;
    for (const ByteView value : {id, manifest, receipt}) {
      PHASE_CHECK(::sqlite3_bind_blob(insert_, ++at, value.data(), static_cast<int>(value.size()),
                                      SQLITE_STATIC) == SQLITE_OK);
    }
    PHASE_CHECK(::sqlite3_step(insert_) == SQLITE_DONE);
    ::sqlite3_reset(insert_);
  }

 private:
  sqlite3* db_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
};

struct Kept {
  manifest::SignedManifest manifest;
  receipt::SignedReceipt receipt;
};

/// What a node keeps of a job whose manifest is the `number`-th.
Kept make_kept(const identity::KeyPair& key, std::uint64_t number) {
  job::WasmJob job;
  job.module = job::reference(as_bytes("module"));
  job.stdin_commitment = job::commit(as_bytes("Hello, World"));
  manifest::Manifest asked;
  asked.job = job;
  asked.wall_limit_ms = 30'000;
  asked.created = {1'000 + number};
  asked.expires = {600'000};
  Kept out{manifest::sign(asked, key), {}};
  receipt::Receipt done;
  done.job_id = out.manifest.id;
  done.execution_id = job::execution_id(asked.job);
  done.isolation = {"landlock", "seccomp"};
  out.receipt = receipt::sign(done, key);
  return out;
}

int bench_main() {
  const auto name = "phase-store-bench-" + std::to_string(::getpid());
  const fs::path folder = fs::temp_directory_path() / name;
  fs::create_directory(folder);
  {
    SystemRandom random;
    const auto key = identity::KeyPair::generate(random);
    store::StoreOptions options;
    options.path = folder / "state.db";
    auto opened = store::Store::open(options, {0});
    PHASE_CHECK(opened.has_value());
    BareRow row(folder / "bare.db");
    Samples bare, kept;
    for (std::uint64_t i = 0; i < kRounds; ++i) {
      const Kept one = make_kept(key, i);
      {
        const Timed timed(bare);
        row.add(one.manifest.id.bytes(), one.manifest.envelope, one.receipt.envelope);
      }
      const Timed timed(kept);
      PHASE_CHECK((*opened)->keep(one.manifest, one.receipt).has_value());
    }
    bare.print("receipt/bare_row: SQLite, WAL, synchronous=FULL");
    kept.print("receipt/durable_row: a node's store");
    print_ratio("receipt/durable_ratio", kept.p50(), bare.p50());
  }
  fs::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace phase::bench

int main() {
  if (::sodium_init() < 0) return EXIT_FAILURE;
  return phase::bench::bench_main();
}
