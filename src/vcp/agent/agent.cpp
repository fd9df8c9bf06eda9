#include "vcp/agent/agent.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "api/http/server.h"
#include "base/event.h"
#include "peer/peer.h"
#include "store/store.h"
#include "vcp/agent/rendezvous.h"

namespace phase::vcp {
namespace {

/// The meter's shares, as the provider's worker wants them.
class MeterShares final : public node::EnergyMeter {
 public:
  explicit MeterShares(Meter& meter) : meter_(meter) {}
  void run_began() override { meter_.run_began(); }
  void run_ended() override { meter_.run_ended(); }
  [[nodiscard]] std::optional<double> share_mj() override { return meter_.share_mj(); }

 private:
  Meter& meter_;
};

/// Only a person can help.
Error final_error(const SessionEnd& end, const NodeName& name) {
  if (end.refused) {
    const std::string reason(refusal_name(end.refused->reason));
    return {Code::rejected,
            "the coordinator refuses this node (" + reason + "): " + printable(end.refused->text),
            end.refused->reason == RefusalReason::key_wrong
                ? "the name belongs to another key: use that node's --data-dir, or another --id"
                : "register the node (POST /api/v1/nodes) and start with the --join-token of the "
                  "answer"};
  }
  const std::string reason(bye_name(end.bye.value_or(ByeReason::removed)));
  return {Code::rejected, "the coordinator let this node go: " + reason,
          end.bye == ByeReason::superseded ? "another agent runs under the name " + name : ""};
}

bool is_final(const SessionEnd& end) {
  if (end.refused) return !refusal_retryable(end.refused->reason);
  return end.bye == ByeReason::superseded || end.bye == ByeReason::removed ||
         end.bye == ByeReason::rejected;
}

}  // namespace

struct Agent::State : std::enable_shared_from_this<State> {
  State(World with, AgentOptions chosen)
      : world(with),
        options(std::move(chosen)),
        pin(options.data_dir / "coordinator.peer"),
        shares(with.meter),
        started(with.clock.now()),
        wake(with.executor),
        alarm(with.clock, with.executor) {}

  [[nodiscard]] Result<void> open();
  [[nodiscard]] Result<void> listen();
  [[nodiscard]] Result<void> start_local();
  [[nodiscard]] Hello hello() const;
  [[nodiscard]] Telemetry measure() const;
  [[nodiscard]] AgentStatus status() const;
  void serve_jobs();
  void close();

  static Task<Result<void>> run(std::shared_ptr<State> self);
  static Task<Result<SessionEnd>> attempt(std::shared_ptr<State> self);
  static Task<Result<void>> meet(std::shared_ptr<State> self);
  static Task<Result<void>> dial(std::shared_ptr<State> self);
  static Task<void> pause(std::shared_ptr<State> self, Duration time);

  World world;
  AgentOptions options;
  CoordinatorPin pin;
  MeterShares shares;
  Instant started;
  Event wake;
  Alarm alarm;
  [[nodiscard]] const http_client::Url& where() const {
    return options.coordinators[asked % options.coordinators.size()];
  }

