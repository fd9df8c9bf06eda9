// ambient-vcp health and info: looked at, not claimed.
#include <iostream>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <unistd.h>

#include "base/files.h"
#include "commands.h"
#include "vcp/agent/rendezvous.h"

namespace phase::ambient_vcp {
namespace {

/// Writes "hello\n" by fd_write and ends: (memory 1), one data segment, one import.
constexpr std::uint8_t kHello[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x0c, 0x02, 0x60, 0x04, 0x7f, 0x7f, 0x7f,
    0x7f, 0x01, 0x7f, 0x60, 0x00, 0x00, 0x02, 0x23, 0x01, 0x16, 0x77, 0x61, 0x73, 0x69, 0x5f, 0x73,
    0x6e, 0x61, 0x70, 0x73, 0x68, 0x6f, 0x74, 0x5f, 0x70, 0x72, 0x65, 0x76, 0x69, 0x65, 0x77, 0x31,
    0x08, 0x66, 0x64, 0x5f, 0x77, 0x72, 0x69, 0x74, 0x65, 0x00, 0x00, 0x03, 0x02, 0x01, 0x01, 0x05,
    0x03, 0x01, 0x00, 0x01, 0x07, 0x13, 0x02, 0x06, 0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79, 0x02, 0x00,
    0x06, 0x5f, 0x73, 0x74, 0x61, 0x72, 0x74, 0x00, 0x01, 0x0a, 0x0f, 0x01, 0x0d, 0x00, 0x41, 0x01,
    0x41, 0x00, 0x41, 0x01, 0x41, 0x14, 0x10, 0x00, 0x1a, 0x0b, 0x0b, 0x14, 0x01, 0x00, 0x41, 0x00,
    0x0b, 0x0e, 0x08, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x0a};

class Checks {
 public:
  void good(const std::string& what) { std::cout << "✓ " << what << '\n'; }
  void open(const std::string& what) { std::cout << "? " << what << '\n'; }
  void bad(const std::string& what, const Error& error) {
    std::cout << "✗ " << what << ": " << error.text() << '\n';
    failed_ = true;
  }
  [[nodiscard]] int status() const { return failed_ ? 1 : 0; }

