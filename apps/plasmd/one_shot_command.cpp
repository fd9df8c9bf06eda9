// plasmd run, plasmd execute-job: a node without a network that lives for one job.
#include <fstream>
#include <iostream>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <stdlib.h>
#include <unistd.h>

#include "api/control/job_book.h"
#include "base/temp_folder.h"
#include "commands.h"
#include "console.h"
#include "daemon/daemon.h"
#include "daemon/log.h"
#include "job_report.h"
#include "mesh/no_network.h"
#include "node/local_node.h"
#include "store/store.h"
#include "world.h"

namespace phase::plasmd {
namespace {

namespace fs = std::filesystem;

/// The job is over long before; its result is asked for in steps of this.
constexpr Duration kEventWait = 3600s;

Result<Bytes> read_module(const fs::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) {
    return fail_errno(errno, "cannot read the module " + path.string());
  }
  const auto size = static_cast<std::int64_t>(file.tellg());
  if (size < 0 || static_cast<std::uint64_t>(size) > job::kModuleBytesMax) {
    return fail(size < 0 ? Code::io : Code::too_large,
                path.string() + " cannot be read, or is above 50 MiB");
  }
  Bytes out(static_cast<std::size_t>(size));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(out.data()), size);
  if (!file) {
    return fail(Code::io, "cannot read the module " + path.string());
  }
  return out;
}

control::Submission submission_of(const CommandLine& line, const Sha256& module) {
  const JobFlags& flags = line.job;
  control::Submission out;
  out.module = module;
  out.job.entry = flags.entry;
  out.job.args = line.args;
  out.job.env = flags.env;
  out.job.limits.memory_bytes = flags.memory_bytes.value_or(out.job.limits.memory_bytes);
  out.job.limits.table_elements = flags.table_elements.value_or(out.job.limits.table_elements);
  out.job.limits.output_bytes = flags.output_bytes.value_or(out.job.limits.output_bytes);
  out.job.limits.fuel = flags.fuel.value_or(out.job.limits.fuel);
  out.requirements.cpu_cores = flags.cpu_cores;
  out.timeout_ms = flags.timeout_ms.value_or(out.timeout_ms);
  out.is_private = flags.is_private;
  out.target = control::Target::local;
  return out;
}

/// The node and its one job. Belongs to one io_context.
class OneShot {
 public:
  OneShot(asio::io_context& context, const CommandLine& line, const Settings& settings,
          spdlog::logger& log)
      : context_(context), line_(line), settings_(settings), log_(log), signals_(context) {}
  OneShot(const OneShot&) = delete;
  OneShot& operator=(const OneShot&) = delete;
  ~OneShot() {
    book_.reset();
    local_.reset();
    store_.reset();
  }

  Result<int> run() {
    PHASE_TRY(Bytes module, read_module(line_.wasm));
    PHASE_TRY_VOID(make_node());
    console_ = std::make_unique<Console>(context_.get_executor());
    report_ = make_report(line_, *console_);
    wait_for_signal();
    const auto guard = asio::make_work_guard(context_);
    asio::co_spawn(context_, live(std::move(module)), [this](const std::exception_ptr& error) {
      context_.stop();
      if (error) {
        std::rethrow_exception(error);  // a bug of ours: ends the process with its text
      }
    });
    context_.run();
    return status_;
  }

