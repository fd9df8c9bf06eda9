// What sessions with nodes report.
#include <sodium.h>

#include "vcp/coordinator/state_internal.h"

namespace phase::vcp {
namespace {

std::optional<Refused> refusal(RefusalReason reason, std::string text) {
  return Refused{reason, std::move(text)};
}

bool same(const Sha256& one, const Sha256& other) {
  return sodium_memcmp(one.value.data(), other.value.data(), one.value.size()) == 0;
}

}  // namespace

Task<std::optional<Refused>> Coordinator::State::join(Hello hello, identity::PublicKey key) {
  const auto self = shared_from_this();
  if (closed || leaving) co_return refusal(RefusalReason::shutting_down, "the coordinator stops");
  FleetNode* node = find_node(hello.name);
  if (node == nullptr || node->peer || node->row.removed) {
    co_return refusal(RefusalReason::unknown_node,
                      "no node " + hello.name + " is registered here; register it first");
  }
  if (node->row.rejected) {
    co_return refusal(RefusalReason::rejected, "node " + hello.name + " was rejected");
  }
  if (node->row.key) {
    if (*node->row.key == key) co_return std::nullopt;
    co_return refusal(RefusalReason::key_wrong,
                      "node " + hello.name +
                          " has another key; remove and register it again to "
                          "change it");
  }
  if (!hello.join_token) {
    co_return refusal(RefusalReason::token_needed,
                      "the first join of " + hello.name + " needs its --join-token");
  }
  const Sha256 shown = sha256(as_bytes(*hello.join_token));
  if (!node->row.join_token_hash || !same(shown, *node->row.join_token_hash)) {
    co_return refusal(RefusalReason::token_wrong, "that is not the join token of " + hello.name +
                                                      "; register the node again to get a new one");
  }
  node->row.key = key;
  node->row.join_token_hash.reset();
  Batch batch;
  keep(*node, batch);
  append(std::move(batch));
  const auto settled = co_await world.journal.settled();
  if (!settled) {
    co_return refusal(RefusalReason::shutting_down, "the coordinator cannot write its state");
  }
  co_return std::nullopt;
}

void Coordinator::State::joined(const NodeName& name, const identity::PublicKey&,
                                const Hello& hello) {
  FleetNode* node = find_node(name);
  if (node == nullptr) return;
  node->online = true;
  node->suspect = false;
  node->draining = hello.draining;
  node->cores = static_cast<std::uint32_t>(hello.cpu_cores);
  node->memory_mb = hello.memory_bytes / (1024 * 1024);
  node->gpu = hello.gpu;
  node->slots = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, hello.jobs_max));
  node->row.last_seen = world.clock.now_utc();
  if (hello.observability_port) node->row.observability_port = hello.observability_port;
  Batch batch;
  keep(*node, batch);
  append(std::move(batch));
  world.log.info("node {} joined", name);
  note(*node, "joined");
  refresh(*node);
  tell_node(*node);
  pump();
}

void Coordinator::State::telemetry(const NodeName& name, const Telemetry& said) {
  FleetNode* node = find_node(name);
  if (node == nullptr) return;
  node->suspect = false;
  node->health.take_telemetry(said, world.clock.now());
  refresh(*node);
  tell_node(*node);
  pump();
}

void Coordinator::State::telemetry_refused(const NodeName& name, const Error& why) {
  // Its readings grow old and become unknown; that is what people see.
  world.log.warn("node {}: {}", name, why.text());
}

void Coordinator::State::latency(const NodeName& name, Duration round_trip) {
  FleetNode* node = find_node(name);
  if (node == nullptr) return;
  node->health.take_latency(round_trip, world.clock.now());
  refresh(*node);
}

void Coordinator::State::bandwidth(const NodeName& name, MeasuredBandwidth measured) {
  FleetNode* node = find_node(name);
  if (node == nullptr) return;
  node->health.take_bandwidth(measured.effective_kbps(), world.clock.now());
  refresh(*node);
  pump();
}

void Coordinator::State::draining(const NodeName& name) {
  FleetNode* node = find_node(name);
  if (node == nullptr) return;
  node->draining = true;
  note(*node, "draining");
  refresh(*node);
  tell_node(*node);
}

void Coordinator::State::gone(const NodeName& name, GoneReason reason, const std::string& detail) {
  FleetNode* node = find_node(name);
  if (node == nullptr) return;
  node->online = false;
  node->away_since = world.clock.now();
  node->health.forget_readings();
  node->row.last_seen = world.clock.now_utc();
  Batch batch;
  keep(*node, batch);
  append(std::move(batch));
  note(*node, "gone", std::string(gone_name(reason)) + (detail.empty() ? "" : ": " + detail));
  world.log.info("node {} is gone: {}{}{}", name, gone_name(reason), detail.empty() ? "" : ": ",
                 detail);
  refresh(*node);
  tell_node(*node);
  // Its runs end by themselves: their streams broke, or the node comes back within their time.
}

bool Coordinator::State::may_probe(const NodeName& name) const {
  const auto found = nodes.find(name);
  return found != nodes.end() && found->second->runs.empty();
}

}  // namespace phase::vcp
