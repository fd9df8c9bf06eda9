// Durable tasks a second through the coordinator (accept, place, run, pay, keep), against the same
// rows in transactions of the same size given straight to the journal's file.
#include <atomic>
#include <cstdlib>

#include <sodium.h>
#include <sqlite3.h>

#include "tests/bench/samples.h"
#include "tests/bench_vcp/core.h"

namespace phase::bench {
namespace {

constexpr std::size_t kTasks = 10'000;
constexpr std::size_t kSubmitters = 1'000;
constexpr std::size_t kNodes = 200;

std::atomic<std::uint64_t> commits{0};

int count_commit(void*) {
  ++commits;
  return 0;
}
/// SQLite calls it for each connection that is opened.
int watch_commits(sqlite3* connection, const char**, const struct sqlite3_api_routines*) {
  ::sqlite3_commit_hook(connection, count_commit, nullptr);
  return SQLITE_OK;
}

/// Keeps what is written, to write it again.
class Recorder final : public vcp::Journal {
 public:
  Recorder(std::unique_ptr<vcp::Journal> inner, std::vector<vcp::Batch>& kept)
      : inner_(std::move(inner)), kept_(kept) {}
  void append(vcp::Batch batch) override {
    kept_.push_back(batch);
    inner_->append(std::move(batch));
  }
  Task<Result<void>> settled() override { return inner_->settled(); }
  Task<Result<vcp::Loaded>> load() override { return inner_->load(); }
  std::size_t waiting() const override { return inner_->waiting(); }
  Task<Result<std::optional<vcp::TaskRow>>> task(vcp::TaskId id) override {
    return inner_->task(std::move(id));
  }
  Task<Result<std::vector<vcp::RunRow>>> runs(vcp::TaskId id) override {
    return inner_->runs(std::move(id));
  }
  Task<Result<vcp::TaskPage>> tasks(vcp::TaskQuery query) override {
    return inner_->tasks(std::move(query));
  }
  Task<Result<std::vector<vcp::Entry>>> entries(std::string account, std::uint64_t sequence,
                                                std::size_t limit) override {
    return inner_->entries(std::move(account), sequence, limit);
  }
  Task<Result<std::optional<vcp::ConnectSession>>> session(std::string id) override {
    return inner_->session(std::move(id));
  }

 private:
  std::unique_ptr<vcp::Journal> inner_;
  std::vector<vcp::Batch>& kept_;
};

Task<void> submit_some(Core& core, std::size_t count, std::size_t& left) {
  for (std::size_t i = 0; i < count; ++i) {
    auto made = co_await core.coordinator().submit(core.submission(), Core::kOwner);
    PHASE_CHECK(made.has_value());
  }
  --left;
}

/// Seconds for kTasks tasks, from the first submission to the last durable end.
double run_tasks(Core& core) {
  const auto begin = Samples::Clock::now();
  core.play([&]() -> Task<void> {
    std::size_t left = kSubmitters;
    for (std::size_t i = 0; i < kSubmitters; ++i) {
      asio::co_spawn(core.context(), submit_some(core, kTasks / kSubmitters, left), asio::detached);
    }
    SystemClock clock(core.context().get_executor());
    while (left > 0 || core.coordinator().stats().completed_tasks < kTasks) {
      static_cast<void>(co_await clock.sleep_for(5ms));
    }
    const auto settled = co_await core.journal().settled();
    PHASE_CHECK(settled.has_value());
  });
  return std::chrono::duration<double>(Samples::Clock::now() - begin).count();
}

void join(vcp::Batch& to, const vcp::Batch& from) {
  to.nodes.insert(to.nodes.end(), from.nodes.begin(), from.nodes.end());
  to.tasks.insert(to.tasks.end(), from.tasks.begin(), from.tasks.end());
  to.runs.insert(to.runs.end(), from.runs.begin(), from.runs.end());
  to.entries.insert(to.entries.end(), from.entries.begin(), from.entries.end());
}

/// Seconds to write `batches`, so many in one transaction.
double write_straight(const std::vector<vcp::Batch>& batches, std::size_t at_once) {
  const TempFolder folder = TempFolder::make("phase-bench-").value();
  asio::io_context context(1);
  SystemClock clock(context.get_executor());
  auto journal =
      vcp::DatabaseJournal::open(context.get_executor(), clock, folder.path() / "bare.db");
  PHASE_CHECK(journal.has_value());
  std::vector<vcp::Batch> joined;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    if (i % at_once == 0) joined.emplace_back();
    join(joined.back(), batches[i]);
  }
  const auto begin = Samples::Clock::now();
  asio::co_spawn(
      context,
      [&]() -> Task<void> {
        for (vcp::Batch& batch : joined) {
          (*journal)->append(std::move(batch));
          const auto settled = co_await (*journal)->settled();
          PHASE_CHECK(settled.has_value());
        }
      },
      asio::detached);
  context.run();
  return std::chrono::duration<double>(Samples::Clock::now() - begin).count();
}

int bench_main() {
  PHASE_CHECK(::sqlite3_auto_extension(reinterpret_cast<void (*)()>(watch_commits)) == SQLITE_OK);
  double through = 0;
  std::uint64_t transactions = 0;
  {
    Core core(kNodes, Duration{0});
    const std::uint64_t before = commits;
    through = run_tasks(core);
    transactions = commits - before;
  }
  std::vector<vcp::Batch> batches;
  std::size_t first = 0;
  {
    Core core(kNodes, Duration{0}, [&](std::unique_ptr<vcp::Journal> inner) {
      return std::make_unique<Recorder>(std::move(inner), batches);
    });
    first = batches.size();  // nodes and what else came before the tasks
    run_tasks(core);
  }
  const std::size_t count = batches.size() - first;
  const std::size_t at_once =
      std::max<std::size_t>(1, count / std::max<std::uint64_t>(1, transactions));
  const double straight = write_straight(batches, at_once);
  std::printf("%-58s %12.0f /s   %zu tasks, %zu batches, %llu transactions\n", "vcp/durable_tasks",
              kTasks / through, kTasks, count, static_cast<unsigned long long>(transactions));
  std::printf("%-58s %12.0f /s   %zu batches in each transaction\n", "vcp/durable_rows_straight",
              kTasks / straight, at_once);
  print_ratio("vcp/durable_ratio", straight, through);
  return 0;
}

}  // namespace
}  // namespace phase::bench

int main() {
  if (::sodium_init() < 0) return EXIT_FAILURE;
  return phase::bench::bench_main();
}
