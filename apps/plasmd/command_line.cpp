#include "command_line.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <span>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include "base/bytes.h"

namespace phase::plasmd {
namespace {

namespace json = boost::json;

constexpr std::uint64_t kMebibyte = 1ULL << 20;

/// `run` and `execute-job` take WASM and everything after it as it is, so CLI11 knows no positional
/// to show.
class UsageFormatter final : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string name) const override {
    if (app->get_name() == "run" || app->get_name() == "execute-job") {
      return "Usage: " + name + " [OPTIONS] WASM [ARGS...]\n";
    }
    return CLI::Formatter::make_usage(app, std::move(name));
  }
};

/// A flag of the table: keeps its value for set_key, which checks it as the file's are checked.
void add_setting(CLI::App& app, const ConfigKey& key, CommandLine& out) {
  const std::string flag(key.flag);
  const std::string help(key.help);
  const auto keep = [&out, &key](json::value value) {
    out.settings.emplace_back(&key, std::move(value));
  };
  CLI::Option* option = nullptr;
  if (std::holds_alternative<bool Config::*>(key.member)) {
    const bool value = !flag.starts_with("--no-");
    option = app.add_flag_function(
        flag, [keep, value](std::int64_t) { keep(json::value(value)); }, help);
  } else if (std::holds_alternative<std::vector<std::string> Config::*>(key.member)) {
    option = app.add_option_function<std::vector<std::string>>(
        flag, [keep](const std::vector<std::string>& texts) { keep(json::value_from(texts)); },
        help);
    option->allow_extra_args(false)->take_all()->type_name("ADDR");
    if (key.name == "allow") {
      option->type_name("PEER_ID|KEY");
    }
  } else if (std::holds_alternative<std::uint64_t Config::*>(key.member)) {
    option = app.add_option_function<std::uint64_t>(
        flag, [keep](const std::uint64_t& number) { keep(json::value(number)); }, help);
    option->type_name("N");
  } else {
    option = app.add_option_function<std::string>(
        flag, [keep](const std::string& text) { keep(json::value(text)); }, help);
    option->type_name(key.choices.empty() ? "TEXT" : std::string(key.choices));
  }
  option->group("Settings");
}

void add_settings(CLI::App& app, CommandLine& out, bool one_shot) {
  app.add_option("-c,--config", out.config,
                 "Configuration file (default: ~/.config/plasm/config.json, "
                 "else /etc/plasm/config.json, else none)")
      ->type_name("FILE");
  for (const auto& key : config_keys()) {
    if (!key.flag.empty() && (key.one_shot || !one_shot)) {
      add_setting(app, key, out);
    }
  }
}

void add_number(CLI::App& app, const char* flag, std::optional<std::uint64_t>& out,
                std::uint64_t unit, std::uint64_t most, const char* help) {
  app.add_option_function<std::uint64_t>(
         flag, [&out, unit](const std::uint64_t& n) { out = n * unit; }, help)
      ->check(CLI::Range(std::uint64_t{1}, most / unit))
      ->type_name("N");
}

void add_env(CLI::App& app, JobFlags& job) {
  app.add_option_function<std::vector<std::string>>(
         "--env",
         [&job](const std::vector<std::string>& pairs) {
           for (const auto& pair : pairs) {
             const auto equals = pair.find('=');
             if (equals == std::string::npos || equals == 0) {
               throw CLI::ValidationError("--env", "NAME=VALUE is expected, not " + pair);
             }
             job.env[pair.substr(0, equals)] = pair.substr(equals + 1);
           }
         },
         "Variable of the module's environment, repeatable")
      ->allow_extra_args(false)
      ->take_all()
      ->type_name("NAME=VALUE");
}

/// Bounds are the protocol's (spec/job.md, spec/manifest.md).
void add_job_flags(CLI::App& app, JobFlags& job) {
  app.add_option("--entry", job.entry, "Function that is called (default: _start)");
  app.add_option("--cpu", job.cpu_cores, "Cores the job asks for")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1024}))
      ->type_name("N");
  add_number(app, "--memory-bytes", job.memory_bytes, 1, 4ULL << 30, "Linear memory, bytes");
  add_number(app, "--memory", job.memory_bytes, kMebibyte, 4ULL << 30, "Linear memory, MiB");
  add_number(app, "--timeout-ms", job.timeout_ms, 1, 3'600'000, "Wall time, milliseconds");
  add_number(app, "--timeout", job.timeout_ms, 1'000, 3'600'000, "Wall time, seconds");
  add_number(app, "--fuel", job.fuel, 1, ~0ULL >> 1U, "Fuel, units of spec/fuel.md");
  add_number(app, "--output-bytes", job.output_bytes, 1, 1ULL << 30, "Output, bytes");
  add_number(app, "--table-elements", job.table_elements, 1, ~0U, "Elements of all tables");
  app.add_flag("--private", job.is_private, "The receipt carries salted commitments only");
  add_env(app, job);
}

