#include "tests/simulation/world.h"

#include <algorithm>

namespace phase::simulation {

void SimRandom::fill(std::span<std::uint8_t> out) {
  for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(engine_());
}

Result<void> MemoryReceipts::keep(const manifest::SignedManifest& manifest,
                                  const receipt::SignedReceipt& receipt) {
  if (broken) return fail(Code::io, "the disk is full");
  kept[manifest.id].push_back(receipt.envelope);
  return {};
}

Result<void> MemoryReplays::admit(const manifest::JobId& id, UtcTime created, UtcTime expires,
                                  UtcTime now) {
  Result<void> taken = record_.admit(id, created, expires, now);
  if (taken) admitted.push_back(id);
  return taken;
}

std::variant<provider::Admitted, provider::Refused> MemoryPolicy::admit(
    const provider::AdmissionRequest& request) {
  ++asked[request.manifest.id];
  if (refusal) return *refusal;
  return provider::Admitted{};
}

ProviderNode::ProviderNode(Clock& clock, Random& random, asio::any_io_executor executor,
                           provider::ProviderLimits limits, Duration compile_time)
    : key(identity::KeyPair::generate(random)),
      worker(clock, executor, compile_time),
      replays(UtcTime{clock.now_utc().unix_ms - 1000}),
      provider({clock, random, key, worker, policy, replays, receipts, executor}, limits) {}

requester::Candidate ProviderNode::candidate() const {
  requester::Candidate out;
  out.key = key.public_key();
  out.capabilities.kinds = {"wasm"};
  out.capabilities.arch = "x86_64";
  out.capabilities.cpu_cores = 4;
  out.capabilities.memory_bytes = 1ULL << 30;
  out.capabilities.runtime = "memory-1";
  out.capabilities.jobs_max = 4;
  return out;
}

SimNetwork::Handler ProviderNode::handler() {
  // Not a coroutine itself: it would borrow from the function object, which may go first.
  return [this](std::unique_ptr<ByteStream> stream, identity::PublicKey peer) {
    return serve(std::move(stream), peer);
  };
}

Task<void> ProviderNode::serve(std::unique_ptr<ByteStream> stream, identity::PublicKey peer) {
  ++serving;
  co_await provider.serve(std::move(stream), peer);
  --serving;
}

Task<Result<Bytes>> MemoryInput::read() {
  const std::size_t n = std::min(piece_, bytes_.size() - at_);
  if (n == 0 && !ends) {
    ++reads_open;
    const bool woken = co_await wake_.wait();
    --reads_open;
    if (!woken) co_return fail(Code::cancelled, "reading stdin was cancelled");
  }
  const auto from = bytes_.begin() + static_cast<std::ptrdiff_t>(at_);
  at_ += n;
  co_return Bytes(from, from + static_cast<std::ptrdiff_t>(n));
}

bool MemoryInput::rewind() {
  if (!repeatable) return false;
  at_ = 0;
  return true;
}

void Recorder::say(std::string line) {
  if (hook) hook(line);
  said.push_back(std::move(line));
}

void Recorder::on_attempt(const identity::PublicKey& provider,
                          const manifest::SignedManifest& manifest) {
  attempts.push_back(manifest.id);
  say("attempt " + provider.hex() + " " + manifest.id.hex());
}
void Recorder::on_accepted() {
  accepted.push_back(attempts.back());
  say("accepted");
}
void Recorder::on_output(const job::OutputPiece& piece) {
  output.push_back(piece);
  say("output " + std::to_string(piece.data.size()));
}
void Recorder::on_checkpoint(const receipt::Checkpoint& checkpoint) {
  say("checkpoint " + std::to_string(checkpoint.output.length));
}
void Recorder::on_progress(const offer::Progress& progress) {
  say("progress " + progress.stage);
}
void Recorder::on_attempt_failed(const identity::PublicKey& /*provider*/, const Error& error) {
  errors.push_back(error);
  say("failed " + std::string(code_name(error.code)) + " " + error.message);
}
void Recorder::on_restart() {
  output.clear();
  say("restart");
}

std::string Recorder::text() const {
  std::string all;
  for (const job::OutputPiece& piece : output) all += as_text(piece.data);
  return all;
}

bool Recorder::heard(std::string_view word) const {
  return std::ranges::any_of(said, [&](const std::string& line) { return line.starts_with(word); });
}

requester::Request make_request(std::string_view behaviour) {
  requester::Request request;
  request.module = std::make_shared<const Bytes>(to_bytes(behaviour));
  job::WasmJob job;
  job.module = job::reference(*request.module);
  job.limits.output_bytes = 1_MiB;
  request.job = std::move(job);
  request.wall_limit_ms = 5'000;
  return request;
}

}  // namespace phase::simulation
