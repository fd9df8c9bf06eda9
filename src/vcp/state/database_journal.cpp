#include "vcp/state/database_journal.h"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "base/pool_task.h"
#include "base/waiters.h"
#include "vcp/state/tables_internal.h"

namespace phase::vcp {

struct DatabaseJournal::State : std::enable_shared_from_this<State> {
  State(asio::any_io_executor on, Clock& time, Tables with)
      : executor(std::move(on)), tables(std::move(with)), written(time, executor), clock(time) {}

  static Task<void> write_all(std::shared_ptr<State> self);
  static Task<void> ask_server(std::shared_ptr<State> self);
  void note(const Result<void>& done, std::size_t batches);

  asio::any_io_executor executor;
  asio::thread_pool thread{1};
  Tables tables;  // the thread's
  std::vector<Batch> queue;
  std::uint64_t appended = 0, durable = 0;
  bool writing = false;
  bool closed = false;
  std::optional<Error> broken;
  std::string still_here;
  std::function<void(const Error&)> tell_broken;
  Waiters written;
  Clock& clock;
};

void DatabaseJournal::State::note(const Result<void>& done, std::size_t batches) {
  if (done) {
    durable += batches;
  } else if (!broken) {
    broken = done.error();
    if (tell_broken && !closed) std::exchange(tell_broken, nullptr)(*broken);
  }
  written.notify_all();
}

/// A dead connection is found although nothing is written; others see that this leader works.
Task<void> DatabaseJournal::State::ask_server(std::shared_ptr<State> self) {
  Instant next = self->clock.now() + kServerAskedEvery;
  while (!self->closed && !self->broken) {
    static_cast<void>(co_await self->written.wait(Deadline{next}));
    if (self->closed || self->broken || self->clock.now() < next) continue;
    next = self->clock.now() + kServerAskedEvery;
    const std::function<Result<void>()> ask = [&] { return self->tables.ask(self->still_here); };
    const Result<void> there = co_await in_pool(self->thread, ask);
    self->note(there, 0);
  }
}

/// Writes what is queued, again and again until nothing is.
Task<void> DatabaseJournal::State::write_all(std::shared_ptr<State> self) {
  while (!self->queue.empty() && !self->broken) {
    std::vector<Batch> now;
    const std::size_t count = std::min(self->queue.size(), kBatchesAtOnce);
    const auto end = self->queue.begin() + static_cast<std::ptrdiff_t>(count);
    now.assign(std::make_move_iterator(self->queue.begin()), std::make_move_iterator(end));
    self->queue.erase(self->queue.begin(), end);
    const std::function<Result<void>()> write = [&] { return self->tables.write(now); };
    const Result<void> done = co_await in_pool(self->thread, write);
    self->note(done, count);
  }
  self->writing = false;
}

DatabaseJournal::DatabaseJournal(std::shared_ptr<State> state) : state_(std::move(state)) {}

std::unique_ptr<DatabaseJournal> DatabaseJournal::begin(asio::any_io_executor executor,
                                                        Clock& clock, Tables tables,
                                                        JournalOptions options) {
  tables.keep(options.tasks_kept, options.prune_every);
  auto state = std::make_shared<State>(std::move(executor), clock, std::move(tables));
  return std::unique_ptr<DatabaseJournal>(new DatabaseJournal(std::move(state)));
}

Result<std::unique_ptr<DatabaseJournal>> DatabaseJournal::open(asio::any_io_executor executor,
                                                               Clock& clock,
                                                               const std::filesystem::path& file,
                                                               JournalOptions options) {
  PHASE_TRY(Tables tables, Tables::open(file));
  return begin(std::move(executor), clock, std::move(tables), options);
}

Result<std::unique_ptr<DatabaseJournal>> DatabaseJournal::open(
    asio::any_io_executor executor, Clock& clock, sql::Postgres server, JournalOptions options,
    std::string still_here, std::function<void(const Error&)> broken) {
  PHASE_TRY(Tables tables, Tables::make(std::move(server)));
  auto out = begin(executor, clock, std::move(tables), options);
  out->state_->tell_broken = std::move(broken);
  out->state_->still_here = std::move(still_here);
  asio::co_spawn(executor, State::ask_server(out->state_), asio::detached);
  return out;
}

DatabaseJournal::~DatabaseJournal() {
  // What the executor still holds of the writer is past its last use of the thread once that is
  // idle.
  state_->closed = true;
  state_->written.notify_all();
  state_->thread.join();
  if (!state_->queue.empty() && !state_->broken) {
    static_cast<void>(state_->tables.write(state_->queue));
    state_->queue.clear();
  }
}

void DatabaseJournal::append(Batch batch) {
  if (batch.empty()) return;
  ++state_->appended;
  state_->queue.push_back(std::move(batch));
  if (state_->writing) return;
  state_->writing = true;
  asio::co_spawn(state_->executor, State::write_all(state_), asio::detached);
}

Task<Result<void>> DatabaseJournal::settled() {
  const std::shared_ptr<State> state = state_;
  const std::uint64_t until = state->appended;
  while (state->durable < until && !state->broken) {
    const bool woken = co_await state->written.wait();
    if (!woken) co_return fail(Code::cancelled, "the coordinator stops");
  }
  if (state->broken) co_return fail(*state->broken);
  co_return Result<void>{};
}

std::size_t DatabaseJournal::waiting() const {
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

Task<Result<void>> DatabaseJournal::copy_to(std::filesystem::path file) {
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

Task<Result<Loaded>> DatabaseJournal::load() {
  const std::shared_ptr<State> state = state_;
  const std::function<Result<Loaded>()> read = [&] { return state->tables.load(); };
  auto out = co_await in_pool(state->thread, read);
  co_return out;
}

Task<Result<std::optional<TaskRow>>> DatabaseJournal::task(TaskId id) {
  const std::shared_ptr<State> state = state_;
  const std::function<Result<std::optional<TaskRow>>()> read = [&] {
    return state->tables.task(id);
  };
  auto out = co_await in_pool(state->thread, read);
  co_return out;
}

Task<Result<std::vector<RunRow>>> DatabaseJournal::runs(TaskId id) {
  const std::shared_ptr<State> state = state_;
  const std::function<Result<std::vector<RunRow>>()> read = [&] { return state->tables.runs(id); };
  auto out = co_await in_pool(state->thread, read);
  co_return out;
}

Task<Result<std::optional<ConnectSession>>> DatabaseJournal::session(std::string id) {
  const std::shared_ptr<State> state = state_;
  const std::function<Result<std::optional<ConnectSession>>()> read = [&] {
    return state->tables.session(id);
  };
  auto out = co_await in_pool(state->thread, read);
  co_return out;
}

Task<Result<TaskPage>> DatabaseJournal::tasks(TaskQuery query) {
  const std::shared_ptr<State> state = state_;
  const std::function<Result<TaskPage>()> read = [&] { return state->tables.tasks(query); };
  auto out = co_await in_pool(state->thread, read);
  co_return out;
}

Task<Result<std::vector<Entry>>> DatabaseJournal::entries(std::string account,
                                                          std::uint64_t sequence,
                                                          std::size_t limit) {
  const std::shared_ptr<State> state = state_;
  const std::function<Result<std::vector<Entry>>()> read = [&] {
    return state->tables.entries(account, sequence, limit);
  };
  auto out = co_await in_pool(state->thread, read);
  co_return out;
}

}  // namespace phase::vcp
