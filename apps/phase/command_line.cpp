#include "command_line.h"

#include <algorithm>
#include <functional>
#include <iostream>
#include <span>

#include <CLI/CLI.hpp>

#include "console.h"

namespace phase::cli {
namespace {

constexpr std::uint64_t kListDefault = 20;

/// What the subcommand that was named will do.
using Action = std::function<Result<int>()>;

/// `run` takes MODULE and everything after it as it is, so CLI11 knows no positional to show.
class UsageFormatter final : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string name) const override {
    if (app->get_name() == "run") {
      return "Usage: " + name + " [OPTIONS] MODULE [ARGS...]\n";
    }
    return CLI::Formatter::make_usage(app, std::move(name));
  }
};

/// Everything the flags fill in; lives as long as the parse and the action.
struct Words {
  Globals globals;
  RunCommand run;
  bool local = false, remote = false;
  std::string provider, profile = "fast", level = "signature";
  std::string arch, runtime, region;
  std::uint64_t cpu = 0, memory_mib = 0, timeout_s = 0;
  std::vector<std::string> env, args;
  std::vector<std::string> tail;  // from the first "--" on
  VerifyCommand verify;
  std::string kind = "wasm", id;
  double wait_s = 3;
  std::uint64_t limit = kListDefault;
  bool json = false;
  Action action;
};

CLI::App& command(CLI::App& parent, const std::string& name, const std::string& about,
                  const std::string& examples) {
  CLI::App& app = *parent.add_subcommand(name, about);
  app.footer("Examples:\n" + examples);
  return app;
}

void add_limits(CLI::App& app, Words& w) {
  job::WasmLimits& limits = w.run.options.limits;
  const char* group = "Limits";
  app.add_option("--fuel", limits.fuel, "Fuel, units of spec/fuel.md")
      ->check(CLI::Range(std::uint64_t{1}, (std::uint64_t{1} << 63) - 1))
      ->group(group);
  auto* bytes = app.add_option("--memory-bytes", limits.memory_bytes, "Linear memory, bytes")
                    ->check(CLI::Range(std::uint64_t{0}, job::kMemoryBytesMax))
                    ->group(group);
  app.add_option("--memory", w.memory_mib, "Linear memory, MiB (128)")
      ->check(CLI::Range(std::uint64_t{1}, job::kMemoryBytesMax >> 20))
      ->excludes(bytes)
      ->group(group);
  app.add_option("--table,--table-elements", limits.table_elements, "Elements of all tables")
      ->group(group);
  app.add_option("--output-bytes", limits.output_bytes, "Stdout and stderr together, bytes")
      ->group(group);
  auto* ms = app.add_option("--timeout-ms", w.run.options.timeout_ms, "Wall time, milliseconds")
                 ->check(CLI::Range(std::uint64_t{1}, manifest::kWallLimitMsMax))
                 ->group(group);
  app.add_option("--timeout", w.timeout_s, "Wall time, seconds (30)")
      ->check(CLI::Range(std::uint64_t{1}, manifest::kWallLimitMsMax / 1000))
      ->excludes(ms)
      ->group(group);
}

void add_where(CLI::App& app, Words& w) {
  const char* group = "Where it runs";
  auto* local = app.add_flag("--local", w.local,
                             "On this node (default); without a daemon, by a one-shot node")
                    ->group(group);
  auto* remote = app.add_flag("--remote", w.remote, "On the best provider found")->group(group);
  auto* provider =
      app.add_option("--provider", w.provider, "On this peer")->type_name("PEER")->group(group);
  local->excludes(remote)->excludes(provider);
  remote->excludes(provider);
  app.add_option("--cpu", w.cpu, "Cores the provider must have")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1024}))
      ->group(group);
  app.add_option("--arch", w.arch, "Architecture, for example x86_64")->group(group);
  app.add_option("--runtime", w.runtime, "Runtime class, for example wasmtime")->group(group);
  app.add_option("--region", w.region, "Region")->group(group);
}

