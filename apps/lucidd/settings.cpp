#include "settings.h"

#include <charconv>
#include <cstdlib>

#include <arpa/inet.h>

#include "daemon/log.h"
#include "lucid/catalog_files.h"
#include "lucid/options.h"

namespace phase::lucidd {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kApiKeyFileBytesMax = 1_MiB;
constexpr std::size_t kApiKeyBytesMin = 16;

Result<fs::path> home(const Environment& environment) {
  const auto found = environment("HOME");
  if (!found || !found->starts_with('/')) {
    return fail(Code::invalid_argument, "HOME is not set",
                "set it, or give --data, --identity-path and --policy-config");
  }
  return fs::path(*found);
}

/// A path of the XDG base directory specification.
Result<fs::path> xdg(const Environment& environment, const char* variable, const char* below) {
  if (const auto set = environment(variable); set && set->starts_with('/')) return fs::path(*set);
  PHASE_TRY(const fs::path folder, home(environment));
  return folder / below;
}

Result<void> read_address(const CommandLine& line, const Environment& environment, Settings& out) {
  std::string host = line.host.value_or(environment("LUCIDD_HOST").value_or("127.0.0.1"));
  if (host == "localhost") host = "127.0.0.1";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  unsigned char bytes[16];
  if (::inet_pton(AF_INET, host.c_str(), bytes) != 1 &&
      ::inet_pton(AF_INET6, host.c_str(), bytes) != 1) {
    return fail(Code::invalid_argument, "\"" + printable(host, 64) + "\" is not an IP address",
                "LUCIDD_HOST or --host: 127.0.0.1, 0.0.0.0, [::1]");
  }
  out.host = host;
  out.port = line.port.value_or(kPortDefault);
  const auto variable = environment("LUCIDD_PORT");
  if (!line.port && variable) {
    const auto [end, error] =
        std::from_chars(variable->data(), variable->data() + variable->size(), out.port);
    if (error != std::errc{} || end != variable->data() + variable->size()) {
      return fail(Code::invalid_argument,
                  "LUCIDD_PORT is \"" + printable(*variable, 16) + "\", not a port");
    }
  }
  return {};
}

/// How asks are run: patience with peers, and how many at once.
Result<void> read_service(const CommandLine& line, const Environment& environment,
                          lucid::Service::Options& out) {
  out.hedge = line.hedge;
  out.first_output_max_away = std::chrono::seconds(line.first_token_seconds);
  out.output_silence_max_away = std::chrono::seconds(line.silence_seconds);
  out.asks_max = line.queue_max.value_or(lucid::kAsksWaitingMax);
  const auto variable = environment("OLLAMA_MAX_QUEUE");
  if (line.queue_max || !variable) return {};
  const char* const last = variable->data() + variable->size();
  const auto [end, error] = std::from_chars(variable->data(), last, out.asks_max);
  if (error != std::errc{} || end != last || out.asks_max == 0 ||
      out.asks_max > lucid::kAsksWaitingMax) {
    return fail(Code::invalid_argument, "OLLAMA_MAX_QUEUE is \"" + printable(*variable, 16) +
                                            "\", not 1 to " +
                                            std::to_string(lucid::kAsksWaitingMax));
  }
  return {};
}

Result<void> read_api_keys(const CommandLine& line, Settings& out) {
  if (!line.api_keys) return {};
  PHASE_TRY(const std::string text, lucid::read_file(*line.api_keys, kApiKeyFileBytesMax));
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view key = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    while (!key.empty() && (key.back() == '\r' || key.back() == ' ')) key.remove_suffix(1);
    if (key.empty() || key.front() == '#') continue;
    if (key.size() < kApiKeyBytesMin || out.api_keys.size() >= kApiKeysMax) {
      return fail(Code::invalid_argument,
                  line.api_keys->string() + ": a key has at least 16 bytes, a file at most 1024");
    }
    out.api_keys.emplace_back(key);
  }
  if (out.api_keys.empty()) {
    return fail(Code::invalid_argument, line.api_keys->string() + " has no key");
  }
  return {};
}

