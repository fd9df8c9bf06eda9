#include "api/control/job_record.h"

#include <boost/json.hpp>

namespace phase::control {
namespace {

namespace json = boost::json;

/// Text of peers shown in an answer, bytes.
constexpr std::size_t kPeerTextMax = 1024;
constexpr std::size_t kDocumentDepthMax = 16;

json::value hex_or_null(const std::optional<std::string>& hex) {
  return hex ? json::value(json::string(*hex)) : json::value(nullptr);
}

json::object error_object(const Error& error) {
  return {{"code", std::string{code_name(error.code)}},
          {"message", printable(error.message, kPeerTextMax)},
          {"hint", printable(error.hint, kPeerTextMax)}};
}

json::array attempts_array(const std::vector<Attempt>& attempts) {
  json::array out;
  for (const Attempt& attempt : attempts) {
    json::object entry{{"provider", identity::PeerId::from(attempt.provider).text()},
                       {"job_id", attempt.job_id.hex()},
                       {"error", nullptr}};
    if (!attempt.error.empty()) {
      entry["error"] = printable(attempt.error, kPeerTextMax);
    }
    out.push_back(std::move(entry));
  }
  return out;
}

json::object completion_object(const receipt::Completion& completion) {
  const bool exited = completion.kind == receipt::CompletionKind::exited;
  return {{"kind", std::string{receipt::completion_name(completion.kind)}},
          {"exit_code", exited ? json::value(completion.exit_code) : json::value(nullptr)},
          {"reason", printable(completion.reason, kPeerTextMax)}};
}

json::object claimed_object(const receipt::Claimed& claimed) {
  json::object out;
  const auto put = [&out](std::string_view name, const std::optional<std::uint64_t>& value) {
    if (value) {
      out[name] = *value;
    }
  };
  put("wall_us", claimed.wall_us);
  put("cpu_us", claimed.cpu_us);
  put("memory_bytes_peak", claimed.memory_bytes_peak);
  put("fuel", claimed.fuel);
  put("energy_mj", claimed.energy_mj);
  put("started_unix_ms", claimed.started_unix_ms);
  put("finished_unix_ms", claimed.finished_unix_ms);
  if (claimed.runtime) {
    out["runtime"] = printable(*claimed.runtime, kPeerTextMax);
  }
  return out;
}

json::object verdict_object(const verify::Verdict& verdict) {
  json::object out{{"verified", verdict.ok()},
                   {"level", nullptr},
                   {"failed_check", nullptr},
                   {"detail", printable(verdict.detail, kPeerTextMax)}};
  if (verdict.level) {
    out["level"] = std::string{manifest::level_name(*verdict.level)};
  }
  if (verdict.failed) {
    out["failed_check"] = std::string{verify::check_name(*verdict.failed)};
  }
  return out;
}

Result<json::object> parse_object(std::string_view text) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = kDocumentDepthMax;
  json::value value = json::parse({text.data(), text.size()}, error, {}, options);
  if (error || !value.is_object()) {
    return fail(Code::malformed, "a kept job's document is not JSON");
  }
  return std::move(value.as_object());
}

/// An object's text without its closing brace.
std::string open_object(std::string_view object) {
  return std::string{object.substr(0, object.size() - 1)};
}

void append_quoted_base64(std::string& out, ByteView bytes) {
  out += '"';
  out += to_base64(bytes);
  out += '"';
}

}  // namespace

std::string_view state_name(JobState state) noexcept {
  constexpr std::array<std::string_view, 7> kNames = {
      "queued", "discovering", "offering", "running", "done", "failed", "cancelled"};
  return kNames[static_cast<std::size_t>(state)];
}

json::object state_object(const JobFacts& facts) {
  const Attempt* last = facts.attempts.empty() ? nullptr : &facts.attempts.back();
  json::object out{
      {"id", facts.id},
      {"job_id", last != nullptr ? json::value(last->job_id.hex()) : json::value(nullptr)},
      {"execution_id",
       hex_or_null(facts.execution_id ? std::optional{facts.execution_id->hex()} : std::nullopt)},
      {"state", std::string{state_name(facts.state)}},
      {"target", facts.target},
      {"provider", nullptr},
      {"provider_key", nullptr},
      {"created", facts.created.unix_ms},
      {"finished", facts.finished ? json::value(facts.finished->unix_ms) : json::value(nullptr)},
      {"attempts", attempts_array(facts.attempts)},
      {"error", nullptr}};
  if (last != nullptr) {
    out["provider"] = identity::PeerId::from(last->provider).text();
    out["provider_key"] = last->provider.hex();
  }
  if (facts.error) {
    out["error"] = error_object(*facts.error);
  }
  return out;
}

