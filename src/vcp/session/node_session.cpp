#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "vcp/session/line_internal.h"
#include "vcp/session/session.h"

namespace phase::vcp {
namespace {

/// Stream opened → welcome or refused. The coordinator writes to its disk before it answers.
constexpr Duration kWelcomeMax = 30s;

}  // namespace

struct NodeSession::State : std::enable_shared_from_this<State> {
  explicit State(World with) : world(std::move(with)), alarm(world.clock, world.executor) {}

  void spawn(Task<void> task) { asio::co_spawn(world.executor, std::move(task), asio::detached); }
  void end(SessionEnd::Kind kind, std::string detail);
  void beat();
  void send_telemetry();
  static Task<void> upload(std::shared_ptr<State> self, Probe probe);
  static Task<bool> greet(std::shared_ptr<State> self, Hello hello);
  static Task<bool> handle(std::shared_ptr<State> self, FleetFrame frame);
  static Task<bool> take_piece(std::shared_ptr<State> self, ProbeData piece);
  void begin_probe(const Probe& probe);
  [[nodiscard]] bool broken(std::string what);

  World world;
  Alarm alarm;  // for the welcome first, then each heartbeat
  std::shared_ptr<Line> line;
  Welcome welcome;
  std::uint64_t sequence = 0;
  Instant heard;
  bool draining = false, ended = false;
  std::optional<std::uint64_t> upload_nonce;  // another takes its place: the first was given up
  std::optional<Probe> download;
  std::uint64_t downloaded = 0;
  SessionEnd result;
};

void NodeSession::State::end(SessionEnd::Kind kind, std::string detail) {
  if (ended) return;
  ended = true;
  alarm.stop();
  result.kind = kind;
  result.detail = std::move(detail);
  if (line != nullptr) line->stream->reset();
}

bool NodeSession::State::broken(std::string what) {
  end(SessionEnd::Kind::lost, "the coordinator broke the protocol: " + std::move(what));
  return false;
}

void NodeSession::State::send_telemetry() {
  Telemetry now = world.measure();
  now.session = welcome.session;
  now.sequence = ++sequence;
  now.created = world.clock.now_utc();
  spawn(Line::tell(line, TelemetryFrame{seal(now, world.key)}));
}

void NodeSession::State::beat() {
  const auto every = Duration{std::chrono::milliseconds(welcome.heartbeat_ms)};
  if (world.clock.now() - heard > every * kHeartbeatsMissedMax) {
    end(SessionEnd::Kind::lost, "the coordinator was silent for 3 heartbeats");
    return;
  }
  send_telemetry();
  alarm.set(world.clock.now() + every, [weak = weak_from_this()] {
    if (const auto self = weak.lock(); self && !self->ended) self->beat();
  });
}

Task<void> NodeSession::State::upload(std::shared_ptr<State> self, Probe probe) {
  ProbeSource source(self->world.random, probe.nonce, probe.bytes);
  while (!source.done() && !self->ended && self->upload_nonce == probe.nonce) {
    FleetFrame piece = source.next();
    const Result<void> sent = co_await Line::say(self->line, std::move(piece));
    if (!sent) {
      self->line->stream->reset();
      co_return;
    }
  }
  if (self->upload_nonce != probe.nonce) co_return;
  self->upload_nonce.reset();
  FleetFrame last = ProbeEnd{probe.nonce, probe.bytes, source.last_piece()};
  co_await Line::tell(self->line, std::move(last));
}

void NodeSession::State::begin_probe(const Probe& probe) {
  if (probe.direction == ProbeDirection::down) {
    download = probe;
    downloaded = 0;
  } else {
    upload_nonce = probe.nonce;
    spawn(upload(shared_from_this(), probe));
  }
}

Task<bool> NodeSession::State::take_piece(std::shared_ptr<State> self, ProbeData piece) {
  if (!self->download || self->download->nonce != piece.nonce) {
    co_return self->broken("data of no probe");
  }
  self->downloaded += piece.data.size();
  if (self->downloaded > self->download->bytes) co_return self->broken("a probe too long");
  if (self->downloaded < self->download->bytes) co_return true;
  FleetFrame last = ProbeEnd{piece.nonce, self->downloaded, sha256(piece.data)};
  self->download.reset();
  const Result<void> said = co_await Line::say(self->line, std::move(last));
  co_return said.has_value();
}

/// False when the session is over.
Task<bool> NodeSession::State::handle(std::shared_ptr<State> self, FleetFrame frame) {
  self->heard = self->world.clock.now();
  if (const auto* const ping = std::get_if<Ping>(&frame)) {
    FleetFrame pong = Pong{ping->nonce};
    const Result<void> said = co_await Line::say(self->line, std::move(pong));
    co_return said.has_value();
  }
  if (const auto* const probe = std::get_if<Probe>(&frame)) {
    self->begin_probe(*probe);
    co_return true;
  }
  if (auto* const piece = std::get_if<ProbeData>(&frame)) {
    ProbeData data = std::move(*piece);
    const bool goes_on = co_await take_piece(self, std::move(data));
    co_return goes_on;
  }
  if (const auto* const bye = std::get_if<Bye>(&frame)) {
    self->result.bye = bye->reason;
    self->end(SessionEnd::Kind::bye, std::string(bye_name(bye->reason)));
    co_return false;
  }
  co_return self->broken("a frame out of place");
}

/// True when welcome.
Task<bool> NodeSession::State::greet(std::shared_ptr<State> self, Hello hello) {
  self->alarm.set(self->world.clock.now() + kWelcomeMax, [weak = std::weak_ptr<State>(self)] {
    if (const auto state = weak.lock()) {
      state->end(SessionEnd::Kind::lost, "the coordinator did not answer in 30 s");
    }
  });
  const std::string name = hello.name;
  FleetFrame first = std::move(hello);
  const Result<void> said = co_await Line::say(self->line, std::move(first));
  if (!said) {
    self->end(SessionEnd::Kind::lost, said.error().message);
    co_return false;
  }
  ByteStream& stream = *self->line->stream;
  Result<FleetFrame> answer = co_await read_fleet(stream);
  if (!answer) {
    self->end(SessionEnd::Kind::lost, answer.error().message);
    co_return false;
  }
  if (auto* const refused = std::get_if<Refused>(&*answer)) {
    self->result.refused = std::move(*refused);
    self->end(SessionEnd::Kind::refused, self->result.refused->text);
    co_return false;
  }
  const auto* const welcome = std::get_if<Welcome>(&*answer);
  if (welcome == nullptr || welcome->name != name) {
    co_return self->broken("neither welcome nor refused");
  }
  if (self->ended) co_return false;
  self->welcome = *welcome;
  self->result.joined = true;
  self->heard = self->world.clock.now();
  co_return true;
}

NodeSession::NodeSession(World world) : state_(std::make_shared<State>(std::move(world))) {}

NodeSession::~NodeSession() {
  stop();
}

Task<SessionEnd> NodeSession::run(std::unique_ptr<ByteStream> stream, Hello hello) {
  const auto self = state_;
  self->line = std::make_shared<Line>(self->world.executor, std::move(stream));
  if (self->ended) self->line->stream->reset();
  hello.draining = hello.draining || self->draining;
  const bool told_draining = hello.draining;
  const bool joined = co_await State::greet(self, std::move(hello));
  if (!joined) co_return self->result;
  if (self->world.on_welcome) self->world.on_welcome(self->welcome);
  if (self->draining && !told_draining) self->spawn(Line::tell(self->line, Draining{}));
  self->beat();
  bool goes_on = !self->ended;
  while (goes_on) {
    ByteStream& from = *self->line->stream;
    Result<FleetFrame> frame = co_await read_fleet(from);
    if (self->ended) break;
    if (!frame) {
      self->end(SessionEnd::Kind::lost, frame.error().message);
      break;
    }
    FleetFrame next = *std::move(frame);
    goes_on = co_await State::handle(self, std::move(next));
  }
  self->end(SessionEnd::Kind::lost, "the connection broke");
  co_return self->result;
}

void NodeSession::drain() {
  if (state_->draining) return;
  state_->draining = true;
  if (state_->result.joined && !state_->ended) {
    state_->spawn(Line::tell(state_->line, Draining{}));
  }
}

void NodeSession::stop() {
  state_->end(SessionEnd::Kind::left, "this node left");
}

}  // namespace phase::vcp
