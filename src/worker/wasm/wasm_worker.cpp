#include "worker/wasm/wasm_worker.h"

#include <algorithm>
#include <deque>
#include <map>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <spdlog/spdlog.h>

#include "worker/sandbox/launcher.h"
#include "worker/wasm/about.h"
#include "worker/wasm/compile.h"
#include "worker/wasm/execution.h"
#include "worker/wasm/message.h"

namespace phase::worker {
namespace {

// Between the end of a run and the forks that replace its process: the receipt goes out first.
constexpr Duration kRefillPause = 200us;
// Idle children that turn out to be dead before a run gives up: more than one zygote can lose.
constexpr int kStartAttemptsMax = 3;

}  // namespace

struct WasmWorker::State : std::enable_shared_from_this<WasmWorker::State> {
  asio::any_io_executor executor;
  Options options;
  std::unique_ptr<sandbox::Launcher> launcher;
  std::unique_ptr<ModuleStore> store;
  About about;
  std::vector<std::string> layers, warnings;
  std::deque<std::shared_ptr<sandbox::Child>> idle;
  bool refilling = false;
  std::optional<asio::steady_timer> refill_pause;
  bool closed = false;
  std::size_t running = 0;
  std::size_t compiling = 0;
  std::deque<std::shared_ptr<asio::steady_timer>> compile_queue;

