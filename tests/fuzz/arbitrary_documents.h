// arbitrary_documents.h — any well-formed document of the protocol, for properties (RapidCheck).
//
// What comes out obeys the rules of spec/*.md: encoders take it and decoders must give it back.
#pragma once

#include <vector>

#include "protocol/receipt/receipt.h"
#include "tests/fuzz/arbitrary.h"

namespace phase::arbitrary {

inline job::Commitment commitment(std::uint64_t length_max) {
  return {hash<Sha256>(), number(0, length_max)};
}

inline job::WasmJob wasm_job() {
  job::WasmJob out;
  out.module = {hash<ArtifactId>(), hash<Sha256>(), number(1, job::kModuleBytesMax)};
  out.entry = text(1, 12);
  for (auto left = number(0, 4); left > 0; --left) out.args.push_back(text(0, 12));
  for (auto left = number(0, 5); left > 0; --left) {
    std::string name = text(1, 6);
    std::replace(name.begin(), name.end(), '=', '_');
    out.env[name] = text(0, 8);
  }
  out.stdin_commitment = maybe([] { return commitment(job::kStdinBytesMax); });
  out.limits = {number(1, UINT64_MAX - 1), number(0, job::kMemoryBytesMax), number(), number()};
  out.profile = coin() ? job::Profile::fast : job::Profile::det_1;
  out.clock_start_ns = number();
  out.random_seed = array<32>();
  return out;
}

inline job::InferenceJob inference_job() {
  job::InferenceJob out;
  out.model = hash<ArtifactId>();
  out.model_name = text(0, 10);
  out.prompt_kind = coin() ? job::PromptKind::text : job::PromptKind::request;
  out.prompt = maybe([] { return commitment(job::kPromptBytesMax); });
  const auto value = [] { return maybe([] { return *rc::gen::arbitrary<std::int64_t>(); }); };
  out.sampling = {number(), value(), value(), value(), value(),
                  value(),  value(), value(), value(), value()};
  out.tokens_max = number(1, UINT64_MAX - 1);
  out.context_tokens = number();
  for (auto left = number(0, 4); left > 0; --left) out.stop.push_back(text(0, 6));
  out.grammar = maybe([] { return commitment(job::kPromptBytesMax); });
  return out;
}

inline job::Job job() {
  if (coin()) return inference_job();
  return wasm_job();
}

inline manifest::Manifest manifest() {
  manifest::Manifest out;
  out.job = job();
  out.requirements.cpu_cores = maybe_number();
  out.requirements.memory_bytes = maybe_number();
  out.requirements.arch = maybe([] { return text(0, 8); });
  out.requirements.runtime = maybe([] { return text(0, 8); });
  out.requirements.region = maybe([] { return text(0, 8); });
  out.wall_limit_ms = number(1, manifest::kWallLimitMsMax);
  out.audience = maybe([] { return hash<identity::PublicKey>(); });
  out.created = {number(0, UINT64_MAX / 2)};
  out.expires = {out.created.unix_ms + number(1, 3'600'000)};
  out.nonce = array<16>();
  out.level = static_cast<manifest::Level>(number(0, 5));
  out.price_ceiling = maybe_number();
  return out;
}

inline std::string word() {
  const auto size = number(1, 20);
  return *rc::gen::container<std::string>(static_cast<std::size_t>(size),
                                          rc::gen::elementOf(std::string("abcxyz019_")));
}

inline receipt::Completion completion() {
  receipt::Completion out;
  out.kind = static_cast<receipt::CompletionKind>(number(0, 5));
  if (out.kind == receipt::CompletionKind::exited) {
    out.exit_code = *rc::gen::arbitrary<std::int64_t>();
  } else if (out.kind != receipt::CompletionKind::cancelled) {
    out.reason = word();
  }
  return out;
}

inline job::OutputSummary summary() {
  return {hash<job::OutputCommitment>(), number(), number()};
}

inline receipt::Receipt receipt() {
  receipt::Receipt out;
  out.job_id = hash<manifest::JobId>();
  out.execution_id = hash<job::ExecutionId>();
  out.is_private = coin();
  out.job_kind = coin() ? 1 : 0;
  out.subject_id = hash<Sha256>();
  out.subject_sha256 = hash<Sha256>();
  out.input = {hash<Sha256>(), number()};
  out.output = summary();
  out.completion = completion();
  out.profile = coin() ? job::Profile::fast : job::Profile::det_1;
  out.isolation = coin() ? std::vector<std::string>{"none"}
                         : std::vector<std::string>{"landlock", "rlimits", "seccomp"};
  out.fuel = maybe_number();
  out.claimed = {maybe_number(), maybe_number(), maybe_number(), maybe_number(),
                 maybe_number(), maybe_number(), maybe_number(), maybe([] { return text(0, 12); })};
  for (auto left = number(0, 3); left > 0; --left) out.evidence[text(0, 5)] = bytes(0, 40);
  return out;
}

/// Pieces of output on both streams, some of them longer than a segment.
inline std::vector<job::OutputPiece> transcript() {
  std::vector<job::OutputPiece> out;
  for (auto left = number(0, 6); left > 0; --left) {
    const auto stream = coin() ? job::OutputStream::out : job::OutputStream::err;
    const auto size = static_cast<std::size_t>(
        coin() ? number(0, 40) : number(job::kSegmentBytesMax - 3, 2 * job::kSegmentBytesMax + 3));
    const auto fill = *rc::gen::arbitrary<std::uint8_t>();
    Bytes data(size);
    for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<std::uint8_t>(fill + i * 31);
    out.push_back({stream, std::move(data)});
  }
  return out;
}

}  // namespace phase::arbitrary
