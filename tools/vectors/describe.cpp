#include "describe.h"

#include <boost/json/value_from.hpp>

namespace phase::vectors {
namespace {

template <typename T>
json::value or_null(const std::optional<T>& value) {
  if (!value) return nullptr;
  return json::value_from(*value);
}

json::value commitment_or_null(const std::optional<job::Commitment>& commitment) {
  if (!commitment) return nullptr;
  return describe(*commitment);
}

json::object describe_wasm(const job::WasmJob& job) {
  json::object env;
  for (const auto& [name, value] : job.env) env[name] = value;
  return {{"kind", 0},
          {"module",
           {{"id", job.module.id.hex()},
            {"sha256", job.module.sha256.hex()},
            {"length", job.module.length}}},
          {"entry", job.entry},
          {"args", json::value_from(job.args)},
          {"env", env},
          {"stdin", commitment_or_null(job.stdin_commitment)},
          {"limits",
           {{"fuel", job.limits.fuel},
            {"memory_bytes", job.limits.memory_bytes},
            {"table_elements", job.limits.table_elements},
            {"output_bytes", job.limits.output_bytes}}},
          {"profile", job::profile_name(job.profile)},
          {"clock_start_ns", job.clock_start_ns},
          {"random_seed", to_hex(job.random_seed)}};
}

json::object describe_inference(const job::InferenceJob& job) {
  const job::Sampling& s = job.sampling;
  return {{"kind", 1},
          {"model", job.model.hex()},
          {"model_name", job.model_name},
          {"prompt_kind", static_cast<int>(job.prompt_kind)},
          {"prompt", commitment_or_null(job.prompt)},
          {"sampling",
           {{"seed", s.seed},
            {"temperature_ppm", or_null(s.temperature_ppm)},
            {"top_p_ppm", or_null(s.top_p_ppm)},
            {"min_p_ppm", or_null(s.min_p_ppm)},
            {"typical_p_ppm", or_null(s.typical_p_ppm)},
            {"repeat_penalty_ppm", or_null(s.repeat_penalty_ppm)},
            {"presence_penalty_ppm", or_null(s.presence_penalty_ppm)},
            {"frequency_penalty_ppm", or_null(s.frequency_penalty_ppm)},
            {"top_k", or_null(s.top_k)},
            {"repeat_last_n", or_null(s.repeat_last_n)}}},
          {"tokens_max", job.tokens_max},
          {"context_tokens", job.context_tokens},
          {"stop", json::value_from(job.stop)},
          {"grammar", commitment_or_null(job.grammar)}};
}

json::object describe_claimed(const receipt::Claimed& claimed) {
  return {{"wall_us", or_null(claimed.wall_us)},
          {"cpu_us", or_null(claimed.cpu_us)},
          {"memory_bytes_peak", or_null(claimed.memory_bytes_peak)},
          {"fuel", or_null(claimed.fuel)},
          {"energy_mj", or_null(claimed.energy_mj)},
          {"started_unix_ms", or_null(claimed.started_unix_ms)},
          {"finished_unix_ms", or_null(claimed.finished_unix_ms)},
          {"runtime", or_null(claimed.runtime)}};
}

struct FrameDescription {
  json::object operator()(const offer::Open& f) const {
    return {{"frame", "open"},
            {"manifest", to_hex(f.manifest)},
            {"checkpoint_bytes", f.checkpoint_bytes},
            {"salt", f.salt ? json::value(to_hex(*f.salt)) : json::value(nullptr)},
            {"commit_reveal", f.commit_reveal}};
  }
  json::object operator()(const offer::Accepted& f) const {
    return {{"frame", "accepted"}, {"job_id", f.job_id.hex()}, {"module_held", f.module_held}};
  }
  json::object operator()(const offer::Rejected& f) const {
    return {{"frame", "rejected"},
            {"reason", offer::rejection_name(f.reason)},
            {"detail", f.detail},
            {"retry_after_ms", or_null(f.retry_after_ms)}};
  }
  json::object operator()(const offer::Output& f) const {
    return {{"frame", "output"},
            {"stream", static_cast<int>(f.piece.stream)},
            {"data", to_hex(f.piece.data)}};
  }
  json::object operator()(const offer::Progress& f) const {
    return {{"frame", "progress"}, {"stage", f.stage}, {"done", f.done}, {"total", f.total}};
  }
  json::object operator()(const offer::Reveal& f) const {
    return {{"frame", "reveal"},
            {"nonce", f.nonce ? json::value(to_hex(*f.nonce)) : json::value(nullptr)}};
  }
  json::object operator()(const offer::ModuleData& f) const { return data("module", f.data); }
  json::object operator()(const offer::StdinData& f) const { return data("stdin", f.data); }
  json::object operator()(const offer::CheckpointFrame& f) const {
    return envelope("checkpoint", f.envelope);
  }
  json::object operator()(const offer::ReceiptFrame& f) const {
    return envelope("receipt", f.envelope);
  }
  json::object operator()(const offer::CommitFrame& f) const {
    return envelope("commit", f.envelope);
  }
  json::object operator()(const offer::NodeFrame& f) const { return envelope("node", f.envelope); }
  json::object operator()(const offer::ModuleEnd&) const { return {{"frame", "module_end"}}; }
  json::object operator()(const offer::StdinEnd&) const { return {{"frame", "stdin_end"}}; }
  json::object operator()(const offer::Heartbeat&) const { return {{"frame", "heartbeat"}}; }
  json::object operator()(const offer::Cancel&) const { return {{"frame", "cancel"}}; }
  json::object operator()(const offer::End&) const { return {{"frame", "end"}}; }