  std::size_t asked = 0;  // goes on to the next address after a failure
  std::optional<Meeting> coordinator;
  bool draining = false, stopping = false, closed = false, joined = false;
  bool hopeless = false;  ///< the last error is one that trying again does not mend
  // In order of use: each may use those above it and is destroyed before them.
  std::unique_ptr<store::Store> store;
  std::unique_ptr<node::LocalNode> local;
  std::unique_ptr<peer::Peer> peer;
  std::unique_ptr<NodeSession> session;
  std::unique_ptr<http::Server> server;
  std::uint16_t port = 0;
};

Result<void> Agent::State::open() {
  store::StoreOptions kept;
  kept.path = options.data_dir / "node.db";
  PHASE_TRY(store, store::Store::open(kept, world.clock.now_utc()));
  if (options.observability_port) return listen();
  return {};
}

Result<void> Agent::State::listen() {
  http::Router router;
  http::Route route;
  route.pattern = "/node/status";
  route.handler = [weak = weak_from_this()](http::Request) -> Task<http::Reply> {
    const auto self = weak.lock();
    if (!self || self->closed)
      co_return http::Reply{http::error_response({Code::unavailable, {}, {}})};
    co_return http::Reply{http::json_response(200, status_json(self->status()))};
  };
  router.add(std::move(route));
  server = std::make_unique<http::Server>(world.executor, std::move(router), http::ServerLimits{});
  http::TcpListen where;
  where.port = *options.observability_port;
  where.token_optional = true;
  PHASE_TRY(port, server->listen(where));
  return {};
}

Result<void> Agent::State::start_local() {
  if (local != nullptr) return {};
  options.local.policy.allow = {coordinator->key};
  options.local.policy.open = false;
  options.local.policy.takes_others = true;
  options.local.policy.resources.region = options.region;
  options.local.energy = &shares;
  PHASE_TRY(local, node::LocalNode::start({world.clock, world.random, world.key, *store, *store,
                                           world.executor, world.log},
                                          options.local));
  return {};
}

void Agent::State::serve_jobs() {
  peer->handle(
      std::string(offer::kJobProtocol),
      [weak = weak_from_this()](std::unique_ptr<ByteStream> stream, identity::PublicKey from) {
        const auto self = weak.lock();
        if (!self || self->closed || from != self->coordinator->key) return;  // reset
        asio::co_spawn(self->world.executor, self->local->provider().serve(std::move(stream), from),
                       asio::detached);
      });
}

Hello Agent::State::hello() const {
  Hello out;
  out.name = options.name;
  out.region = options.region;
  out.type = options.type;
  out.join_token = options.join_token;
  out.cpu_cores = options.local.policy.resources.cpu_cores;
  out.memory_bytes = options.local.policy.resources.memory_bytes;
  out.gpu = world.meter.gpu_present();
  out.bandwidth_claimed_kbps = options.bandwidth_claimed_kbps;
  out.jobs_max = options.local.provider.jobs_running_max;
  out.agent = options.local.agent;
  if (port != 0) out.observability_port = port;
  out.draining = draining;
  return out;
}

Telemetry Agent::State::measure() const {
  Telemetry out = world.meter.read();
  if (local != nullptr) {
    out.jobs_running = local->provider().jobs_running();
    out.jobs_queued = local->provider().jobs_queued();
  }
  return out;
}

/// Who the coordinator is, and everything needed to take part.
Task<Result<void>> Agent::State::meet(std::shared_ptr<State> self) {
  http_client::Url url = self->where();
  const std::string asked = url.text();
  auto trust = self->options.trust;
  Result<Meeting> meeting =
      co_await look_up(self->world.executor, std::move(url), std::move(trust));
  if (!meeting) co_return fail(meeting.error());
  self->hopeless = true;
  PHASE_CO_TRY_VOID(self->pin.check(meeting->key));
  if (self->coordinator && self->coordinator->key != meeting->key) {
    co_return fail(Code::unauthorized, "another coordinator answers at " + asked + " now",
                   "start the agent again if that is meant");
  }
  if (self->coordinator && self->coordinator->addresses != meeting->addresses) {
    // The same key elsewhere: what still looks connected leads to one that does not answer.
    self->peer.reset();
  }
  self->coordinator = *std::move(meeting);
  PHASE_CO_TRY_VOID(self->start_local());
  if (self->peer == nullptr) {
    peer::Options options;
    options.listen = {};
    options.mdns = false;
    options.dht_client = true;
    options.agent = self->options.local.agent;
    Result<std::unique_ptr<peer::Peer>> up =
        co_await peer::Peer::start(self->world.executor, self->world.key, std::move(options));
    if (!up) co_return fail(up.error());
    if (self->closed) co_return fail(Code::cancelled, "the agent stops");
    self->peer = *std::move(up);
    self->serve_jobs();
  }
  self->hopeless = false;
  co_return Result<void>{};
}

Task<Result<void>> Agent::State::dial(std::shared_ptr<State> self) {
  Error last{Code::unavailable, "the coordinator names no address to dial",
             "start it with an address that its nodes reach"};
  const std::vector<std::string> addresses = self->coordinator->addresses;
  for (const std::string& address : addresses) {
    const Deadline deadline = self->world.clock.deadline_after(self->options.limits.dial_max);
    std::string to = address;
    Result<identity::PublicKey> who = co_await self->peer->dial(std::move(to), deadline);
    if (self->closed) co_return fail(Code::cancelled, "the agent stops");
    if (who && *who == self->coordinator->key) co_return Result<void>{};
    last = who ? Error{Code::unauthorized, "somebody else answers at " + printable(address), {}}
               : who.error();
  }
  co_return fail(std::move(last));
}

/// One session, from looking the coordinator up to its end.
Task<Result<SessionEnd>> Agent::State::attempt(std::shared_ptr<State> self) {
  Result<void> met = co_await meet(self);
  if (!met) co_return fail(met.error());
  Result<void> dialled = co_await dial(self);
  if (!dialled) co_return fail(dialled.error());
  const Deadline deadline = self->world.clock.deadline_after(self->options.limits.open_max);
  const identity::PublicKey to = self->coordinator->key;
  std::string protocol(kFleetProtocol);
  Result<std::unique_ptr<ByteStream>> stream =
      co_await self->peer->open(to, std::move(protocol), deadline);
  if (!stream) co_return fail(stream.error());
  if (self->stopping || self->closed) co_return fail(Code::cancelled, "the agent stops");
  NodeSession::World place{
      self->world.clock, self->world.random, self->world.key, self->world.executor, {}, {}};
  place.measure = [weak = std::weak_ptr<State>(self)] {
    const auto state = weak.lock();
    return state && !state->closed ? state->measure() : Telemetry{};
  };
  place.on_welcome = [weak = std::weak_ptr<State>(self)](const Welcome& welcome) {
    const auto state = weak.lock();
    if (!state || state->closed) return;
    state->joined = true;
    const Result<void> kept = state->pin.keep(state->coordinator->key);
    if (!kept) state->world.log.warn("{}", kept.error().text());
    state->world.log.info("joined as {}: a heartbeat each {} ms", welcome.name,
                          welcome.heartbeat_ms);
  };
  self->session = std::make_unique<NodeSession>(std::move(place));
  Hello hello = self->hello();
  std::unique_ptr<ByteStream> opened = *std::move(stream);
  SessionEnd end = co_await self->session->run(std::move(opened), std::move(hello));
  self->joined = false;
  co_return end;
}

/// Sleeps, unless the agent stops meanwhile.
Task<void> Agent::State::pause(std::shared_ptr<State> self, Duration time) {
  const std::uint64_t half = static_cast<std::uint64_t>(time.count()) / 2;
  const Duration jittered{static_cast<std::int64_t>(half + self->world.random.below(2 * half + 1))};
  self->alarm.set(self->world.clock.now() + jittered, [weak = std::weak_ptr<State>(self)] {
    if (const auto state = weak.lock()) state->wake.notify();
  });
  static_cast<void>(co_await self->wake.wait());
  self->alarm.stop();
}

Task<Result<void>> Agent::State::run(std::shared_ptr<State> self) {
  const AgentLimits& limits = self->options.limits;
  Duration wait = limits.retry_first;
  while (!self->stopping && !self->closed) {
    const Instant began = self->world.clock.now();
    Result<SessionEnd> end = co_await attempt(self);
    if (self->stopping || self->closed) break;
    if (end && is_final(*end)) co_return fail(final_error(*end, self->options.name));
    if (!end && self->hopeless) co_return fail(end.error());
    if (self->world.clock.now() - began >= limits.steady) wait = limits.retry_first;
    if (!end) ++self->asked;
    const std::string why = end ? end->detail : end.error().text();
    self->world.log.warn("not with the coordinator, trying again: {}", printable(why, 400));
    co_await pause(self, wait);
    wait = std::min(wait * 2, limits.retry_max);
  }
  co_return Result<void>{};
}

void Agent::State::close() {
  closed = true;
  stopping = true;
  alarm.stop();
  wake.notify();
  server.reset();
  if (session != nullptr) session->stop();
  peer.reset();
  local.reset();
  store.reset();
}

Result<std::unique_ptr<Agent>> Agent::make(World world, AgentOptions options) {
  PHASE_TRY_VOID(check_node_name(options.name));
  if (options.coordinators.empty()) return fail(Code::invalid_argument, "no coordinator's address");
  auto state = std::make_shared<State>(world, std::move(options));
  PHASE_TRY_VOID(state->open());
  return std::unique_ptr<Agent>(new Agent(std::move(state)));
}

Agent::Agent(std::shared_ptr<State> state) : state_(std::move(state)) {}

Agent::~Agent() {
  state_->close();
}

Task<Result<void>> Agent::run() {
  return State::run(state_);
}

Task<void> Agent::drain(Deadline deadline) {
  const auto self = state_;
  self->draining = true;
  if (self->session != nullptr) self->session->drain();
  if (self->local != nullptr) co_await self->local->provider().drain(deadline);
  self->stopping = true;
  if (self->session != nullptr) self->session->stop();
  self->wake.notify();
}

AgentStatus Agent::status() const {
  return state_->status();
}

AgentStatus Agent::State::status() const {
  AgentStatus out;
  out.region = options.region;
  out.type = options.type;
  out.uptime = world.clock.now() - started;
  out.now = world.clock.now_utc();
  out.joined = joined;
  out.draining = draining;
  out.telemetry = measure();
  out.jobs_running = out.telemetry.jobs_running;
  out.jobs_queued = out.telemetry.jobs_queued;
  return out;
}

std::uint16_t Agent::observability_port() const noexcept {
  return state_->port;
}

}  // namespace phase::vcp