/// Moves what the flags said into the job's options. Errors: Code::invalid_argument.
Result<void> finish_run(Words& w, std::vector<std::string> rest) {
  if (!rest.empty() && rest.front().size() > 1 && rest.front().front() == '-') {
    return fail(Code::invalid_argument, "unknown option " + printable(rest.front(), 80),
                "see phase run --help");
  }
  // Before MODULE it ends the flags; after it, it is the module's own.
  rest.insert(rest.end(), w.tail.begin() + (rest.empty() && !w.tail.empty() ? 1 : 0), w.tail.end());
  if (rest.empty()) {
    return fail(Code::invalid_argument, "MODULE is missing", "see phase run --help");
  }
  sdk::JobOptions& options = w.run.options;
  w.run.module = rest.front();
  options.args = w.args;
  options.args.insert(options.args.end(), rest.begin() + 1, rest.end());
  for (const std::string& pair : w.env) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return fail(Code::invalid_argument,
                  "--env: NAME=VALUE is expected, not " + printable(pair, 80));
    }
    options.env[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  options.limits.memory_bytes = w.memory_mib > 0 ? w.memory_mib << 20 : options.limits.memory_bytes;
  options.timeout_ms = w.timeout_s > 0 ? w.timeout_s * 1000 : options.timeout_ms;
  options.target = w.remote ? "remote" : w.provider.empty() ? "local" : w.provider;
  options.profile = w.profile == "det-1" ? job::Profile::det_1 : job::Profile::fast;
  PHASE_TRY(options.level, manifest::level_from_name(w.level));
  const auto some = [](const std::string& text) {
    return text.empty() ? std::nullopt : std::optional{text};
  };
  options.requirements.arch = some(w.arch);
  options.requirements.runtime = some(w.runtime);
  options.requirements.region = some(w.region);
  options.requirements.cpu_cores = w.cpu > 0 ? std::optional{w.cpu} : std::nullopt;
  return {};
}

void add_run(CLI::App& root, Words& w) {
  CLI::App& app = command(
      root, "run", "Run a WASM module as a job and check its receipt",
      "  echo 'Hello, World' | phase run examples/hello.wasm\n"
      "  phase run --remote --stdin in.txt --save done/ module.wasm --flag value\n"
      "  phase run --provider 12D3KooW... --timeout 5 module.wasm\n"
      "  phase run artifact:<64 hex>\n"
      "Everything after MODULE goes to the module. Exit code: the module's own when the receipt\n"
      "verifies; 1 trap or limit, 3 receipt refused, 130 cancelled; others: spec/errors.md.");
  app.fallthrough(false);  // else MODULE would go to the program, which expects no word
  app.add_option("--socket", w.globals.socket, "The daemon's control socket")->type_name("PATH");
  add_where(app, w);
  add_limits(app, w);
  app.add_option("--entry", w.run.options.entry, "Function that is called");
  app.add_option("--arg", w.args, "Argument of the module, before those after MODULE; repeatable")
      ->allow_extra_args(false);
  app.add_option("--env", w.env, "Variable of the module's environment; repeatable")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  app.add_option("--stdin", w.run.stdin_from,
                 "The module's stdin: a file, or - (default unless a terminal)");
  app.add_option("--profile", w.profile, "fast or det-1")->check(CLI::IsMember({"fast", "det-1"}));
  app.add_option("--level", w.level, "How the result is to be known right")
      ->check(
          CLI::IsMember({"signature", "audit", "redundancy", "re-execute", "dispute", "proof"}));
  app.add_option("--checkpoint", w.run.options.checkpoint_bytes,
                 "A signed statement every so many bytes of output");
  app.add_flag("--private", w.run.options.is_private,
               "The receipt carries salted commitments only");
  app.add_option("--save", w.run.save,
                 "Write receipt.cose, manifest.cose, transcript.json and input.json there")
      ->type_name("DIR");
  app.add_flag("-q,--quiet", w.run.quiet, "Nothing on stderr but errors and the module's own");
  app.add_flag("--json", w.run.json, "One JSON document on stdout instead of the output");
  app.prefix_command();
  app.callback([&app, &w] {
    w.action = [&app, &w]() -> Result<int> {
      PHASE_TRY_VOID(finish_run(w, app.remaining()));
      return run_command(w.globals, w.run);
    };
  });
}

