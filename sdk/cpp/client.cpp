#include "sdk/cpp/client.h"

#include <algorithm>

#include <boost/json.hpp>

#include "api/control/socket_path.h"  // tidy: allow(layer): where both sides meet, and nothing else
#include "base/artifact_text.h"
#include "sdk/cpp/event_reader.h"
#include "sdk/cpp/http_connection.h"
#include "sdk/cpp/wire.h"

namespace phase::sdk {
namespace {

namespace json = boost::json;

/// One POST of stdin (spec/control-api.md).
constexpr std::size_t kStdinPostBytes = 1_MiB;
/// Stdin that goes with the submission; longer is streamed.
constexpr std::size_t kStdinGivenBytes = 8_MiB;
/// One request for a result waits so long at most; the client asks again.
constexpr Duration kResultWait = 30s;
/// A stdin post waits while the job does not read: as long as a job can run.
constexpr Duration kStdinWait =
    std::chrono::milliseconds(manifest::kWallLimitMsMax) + Duration{60s};
/// Silence on an event stream after which it is taken for dead; comments come every 15 s.
constexpr Duration kEventSilenceMax = 45s;
constexpr int kReconnectsMax = 5;
constexpr std::uint64_t kDocumentBytesMax = 4_MiB;

std::string json_text(const boost::json::value& value) {
  return json::serialize(value);
}

json::object submission(const SubmittedJob& job, const std::optional<Bytes>& stdin_bytes) {
  const JobOptions& options = job.options;
  json::array args;
  for (const std::string& arg : options.args) {
    args.emplace_back(arg);
  }
  json::object env;
  for (const auto& [name, value] : options.env) {
    env[name] = value;
  }
  json::object out{
      {"module", job.module_by_id ? artifact_text(job.module.id) : job.module.sha256.hex()},
      {"entry", options.entry},
      {"args", std::move(args)},
      {"env", std::move(env)},
      {"stdin", nullptr},
      {"fuel", options.limits.fuel},
      {"memory_bytes", options.limits.memory_bytes},
      {"table_elements", options.limits.table_elements},
      {"output_bytes", options.limits.output_bytes},
      {"timeout_ms", options.timeout_ms},
      {"profile", std::string{job::profile_name(options.profile)}},
      {"level", std::string{manifest::level_name(options.level)}},
      {"private", options.is_private},
      {"checkpoint_bytes", options.checkpoint_bytes},
      {"target", options.target}};
  if (stdin_bytes) {
    out["stdin"] = to_base64(*stdin_bytes);
  }
  if (options.requirements.cpu_cores) {
    out["cpu_cores"] = *options.requirements.cpu_cores;
  }
  out["arch"] = options.requirements.arch.value_or("");
  out["runtime"] = options.requirements.runtime.value_or("");
  out["region"] = options.requirements.region.value_or("");
  return out;
}

/// Ids go into paths: nothing but what a UUID is made of.
Result<std::string> safe_id(std::string_view id) {
  const bool good = !id.empty() && id.size() <= 64 && std::ranges::all_of(id, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == '-';
  });
  if (!good) {
    return fail(Code::invalid_argument, printable(id, 64) + " is not a job id",
                "phase job list shows them");
  }
  return std::string{id};
}

Result<JobEvent> job_event(const RawEvent& raw) {
  JobEvent out;
  out.id = std::strtoull(raw.id.c_str(), nullptr, 10);
  out.name = raw.name;
  out.json = raw.data;
  if (out.name == "output") {
    PHASE_TRY(const json::object object, parse_object(raw.data));
    PHASE_TRY(job::OutputPiece piece, read_output(json::value(object)));
    out.stream = piece.stream;
    out.data = std::move(piece.data);
  }
  return out;
}

}  // namespace

struct Client::State {
  Options options;
  std::shared_ptr<Interrupt> interrupt;
  std::optional<Sha256> uploaded;  // the module the daemon had at the last submission