json::object result_object(const requester::Outcome& outcome) {
  json::object out{{"completion", nullptr}, {"exit_code", nullptr}};
  const auto opened = receipt::open(outcome.receipt);
  if (opened) {
    json::object completion = completion_object(opened->receipt.completion);
    out["exit_code"] = completion["exit_code"];
    out["completion"] = std::move(completion);
    out["claimed"] = claimed_object(opened->receipt.claimed);
    json::array isolation;
    for (const std::string& layer : opened->receipt.isolation) {
      isolation.emplace_back(printable(layer, kPeerTextMax));
    }
    out["isolation"] = std::move(isolation);
  } else {
    out["claimed"] = json::object{};
    out["isolation"] = json::array{};
  }
  out["stdin_sha256"] = outcome.input.sha256.hex();
  out["stdin_length"] = outcome.input.length;
  out["salt"] = hex_or_null(outcome.salt ? std::optional{to_hex(*outcome.salt)} : std::nullopt);
  out["verdict"] = verdict_object(outcome.verdict);
  return out;
}

std::string make_document(const json::object& state, const json::value& result,
                          std::uint64_t last_event) {
  return json::serialize(
      json::object{{"state", state}, {"result", result}, {"last_event", last_event}});
}

Result<Document> read_document(std::string_view text) {
  PHASE_TRY(const json::object object, parse_object(text));
  const json::value* state = object.if_contains("state");
  const json::value* result = object.if_contains("result");
  const json::value* last = object.if_contains("last_event");
  if (state == nullptr || !state->is_object() || result == nullptr || last == nullptr ||
      !last->is_number()) {
    return fail(Code::malformed, "a kept job's document lacks a part");
  }
  Document out;
  out.state = json::serialize(*state);
  out.result = result->is_object() ? json::serialize(*result) : std::string{};
  boost::system::error_code ignored;
  out.last_event = last->to_number<std::uint64_t>(ignored);
  return out;
}

Result<std::string> fail_document(std::string_view text, const Error& error, UtcTime finished) {
  PHASE_TRY(json::object object, parse_object(text));
  json::object* state = object["state"].if_object();
  if (state == nullptr) {
    return fail(Code::malformed, "a kept job's document lacks its state");
  }
  (*state)["state"] = std::string{state_name(JobState::failed)};
  (*state)["finished"] = finished.unix_ms;
  (*state)["error"] = error_object(error);
  object["last_event"] = 1;
  return json::serialize(object);
}

std::string render_result(const ResultParts& parts) {
  std::string out = open_object(parts.state);
  if (parts.result.empty()) {
    out += R"(,"completion":null,"exit_code":null,"claimed":{},"isolation":[],"stdin_sha256":null,)"
           R"("stdin_length":null,"salt":null,"verdict":null)";
  } else {
    out += ',';
    out += parts.result.substr(1, parts.result.size() - 2);
  }
  if (parts.outputs == nullptr) {
    out += R"(,"stdout":null,"stderr":null,"transcript":null)";
  } else {
    Bytes streams[2];
    std::string transcript;
    for (const EventLog::Entry& entry : *parts.outputs) {
      if (entry.name == "output") {
        Bytes& into = streams[entry.stream == job::OutputStream::out ? 0 : 1];
        into.insert(into.end(), entry.output.begin(), entry.output.end());
        transcript += transcript.empty() ? "" : ",";
        transcript += output_json(entry);
      }
    }
    out += R"(,"stdout":)";
    append_quoted_base64(out, streams[0]);
    out += R"(,"stderr":)";
    append_quoted_base64(out, streams[1]);
    out += R"(,"transcript":[)" + transcript + "]";
  }
  for (const auto& [name, bytes] :
       {std::pair{"receipt", parts.receipt}, std::pair{"manifest", parts.manifest}}) {
    out += std::string{",\""} + name + "\":";
    if (bytes.empty()) {
      out += "null";
    } else {
      append_quoted_base64(out, bytes);
    }
  }
  return out + "}";
}

std::string output_json(const EventLog::Entry& entry) {
  std::string out =
      entry.stream == job::OutputStream::out ? R"({"stream":1,"data":)" : R"({"stream":2,"data":)";
  append_quoted_base64(out, entry.output);
  return out + "}";
}

std::string checkpoint_json(const receipt::Checkpoint& checkpoint) {
  return json::serialize(
      json::object{{"sequence", checkpoint.sequence}, {"length", checkpoint.output.length}});
}

std::string progress_json(const offer::Progress& progress) {
  return json::serialize(json::object{{"stage", printable(progress.stage, 64)},
                                      {"done", progress.done},
                                      {"total", progress.total}});
}

}  // namespace phase::control
