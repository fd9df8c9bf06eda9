// Reads `POST /v1/jobs`: every key known, every value in range, each error naming the key.
#include <functional>

#include <boost/json.hpp>

#include "api/control/job_book.h"
#include "base/artifact_text.h"

namespace phase::control {
namespace {

namespace json = boost::json;

constexpr std::size_t kDepthMax = 4;
/// What module and stdin commitments add to the encoded job later.
constexpr std::size_t kCommitmentsBytes = 128;

tl::unexpected<Error> wrong(std::string_view key, std::string_view what) {
  return fail(Code::invalid_argument, std::string{key} + ": " + std::string{what},
              "spec/control-api.md lists the keys of a submission");
}

Result<std::uint64_t> number(std::string_view key, const json::value& value, std::uint64_t min,
                             std::uint64_t max) {
  boost::system::error_code error;
  const std::uint64_t out =
      value.is_number() && !value.is_double() ? value.to_number<std::uint64_t>(error) : 0;
  if (error || !value.is_number() || value.is_double() || out < min || out > max) {
    return wrong(
        key, "expected a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  }
  return out;
}

Result<std::string> text(std::string_view key, const json::value& value) {
  if (!value.is_string()) {
    return wrong(key, "expected a text");
  }
  const json::string& out = value.as_string();
  if (out.size() > job::kTextBytesMax) {
    return wrong(key, "longer than " + std::to_string(job::kTextBytesMax) + " bytes");
  }
  if (std::string_view{out.data(), out.size()}.find('\0') != std::string_view::npos) {
    return wrong(key, "has a NUL inside");
  }
  return std::string{out.data(), out.size()};
}

Result<bool> boolean(std::string_view key, const json::value& value) {
  if (!value.is_bool()) {
    return wrong(key, "expected true or false");
  }
  return value.as_bool();
}

Result<std::vector<std::string>> args(const json::value& value) {
  const json::array* array = value.if_array();
  if (array == nullptr || array->size() > job::kArgsMax) {
    return wrong("args", "expected at most " + std::to_string(job::kArgsMax) + " texts");
  }
  std::vector<std::string> out;
  for (const json::value& entry : *array) {
    PHASE_TRY(std::string arg, text("args", entry));
    out.push_back(std::move(arg));
  }
  return out;
}

Result<std::map<std::string, std::string>> env(const json::value& value) {
  const json::object* object = value.if_object();
  const json::array* array = value.if_array();
  if (array != nullptr && array->empty()) {
    return std::map<std::string, std::string>{};  // PHP writes an empty map so
  }
  if (object == nullptr || object->size() > job::kEnvMax) {
    return wrong("env", "expected an object of at most " + std::to_string(job::kEnvMax) + " texts");
  }
  std::map<std::string, std::string> out;
  for (const auto& [name, entry] : *object) {
    const json::value name_value(json::string(name.data(), name.size()));
    PHASE_TRY(std::string key, text("env", name_value));
    if (key.empty() || key.find('=') != std::string::npos) {
      return wrong("env", "a name is empty or has a = inside");
    }
    PHASE_TRY(std::string content, text("env", entry));
    out.emplace(std::move(key), std::move(content));
  }
  return out;
}

Result<std::optional<Bytes>> stdin_bytes(const json::value& value, const JobBookLimits& limits) {
  if (value.is_null()) {
    return std::nullopt;
  }
  if (!value.is_string()) {
    return wrong("stdin", "expected base64 or null");
  }
  const json::string& coded = value.as_string();
  auto bytes = from_base64({coded.data(), coded.size()});
  if (!bytes) {
    return wrong("stdin", "is not base64");
  }
  if (bytes->size() > limits.stdin_given_max) {
    return fail(Code::too_large,
                "stdin: more than " + std::to_string(limits.stdin_given_max) + " bytes",
                "submit with \"stdin\": null and stream it");
  }
  return std::optional<Bytes>{std::move(*bytes)};
}

Result<void> target(const json::value& value, Submission& out) {
  PHASE_TRY(const std::string name, text("target", value));
  if (name == "local") {
    out.target = Target::local;
  } else if (name == "remote") {
    out.target = Target::remote;
  } else {
    auto peer = identity::PeerId::parse(name);
    if (!peer) {
      return wrong("target", "expected local, remote or a peer id");
    }
    out.target = Target::peer;
    out.provider = peer->key();
  }
  return {};
}

Result<void> profile(const json::value& value, Submission& out) {
  PHASE_TRY(const std::string name, text("profile", value));
  for (const job::Profile known : {job::Profile::fast, job::Profile::det_1}) {
    if (name == job::profile_name(known)) {
      out.job.profile = known;
      return {};
    }
  }
  return fail(Code::version_unknown, "profile: " + printable(name, 64) + " is not known",
              "use fast");
}

/// An optional requirement; an empty text asks for nothing.
Result<void> requirement(std::string_view key, const json::value& value,
                         std::optional<std::string>& into) {
  PHASE_TRY(std::string name, text(key, value));
  if (name.size() > manifest::kRequirementBytesMax) {
    return wrong(key, "longer than " + std::to_string(manifest::kRequirementBytesMax) + " bytes");
  }
  if (!name.empty()) {
    into = std::move(name);
  }
  return {};
}

using Reader = std::function<Result<void>(const json::value&, Submission&, const JobBookLimits&)>;

/// A key that holds a number goes where `into` says.
Reader number_reader(std::string_view key, std::uint64_t min, std::uint64_t max,
                     std::function<std::uint64_t&(Submission&)> into) {
  return [key, min, max, into = std::move(into)](const json::value& value, Submission& out,
                                                 const JobBookLimits&) -> Result<void> {
    PHASE_TRY(into(out), number(key, value, min, max));
    return {};
  };
}

Result<void> read_module(const json::value& value, Submission& out, const JobBookLimits&) {
  PHASE_TRY(const std::string hex, text("module", value));
  if (hex.starts_with(kArtifactPrefix)) {
    const auto id = parse_artifact(hex);
    if (!id) {
      return wrong("module", id.error().message);
    }
    out.module = *id;
    return {};
  }
  auto hash = Sha256::from_hex_text(hex);
  if (!hash) {
    return wrong("module", "expected 64 hexadecimal digits, alone or after artifact:");
  }
  out.module = *hash;
  return {};
}

Result<void> read_level(const json::value& value, Submission& out, const JobBookLimits&) {
  PHASE_TRY(const std::string name, text("level", value));
  auto level = manifest::level_from_name(name);
  if (!level) {
    return wrong("level", "expected signature, audit, redundancy, re-execute, dispute or proof");
  }
  out.level = *level;
  return {};
}

Result<void> read_output_bytes(const json::value& value, Submission& out,
                               const JobBookLimits& limits) {
  PHASE_TRY(out.job.limits.output_bytes, number("output_bytes", value, 0, limits.output_bytes_max));
  return {};
}

Result<void> read_cpu_cores(const json::value& value, Submission& out, const JobBookLimits&) {
  PHASE_TRY(out.requirements.cpu_cores, number("cpu_cores", value, 1, 1024));
  return {};
}

std::map<std::string, Reader, std::less<>> make_readers() {
  constexpr std::uint64_t kAny = (1ULL << 63) - 1;
  std::map<std::string, Reader, std::less<>> out;
  out["module"] = read_module;
  out["entry"] = [](const json::value& v, Submission& s, const JobBookLimits&) -> Result<void> {
    PHASE_TRY(s.job.entry, text("entry", v));
    return s.job.entry.empty() ? Result<void>{wrong("entry", "is empty")} : Result<void>{};
  };
  out["args"] = [](const json::value& v, Submission& s, const JobBookLimits&) -> Result<void> {
    PHASE_TRY(s.job.args, args(v));
    return {};
  };
  out["env"] = [](const json::value& v, Submission& s, const JobBookLimits&) -> Result<void> {
    PHASE_TRY(s.job.env, env(v));
    return {};
  };
  out["stdin"] = [](const json::value& v, Submission& s,
                    const JobBookLimits& limits) -> Result<void> {
    PHASE_TRY(s.stdin_given, stdin_bytes(v, limits));
    return {};
  };
  out["fuel"] =
      number_reader("fuel", 1, kAny, [](Submission& s) -> auto& { return s.job.limits.fuel; });
  out["memory_bytes"] =
      number_reader("memory_bytes", 0, job::kMemoryBytesMax,
                    [](Submission& s) -> auto& { return s.job.limits.memory_bytes; });
  out["table_elements"] =
      number_reader("table_elements", 0, 1ULL << 32,
                    [](Submission& s) -> auto& { return s.job.limits.table_elements; });
  out["output_bytes"] = read_output_bytes;
  out["timeout_ms"] = number_reader("timeout_ms", 1, manifest::kWallLimitMsMax,
                                    [](Submission& s) -> auto& { return s.timeout_ms; });
  out["checkpoint_bytes"] = number_reader(
      "checkpoint_bytes", 0, kAny, [](Submission& s) -> auto& { return s.checkpoint_bytes; });
  out["cpu_cores"] = read_cpu_cores;
  out["arch"] = [](const json::value& v, Submission& s, const JobBookLimits&) {
    return requirement("arch", v, s.requirements.arch);
  };
  out["runtime"] = [](const json::value& v, Submission& s, const JobBookLimits&) {
    return requirement("runtime", v, s.requirements.runtime);
  };
  out["region"] = [](const json::value& v, Submission& s, const JobBookLimits&) {
    return requirement("region", v, s.requirements.region);
  };
  out["profile"] = [](const json::value& v, Submission& s, const JobBookLimits&) {
    return profile(v, s);
  };
  out["level"] = read_level;
  out["private"] = [](const json::value& v, Submission& s, const JobBookLimits&) -> Result<void> {
    PHASE_TRY(s.is_private, boolean("private", v));
    return {};
  };
  out["target"] = [](const json::value& v, Submission& s, const JobBookLimits&) {
    return target(v, s);
  };
  return out;
}

}  // namespace

Result<Submission> parse_submission(std::string_view json_text, const JobBookLimits& limits) {
  static const std::map<std::string, Reader, std::less<>> kReaders = make_readers();
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = kDepthMax;
  const json::value value = json::parse({json_text.data(), json_text.size()}, error, {}, options);
  if (error || !value.is_object()) {
    return fail(Code::malformed,
                "a submission is a JSON object" + (error ? ": " + error.message() : std::string{}));
  }
  Submission out;
  out.stdin_given = Bytes{};  // left out: nothing; null: streamed
  bool has_module = false;
  for (const auto& [name, entry] : value.as_object()) {
    const std::string_view key{name.data(), name.size()};
    const auto reader = kReaders.find(key);
    if (reader == kReaders.end()) {
      return wrong(printable(key, 64), "unknown key");
    }
    PHASE_TRY_VOID(reader->second(entry, out, limits));
    has_module = has_module || key == "module";
  }
  if (!has_module) {
    return wrong("module", "is missing");
  }
  if (job::encode(out.job).size() + kCommitmentsBytes > job::kJobBytesMax) {
    return fail(
        Code::too_large, "args and env together are too large for a job",
        "at most " + std::to_string(job::kJobBytesMax) + " bytes encoded; pass data by stdin");
  }
  return out;
}

}  // namespace phase::control