 private:
  static json::object data(std::string_view frame, const Bytes& bytes) {
    return {{"frame", frame}, {"data", to_hex(bytes)}};
  }
  static json::object envelope(std::string_view frame, const Bytes& bytes) {
    return {{"frame", frame}, {"envelope", to_hex(bytes)}};
  }
};

}  // namespace

json::object describe(const job::Commitment& commitment) {
  return {{"sha256", commitment.sha256.hex()}, {"length", commitment.length}};
}

json::object describe(const job::OutputSummary& summary) {
  return {{"commitment", summary.commitment.hex()},
          {"length", summary.length},
          {"segments", summary.segments}};
}

json::object describe(const job::Job& job) {
  if (const auto* wasm = std::get_if<job::WasmJob>(&job)) return describe_wasm(*wasm);
  return describe_inference(std::get<job::InferenceJob>(job));
}

json::object describe(const manifest::Manifest& manifest) {
  const manifest::Requirements& needs = manifest.requirements;
  return {{"job", describe(manifest.job)},
          {"requirements",
           {{"cpu_cores", or_null(needs.cpu_cores)},
            {"memory_bytes", or_null(needs.memory_bytes)},
            {"arch", or_null(needs.arch)},
            {"runtime", or_null(needs.runtime)},
            {"region", or_null(needs.region)}}},
          {"wall_limit_ms", manifest.wall_limit_ms},
          {"audience",
           manifest.audience ? json::value(manifest.audience->hex()) : json::value(nullptr)},
          {"created", manifest.created.unix_ms},
          {"expires", manifest.expires.unix_ms},
          {"nonce", to_hex(manifest.nonce)},
          {"level", manifest::level_name(manifest.level)},
          {"price_ceiling", or_null(manifest.price_ceiling)}};
}

json::object describe(const receipt::Completion& completion) {
  return {{"kind", receipt::completion_name(completion.kind)},
          {"exit_code", completion.exit_code},
          {"reason", completion.reason}};
}

json::object describe(const receipt::Receipt& receipt) {
  json::object evidence;
  for (const auto& [name, bytes] : receipt.evidence) evidence[name] = to_hex(bytes);
  return {{"job_id", receipt.job_id.hex()},
          {"execution_id", receipt.execution_id.hex()},
          {"private", receipt.is_private},
          {"job_kind", receipt.job_kind},
          {"subject_id", receipt.subject_id.hex()},
          {"subject_sha256", receipt.subject_sha256.hex()},
          {"input", describe(receipt.input)},
          {"output", describe(receipt.output)},
          {"completion", describe(receipt.completion)},
          {"profile", job::profile_name(receipt.profile)},
          {"isolation", json::value_from(receipt.isolation)},
          {"fuel", or_null(receipt.fuel)},
          {"claimed", describe_claimed(receipt.claimed)},
          {"evidence", evidence}};
}

json::object describe(const receipt::Checkpoint& checkpoint) {
  return {{"job_id", checkpoint.job_id.hex()},
          {"sequence", checkpoint.sequence},
          {"output", describe(checkpoint.output)}};
}

json::object describe(const receipt::Commit& commit) {
  return {{"job_id", commit.job_id.hex()}, {"value", commit.value.hex()}};
}

json::object describe(const offer::Frame& frame) {
  return std::visit(FrameDescription{}, frame);
}

json::object describe(const offer::Capabilities& node) {
  json::array models;
  for (const Sha256& model : node.models) models.emplace_back(model.hex());
  return {{"created", node.created.unix_ms},
          {"expires", node.expires.unix_ms},
          {"agent", node.agent},
          {"arch", node.arch},
          {"cpu_cores", node.cpu_cores},
          {"memory_bytes", node.memory_bytes},
          {"kinds", json::value_from(node.kinds)},
          {"runtime", node.runtime},
          {"region", or_null(node.region)},
          {"models", models},
          {"jobs_running", node.jobs_running},
          {"jobs_max", node.jobs_max},
          {"isolation", json::value_from(node.isolation)},
          {"open", node.open}};
}

json::array describe(const std::vector<job::OutputPiece>& transcript) {
  json::array out;
  for (const job::OutputPiece& piece : transcript) {
    out.push_back(
        json::object{{"stream", static_cast<int>(piece.stream)}, {"data", to_hex(piece.data)}});
  }
  return out;
}

}  // namespace phase::vectors
