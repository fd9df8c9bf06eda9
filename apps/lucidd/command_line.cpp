#include "command_line.h"

#include <CLI/CLI.hpp>

namespace phase::lucidd {
namespace {

constexpr const char* kExamples = R"(
Examples:
  lucidd --model-dir ~/models                   # every *.gguf there, at http://127.0.0.1:11434
  lucidd                                        # an Ollama folder if there is one, else echo
  lucidd --worker llama-server --upstream http://127.0.0.1:8080
                                                # a llama-server that runs already, with receipts
  lucidd --mesh --bootstrap-peer /ip4/192.0.2.1/udp/4001/quic-v1/p2p/12D3KooW...
                                                # models that are not here: asked of peers
  lucidd policy check ~/.config/lucidd/policy.toml
  lucidd status                                 # of the one that runs here; also pause, resume
Clients of Ollama and OpenAI work as they are: OLLAMA_HOST=http://127.0.0.1:11434, base URL
http://127.0.0.1:11434/v1. Environment: LUCIDD_HOST, LUCIDD_PORT, OLLAMA_MODELS, RUST_LOG.
)";

void add_models(CLI::App& app, CommandLine& out) {
  const char* group = "Models";
  app.add_option("--mode", out.mode, "worker, or relay: runs nothing itself")
      ->check(CLI::IsMember({"worker", "relay"}))
      ->group(group);
  app.add_option("--worker", out.worker, "auto: llama-cpp when there is a model folder, else echo")
      ->check(CLI::IsMember({"auto", "echo", "llama-cpp", "llama-server"}))
      ->group(group);
  app.add_option("--upstream", out.upstream,
                 "URL of the llama-server that runs the models (--worker llama-server)")
      ->group(group);
  app.add_flag("--no-local-worker", out.no_local_worker, "As --mode relay")->group(group);
  app.add_option("--model-dir", out.model_dir, "Folder of *.gguf files")->group(group);
  app.add_option("--ollama-models", out.ollama_models,
                 "Ollama's model folder, read in place (default: OLLAMA_MODELS, ~/.ollama/models)")
      ->group(group);
  app.add_option("--llama-server-binary", out.llama_server,
                 "Refused: the engine is part of this program, no server is started")
      ->group(group);
  app.add_option("--llama-n-gpu-layers", out.gpu_layers, "Layers on the GPU; -1: all")
      ->group(group);
  app.add_option(
         "--gpu-devices", out.gpu_devices,
         "Which GPUs, as the driver counts them: 0,1 (default: all but drivers in software)")
      ->group(group);
  app.add_option("--llama-ctx-size", out.context_tokens,
                 "Tokens of context of one conversation (default: 4096, or the model's if less)")
      ->group(group);
  app.add_option("--parallel", out.sequences, "Conversations decoded at once by one model")
      ->check(CLI::Range(1, 64))
      ->group(group);
  app.add_option("--threads", out.threads, "Threads of one model")
      ->check(CLI::Range(1, 256))
      ->group(group);
  app.add_option("--keep-alive", out.keep_alive, "How long an unused model stays loaded: 5m, 0, -1")
      ->group(group);
  app.add_option("--memory", out.memory_mib,
                 "MiB for loaded models (default: three quarters of the machine)")
      ->group(group);
}

void add_network(CLI::App& app, CommandLine& out) {
  const char* group = "Mesh";
  app.add_flag("--mesh", out.mesh,
               "Ask peers for models that are not here; they see prompt and answer")
      ->group(group);
  app.add_option("--mesh-model", out.mesh_models,
                 "Only models that fit this glob may be asked of peers, repeatable")
      ->group(group);
  app.add_flag("--require-verified", out.require_verified,
               "Hold answers back until their receipt is verified")
      ->group(group);
  app.add_flag("--hedge", out.hedge,
               "Ask a second peer when the first is late; who speaks first is heard")
      ->group(group);
  app.add_option("--first-token-seconds", out.first_token_seconds,
                 "A peer that has said nothing by then is given up (default: 120)")
      ->check(CLI::Range(1, 3600))
      ->group(group);
  app.add_option("--silence-seconds", out.silence_seconds,
                 "A peer that stops for so long while it answers is given up (default: 30)")
      ->check(CLI::Range(1, 3600))
      ->group(group);
  app.add_option("--libp2p-port", out.libp2p_port, "Port of QUIC and TCP; 0: any free one")
      ->group(group);
  app.add_option("--bootstrap-peer", out.bootstrap_peers,
                 "Address with /p2p/<peer id> through which the DHT is joined, repeatable")
      ->group(group);
  app.add_option("--bootstrap-dns", out.bootstrap_dns,
                 "Domain whose TXT records are such addresses, repeatable")
      ->group(group);
  app.add_flag("--dns-fallback", out.dns_fallback,
               "Ask 1.1.1.1 for --bootstrap-dns when the system names no DNS server")
      ->group(group);
  app.add_option("--dns-server", out.dns_server,
                 "Server to ask for --bootstrap-dns instead of the system's: IP or IP:PORT")
      ->group(group);
  app.add_flag("--no-network", out.no_network, "Stay off the network")->group(group);
  app.add_flag("--no-mdns", out.no_mdns, "Do not look for peers on the local network")
      ->group(group);
  app.add_flag("--loopback", out.loopback_only, "Listen for peers on loopback only")->group(group);
}

void add_node(CLI::App& app, CommandLine& out) {
  const char* group = "Node";
  app.add_option("--max-queue", out.queue_max,
                 "Requests under way at once, more are told to come again (OLLAMA_MAX_QUEUE, "
                 "default 512)")
      ->check(CLI::Range(1, 512))
      ->group(group);
  app.add_option("--host", out.host, "Address of the HTTP API (LUCIDD_HOST, default 127.0.0.1)")
      ->group(group);
  app.add_option("--port", out.port, "Port of the HTTP API (LUCIDD_PORT, default 11434)")
      ->group(group);
  app.add_option("--origin", out.origins, "Web origin that may use the API, repeatable")
      ->group(group);
  app.add_option("--api-keys", out.api_keys,
                 "File of API keys, one a line; every request needs one")
      ->group(group);
  app.add_option("--allow-host", out.hosts,
                 "Name under which clients may reach the API, repeatable; `*` fits anything")
      ->group(group);
  app.add_option("--tls-cert", out.tls_certificate,
                 "PEM file of a certificate with its chain: the API speaks TLS only")
      ->group(group);
  app.add_option("--tls-key", out.tls_key, "PEM file of its key")->group(group);
  app.add_option("--sys-root", out.sys_root, "Where power, heat and memory are read (default /sys)")
      ->group(group);
  app.add_option("--policy-config", out.policy_file,
                 "What others may ask (default: ~/.config/lucidd/policy.toml, made when missing)")
      ->group(group);
  app.add_option("--identity-path", out.identity_path, "File of the node's secret key")
      ->group(group);
  app.add_option("--data", out.data_dir, "Folder of state and own models")->group(group);
  app.add_option("--worker-path", out.worker_path,
                 "The phase-worker program (default: beside lucidd)")
      ->group(group);
  app.add_option("--isolation", out.isolation, "full, or none (for tests; receipts say so)")
      ->check(CLI::IsMember({"full", "none"}))
      ->group(group);
  app.add_option("--drain-seconds", out.drain_seconds, "How long answers may go on after SIGTERM")
      ->group(group);
  app.add_option("--log-format", out.log_format, "text or json, on stderr")
      ->check(CLI::IsMember({"text", "json"}))
      ->group(group);
  app.add_option("--log-level", out.log_level, "trace, debug, info, warn, error or off")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}))
      ->group(group);
}