Result<void> read_folders(const CommandLine& line, const Environment& environment, Settings& out) {
  auto& node = out.node;
  PHASE_TRY(node.data_dir, data_folder(line, environment));
  node.catalog.data_dir = node.data_dir / "models";
  out.identity_path = line.identity_path.value_or(node.data_dir / "identity.key");
  if (line.policy_file) {
    node.policy_file = *line.policy_file;
  } else {
    PHASE_TRY(const fs::path config, xdg(environment, "XDG_CONFIG_HOME", ".config"));
    node.policy_file = config / "lucidd" / "policy.toml";
  }
  return {};
}

Result<void> read_tls(const CommandLine& line, Settings& out) {
  if (line.tls_certificate.has_value() != line.tls_key.has_value()) {
    return fail(Code::invalid_argument,
                line.tls_key ? "--tls-key without --tls-cert" : "--tls-cert without --tls-key",
                "TLS needs both");
  }
  out.tls_certificate = line.tls_certificate;
  out.tls_key = line.tls_key;
  return {};
}

/// The llama-server that runs the models, which then are not looked for here.
Result<void> read_upstream(const CommandLine& line, Settings& out) {
  if (line.worker == "llama-server" && !line.upstream) {
    return fail(Code::invalid_argument, "--worker llama-server needs --upstream URL",
                "--upstream http://127.0.0.1:8080, where llama-server --port 8080 listens");
  }
  if (!line.upstream) return {};
  if (line.worker != "llama-server" && line.worker != "auto") {
    return fail(Code::invalid_argument,
                "--upstream goes with --worker llama-server, not with " + line.worker);
  }
  if (line.model_dir || line.ollama_models) {
    return fail(Code::invalid_argument, "--upstream has models of its own",
                "leave --model-dir and --ollama-models out");
  }
  PHASE_TRY(lucid::UpstreamUrl url, lucid::parse_upstream_url(*line.upstream));
  out.worker = "llama-server";
  if (out.node.serves) out.node.upstream = std::move(url);
  return {};
}

/// Which models, and so which worker: said at start.
Result<void> choose_worker(const CommandLine& line, const Environment& environment,
                           const fs::path& program_folder, Settings& out) {
  auto& node = out.node;
  node.serves = !line.no_local_worker && line.mode != "relay";
  PHASE_TRY_VOID(read_upstream(line, out));
  if (line.upstream) return {};
  std::error_code error;
  if (line.model_dir) {
    if (!fs::is_directory(*line.model_dir, error)) {
      return fail(Code::not_found, "--model-dir " + line.model_dir->string() + " is not a folder");
    }
    node.catalog.model_dir = fs::absolute(*line.model_dir, error);
  }
  fs::path ollama = line.ollama_models.value_or(environment("OLLAMA_MODELS").value_or(""));
  if (ollama.empty()) {
    if (const auto folder = home(environment)) ollama = *folder / ".ollama" / "models";
  }
  if (fs::is_directory(ollama / "manifests", error)) node.catalog.ollama_dir = ollama;
  const fs::path names = node.catalog.data_dir / "names";
  const bool own = fs::is_directory(names, error) && !fs::is_empty(names, error);
  const bool any = line.model_dir || !node.catalog.ollama_dir.empty() || own;
  out.worker = line.worker == "auto" ? (any ? "llama-cpp" : "echo") : line.worker;
  if (line.worker == "llama-cpp" && !any) {
    return fail(Code::invalid_argument, "--worker llama-cpp needs models",
                "give --model-dir DIR, or --ollama-models DIR");
  }
  node.catalog.echo = node.serves && out.worker == "echo";
  const fs::path worker = line.worker_path.value_or(program_folder / "phase-worker");
  // What `auto` found nothing for may still be pulled later, and is read and run by the same
  // worker.
  const bool later = line.worker == "auto" && !line.no_network && fs::exists(worker, error);
  if (node.serves && (out.worker == "llama-cpp" || later)) node.worker_path = worker.string();
  if (!node.serves || out.worker == "echo") {
    node.catalog.model_dir.clear();
    node.catalog.ollama_dir.clear();
  }
  return {};
}

