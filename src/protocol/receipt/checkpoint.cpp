// Checkpoints and commits (spec/receipt.md §6, §7).
#include "protocol/job/parts.h"
#include "protocol/receipt/completion.h"
#include "protocol/receipt/receipt.h"

namespace phase::receipt {
namespace {

constexpr std::uint64_t kVersion = 2;

Result<manifest::JobId> read_version_and_job(CborMap& map) {
  PHASE_TRY(CborReader * at, map.required(0));
  PHASE_TRY(const std::uint64_t version, at->uint());
  if (version != kVersion) {
    return fail(Code::version_unknown,
                "document version " + std::to_string(version) + ", expected 2");
  }
  PHASE_TRY(at, map.required(1));
  return job::read_hash<manifest::JobId>(*at);
}

}  // namespace

SignedCheckpoint sign(const Checkpoint& checkpoint, const identity::KeyPair& key) {
  CborWriter out;
  out.map(4).uint(0).uint(kVersion).uint(1).bytes(checkpoint.job_id.bytes());
  out.uint(2).uint(checkpoint.sequence).uint(3);
  job::write(out, checkpoint.output);
  return {checkpoint, key.public_key(),
          identity::seal(identity::Domain::checkpoint, out.view(), key)};
}

Result<SignedCheckpoint> open_checkpoint(ByteView envelope) {
  PHASE_TRY(const identity::OpenedEnvelope opened,
            identity::open(identity::Domain::checkpoint, envelope));
  CborReader in(opened.payload);
  PHASE_TRY(CborMap map, CborMap::open(in));
  Checkpoint out;
  PHASE_TRY(out.job_id, read_version_and_job(map));
  PHASE_TRY(CborReader * at, map.required(2));
  PHASE_TRY(out.sequence, at->uint());
  PHASE_TRY(at, map.required(3));
  PHASE_TRY(out.output, job::read_summary(*at));
  PHASE_TRY_VOID(map.close());
  PHASE_TRY_VOID(in.finish());
  return SignedCheckpoint{out, opened.signer, to_bytes(envelope)};
}

Sha256 commit_value(const std::array<std::uint8_t, 32>& nonce, const identity::PublicKey& provider,
                    const job::OutputCommitment& output, const Completion& completion) {
  CborWriter encoded;
  write_completion(encoded, completion);
  return Sha256Stream()
      .update(as_bytes("phase/commit/2"))
      .update(nonce)
      .update(provider.bytes())
      .update(output.bytes())
      .update(encoded.view())
      .finish();
}

SignedCommit sign(const Commit& commit, const identity::KeyPair& key) {
  CborWriter out;
  out.map(3).uint(0).uint(kVersion).uint(1).bytes(commit.job_id.bytes());
  out.uint(2).bytes(commit.value.bytes());
  return {commit, key.public_key(), identity::seal(identity::Domain::commit, out.view(), key)};
}

Result<SignedCommit> open_commit(ByteView envelope) {
  PHASE_TRY(const identity::OpenedEnvelope opened,
            identity::open(identity::Domain::commit, envelope));
  CborReader in(opened.payload);
  PHASE_TRY(CborMap map, CborMap::open(in));
  Commit out;
  PHASE_TRY(out.job_id, read_version_and_job(map));
  PHASE_TRY(CborReader * at, map.required(2));
  PHASE_TRY(out.value, job::read_hash<Sha256>(*at));
  PHASE_TRY_VOID(map.close());
  PHASE_TRY_VOID(in.finish());
  return SignedCommit{out, opened.signer, to_bytes(envelope)};
}

}  // namespace phase::receipt
