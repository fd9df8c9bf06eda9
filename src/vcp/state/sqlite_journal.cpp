#include "vcp/state/sqlite_journal.h"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "base/pool_task.h"
#include "base/waiters.h"
#include "vcp/state/tables_internal.h"

namespace phase::vcp {

struct SqliteJournal::State : std::enable_shared_from_this<State> {
  State(asio::any_io_executor on, Clock& clock, Tables with)
      : executor(std::move(on)), tables(std::move(with)), written(clock, executor) {}

  static Task<void> write_all(std::shared_ptr<State> self);

  asio::any_io_executor executor;
  asio::thread_pool thread{1};
  Tables tables;  // the thread's
  std::vector<Batch> queue;
  std::uint64_t appended = 0, durable = 0;
  bool writing = false;
  std::optional<Error> broken;
  Waiters written;
};

/// Writes what is queued, again and again until nothing is.
Task<void> SqliteJournal::State::write_all(std::shared_ptr<State> self) {
  while (!self->queue.empty() && !self->broken) {
    std::vector<Batch> now;
    const std::size_t count = std::min(self->queue.size(), kBatchesAtOnce);
    const auto end = self->queue.begin() + static_cast<std::ptrdiff_t>(count);
    now.assign(std::make_move_iterator(self->queue.begin()), std::make_move_iterator(end));
    self->queue.erase(self->queue.begin(), end);
    const std::function<Result<void>()> write = [&] { return self->tables.write(now); };
    const Result<void> done = co_await in_pool(self->thread, write);
    if (done) {
      self->durable += count;
    } else {
      self->broken = done.error();
    }
    self->written.notify_all();
  }
  self->writing = false;
}

SqliteJournal::SqliteJournal(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<SqliteJournal>> SqliteJournal::open(asio::any_io_executor executor,
                                                           Clock& clock,
                                                           const std::filesystem::path& file,
                                                           SqliteOptions options) {
  PHASE_TRY(Tables tables, Tables::open(file));
  tables.keep(options.tasks_kept, options.prune_every);
  auto state = std::make_shared<State>(std::move(executor), clock, std::move(tables));
  return std::unique_ptr<SqliteJournal>(new SqliteJournal(std::move(state)));
}

SqliteJournal::~SqliteJournal() {
  // What the executor still holds of the writer is past its last use of the thread once that is
  // idle.
  state_->thread.join();
  if (!state_->queue.empty() && !state_->broken) {
    static_cast<void>(state_->tables.write(state_->queue));
    state_->queue.clear();
  }
}

void SqliteJournal::append(Batch batch) {
  if (batch.empty()) return;
  ++state_->appended;
  state_->queue.push_back(std::move(batch));
  if (state_->writing) return;
  state_->writing = true;
  asio::co_spawn(state_->executor, State::write_all(state_), asio::detached);
}

Task<Result<void>> SqliteJournal::settled() {
  const std::shared_ptr<State> state = state_;
  const std::uint64_t until = state->appended;
  while (state->durable < until && !state->broken) {
    const bool woken = co_await state->written.wait();
    if (!woken) co_return fail(Code::cancelled, "the coordinator stops");
  }
  if (state->broken) co_return fail(*state->broken);
  co_return Result<void>{};
}

std::size_t SqliteJournal::waiting() const {
  return static_cast<std::size_t>(state_->appended - state_->durable);
}

Result<StateFacts> check_state(const std::filesystem::path& file) {
  PHASE_TRY(Tables tables, Tables::open(file));
  PHASE_TRY(const Loaded loaded, tables.load());
  StateFacts out;
  out.nodes = loaded.nodes.size();
  PHASE_TRY(out.tasks, tables.tasks_held());
  out.entries = loaded.book.sequence();
  out.head = loaded.book.head();
  return out;
}

Task<Result<void>> SqliteJournal::copy_to(std::filesystem::path file) {
  const std::shared_ptr<State> state = state_;
  auto durable = co_await settled();
  if (!durable) co_return durable;
  const std::function<Result<std::unique_ptr<sql::Copy>>()> begin = [&] {
    return state->tables.copy(file);
  };
  auto copy = co_await in_pool(state->thread, begin);
  if (!copy) co_return fail(std::move(copy).error());
  const std::function<Result<bool>()> step = [&] { return (*copy)->step(kCopyPagesAtOnce); };
  bool complete = false;
  while (!complete) {
    const Result<bool> stepped = co_await in_pool(state->thread, step);
    if (!stepped) co_return fail(stepped.error());
    complete = *stepped;
  }
  const std::function<bool()> close = [&] {
    copy->reset();
    return true;
  };
  static_cast<void>(co_await in_pool(state->thread, close));
  co_return Result<void>{};
}

Task<Result<Loaded>> SqliteJournal::load() {
  const std::shared_ptr<State> state = state_;
  const std::function<Result<Loaded>()> read = [&] { return state->tables.load(); };
  auto out = co_await in_pool(state->thread, read);
  co_return out;
}

Task<Result<std::optional<TaskRow>>> SqliteJournal::task(TaskId id) {
  const std::shared_ptr<State> state = state_;
  const std::function<Result<std::optional<TaskRow>>()> read = [&] {
    return state->tables.task(id);
  };
  auto out = co_await in_pool(state->thread, read);
  co_return out;
}

Task<Result<std::vector<RunRow>>> SqliteJournal::runs(TaskId id) {
  const std::shared_ptr<State> state = state_;
  const std::function<Result<std::vector<RunRow>>()> read = [&] { return state->tables.runs(id); };
  auto out = co_await in_pool(state->thread, read);
  co_return out;
}

Task<Result<TaskPage>> SqliteJournal::tasks(TaskQuery query) {
  const std::shared_ptr<State> state = state_;
  const std::function<Result<TaskPage>()> read = [&] { return state->tables.tasks(query); };
  auto out = co_await in_pool(state->thread, read);
  co_return out;
}

Task<Result<std::vector<Entry>>> SqliteJournal::entries(std::string account, std::uint64_t sequence,
                                                        std::size_t limit) {
  const std::shared_ptr<State> state = state_;
  const std::function<Result<std::vector<Entry>>()> read = [&] {
    return state->tables.entries(account, sequence, limit);
  };
  auto out = co_await in_pool(state->thread, read);
  co_return out;
}

}  // namespace phase::vcp
