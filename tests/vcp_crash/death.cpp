#include "tests/vcp_crash/death.h"

#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <string>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <sqlite3.h>
#include <unistd.h>

#include "base/check.h"
#include "base/random.h"

namespace phase::vcp::crash {
namespace {

constexpr std::array<std::string_view, 5> kMoments = {"never", "before", "during", "unheard",
                                                      "heard"};
/// `during` and `heard` wait at most so long, by chance.
constexpr std::uint64_t kLaterMax_us = 4'000;

void die_later(std::string_view why) {
  SystemRandom random;
  const std::uint64_t wait = random.below(kLaterMax_us);
  std::thread([wait, why] {
    const auto time = std::chrono::microseconds(wait);
    std::this_thread::sleep_for(time);  // tidy: allow(sleep): a death by chance waits for nothing
    die(why);
  }).detach();
}

class KillingJournal final : public Journal {
 public:
  KillingJournal(std::unique_ptr<Journal> inner, asio::any_io_executor executor, Death death)
      : inner_(std::move(inner)), executor_(std::move(executor)), death_(death) {}

  void append(Batch batch) override {
    if (batch.empty()) return inner_->append(std::move(batch));
    const bool now = ++writes_ == death_.write && death_.moment != Moment::never;
    if (now && death_.moment == Moment::before) die("journal, before");
    inner_->append(std::move(batch));
    if (!now) return;
    if (death_.moment == Moment::during) return die_later("journal, during");
    reached_ = true;
    asio::co_spawn(executor_, die_settled(), asio::detached);
  }
  [[nodiscard]] Task<Result<void>> settled() override {
    const bool reached = reached_;
    auto out = co_await inner_->settled();
    if (reached && death_.moment == Moment::unheard) die("journal, unheard");
    co_return out;
  }
  [[nodiscard]] Task<Result<Loaded>> load() override { return inner_->load(); }
  [[nodiscard]] std::size_t waiting() const override { return inner_->waiting(); }
  [[nodiscard]] Task<Result<std::optional<TaskRow>>> task(TaskId id) override {
    return inner_->task(std::move(id));
  }
  [[nodiscard]] Task<Result<std::vector<RunRow>>> runs(TaskId id) override {
    return inner_->runs(std::move(id));
  }
  [[nodiscard]] Task<Result<TaskPage>> tasks(TaskQuery query) override {
    return inner_->tasks(std::move(query));
  }
  [[nodiscard]] Task<Result<std::optional<ConnectSession>>> session(std::string id) override {
    return inner_->session(std::move(id));
  }
  [[nodiscard]] Task<Result<std::vector<Entry>>> entries(std::string account,
                                                         std::uint64_t sequence,
                                                         std::size_t limit) override {
    return inner_->entries(std::move(account), sequence, limit);
  }

 private:
  Task<void> die_settled() {
    const auto done = co_await inner_->settled();
    if (!done) co_return;
    if (death_.moment == Moment::unheard) die("journal, unheard");
    die_later("journal, heard");
  }

  std::unique_ptr<Journal> inner_;
  asio::any_io_executor executor_;
  Death death_;
  std::uint64_t writes_ = 0;
  bool reached_ = false;
};

// ── Files of SQLite ──────────────────────────────────────────────────────────────────────────────
// SQLite asks a table of functions for every file it opens. Ours is its own with one other entry.

struct Files {
  sqlite3_vfs vfs{};
  const sqlite3_vfs* real = nullptr;
  sqlite3_io_methods methods{};
  const sqlite3_io_methods* real_methods = nullptr;
  Death death;
  std::atomic<std::uint64_t> writes{0};
};

/// One for the process: SQLite's functions are handed nothing else to find it by.
Files& files() {
  static Files out;
  return out;
}

int write_file(sqlite3_file* file, const void* data, int length, sqlite3_int64 offset) {
  Files& all = files();
  const bool now = ++all.writes == all.death.write;
  if (now && all.death.moment == Moment::before) die("file, before");
  const bool half = now && all.death.moment == Moment::during;
  const int done = all.real_methods->xWrite(file, data, half ? length / 2 : length, offset);
  if (half) die("file, during");
  if (now && all.death.moment == Moment::heard) {
    die_later("file, heard");
  } else if (now) {
    die("file, unheard");
  }
  return done;
}

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* flags_out) {
  Files& all = files();
  sqlite3_vfs* real = const_cast<sqlite3_vfs*>(all.real);
  const int done = real->xOpen(real, name, file, flags, flags_out);
  if (done != SQLITE_OK || file->pMethods == nullptr) return done;
  if (all.real_methods == nullptr) {
    all.real_methods = file->pMethods;
    all.methods = *file->pMethods;
    all.methods.xWrite = write_file;
  }
  if (file->pMethods == all.real_methods) file->pMethods = &all.methods;
  return done;
}

}  // namespace

std::optional<Moment> moment_of(std::string_view word) noexcept {
  for (std::size_t i = 0; i < kMoments.size(); ++i) {
    if (kMoments[i] == word) return static_cast<Moment>(i);
  }
  return std::nullopt;
}

void die(std::string_view why) {
  const std::string line = "died: " + std::string(why) + "\n";
  static_cast<void>(!::write(STDERR_FILENO, line.data(), line.size()));
  ::kill(::getpid(), SIGKILL);
  while (true) ::pause();
}

std::unique_ptr<Journal> killing_journal(std::unique_ptr<Journal> inner,
                                         asio::any_io_executor executor, Death death) {
  return std::make_unique<KillingJournal>(std::move(inner), std::move(executor), death);
}

void kill_at_file_write(Death death) {
  if (death.moment == Moment::never) return;
  Files& all = files();
  PHASE_CHECK(all.real == nullptr);
  all.death = death;
  all.real = ::sqlite3_vfs_find(nullptr);
  PHASE_CHECK(all.real != nullptr);
  all.vfs = *all.real;
  all.vfs.zName = "phase-crash";
  all.vfs.xOpen = open_file;
  PHASE_CHECK(::sqlite3_vfs_register(&all.vfs, 1) == SQLITE_OK);
}

}  // namespace phase::vcp::crash
