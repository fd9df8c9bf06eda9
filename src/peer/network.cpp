#include <algorithm>
#include <cstring>

#include <phase_net.h>

#include "base/check.h"
#include "peer/network_internal.h"

namespace phase::peer {
namespace {

Code code_of(std::int32_t code) {
  switch (code) {
    case PHASE_NET_INVALID:
      return Code::invalid_argument;
    case PHASE_NET_MALFORMED:
      return Code::malformed;
    case PHASE_NET_ADDRESS_TAKEN:
      return Code::already_exists;
    case PHASE_NET_IO:
      return Code::io;
    case PHASE_NET_UNAVAILABLE:
      return Code::unavailable;
    case PHASE_NET_TIMED_OUT:
      return Code::timed_out;
    case PHASE_NET_UNSUPPORTED:
      return Code::unsupported;
    case PHASE_NET_BUSY:
      return Code::busy;
    case PHASE_NET_WRONG_PEER:
      return Code::verification_failed;
    default:
      return Code::internal;
  }
}

std::string hint_of(Code code) {
  return code == Code::already_exists ? "choose another address with --listen" : "";
}

/// Texts can contain what a peer said.
Error error_of(std::int32_t code, const char* text) {
  constexpr std::size_t kTextBytesMax = 1024;
  const Code known = code_of(code);
  return Error{known, printable(text, kTextBytesMax), hint_of(known)};
}

/// Takes the error over.
Result<void> result_of(phase_net_error_t* error) {
  if (error == nullptr) return {};
  Error out = error_of(phase_net_error_code(error), phase_net_error_text(error));
  phase_net_error_delete(error);
  return fail(std::move(out));
}

std::uint64_t milliseconds(Duration duration) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
  return static_cast<std::uint64_t>(std::max<decltype(ms)>(ms, 0));
}

identity::PublicKey key_at(const std::uint8_t* bytes) {
  identity::PublicKey key;
  static_assert(sizeof key.value == PHASE_NET_KEY_BYTES);
  std::memcpy(key.value.data(), bytes, key.value.size());
  return key;
}

std::vector<std::string> texts_of(const phase_net_texts_t* texts) {
  std::vector<std::string> out;
  const std::size_t count = phase_net_texts_count(texts);
  out.reserve(count);
  for (std::size_t i = 0; i < count; ++i) out.emplace_back(phase_net_texts_at(texts, i));
  return out;
}

/// Takes the texts over.
std::vector<std::string> take_texts(phase_net_texts_t* texts) {
  const std::unique_ptr<phase_net_texts_t, decltype(&phase_net_texts_delete)> owner(
      texts, phase_net_texts_delete);
  return texts_of(texts);
}

NetworkEvent::Kind kind_of(std::int32_t kind) {
  switch (kind) {
    case PHASE_NET_COMPLETED:
      return NetworkEvent::Kind::completed;
    case PHASE_NET_INBOUND:
      return NetworkEvent::Kind::inbound;
    case PHASE_NET_READY:
      return NetworkEvent::Kind::ready;
    case PHASE_NET_ROUTING:
      return NetworkEvent::Kind::routing;
    case PHASE_NET_READABLE:
      return NetworkEvent::Kind::readable;
    case PHASE_NET_WRITABLE:
      return NetworkEvent::Kind::writable;
    default:
      PHASE_CHECK(kind == PHASE_NET_WARNING);
      return NetworkEvent::Kind::warning;
  }
}

NetworkEvent event_of(phase_net_event_t& raw) {
  NetworkEvent event;
  event.kind = kind_of(raw.kind);
  event.request = raw.request;
  event.stream_id = raw.stream_id;
  if (raw.code != PHASE_NET_OK) {
    event.outcome = fail(error_of(raw.code, raw.text));
    return event;
  }
  event.text = printable(raw.text);
  event.outcome->stream = NetworkStream(std::exchange(raw.stream, nullptr), raw.stream_id);
  event.outcome->round_trip = Duration(std::max<std::int64_t>(raw.round_trip_ns, 0));
  event.outcome->peers.reserve(raw.peer_count);
  for (std::size_t i = 0; i < raw.peer_count; ++i) {
    event.outcome->peers.push_back(key_at(raw.peers + i * PHASE_NET_KEY_BYTES));
  }
  return event;
}

Attempt attempt_of(std::int64_t moved) {
  if (moved > 0) return {.kind = Attempt::Kind::moved, .count = static_cast<std::size_t>(moved)};
  if (moved == PHASE_NET_WOULD_BLOCK) return {.kind = Attempt::Kind::would_block};
  PHASE_CHECK(moved == PHASE_NET_RESET);
  return {.kind = Attempt::Kind::reset};
}

PeerInfo info_of(const phase_net_peer_t& row) {
  PeerInfo info{.id = identity::PeerId::from(key_at(row.key)),
                .addresses = texts_of(row.addresses),
                .connected = row.connected,
                .round_trip = std::nullopt};
  if (row.round_trip_ns >= 0) info.round_trip = Duration(row.round_trip_ns);
  return info;
}

}  // namespace

