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

}  // namespace

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