  struct Answer {
    int status = 0;
    std::string body;
  };
  [[nodiscard]] Result<Answer> ask(const HttpRequest& request, Duration timeout,
                                   std::uint64_t bytes_max) const {
    PHASE_TRY(HttpConnection connection,
              HttpConnection::send(options.socket, interrupt, request, timeout));
    Answer out;
    PHASE_TRY(out.status, connection.status(timeout));
    PHASE_TRY(out.body, connection.read_all(options.request_timeout, bytes_max));
    if (out.status < 200 || out.status > 299) {
      return fail(read_error_answer(out.status, out.body));
    }
    return out;
  }
  [[nodiscard]] Result<std::string> get(std::string target, Duration extra = {}) const {
    HttpRequest request;
    request.target = std::move(target);
    PHASE_TRY(Answer answer, ask(request, options.request_timeout + extra, kDocumentBytesMax));
    return std::move(answer.body);
  }
  [[nodiscard]] Result<std::string> post(std::string target, std::string_view content_type,
                                         ByteView body, Duration timeout) const {
    HttpRequest request;
    request.method = "POST";
    request.target = std::move(target);
    request.content_type = content_type;
    request.body = body;
    PHASE_TRY(Answer answer, ask(request, timeout, kDocumentBytesMax));
    return std::move(answer.body);
  }
  /// Uploads the module unless the last submission was of the same one and the daemon still has it.
  [[nodiscard]] Result<std::string> submit(ByteView module, const Sha256& id,
                                           std::string_view body) {
    const auto send = [&] {
      return post("/v1/jobs", "application/json", as_bytes(body), options.request_timeout);
    };
    if (uploaded == id) {
      auto answer = send();
      if (answer || answer.error().code != Code::not_found) {
        return answer;
      }
    }
    uploaded.reset();
    PHASE_TRY([[maybe_unused]] const std::string staged,
              post("/v1/modules", "application/wasm", module, options.request_timeout));
    uploaded = id;
    return send();
  }
  [[nodiscard]] Result<std::string> of_job(std::string_view id, std::string_view what) const {
    PHASE_TRY(const std::string good, safe_id(id));
    return get("/v1/jobs/" + good + std::string{what});
  }
};

Client::Client(std::unique_ptr<State> state) : state_(std::move(state)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<Client> Client::connect() {
  return connect(Options{});
}

Result<Client> Client::connect(Options options) {
  auto state = std::make_unique<State>();
  state->options = std::move(options);
  if (state->options.socket.empty()) {
    state->options.socket = control::default_socket_path();
  }
  PHASE_TRY(state->interrupt, Interrupt::make());
  PHASE_TRY([[maybe_unused]] const std::string status, state->get("/v1/status"));
  return Client{std::move(state)};
}

void Client::interrupt() noexcept {
  state_->interrupt->raise();
}

Result<std::string> Client::status() {
  return state_->get("/v1/status");
}

Result<std::string> Client::peers() {
  return state_->get("/v1/peers");
}

Result<std::string> Client::providers(std::string_view kind, std::string_view arch, Duration wait) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(wait).count();
  for (const std::string_view word : {kind, arch}) {
    if (!std::ranges::all_of(
            word, [](char c) { return c > ' ' && c < 127 && c != '&' && c != '%' && c != '#'; })) {
      return fail(Code::invalid_argument, printable(word, 64) + " is not a kind or architecture");
    }
  }
  return state_->get("/v1/providers?kind=" + std::string{kind} + "&arch=" + std::string{arch} +
                         "&wait_ms=" + std::to_string(ms),
                     wait);
}

Result<std::string> Client::ping(std::string_view peer) {
  const std::string body = json_text(json::object{{"peer", std::string{peer}}});
  return state_->post("/v1/ping", "application/json", as_bytes(body),
                      state_->options.request_timeout);
}

Result<std::string> Client::jobs(std::size_t limit) {
  return state_->get("/v1/jobs?limit=" + std::to_string(limit));
}

Result<std::string> Client::job(std::string_view id) {
  return state_->of_job(id, "");
}

Result<std::string> Client::cancel(std::string_view id) {
  PHASE_TRY(const std::string good, safe_id(id));
  return state_->post("/v1/jobs/" + good + "/cancel", "", {}, state_->options.request_timeout);
}

Result<Bytes> Client::receipt(std::string_view id) {
  PHASE_TRY(const std::string body, state_->of_job(id, "/receipt"));
  return to_bytes(body);
}

Result<Bytes> Client::manifest(std::string_view id) {
  PHASE_TRY(const std::string body, state_->of_job(id, "/manifest"));
  return to_bytes(body);
}

namespace {

/// Takes stdin that is too long for a submission out of the options: it is streamed.
std::optional<Bytes> take_long_stdin(JobOptions& options) {
  const bool is_long = options.stdin_bytes && options.stdin_bytes->size() > kStdinGivenBytes;
  return is_long ? std::exchange(options.stdin_bytes, std::nullopt) : std::nullopt;
}

}  // namespace

Result<SubmittedJob> Client::submit(ByteView module, JobOptions options) {
  const std::optional<Bytes> streamed = take_long_stdin(options);
  const std::optional<Bytes> given = options.stdin_bytes;
  PHASE_TRY(SubmittedJob job, describe(module, std::move(options)));
  return submit(std::move(job), module, given, streamed);
}

Result<SubmittedJob> Client::submit(const ArtifactId& module, JobOptions options) {
  const std::optional<Bytes> streamed = take_long_stdin(options);
  const std::optional<Bytes> given = options.stdin_bytes;
  PHASE_TRY(SubmittedJob job, describe(module, std::move(options)));
  return submit(std::move(job), std::nullopt, given, streamed);
}

Result<std::string> Client::keep_module(ByteView module) {
  return state_->post("/v1/modules?keep=true", "application/wasm", module,
                      state_->options.request_timeout);
}

