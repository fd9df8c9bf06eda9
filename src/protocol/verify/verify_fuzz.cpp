// Goal: no bytes break the verifier, and no changed receipt is believed.
// Method: any bytes as receipt, manifest and checkpoint; then the input tells which bit of an
// honest receipt to turn.
#include <algorithm>
#include <cstdlib>

#include "protocol/verify/verify.h"

namespace {

using namespace phase;  // NOLINT(google-build-using-namespace): a fuzz target

identity::KeyPair key(std::uint8_t fill) {
  return identity::KeyPair::from_seed(Bytes(32, fill)).value();
}

/// An honest run of the least job.
struct Honest {
  manifest::SignedManifest asked;
  Bytes receipt;

  Honest() {
    manifest::Manifest manifest;
    job::WasmJob job;
    job.module = job::reference(Bytes{1});
    job.stdin_commitment = job::commit({});
    manifest.job = job;
    manifest.expires = {1};
    asked = manifest::sign(manifest, key(1));
    receipt::Receipt stated;
    stated.job_id = asked.id;
    stated.execution_id = job::execution_id(job);
    stated.subject_id.value = job.module.id.value;
    stated.subject_sha256 = job.module.sha256;
    stated.input = *job.stdin_commitment;
    stated.output = job::OutputChain().summary();
    receipt = receipt::sign(stated, key(2)).envelope;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Honest honest;
  const ByteView bytes(data, size);
  verify::Evidence evidence;
  evidence.manifest = honest.asked.envelope;
  evidence.output = job::OutputChain().summary();
  if (!verify::check(honest.receipt, evidence).ok()) std::abort();
  if (verify::check(bytes, evidence).ok() && to_bytes(bytes) != honest.receipt) std::abort();

  const verify::SeenCheckpoint seen{bytes, *evidence.output};
  evidence.checkpoints = {&seen, 1};
  if (verify::check(honest.receipt, evidence).ok()) std::abort();  // it is of no such run
  evidence.checkpoints = {};
  evidence.manifest = bytes;
  if (verify::check(honest.receipt, evidence).ok() && to_bytes(bytes) != honest.asked.envelope) {
    std::abort();
  }
  evidence.manifest = honest.asked.envelope;

  std::size_t choice = size;
  for (const std::uint8_t byte : bytes.first(std::min<std::size_t>(size, 8))) {
    choice = choice * 131 + byte;
  }
  Bytes changed = honest.receipt;
  const std::size_t bit = choice % (changed.size() * 8);
  changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1U << (bit % 8)));
  if (verify::check(changed, evidence).ok()) std::abort();
  return 0;
}