void add_artifact(CLI::App& root, Words& w) {
  CLI::App& app = *root.add_subcommand("artifact", "Modules by their artifact id");
  app.require_subcommand(1);
  CLI::App& add =
      command(app, "add", "Have the daemon keep a module, and print its artifact id",
              "  phase artifact add examples/hello.wasm\n"
              "Those whom the daemon's policy lets in can then: phase run artifact:<id>");
  add.add_option("FILE", w.run.module, "The module")->required();
  add.add_flag("--json", w.json, "As JSON");
  add.callback(
      [&w] { w.action = [&w] { return artifact_add_command(w.globals, w.run.module, w.json); }; });
}

void add_verify(CLI::App& parent, const std::string& name, Words& w) {
  CLI::App& app =
      command(parent, name, "Check a receipt offline, against what was asked and what came back",
              "  phase verify done/receipt.cose --manifest done/manifest.cose "
              "--transcript done/transcript.json\n"
              "  phase verify r.cose --manifest m.cose --output out.bin --input in.bin --provider "
              "12D3KooW...\n"
              "  phase verify r.cose --manifest m.cose --level re-execute --module hello.wasm "
              "--input in.bin\n"
              "Prints 'receipt verified' (exit 0) or 'receipt refused: <check>' (exit 3). See "
              "spec/verify.md.");
  app.add_option("RECEIPT", w.verify.receipt, "receipt.cose, or -")->required();
  app.add_option("--manifest", w.verify.manifest, "manifest.cose")->required()->type_name("FILE");
  auto* output =
      app.add_option("--output", w.verify.output, "The job's stdout, when it wrote nothing else")
          ->type_name("FILE");
  app.add_option("--transcript", w.verify.transcript,
                 "The job's output, both streams in order, as --save wrote it")
      ->type_name("JSON")
      ->excludes(output);
  auto* input =
      app.add_option("--input", w.verify.input, "The job's stdin; needed when it was streamed")
          ->type_name("FILE");
  app.add_option("--commitment", w.verify.commitment,
                 "Hash and length of the job's stdin, as --save wrote them")
      ->type_name("JSON")
      ->excludes(input);
  app.add_option("--provider", w.verify.provider, "Who must have signed: peer id or key in hex")
      ->type_name("PEER|HEX");
  app.add_option("--salt", w.verify.salt, "Of a private job")->type_name("HEX");
  app.add_option("--level", w.verify.level,
                 "signature: who said so. re-execute: run the job again here, by the reference "
                 "interpreter; for jobs of profile det-1")
      ->check(CLI::IsMember({"signature", "re-execute"}))
      ->capture_default_str();
  app.add_option("--module", w.verify.module, "The job's module, for re-execute")
      ->type_name("FILE");
  app.add_flag("--json", w.verify.json, "Verdict and receipt as JSON");
  app.callback([&w] { w.action = [&w] { return verify_command(w.verify); }; });
}

void add_receipt(CLI::App& root, Words& w) {
  CLI::App& app = *root.add_subcommand("receipt", "Look at receipts and check them");
  app.require_subcommand(1);
  add_verify(app, "verify", w);
  CLI::App& show =
      command(app, "show", "Show what a receipt says",
              "  phase receipt show done/receipt.cose\n  phase receipt show <job> --json");
  show.add_option("RECEIPT|JOB", w.id, "A file, -, or the id of a job of the daemon")->required();
  show.add_flag("--json", w.json, "As JSON");
  show.callback(
      [&w] { w.action = [&w] { return receipt_show_command(w.globals, w.id, w.json); }; });
}