Result<SubmittedJob> Client::submit(SubmittedJob out, std::optional<ByteView> module,
                                    const std::optional<Bytes>& given,
                                    const std::optional<Bytes>& streamed) {
  const std::string body = json_text(submission(out, given));
  PHASE_TRY(const std::string answer,
            module ? state_->submit(*module, out.module.sha256, body)
                   : state_->post("/v1/jobs", "application/json", as_bytes(body),
                                  state_->options.request_timeout));
  PHASE_TRY(const json::object object, parse_object(answer));
  const json::value* id = object.if_contains("id");
  if (id == nullptr || !id->is_string()) {
    return fail(Code::protocol, "the daemon's answer to a submission has no id");
  }
  PHASE_TRY(out.id, safe_id(std::string_view{id->as_string().data(), id->as_string().size()}));
  if (streamed) {
    PHASE_TRY_VOID(write_stdin(out, *streamed, true));
  }
  return out;
}

Result<void> Client::write_stdin(SubmittedJob& job, ByteView bytes, bool end) {
  do {
    const ByteView piece = bytes.first(std::min(bytes.size(), kStdinPostBytes));
    bytes = bytes.subspan(piece.size());
    const bool last = end && bytes.empty();
    // Noted before it is sent: a piece may arrive although its answer does not.
    job.streamed.append(piece);
    PHASE_TRY([[maybe_unused]] const std::string nothing,
              state_->post("/v1/jobs/" + job.id + "/stdin" + (last ? "?end=true" : ""),
                           "application/octet-stream", piece, kStdinWait));
  } while (!bytes.empty());
  return {};
}

Result<bool> Client::follow(std::string_view id,
                            const std::function<bool(const JobEvent&)>& on_event) {
  PHASE_TRY(const std::string good, safe_id(id));
  HttpRequest request;
  request.target = "/v1/jobs/" + good + "/events?transcript=false";
  Error last_error;
  for (int broken = 0; broken < kReconnectsMax; ++broken) {
    PHASE_TRY(HttpConnection connection,
              HttpConnection::send(state_->options.socket, state_->interrupt, request,
                                   state_->options.request_timeout));
    PHASE_TRY(const int status, connection.status(state_->options.request_timeout));
    if (status != 200) {
      PHASE_TRY(const std::string body,
                connection.read_all(state_->options.request_timeout, kDocumentBytesMax));
      return fail(read_error_answer(status, body));
    }
    EventReader reader(state_->options.result_bytes_max);
    auto piece = connection.read_some(kEventSilenceMax);
    for (; piece && !piece->empty(); piece = connection.read_some(kEventSilenceMax)) {
      PHASE_TRY_VOID(reader.feed(*piece));
      RawEvent raw;
      while (reader.take(raw)) {
        PHASE_TRY(const JobEvent event, job_event(raw));
        request.last_event_id = std::to_string(event.id);
        broken = 0;
        if (!on_event(event)) {
          return false;
        }
        if (event.name == "result") {
          return true;
        }
      }
    }
    last_error =
        piece ? Error{Code::connection_closed, "the daemon ended the events before the result", ""}
              : std::move(piece).error();
    if (last_error.code == Code::cancelled) {
      return fail(last_error);
    }
  }
  return fail(last_error);
}

Result<JobResult> Client::result(const SubmittedJob& job, Duration wait) {
  const auto until = std::chrono::steady_clock::now() +
                     std::chrono::duration_cast<std::chrono::milliseconds>(wait);
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    const auto ms = std::clamp<std::int64_t>(left.count(), 0, kResultWait / Duration{1ms});
    HttpRequest request;
    request.target = "/v1/jobs/" + job.id + "/result?wait_ms=" + std::to_string(ms);
    PHASE_TRY(const State::Answer answer,
              state_->ask(request,
                          state_->options.request_timeout + Duration{std::chrono::milliseconds(ms)},
                          state_->options.result_bytes_max));
    if (answer.status == 200) {
      return check_result(answer.body, job);
    }
    if (left.count() <= 0) {
      return fail(Code::timed_out, "job " + job.id + " still runs", "phase job show " + job.id);
    }
  }
}

Result<JobResult> Client::kept_result(std::string_view id) {
  PHASE_TRY(const std::string good, safe_id(id));
  HttpRequest request;
  request.target = "/v1/jobs/" + good + "/result";
  PHASE_TRY(const State::Answer answer, state_->ask(request, state_->options.request_timeout,
                                                    state_->options.result_bytes_max));
  if (answer.status != 200) {
    return fail(Code::unavailable, "job " + good + " still runs",
                "follow its state: phase job show " + good);
  }
  return check_kept_result(answer.body);
}

Result<JobResult> Client::run(ByteView module, JobOptions options) {
  // The daemon ends every job: discovery, attempts and wall limits are bounded there.
  const Duration wait = std::chrono::milliseconds(4 * options.timeout_ms) + Duration{120s};
  PHASE_TRY(const SubmittedJob job, submit(module, std::move(options)));
  return result(job, wait);
}

}  // namespace phase::sdk