  void refill();
  void refill_soon();
  Task<void> refill_loop();
  Task<Result<std::shared_ptr<sandbox::Child>>> take_child();
  Task<Result<std::shared_ptr<sandbox::Child>>> start_child(const SealedModule& module,
                                                            const job::WasmJob& job);
  Task<Result<void>> enter_compile();
  void leave_compile();
  Task<Result<void>> compile(Sha256 id, job::Profile profile, ByteView module);
};

// Forks ahead of need, off the path of any job.
void WasmWorker::State::refill() {
  if (refilling || closed || idle.size() >= options.idle_children) return;
  refilling = true;
  asio::co_spawn(
      executor,
      [self = shared_from_this()]() -> Task<void> {
        co_await self->refill_loop();
        self->refilling = false;
      },
      asio::detached);
}

// After the end of a run: not before its receipt, which wants the processor now.
void WasmWorker::State::refill_soon() {
  if (closed || refill_pause) return;
  refill_pause.emplace(executor, kRefillPause);
  refill_pause->async_wait([self = shared_from_this()](boost::system::error_code) {
    self->refill_pause.reset();
    self->refill();
  });
}

Task<void> WasmWorker::State::refill_loop() {
  while (!closed && idle.size() < options.idle_children) {
    auto child = co_await launcher->fork(sandbox::Role::execute);
    if (closed) co_return;
    // The next job will ask again; a lost zygote is being restarted meanwhile.
    if (!child) co_return;
    idle.push_back(*std::move(child));
  }
}

Task<Result<std::shared_ptr<sandbox::Child>>> WasmWorker::State::take_child() {
  // Children of a lost zygote are lost, too.
  std::erase_if(idle, [](const auto& child) { return child->ended(); });
  if (!idle.empty()) {
    auto child = std::move(idle.front());
    idle.pop_front();
    // A fork would take the processor from the job that starts now; the end of a run asks for one.
    if (idle.empty()) refill();
    co_return child;
  }
  auto child = co_await launcher->fork(sandbox::Role::execute);
  if (!closed) refill();
  co_return child;
}

Task<Result<std::shared_ptr<sandbox::Child>>> WasmWorker::State::start_child(
    const SealedModule& module, const job::WasmJob& job) {
  const Bytes request = encode_start(module.bytes, job);
  const int file = module.file.get();
  for (int attempt = 0; attempt < kStartAttemptsMax; attempt++) {
    PHASE_CO_TRY(const std::shared_ptr<sandbox::Child> child, co_await take_child());
    if (closed) co_return fail(Code::unavailable, "the worker is closing down");
    const auto sent = co_await child->send(request, {}, std::span(&file, 1));
    if (sent) co_return child;
  }
  co_return fail(Code::internal, "worker processes end before they are given anything to do");
}

/// Machine code differs by profile, so the cache names it by both.
Sha256 compiled_id(const job::WasmJob& job) {
  if (job.profile == job::Profile::fast) return job.module.sha256;
  return sha256(
      as_bytes(std::string(job::profile_name(job.profile)) + " " + job.module.sha256.hex()));
}

// At most `running_max` compile at once; the rest wait in order.
Task<Result<void>> WasmWorker::State::enter_compile() {
  if (compiling < options.compile.running_max) {
    compiling++;
    co_return Result<void>{};
  }
  if (compile_queue.size() >= options.compile.waiting_max) {
    co_return fail(Code::busy, "too many modules wait to be compiled");
  }
  const auto turn =
      std::make_shared<asio::steady_timer>(executor, asio::steady_timer::time_point::max());
  compile_queue.push_back(turn);
  boost::system::error_code ignored;
  co_await turn->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  if (closed) co_return fail(Code::unavailable, "the worker is closing down");
  co_return Result<void>{};  // the place was passed on, `compiling` stays as it is
}

void WasmWorker::State::leave_compile() {
  if (compile_queue.empty()) {
    compiling--;
    return;
  }
  const auto turn = compile_queue.front();
  compile_queue.pop_front();
  turn->cancel();
}

Task<Result<void>> WasmWorker::State::compile(Sha256 id, job::Profile profile, ByteView module) {
  // While this one waited, the same module may have been compiled for another.
  if (co_await store->find(id)) co_return Result<void>{};
  PHASE_CO_TRY(ModuleWriter writer, store->writer(id));
  PHASE_CO_TRY(auto child, co_await launcher->fork(sandbox::Role::compile));
  PHASE_CO_TRY(auto sealed, co_await compile_in_child(std::move(child), profile, module,
                                                      std::move(writer), options.compile));
  if (!closed) store->keep(id, std::move(sealed));
  co_return Result<void>{};
}

WasmWorker::WasmWorker(std::shared_ptr<State> state) : state_(std::move(state)) {}

WasmWorker::~WasmWorker() {
  state_->closed = true;
  if (state_->refill_pause) state_->refill_pause->cancel();
  state_->idle.clear();
  for (const auto& turn : std::exchange(state_->compile_queue, {})) turn->cancel();
  state_->launcher.reset();
}

Result<std::unique_ptr<WasmWorker>> WasmWorker::start(asio::any_io_executor executor,
                                                      Options options) {
  const std::size_t children =
      options.executions_max + options.idle_children + options.compile.running_max;
  if (options.executions_max == 0 || options.compile.running_max == 0 ||
      children > sandbox::kChildrenMax) {
    return fail(Code::invalid_argument, "a worker runs at least one job and holds at most " +
                                            std::to_string(sandbox::kChildrenMax) + " processes");
  }
  auto state = std::make_shared<State>();
  state->executor = executor;
  state->options = options;
  PHASE_TRY(state->launcher,
            sandbox::Launcher::start(executor,
                                     {options.worker_path,
                                      {"--kind", "wasm", "--isolation",
                                       std::string(sandbox::isolation_name(options.isolation))}}));
  const auto& hello = state->launcher->hello();
  PHASE_TRY(state->about, decode_about(hello.about));
  state->layers = hello.layers;
  if (!hello.missing.empty()) {
    state->warnings.push_back("jobs run without some layers of isolation: " + hello.missing);
  }
  if (options.isolation == sandbox::Isolation::none) {
    state->warnings.emplace_back("jobs run without any isolation, as asked for");
  }
  PHASE_TRY(state->store,
            ModuleStore::open(executor,
                              {options.cache_folder, options.cache_key, state->about.fingerprint,
                               options.cache_disk_bytes_max, options.cache_memory_bytes_max,
                               options.compile.compiled_bytes}));
  state->refill();
  return std::unique_ptr<WasmWorker>(new WasmWorker(std::move(state)));
}

bool WasmWorker::holds_module(const job::Job& job) const {
  const auto* const wasm = std::get_if<job::WasmJob>(&job);
  return wasm != nullptr && state_->store->holds(compiled_id(*wasm));
}

Task<Result<void>> WasmWorker::prepare(const job::Job& job, ByteView module) {
  if (module.empty()) co_return fail(Code::malformed, "module_malformed: it has no bytes");
  const auto state = state_;
  const auto* const wasm = std::get_if<job::WasmJob>(&job);
  if (wasm == nullptr) co_return fail(Code::unsupported, "this node runs wasm jobs");
  const Sha256 id = compiled_id(*wasm);
  const job::Profile profile = wasm->profile;
  if (co_await state->store->find(id)) co_return Result<void>{};
  PHASE_CO_TRY_VOID(co_await state->enter_compile());
  auto compiled = co_await state->compile(id, profile, module);
  state->leave_compile();
  co_return compiled;
}

Result<void> WasmWorker::takes(const job::Job& job) const {
  if (std::holds_alternative<job::WasmJob>(job)) return {};
  return fail(Code::unsupported, "this node runs wasm jobs");
}

Task<Result<std::unique_ptr<provider::Execution>>> WasmWorker::start(const job::Job& job,
                                                                     const provider::Caller&) {
  return start(std::get<job::WasmJob>(job));
}

Task<Result<std::unique_ptr<provider::Execution>>> WasmWorker::start(const job::WasmJob& job) {
  const auto state = state_;
  if (state->running >= state->options.executions_max) {
    co_return fail(Code::busy, "as many jobs run as this worker allows");
  }
  // Held from here on, so that jobs that start at the same time are counted.
  state->running++;
  std::shared_ptr<void> slot(nullptr, [state](void*) {
    state->running--;
    state->refill_soon();
  });
  const auto module = co_await state->store->find(compiled_id(job));
  if (!module) co_return fail(Code::not_found, "the module is not prepared");
  PHASE_CO_TRY(auto child, co_await state->start_child(*module, job));
  ExecutionSetup setup;
  setup.child = std::move(child);
  setup.output_bytes_max = job.limits.output_bytes;
  setup.isolation = state->layers;
  setup.runtime = state->about.runtime;
  setup.slot = std::move(slot);
  co_return make_execution(state->executor, std::move(setup));
}

const std::string& WasmWorker::runtime() const noexcept {
  return state_->about.runtime;
}
const std::vector<std::string>& WasmWorker::isolation() const noexcept {
  return state_->layers;
}
const std::vector<std::string>& WasmWorker::warnings() const noexcept {
  return state_->warnings;
}
std::size_t WasmWorker::executions_running() const noexcept {
  return state_->running;
}
ModuleStore& WasmWorker::modules() noexcept {
  return *state_->store;
}
int WasmWorker::zygote_pid() const noexcept {
  return state_->launcher->zygote_pid();
}

}  // namespace phase::worker