 private:
  bool failed_ = false;
};

/// Everything a run wrote, until it ended well.
Task<Result<std::string>> output_of(std::unique_ptr<provider::Execution> run) {
  std::string out;
  run->close_stdin();
  while (true) {
    Result<provider::WorkerEvent> event = co_await run->next();
    if (!event) co_return fail(event.error());
    if (const auto* const piece = std::get_if<job::OutputPiece>(&*event)) {
      out += as_text(piece->data);
    }
    const auto* const exit = std::get_if<provider::WorkerExit>(&*event);
    if (exit == nullptr) continue;
    if (exit->completion != receipt::Completion{}) {
      co_return fail(Code::internal,
                     "the test module ended as " +
                         std::string(receipt::completion_name(exit->completion.kind)) + " " +
                         exit->completion.reason);
    }
    co_return out;
  }
}

Task<Result<std::string>> run_hello(worker::WasmWorker& worker) {
  const Bytes module(std::begin(kHello), std::end(kHello));
  job::WasmJob job;
  job.module = job::reference(module);
  job.stdin_commitment = job::commit(Bytes{});
  const job::Job asked = job;
  Result<void> ready = co_await worker.prepare(asked, module);
  if (!ready) co_return fail(ready.error());
  Result<std::unique_ptr<provider::Execution>> run = co_await worker.start(job);
  if (!run) co_return fail(run.error());
  std::unique_ptr<provider::Execution> execution = *std::move(run);
  Result<std::string> output = co_await output_of(std::move(execution));
  co_return output;
}

/// Works the loop until a task ends.
template <typename T>
T wait_for(asio::io_context& context, Task<T> task) {
  std::optional<T> out;
  asio::co_spawn(context, std::move(task), [&out](const std::exception_ptr& error, T value) {
    if (error) std::rethrow_exception(error);
    out = std::move(value);
  });
  context.restart();
  while (!out && context.run_one() > 0) {
  }
  return std::move(*out);
}

void check_worker(Checks& checks, asio::io_context& context, const node::LocalOptions& options) {
  auto worker = worker::WasmWorker::start(context.get_executor(), options.worker);
  if (!worker) return checks.bad("worker", worker.error());
  const auto said = wait_for(context, run_hello(**worker));
  if (!said) return checks.bad("worker", said.error());
  if (*said != "hello\n") {
    return checks.bad("worker", {Code::internal, "the test module wrote something else", {}});
  }
  std::string layers;
  for (const std::string& layer : (*worker)->isolation()) layers += " " + layer;
  checks.good("worker: a test module ran in " + (*worker)->runtime() + "; isolation:" + layers);
  for (const std::string& warning : (*worker)->warnings()) checks.open(printable(warning));
}

void check_folder(Checks& checks, const std::filesystem::path& folder) {
  const auto probe = folder / "health.probe";
  const Result<void> written = write_file(probe, "x");
  if (!written) return checks.bad("data folder", written.error());
  std::error_code ignored;
  std::filesystem::remove(probe, ignored);
  checks.good("data folder: " + folder.string() + " can be written");
}

void check_sensors(Checks& checks, vcp::Meter& meter) {
  const vcp::Telemetry now = meter.read();
  std::string found, missing;
  const auto sort = [&](const char* name, bool there) { (there ? found : missing) += name; };
  sort(" memory", now.memory_millipercent.has_value());
  sort(" temperature", now.temperature_millicelsius.has_value());
  sort(" power", meter.share_mj().has_value());
  sort(" gpu", now.gpu_millipercent.has_value());
  checks.good("sensors found:" + (found.empty() ? " none" : found));
  if (!missing.empty()) checks.open("unknown here, and not counted as good:" + missing);
}

void check_coordinator(Checks& checks, asio::io_context& context, const NodeFlags& flags) {
  if (!flags.coordinator_url || flags.coordinator_url->empty()) {
    return checks.open("coordinator: not asked (--coordinator-url or VCP_API_URL)");
  }
  const auto urls = coordinator_urls(*flags.coordinator_url);
  if (!urls) return checks.bad("coordinator", urls.error());
  const auto trust = coordinator_trust(flags.coordinator_ca);
  if (!trust) return checks.bad("coordinator", trust.error());
  std::vector<Error> silent;
  for (const http_client::Url& url : *urls) {
    const auto meeting = wait_for(context, vcp::look_up(context.get_executor(), url, *trust));
    if (!meeting) {
      silent.push_back(meeting.error());
      continue;
    }
    checks.good("coordinator: " + identity::PeerId::from(meeting->key).text() + " at " +
                url.text());
  }
  const bool one_answers = silent.size() < urls->size();  // a node then has its work
  for (const Error& error : silent) {
    if (one_answers) {
      checks.open("coordinator: " + error.text());
    } else {
      checks.bad("coordinator", error);
    }
  }
}

}  // namespace

Result<int> health_command(const CommandLine& line) {
  Checks checks;
  asio::io_context context(1);
  const auto world = NodeWorld::make(context.get_executor(), line.node);
  if (!world) {
    checks.bad("data folder", world.error());
    return checks.status();
  }
  check_folder(checks, (*world)->folder);
  check_worker(checks, context, local_options(line.node, **world));
  check_sensors(checks, (*world)->meter);
  check_coordinator(checks, context, line.node);
  std::cout << (checks.status() == 0 ? "healthy\n" : "not healthy\n");
  return checks.status();
}

Result<int> info_command(const CommandLine& line) {
  PHASE_TRY(const auto folder, node_folder(line.node));
  auto key = identity::load_key(folder / "node.key");
  if (!key && key.error().code == Code::not_found) {
    return fail(Code::not_found,
                "no node " + printable(line.node.id) + " was started here: " + folder.string() +
                    " has no key",
                "ambient-vcp node --id " + printable(line.node.id) + " ..., or --data-dir DIR");
  }
  if (!key) return fail(key.error());
  asio::io_context context(1);
  SystemClock clock(context.get_executor());
  vcp::Meter meter(clock, {line.node.sys_root, line.node.proc_root});
  constexpr std::size_t kPinBytesMax = 256;
  const auto pin = read_file(folder / "coordinator.peer", kPinBytesMax);
  const std::uint64_t memory = meter.memory_total().value_or(0) / (1024 * 1024);
  std::cout << "Node ID: " << line.node.id << "\nKey: " << key->peer_id().text()
            << "\nPublic key: " << key->public_key().hex() << "\nData folder: " << folder.string()
            << "\nCoordinator: "
            << (pin ? printable(pin->substr(0, pin->find('\n'))) : "never joined")
            << "\nCPU cores: " << ::sysconf(_SC_NPROCESSORS_ONLN)
            << "\nMemory: " << (memory == 0 ? "unknown" : std::to_string(memory) + " MiB")
            << "\nGPU: " << (meter.gpu_present() ? "yes" : "none found") << '\n';
  return 0;
}

}  // namespace phase::ambient_vcp