 private:
  /// State goes to a scratch folder; the module cache is the daemon's where that can be had.
  Result<void> make_node() {
    PHASE_TRY(TempFolder made, TempFolder::make("plasmd"));
    scratch_.emplace(std::move(made));
    fs::path data = settings_.data_dir;
    if (const auto ready = daemon::make_folder(data, "--data DIR");
        !ready || ::access(data.c_str(), W_OK) != 0) {
      log_.info("compiled modules are not kept: {} cannot be written", data.string());
      data = scratch_->path();
    }
    PHASE_TRY(world_, OneNode::make(context_.get_executor(), settings_.identity_path, data));
    store::StoreOptions store;
    store.path = scratch_->path() / "job.db";
    store.durability = store::Durability::process;  // it does not outlive this process
    PHASE_TRY(store_, store::Store::open(store, world_->clock.now_utc()));
    auto options = local_options(settings_, world_->cache_key, data);
    options.policy.takes_others = false;
    options.worker.executions_max = 1;
    options.worker.idle_children = 1;
    options.provider.jobs_running_max = 1;
    PHASE_TRY(local_, node::LocalNode::start({world_->clock, world_->random, *world_->key, *store_,
                                              *store_, context_.get_executor(), log_},
                                             std::move(options)));
    control::JobBookLimits limits;
    limits.transcript_stored_max = 0;
    PHASE_TRY(book_, control::JobBook::open({world_->clock, world_->random, *world_->key, nowhere_,
                                             local_->network(), *store_, context_.get_executor()},
                                            limits));
    return {};
  }

  void wait_for_signal() {
    signals_.add(SIGINT);
    signals_.add(SIGTERM);
    signals_.async_wait([this](const boost::system::error_code& error, int number) {
      if (error) {
        return;
      }
      if (std::exchange(signalled_, true)) {
        scratch_.reset();
        ::_exit(128 + number);
      }
      if (!id_.empty()) {
        static_cast<void>(book_->cancel(id_));
      }
      wait_for_signal();
    });
  }

  Task<void> live(Bytes module) {
    status_ = co_await run_job(std::move(module));
    console_->stop_reading();
    co_await local_->provider().drain(world_->clock.deadline_after(5s));
  }

  Task<Result<int>> run_job(Bytes module) {
    PHASE_CO_TRY(const auto staged, co_await book_->stage(std::move(module)));
    PHASE_CO_TRY(id_, book_->submit(submission_of(line_, staged.ref.sha256)));
    if (signalled_) {
      static_cast<void>(book_->cancel(id_));
    }
    const bool told = co_await report_->accepted(id_);
    if (!told) {
      co_return cannot_write();
    }
    asio::co_spawn(context_, feed(), asio::detached);
    std::uint64_t after = 0;
    while (true) {
      PHASE_CO_TRY(const auto event,
                   co_await book_->next_event(id_, after, report_->wants_transcript(),
                                              world_->clock.deadline_after(kEventWait)));
      if (!event) {
        continue;
      }
      after = event->id;
      if (event->last) {
        co_return co_await report_->finished(event->data);
      }
      const bool shown = co_await report_->happened(event->name, event->data);
      if (!shown) {
        static_cast<void>(book_->cancel(id_));
        co_return cannot_write();
      }
    }
  }

  static tl::unexpected<Error> cannot_write() {
    return fail(Code::io, "nobody reads our output any more");
  }

  Task<void> feed() {
    while (true) {
      Bytes piece = co_await console_->read();
      const bool end = piece.empty();
      const auto written = co_await book_->write_stdin(id_, std::move(piece), end);
      if (!written || end) {
        co_return;
      }
    }
  }

  asio::io_context& context_;
  const CommandLine& line_;
  const Settings& settings_;
  spdlog::logger& log_;
  asio::signal_set signals_;
  bool signalled_ = false;
  mesh::NoNetwork nowhere_;
  std::optional<TempFolder> scratch_;
  std::unique_ptr<OneNode> world_;
  std::unique_ptr<Console> console_;
  std::unique_ptr<JobReport> report_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<node::LocalNode> local_;
  std::unique_ptr<control::JobBook> book_;
  std::string id_;
  Result<int> status_ = 0;
};

}  // namespace

Result<int> one_shot_command(const CommandLine& line, const Settings& settings) {
  const std::string& level = settings.config.log_level;
  const auto log =
      daemon::make_log("plasmd", settings.config.log_format, level.empty() ? "warn" : level);
  auto context = std::make_unique<asio::io_context>(1);
  OneShot job(*context, line, settings, *log);
  return job.run();
}

}  // namespace phase::plasmd