void add_init(CLI::App& root, CommandLine& out) {
  auto& app = *root.add_subcommand("init", "Write a configuration file to edit");
  app.add_option(
         "-p,--path", out.init_path,
         "Where to (default: ~/.config/plasm/config.json); an existing file is never replaced")
      ->type_name("FILE");
  app.callback([&out] { out.verb = Verb::init; });
}

void add_start(CLI::App& root, CommandLine& out) {
  auto& app = *root.add_subcommand("start", "Run the daemon: provider, requester and control API");
  add_settings(app, out, false);
  app.footer(
      "Examples:\n"
      "  plasmd start\n"
      "  plasmd start --allow 12D3KooW...          # that requester may send jobs\n"
      "  plasmd start --listen /ip4/0.0.0.0/tcp/4002 --bootstrap "
      "/ip4/192.0.2.1/tcp/4001/p2p/12D3KooW...\n"
      "Flags win over PHASE_* variables, these over the file, the file over the defaults.");
  app.callback([&out] { out.verb = Verb::start; });
}

void add_run(CLI::App& root, CommandLine& out) {
  auto& app = *root.add_subcommand("run", "Run a module here; its streams and exit code are ours");
  app.add_flag("-q,--quiet", out.job.quiet, "No summary on stderr");
  add_job_flags(app, out.job);
  add_settings(app, out, true);
  app.prefix_command();
  app.footer(
      "Everything after WASM goes to the module.\n"
      "Example:\n  echo 'Hello, World' | plasmd run examples/hello.wasm");
  app.callback([&out] { out.verb = Verb::run; });
}

void add_execute_job(CLI::App& root, CommandLine& out) {
  auto& app = *root.add_subcommand(
      "execute-job", "Run a module as a job of a one-shot node: JSON with a signed receipt");
  app.add_flag("--events", out.job.events, "One JSON object per line as things happen");
  add_job_flags(app, out.job);
  add_settings(app, out, true);
  app.prefix_command();
  app.footer(
      "Everything after WASM goes to the module; its stdin is read from ours.\n"
      "Example:\n  echo 'Hello, World' | plasmd execute-job --timeout 5 examples/hello.wasm");
  app.callback([&out] { out.verb = Verb::execute_job; });
}

/// Moves what follows the flags of run and execute-job to where it belongs. `tail`: from the first
/// "--" on, which CLI11 was not shown; it ends the flags when WASM was not among them, else it is
/// the module's.
bool take_module(const CLI::App& app, std::span<const char* const> tail, CommandLine& out) {
  std::vector<std::string> rest = app.remaining();
  if (!rest.empty() && rest.front().size() > 1 && rest.front().starts_with('-')) {
    std::cerr << "plasmd: unknown option " << printable(rest.front(), 80) << " of "
              << app.get_name() << "; see plasmd " << app.get_name() << " --help\n";
    return false;
  }
  rest.insert(rest.end(), tail.begin() + (rest.empty() && !tail.empty() ? 1 : 0), tail.end());
  if (rest.empty()) {
    std::cerr << "plasmd: WASM is missing; see plasmd " << app.get_name() << " --help\n";
    return false;
  }
  out.wasm = rest.front();
  out.args.assign(rest.begin() + 1, rest.end());
  return true;
}

}  // namespace

std::variant<CommandLine, int> parse_command_line(int argc, const char* const* argv) {
  CommandLine out;
  CLI::App app(
      "Phase: runs WASM jobs for those you allow, and has yours run elsewhere, with receipts"
      " that verify",
      "plasmd");
  app.formatter(std::make_shared<UsageFormatter>());
  app.set_version_flag("-V,--version", std::string("plasmd ") + PHASE_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Examples:\n"
      "  plasmd init                               # a configuration file to edit\n"
      "  plasmd start                              # the daemon; phase and the SDKs talk to it\n"
      "  plasmd run examples/hello.wasm            # one module, here and now\n"
      "  plasmd execute-job examples/hello.wasm    # the same with a signed receipt, as JSON\n"
      "Exit codes and settings: docs/operating/plasmd.md");
  add_init(app, out);
  add_start(app, out);
  add_run(app, out);
  add_execute_job(app, out);
  app.add_subcommand("version", "Print the version")->callback([&out] {
    out.verb = Verb::version;
  });
  const std::span words(argv, static_cast<std::size_t>(argc));
  const auto mark = std::ranges::find(words, std::string_view("--"),
                                      [](const char* word) { return std::string_view(word); });
  const std::span tail(mark, words.end());
  try {
    app.parse(static_cast<int>(mark - words.begin()), argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, std::cout, std::cerr) == 0 ? 0 : kExitUsage;
  }
  if (out.verb == Verb::run || out.verb == Verb::execute_job) {
    const auto* const name = out.verb == Verb::run ? "run" : "execute-job";
    return take_module(*app.get_subcommand(name), tail, out) ? std::variant<CommandLine, int>(out)
                                                             : kExitUsage;
  }
  if (!tail.empty()) {
    std::cerr << "plasmd: nothing is expected after --\n";
    return kExitUsage;
  }
  return out;
}

}  // namespace phase::plasmd