/// Verbs that talk to the daemon that runs; they take its flags for address, key and certificate.
struct Verbs {
  CLI::App *status, *pause, *resume, *pull;
};
Verbs add_verbs(CLI::App& app, CommandLine& out) {
  const auto add = [&app, &out](const char* name, const char* says) {
    CLI::App* verb = app.add_subcommand(name, says);
    verb->fallthrough();
    verb->add_flag("--json", out.json, "Print JSON");
    return verb;
  };
  Verbs verbs{add("status", "What the running node does, and what ran for whom"),
              add("pause", "Serve nobody else, until resumed, restarted or the policy changes"),
              add("resume", "Serve others again, as the policy says"),
              add("pull", "Have the running node pull a model")};
  verbs.pull->add_option("NAME", out.model, "name:tag")->required();
  return verbs;
}

Verb chosen(const Verbs& verbs) {
  return verbs.status->parsed()   ? Verb::status
         : verbs.pause->parsed()  ? Verb::pause
         : verbs.resume->parsed() ? Verb::resume
         : verbs.pull->parsed()   ? Verb::pull
                                  : Verb::serve;
}

/// names, pin, unpin, unshare: each with --data, as the daemon has it.
void add_names(CLI::App& app, CommandLine& out) {
  const auto add = [&app, &out](const char* verb, const char* says, Verb means) {
    CLI::App* one = app.add_subcommand(verb, says);
    one->add_option("--data", out.data_dir, "Folder of state and own models");
    one->callback([&out, means] { out.verb = means; });
    return one;
  };
  CLI::App* names =
      add("names", "Say what names mean, who says so, and what is pinned", Verb::names);
  names->add_option("NAME", out.name, "Only this one");
  names->add_flag("--json", out.json, "As JSON");
  CLI::App* pin =
      add("pin", "Hold a name to one content, or to what one publisher says", Verb::pin);
  pin->add_option("NAME", out.name, "The model's name")->required();
  CLI::Option* digest = pin->add_option("DIGEST", out.digest, "sha256:<64 hexadecimal digits>");
  pin->add_option("--publisher", out.publisher, "Peer id whose word is taken")->excludes(digest);
  CLI::App* unpin = add("unpin", "Let a name mean what publishers say", Verb::unpin);
  unpin->add_option("NAME", out.name, "The model's name")->required();
  CLI::App* unshare = add("unshare", "Take back what was pushed", Verb::unshare);
  unshare->add_option("NAME", out.name, "The model's name")->required();
}

}  // namespace

std::variant<CommandLine, int> parse_command_line(int argc, char** argv) {
  CommandLine out;
  CLI::App app{
      "LUCID: language models at Ollama's API, on this machine or the mesh, with receipts"};
  app.footer(kExamples);
  bool version = false;
  app.add_flag("--version,-V", version, "Print the version");
  add_models(app, out);
  add_network(app, out);
  add_node(app, out);
  const Verbs verbs = add_verbs(app, out);
  CLI::App* policy = app.add_subcommand("policy", "The rules for others' jobs");
  policy->require_subcommand(1);
  std::filesystem::path file;
  CLI::App* check = policy->add_subcommand("check", "Say whether a policy file is right");
  check->add_option("FILE", file, "policy.toml")->required();
  CLI::App* show = policy->add_subcommand("show", "Print the file a new node starts with");
  add_names(app, out);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (const Verb asked = chosen(verbs); asked != Verb::serve) out.verb = asked;
  if (version) out.verb = Verb::version;
  if (check->parsed()) {
    out.verb = Verb::policy_check;
    out.policy_file = file;
  }
  if (show->parsed()) out.verb = Verb::policy_show;
  return out;
}

}  // namespace phase::lucidd