void read_mesh(const CommandLine& line, lucid::LucidNode::Options& node) {
  if (line.no_network) return;
  mesh::Mesh::Options mesh;
  mesh.peer.listen.clear();
  const std::string port = std::to_string(line.libp2p_port);
  const std::vector<std::string> hosts = line.loopback_only
                                             ? std::vector<std::string>{"/ip4/127.0.0.1"}
                                             : std::vector<std::string>{"/ip4/0.0.0.0", "/ip6/::"};
  for (const std::string& host : hosts) {
    mesh.peer.listen.push_back(host + "/udp/" + port + "/quic-v1");
    mesh.peer.listen.push_back(host + "/tcp/" + port);
  }
  mesh.peer.bootstrap = line.bootstrap_peers;
  mesh.peer.mdns = !line.no_mdns;
  mesh.peer.agent = node.agent;
  node.mesh = std::move(mesh);
  if (line.mesh || !line.mesh_models.empty()) {
    node.mesh_models = line.mesh_models.empty() ? std::vector<std::string>{"*"} : line.mesh_models;
  }
}

}  // namespace

std::optional<std::string> process_environment(const char* name) {
  const char* const value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

Result<fs::path> data_folder(const CommandLine& line, const Environment& environment) {
  if (line.data_dir) return *line.data_dir;
  PHASE_TRY(const fs::path share, xdg(environment, "XDG_DATA_HOME", ".local/share"));
  return share / "lucidd";
}

Result<Settings> load_settings(const CommandLine& line, const Environment& environment,
                               const fs::path& program_folder) {
  Settings out;
  auto& node = out.node;
  node.agent = "lucidd/" PHASE_VERSION;
  PHASE_TRY_VOID(read_address(line, environment, out));
  PHASE_TRY_VOID(read_api_keys(line, out));
  PHASE_TRY_VOID(read_tls(line, out));
  if (!line.llama_server.empty()) {
    return fail(Code::invalid_argument,
                "--llama-server-binary is not taken: no llama-server is started",
                "the engine is part of this program: --worker llama-cpp --model-dir DIR");
  }
  PHASE_TRY_VOID(read_service(line, environment, node.service));
  PHASE_TRY_VOID(read_folders(line, environment, out));
  PHASE_TRY_VOID(choose_worker(line, environment, program_folder, out));
  const std::optional<Duration> keep_alive = lucid::keep_alive_of(line.keep_alive);
  if (!keep_alive) {
    return fail(Code::invalid_argument,
                "--keep-alive " + printable(line.keep_alive, 32) + " is not a duration",
                "5m, 1h30m, 10s, 500ms, 0, or -1 for ever");
  }
  node.pool.keep_alive = *keep_alive;
  node.pool.memory_bytes_max = line.memory_mib * 1_MiB;
  node.pool.engine.context_tokens = line.context_tokens;
  node.pool.engine.sequences = line.sequences;
  node.pool.engine.threads = line.threads;
  node.pool.engine.gpu_layers = line.gpu_layers;
  node.isolated = line.isolation == "full";
  node.devices = line.gpu_devices;
  read_mesh(line, node);
  out.origins = line.origins;
  out.hosts = line.hosts;
  out.dns.domains = line.no_network ? std::vector<std::string>{} : line.bootstrap_dns;
  out.dns.server = line.dns_server;
  out.dns.fallback = line.dns_fallback;
  if (!line.dns_server.empty()) PHASE_TRY_VOID(parse_dns_server(line.dns_server));
  node.sys_root = line.sys_root;
  out.require_verified = line.require_verified;
  out.drain_seconds = line.drain_seconds;
  out.log_format = line.log_format;
  out.log_level = line.log_level;
  if (out.log_level.empty())
    out.log_level = daemon::level_of_rust_log(environment("RUST_LOG").value_or(""), "lucidd");
  if (out.log_level.empty()) out.log_level = "info";
  return out;
}

std::string Remote::url() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (certificate ? "https://" : "http://") + (v6 ? "[" + host + "]" : host) + ":" +
         std::to_string(port);
}

Result<Remote> load_remote(const CommandLine& line, const Environment& environment) {
  Settings read;
  PHASE_TRY_VOID(read_address(line, environment, read));
  PHASE_TRY_VOID(read_api_keys(line, read));
  Remote out;
  out.host = read.host == "0.0.0.0" ? "127.0.0.1" : read.host == "::" ? "::1" : read.host;
  out.port = read.port;
  if (!read.api_keys.empty()) out.key = read.api_keys.front();
  out.certificate = line.tls_certificate;
  return out;
}

bool is_loopback(const std::string& host) {
  return host.starts_with("127.") || host == "::1";
}

}  // namespace phase::lucidd
