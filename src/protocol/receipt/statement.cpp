// Checkpoints and commits: small statements about a run, each under its own domain.
#include "protocol/job/document_internal.h"
#include "protocol/receipt/completion_internal.h"
#include "protocol/receipt/receipt.h"

namespace phase::receipt {

SignedCheckpoint sign(const Checkpoint& checkpoint, const identity::KeyPair& key) {
  CborWriter writer;
  writer.map(4).uint(0).uint(kVersion).uint(1).bytes(checkpoint.job_id.bytes());
  writer.uint(2).uint(checkpoint.sequence).uint(3);
  job::write_summary(writer, checkpoint.output);
  return {checkpoint, key.public_key(),
          identity::seal(identity::Domain::checkpoint, writer.view(), key)};
}

Result<SignedCheckpoint> open_checkpoint(ByteView envelope) {
  PHASE_TRY(const identity::OpenedEnvelope opened,
            identity::open(identity::Domain::checkpoint, envelope));
  CborReader reader(opened.payload);
  PHASE_TRY(CborMap map, CborMap::open(reader));
  PHASE_TRY_VOID(read_version(map, "checkpoint"));
  Checkpoint out;
  PHASE_TRY(out.job_id, job::hash_at<manifest::JobId>(map, 1));
  PHASE_TRY(out.sequence, job::uint_at(map, 2));
  PHASE_TRY(out.output,
            map.required(3).and_then([](CborReader* r) { return job::read_summary(*r); }));
  PHASE_TRY_VOID(map.close());
  PHASE_TRY_VOID(reader.finish());
  return SignedCheckpoint{out, opened.signer, to_bytes(envelope)};
}

Sha256 commit_value(const std::array<std::uint8_t, 32>& nonce, const identity::PublicKey& provider,
                    const job::OutputCommitment& output, const Completion& completion) {
  CborWriter writer;
  write_completion(writer, completion);
  return Sha256Stream()
      .update(as_bytes("phase/commit/2"))
      .update(nonce)
      .update(provider.bytes())
      .update(output.bytes())
      .update(writer.view())
      .finish();
}

SignedCommit sign(const Commit& commit, const identity::KeyPair& key) {
  CborWriter writer;
  writer.map(3).uint(0).uint(kVersion).uint(1).bytes(commit.job_id.bytes());
  writer.uint(2).bytes(commit.value.bytes());
  return {commit, key.public_key(), identity::seal(identity::Domain::commit, writer.view(), key)};
}

Result<SignedCommit> open_commit(ByteView envelope) {
  PHASE_TRY(const identity::OpenedEnvelope opened,
            identity::open(identity::Domain::commit, envelope));
  CborReader reader(opened.payload);
  PHASE_TRY(CborMap map, CborMap::open(reader));
  PHASE_TRY_VOID(read_version(map, "commit"));
  Commit out;
  PHASE_TRY(out.job_id, job::hash_at<manifest::JobId>(map, 1));
  PHASE_TRY(out.value, job::hash_at<Sha256>(map, 2));
  PHASE_TRY_VOID(map.close());
  PHASE_TRY_VOID(reader.finish());
  return SignedCommit{out, opened.signer, to_bytes(envelope)};
}

}  // namespace phase::receipt