void add_job(CLI::App& root, Words& w) {
  CLI::App& app = *root.add_subcommand("job", "Jobs the daemon knows");
  app.require_subcommand(1);
  CLI::App& list = command(app, "list", "The latest jobs", "  phase job list --limit 5");
  list.add_option("--limit", w.limit, "At most so many")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{100}));
  list.add_flag("--json", w.json, "As JSON");
  list.callback([&w] { w.action = [&w] { return job_list_command(w.globals, w.limit, w.json); }; });
  using OfJob = Result<int> (*)(const Globals&, const std::string&, bool);
  const auto of_job = [&app, &w](const std::string& name, const std::string& about,
                                 OfJob function) {
    CLI::App& sub = command(app, name, about, "  phase job " + name + " 0b2c...");
    sub.add_option("ID", w.id, "The job's id")->required();
    sub.add_flag("--json", w.json, "As JSON");
    sub.callback([&w, function] {
      w.action = [&w, function] { return function(w.globals, w.id, w.json); };
    });
  };
  of_job("show", "State, provider and attempts of a job", job_show_command);
  of_job("cancel", "Stop a job", job_cancel_command);
  of_job("result", "Output of a finished job, its receipt checked again", job_result_command);
}

void add_network(CLI::App& root, Words& w) {
  CLI::App& status =
      command(root, "status", "The daemon: who it is and what it does", "  phase status");
  status.add_flag("--json", w.json, "As JSON");
  status.callback([&w] { w.action = [&w] { return status_command(w.globals, w.json); }; });
  CLI::App& peers = command(root, "peers", "Peers the daemon knows", "  phase peers");
  peers.add_flag("--json", w.json, "As JSON");
  peers.callback([&w] { w.action = [&w] { return peers_command(w.globals, w.json); }; });
  CLI::App& providers = command(root, "providers", "Providers that can be found now",
                                "  phase providers --arch x86_64 --wait 5");
  providers.add_option("--kind", w.kind, "wasm or inference")
      ->check(CLI::IsMember({"wasm", "inference"}));
  providers.add_option("--arch", w.arch, "Architecture; default: any");
  providers.add_option("--wait", w.wait_s, "Look for so many seconds")
      ->check(CLI::Range(0.0, 30.0));
  providers.add_flag("--json", w.json, "As JSON");
  providers.callback([&w] {
    w.action = [&w] {
      const auto wait = std::chrono::milliseconds(static_cast<std::int64_t>(w.wait_s * 1000));
      return providers_command(w.globals, w.kind, w.arch, wait, w.json);
    };
  });
  CLI::App& ping = command(root, "ping", "Ask a peer for an answer",
                           "  phase ping 12D3KooW...\n"
                           "  phase ping /ip4/192.0.2.1/tcp/4001");
  ping.add_option("PEER", w.id, "Peer id or multiaddr")->required();
  ping.add_flag("--json", w.json, "As JSON");
  ping.callback([&w] { w.action = [&w] { return ping_command(w.globals, w.id, w.json); }; });
}

}  // namespace

Result<int> run_command_line(int argc, char** argv) {
  Words words;
  CLI::App app(
      "Phase: have WASM jobs done on machines you need not trust, and check their receipts",
      "phase");
  app.formatter(std::make_shared<UsageFormatter>());
  app.option_defaults()->always_capture_default();
  app.set_version_flag("-V,--version", std::string{"phase "} + PHASE_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--socket", words.globals.socket, "The daemon's control socket")
      ->envname("PHASE_CONTROL_SOCKET")
      ->type_name("PATH");
  app.footer("Start a daemon with: plasmd start\nExit codes: spec/errors.md");
  add_run(app, words);
  add_verify(app, "verify", words);
  add_receipt(app, words);
  add_job(app, words);
  add_artifact(app, words);
  add_network(app, words);
  app.add_subcommand("version", "Print the version")->callback([&words] {
    words.action = [] {
      print(std::string{"phase "} + PHASE_VERSION);
      return Result<int>{0};
    };
  });
  // "--" ends the flags of `run`; CLI11 would hand what follows to the program.
  const std::span all(argv, static_cast<std::size_t>(argc));
  const auto mark = std::ranges::find(all, std::string_view("--"),
                                      [](const char* word) { return std::string_view(word); });
  words.tail.assign(mark, all.end());
  try {
    app.parse(static_cast<int>(mark - all.begin()), argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, std::cout, std::cerr) == 0 ? 0 : kExitUsage;
  }
  return words.action();
}

}  // namespace phase::cli