Attempt NetworkStream::read(std::span<std::uint8_t> out) {
  PHASE_CHECK(stream_ && !out.empty());
  const std::int64_t count = phase_net_stream_read(stream_.get(), out.data(), out.size());
  if (count == 0) return {.kind = Attempt::Kind::ended};
  return attempt_of(count);
}

Attempt NetworkStream::write(ByteView bytes) {
  PHASE_CHECK(stream_ && !bytes.empty());
  return attempt_of(phase_net_stream_write(stream_.get(), bytes.data(), bytes.size()));
}

void NetworkStream::shut_down() {
  if (stream_) phase_net_stream_shutdown(stream_.get());
}

void NetworkStream::end(bool reset) {
  phase_net_stream_delete(stream_.release(), reset);
}

void NetworkStream::Delete::operator()(const phase_net_stream* stream) const noexcept {
  phase_net_stream_delete(stream, true);
}

void Network::Delete::operator()(phase_net* net) const noexcept {
  phase_net_delete(net);
}

Result<Network> Network::start(const identity::KeyPair& key, const Options& options) {
  PHASE_CHECK(key.seed().size() == PHASE_NET_KEY_BYTES);
  std::vector<const char*> listen;
  listen.reserve(options.listen.size());
  for (const std::string& address : options.listen) listen.push_back(address.c_str());
  phase_net_options_t raw{};
  raw.seed = key.seed().data();
  raw.listen = listen.data();
  raw.listen_count = listen.size();
  raw.agent = options.agent.c_str();
  raw.streams_per_peer_max = options.streams_per_peer_max;
  raw.streams_max = options.streams_max;
  raw.idle_timeout_ms = milliseconds(options.idle_timeout);
  raw.connections_max =
      static_cast<std::uint32_t>(std::min<std::size_t>(options.connections_max, UINT32_MAX));
  raw.mdns = options.mdns;
  raw.upnp = options.upnp;
  raw.dht_client = options.dht_client;
  raw.small = options.small;
  phase_net_t* net = nullptr;
  PHASE_TRY_VOID(result_of(phase_net_new(&raw, &net)));
  return Network(net);
}

Result<void> Network::handle(const std::string& protocol) {
  return result_of(phase_net_handle(net_.get(), protocol.c_str()));
}

Result<void> Network::open(std::uint64_t request, const identity::PublicKey& peer,
                           const std::string& protocol, Duration timeout) {
  return result_of(phase_net_open(net_.get(), request, peer.value.data(), protocol.c_str(),
                                  milliseconds(timeout)));
}

Result<void> Network::dial(std::uint64_t request, const std::string& address, Duration timeout) {
  return result_of(phase_net_dial(net_.get(), request, address.c_str(), milliseconds(timeout)));
}

Result<void> Network::provide(std::uint64_t request, const std::string& key, Duration timeout) {
  const ByteView bytes = as_bytes(key);
  return result_of(
      phase_net_provide(net_.get(), request, bytes.data(), bytes.size(), milliseconds(timeout)));
}

Result<void> Network::find(std::uint64_t request, const std::string& key, Duration timeout) {
  const ByteView bytes = as_bytes(key);
  return result_of(
      phase_net_find(net_.get(), request, bytes.data(), bytes.size(), milliseconds(timeout)));
}

Result<void> Network::ping(std::uint64_t request, const identity::PublicKey& peer,
                           Duration timeout) {
  return result_of(phase_net_ping(net_.get(), request, peer.value.data(), milliseconds(timeout)));
}

int Network::event_fd() const {
  return phase_net_event_fd(net_.get());
}

std::optional<NetworkEvent> Network::next_event() {
  phase_net_event_t raw{};
  if (!phase_net_next_event(net_.get(), &raw)) return std::nullopt;
  NetworkEvent event = event_of(raw);
  phase_net_event_clear(&raw);
  return event;
}

std::vector<PeerInfo> Network::peers() const {
  const std::unique_ptr<phase_net_peers_t, decltype(&phase_net_peers_delete)> rows(
      phase_net_peers(net_.get()), phase_net_peers_delete);
  std::vector<PeerInfo> out;
  const std::size_t count = phase_net_peers_count(rows.get());
  out.reserve(count);
  for (std::size_t i = 0; i < count; ++i)
    out.push_back(info_of(*phase_net_peers_at(rows.get(), i)));
  return out;
}

std::vector<std::string> Network::listen_addresses() const {
  return take_texts(phase_net_listen_addresses(net_.get()));
}

std::vector<std::string> Network::warnings() const {
  return take_texts(phase_net_warnings(net_.get()));
}

Result<identity::PublicKey> peer_of_address(const std::string& multiaddr) {
  const std::string_view mark = "/p2p/";
  const std::size_t at = multiaddr.rfind(mark);
  if (at == std::string::npos) {
    return fail(Code::malformed, "no /p2p/<peer id> at the end of " + printable(multiaddr));
  }
  PHASE_TRY_VOID(result_of(phase_net_address_check(multiaddr.c_str())));
  PHASE_TRY(const identity::PeerId id,
            identity::PeerId::parse(std::string_view(multiaddr).substr(at + mark.size())));
  return id.key();
}

}  // namespace phase::peer
