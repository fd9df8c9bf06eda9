// The wasm body of a job (spec/job.md §1).
#include <algorithm>
#include <utility>

#include "protocol/job/codec_internal.h"
#include "protocol/job/parts.h"

namespace phase::job {
namespace {

/// Environment names in the order of their encodings: shorter first, then bytewise.
std::vector<std::pair<std::string_view, std::string_view>> in_encoding_order(
    const std::map<std::string, std::string>& env) {
  std::vector<std::pair<std::string_view, std::string_view>> rows(env.begin(), env.end());
  std::ranges::sort(rows, [](const auto& a, const auto& b) {
    return std::pair(a.first.size(), a.first) < std::pair(b.first.size(), b.first);
  });
  return rows;
}

void write_limits(CborWriter& out, const WasmLimits& limits) {
  out.map(4).uint(0).uint(limits.fuel).uint(1).uint(limits.memory_bytes);
  out.uint(2).uint(limits.table_elements).uint(3).uint(limits.output_bytes);
}

Result<WasmLimits> read_limits(CborReader& in) {
  PHASE_TRY(CborMap map, CborMap::open(in));
  WasmLimits out;
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(out.fuel, at->uint());
  PHASE_TRY(at, map.required(1));
  PHASE_TRY(out.memory_bytes, at->uint());
  PHASE_TRY(at, map.required(2));
  PHASE_TRY(out.table_elements, at->uint());
  PHASE_TRY(at, map.required(3));
  PHASE_TRY(out.output_bytes, at->uint());
  PHASE_TRY_VOID(map.close());
  if (out.fuel == 0) return fail(Code::malformed, "a fuel limit of 0 runs nothing");
  if (out.memory_bytes > kMemoryBytesMax) {
    return fail(Code::too_large,
                "memory limit above " + std::to_string(kMemoryBytesMax) + " bytes");
  }
  return out;
}

Result<std::vector<std::string>> read_args(CborReader& in) {
  PHASE_TRY(const std::uint64_t count, in.array());
  if (count > kArgsMax)
    return fail(Code::too_large, "more than " + std::to_string(kArgsMax) + " args");
  std::vector<std::string> out;
  for (std::uint64_t i = 0; i < count; ++i) {
    PHASE_TRY(std::string arg, read_text(in));
    out.push_back(std::move(arg));
  }
  return out;
}

Result<std::map<std::string, std::string>> read_env(CborReader& in) {
  PHASE_TRY(const std::uint64_t count, in.map());
  if (count > kEnvMax) {
    return fail(Code::too_large, "more than " + std::to_string(kEnvMax) + " environment variables");
  }
  std::map<std::string, std::string> out;
  std::string last;
  for (std::uint64_t i = 0; i < count; ++i) {
    PHASE_TRY(std::string name, read_text(in));
    if (name.empty() || name.find('=') != std::string::npos) {
      return fail(Code::malformed, "environment name is empty or holds '='");
    }
    if (i > 0 && std::pair(name.size(), name) <= std::pair(last.size(), last)) {
      return fail(Code::malformed, "environment names are not in ascending order");
    }
    last = name;
    PHASE_TRY(std::string value, read_text(in));
    out.emplace(std::move(name), std::move(value));
  }
  return out;
}

Result<std::optional<Commitment>> read_optional_commitment(CborReader& in,
                                                           std::uint64_t length_max) {
  if (in.peek() == CborType::null) {
    PHASE_TRY_VOID(in.null());
    return std::nullopt;
  }
  PHASE_TRY(const Commitment commitment, read_commitment(in));
  if (commitment.length > length_max) {
    return fail(Code::too_large, "input above " + std::to_string(length_max) + " bytes");
  }
  return commitment;
}

Result<void> check_module(const ArtifactRef& module) {
  if (module.length == 0) return fail(Code::malformed, "a module of 0 bytes");
  if (module.length > kModuleBytesMax) {
    return fail(Code::too_large, "module above " + std::to_string(kModuleBytesMax) + " bytes");
  }
  return {};
}

}  // namespace

void write_body(CborWriter& out, const WasmJob& job) {
  out.map(9).uint(0);
  write(out, job.module);
  out.uint(1).text(job.entry).uint(2).array(job.args.size());
  for (const std::string& arg : job.args) out.text(arg);
  out.uint(3).map(job.env.size());
  for (const auto& [name, value] : in_encoding_order(job.env)) out.text(name).text(value);
  out.uint(4);
  if (job.stdin_commitment) {
    write(out, *job.stdin_commitment);
  } else {
    out.null();
  }
  out.uint(5);
  write_limits(out, job.limits);
  out.uint(6).text(profile_name(job.profile)).uint(7).uint(job.clock_start_ns);
  out.uint(8).bytes(job.random_seed);
}

Result<WasmJob> read_wasm(CborReader& in) {
  PHASE_TRY(CborMap map, CborMap::open(in));
  WasmJob job;
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(job.module, read_reference(*at));
  PHASE_TRY_VOID(check_module(job.module));
  PHASE_TRY(at, map.required(1));
  PHASE_TRY(job.entry, read_text(*at));
  if (job.entry.empty()) return fail(Code::malformed, "empty entry name");
  PHASE_TRY(at, map.required(2));
  PHASE_TRY(job.args, read_args(*at));
  PHASE_TRY(at, map.required(3));
  PHASE_TRY(job.env, read_env(*at));
  PHASE_TRY(at, map.required(4));
  PHASE_TRY(job.stdin_commitment, read_optional_commitment(*at, kStdinBytesMax));
  PHASE_TRY(at, map.required(5));
  PHASE_TRY(job.limits, read_limits(*at));
  PHASE_TRY(at, map.required(6));
  PHASE_TRY(const std::string_view profile, at->text());
  PHASE_TRY(job.profile, profile_from_name(profile));
  PHASE_TRY(at, map.required(7));
  PHASE_TRY(job.clock_start_ns, at->uint());
  PHASE_TRY(at, map.required(8));
  PHASE_TRY(job.random_seed, read_array<32>(*at));
  PHASE_TRY_VOID(map.close());
  return job;
}

}  // namespace phase::job
