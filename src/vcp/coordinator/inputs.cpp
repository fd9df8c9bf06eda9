#include "vcp/coordinator/inputs.h"

#include <algorithm>
#include <array>

#include <boost/json/parse.hpp>

namespace phase::vcp {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 5> kFields = {"args", "entrypoint", "stdin", "stdin_base64",
                                                     "limits"};

auto wrong(std::string_view field, std::string_view what) {
  return fail(Code::invalid_argument, "inputs." + std::string(field) + " " + std::string(what));
}

Result<std::uint64_t> positive(const json::object& object, std::string_view name) {
  const json::value& value = object.at(name);
  boost::system::error_code error;
  const auto out = value.is_number() ? value.to_number<std::uint64_t>(error) : 0;
  if (out == 0 || error || value.is_double()) {
    return wrong("limits." + std::string(name), "is no whole number above zero");
  }
  return out;
}

Result<void> take_args(const json::value& value, Work& work) {
  if (!value.is_array() || value.get_array().size() > job::kArgsMax) {
    return wrong("args", "is no list of at most " + std::to_string(job::kArgsMax) + " texts");
  }
  for (const json::value& one : value.get_array()) {
    if (!one.is_string()) return wrong("args", "holds something that is no text");
    work.job.args.emplace_back(one.get_string());
  }
  return {};
}

Result<void> take_limits(const json::value& value, Work& work) {
  if (!value.is_object()) return wrong("limits", "is no object");
  for (const auto& [name, limit] : value.get_object()) {
    if (name == "fuel") {
      PHASE_TRY(work.job.limits.fuel, positive(value.get_object(), "fuel"));
    } else if (name == "memory_mb") {
      PHASE_TRY(const std::uint64_t mb, positive(value.get_object(), "memory_mb"));
      if (mb > kTaskMemoryMbMax) return wrong("limits.memory_mb", "is above 4096");
      work.job.limits.memory_bytes = std::min(mb * 1_MiB, job::kMemoryBytesMax);
    } else {
      return wrong("limits." + std::string(name), "is unknown; there are fuel and memory_mb");
    }
  }
  return {};
}

Result<void> take_stdin(const json::object& object, Work& work) {
  const json::value* text = object.if_contains("stdin");
  const json::value* coded = object.if_contains("stdin_base64");
  if (text != nullptr && coded != nullptr) return wrong("stdin", "stands beside stdin_base64");
  if (text != nullptr) {
    if (!text->is_string()) return wrong("stdin", "is no text");
    work.stdin_bytes = to_bytes(std::string_view(text->get_string()));
  }
  if (coded != nullptr) {
    if (!coded->is_string()) return wrong("stdin_base64", "is no text");
    auto bytes = from_base64(std::string_view(coded->get_string()));
    if (!bytes) return wrong("stdin_base64", "is no base64");
    work.stdin_bytes = *std::move(bytes);
  }
  return {};
}

Result<std::string> short_text(const json::object& from, std::string_view name) {
  const json::value* value = from.if_contains(name);
  const json::string* text = value == nullptr ? nullptr : value->if_string();
  if (text == nullptr || text->empty() || text->size() > kConnectIdBytesMax) {
    return wrong(name, "is no text of 1 to " + std::to_string(kConnectIdBytesMax) + " bytes");
  }
  return std::string(text->data(), text->size());
}

Result<std::uint64_t> whole(const json::object& from, std::string_view name, std::uint64_t max) {
  const json::value* value = from.if_contains(name);
  boost::system::error_code error;
  const bool number = value != nullptr && value->is_number() && !value->is_double();
  const auto out = number ? value->to_number<std::uint64_t>(error) : 0;
  if (out == 0 || error || out > max) {
    return wrong(name, "is no whole number of 1 to " + std::to_string(max));
  }
  return out;
}

}  // namespace

Result<ConnectWish> read_connect_inputs(std::string_view inputs_json) {
  constexpr std::array<std::string_view, 6> kKnown = {"session_id",       "requester_id",
                                                      "duration_seconds", "bandwidth_limit_mbps",
                                                      "egress_profile",   "destination_policy_id"};
  boost::system::error_code error;
  const json::value parsed = json::parse(inputs_json, error, {}, {.max_depth = 32});
  const json::object* from = error ? nullptr : parsed.if_object();
  if (from == nullptr) return fail(Code::invalid_argument, "inputs is no JSON object");
  for (const auto& field : *from) {
    const std::string_view name(field.key());
    if (std::ranges::find(kKnown, name) == kKnown.end()) {
      return wrong(printable(name, 64), "is not known here");
    }
  }
  for (const std::string_view unused : {"session_id", "requester_id"}) {
    if (from->contains(unused)) PHASE_TRY_VOID(short_text(*from, unused));
  }
  ConnectWish out;
  PHASE_TRY(out.seconds, whole(*from, "duration_seconds", kTaskSecondsMax));
  PHASE_TRY(out.mbps, whole(*from, "bandwidth_limit_mbps", kConnectMbpsMax));
  PHASE_TRY(out.policy, short_text(*from, "destination_policy_id"));
  PHASE_TRY(const std::string egress, short_text(*from, "egress_profile"));
  const auto known = egress_of(egress);
  if (!known) {
    return wrong("egress_profile",
                 "is allowlist_domains, protocol_limited or metered_general_egress");
  }
  out.egress = *known;
  return out;
}

Result<void> take_wasm_inputs(std::string_view inputs_json, Work& work) {
  boost::system::error_code error;
  const json::value parsed = json::parse(inputs_json, error, {}, {.max_depth = 32});
  if (error) return fail(Code::invalid_argument, "inputs is no JSON");
  const bool named =
      parsed.is_object() && std::ranges::all_of(parsed.get_object(), [](const auto& field) {
        return std::ranges::find(kFields, std::string_view(field.key())) != kFields.end();
      });
  if (!named) {
    work.stdin_bytes = to_bytes(inputs_json);
  } else {
    const json::object& object = parsed.get_object();
    if (const json::value* args = object.if_contains("args"))
      PHASE_TRY_VOID(take_args(*args, work));
    if (const json::value* entry = object.if_contains("entrypoint")) {
      if (!entry->is_string()) return wrong("entrypoint", "is no text");
      work.job.entry = std::string_view(entry->get_string());
    }
    if (const json::value* limits = object.if_contains("limits")) {
      PHASE_TRY_VOID(take_limits(*limits, work));
    }
    PHASE_TRY_VOID(take_stdin(object, work));
  }
  if (work.stdin_bytes.size() > kTaskInputBytesMax) {
    return fail(Code::too_large, "the inputs are longer than 50 MiB");
  }
  work.job.stdin_commitment = job::commit(work.stdin_bytes);
  return {};
}

}  // namespace phase::vcp
