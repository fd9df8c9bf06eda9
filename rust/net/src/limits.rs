//! Every bound of this crate, in one place. What happens at each is said beside it.

use std::time::Duration;

/// Threads of the runtime; two keep a busy loopback full.
pub const WORKER_THREADS: usize = 2;
/// Commands accepted and not yet taken back as completions. Above it: `BUSY`.
pub const COMMANDS_MAX: usize = 1024;
/// Inbound streams waiting for `phase_net_next_event`. Above it a stream is reset.
pub const INBOUND_QUEUE_MAX: usize = 256;
/// Inbound streams that one connection may have handed over and not yet passed on.
pub const INBOUND_PER_CONNECTION_MAX: usize = 128;
/// Outbound streams negotiating on one connection; further ones wait their turn.
pub const NEGOTIATING_PER_CONNECTION_MAX: usize = 32;
/// Negotiation of one stream's protocol.
pub const NEGOTIATION_TIMEOUT: Duration = Duration::from_secs(10);
/// Tries of one `phase_net_ping`: libp2p answers one ping per connection at a time and drops the
/// older one, which can be ours.
pub const PING_ATTEMPTS: usize = 3;
/// Protocols that `phase_net_handle` takes.
pub const PROTOCOLS_MAX: usize = 8;
/// Bytes of a protocol name.
pub const PROTOCOL_BYTES_MAX: usize = 128;
/// Bytes of a key of the DHT.
pub const KEY_BYTES_MAX: usize = 256;
/// Addresses in the lists of the options.
pub const LISTEN_MAX: usize = 16;
/// Bytes of one address as text.
pub const ADDRESS_BYTES_MAX: usize = 512;
/// Bytes of the agent text; longer is cut by the caller.
pub const AGENT_BYTES_MAX: usize = 128;

/// Peers remembered with their addresses; the least recently seen unconnected one is forgotten.
pub const KNOWN_PEERS_MAX: usize = 1024;
/// Addresses remembered for a peer; the oldest is forgotten. Dialing tries them all at once.
pub const ADDRESSES_PER_PEER_MAX: usize = 12;
/// Warnings kept for `phase_net_warnings`; the first ones stay.
pub const WARNINGS_MAX: usize = 16;
/// Peers found by mDNS that we dial on our own; others are only remembered.
pub const MDNS_CONNECTIONS_MAX: usize = 32;

/// Connections to one peer, both directions: simultaneous dials over two transports leave a few.
pub const CONNECTIONS_PER_PEER_MAX: u32 = 8;

/// Connections on which a stream is tried: of those that two peers open to each other at once, all
/// but one are closed again, and any of them may be asked first.
pub const OPEN_ATTEMPTS: u32 = CONNECTIONS_PER_PEER_MAX;
/// Connections being negotiated, inbound and outbound each.
pub const PENDING_CONNECTIONS_MAX: u32 = 64;

/// Providers reported for one key.
pub const PROVIDERS_FOUND_MAX: usize = 64;
/// Keys that others announce through this node. Above it an announcement is not stored.
pub const FOREIGN_KEYS_MAX: usize = 8192;
/// Providers kept per key (the Kademlia replication factor).
pub const PROVIDERS_PER_KEY_MAX: usize = 20;
/// Keys that one foreign provider may occupy here.
pub const KEYS_PER_PROVIDER_MAX: usize = 64;
/// Peers that a small node remembers of each distance in the DHT, instead of the replication
/// factor: room for them is taken at the start, 80 KiB each.
pub const SMALL_BUCKET: usize = 2;
/// Keys that this node announces itself.
pub const OWN_KEYS_MAX: usize = 1024;
/// How long an announcement counts. src/peer repeats ours every ten minutes.
pub const PROVIDER_TTL: Duration = Duration::from_secs(30 * 60);
/// One DHT query as a whole.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(15);

/// What a peer may still send, and how long it may take to take what was written, after C++ has
/// closed a stream; then it is reset.
pub const LINGER_BYTES: usize = 64 * 1024;
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(5);
/// Of those, taken at a time.
pub const DISCARD_BYTES: usize = 4 * 1024;

/// How long delete waits for bytes that C++ has written and closed.
pub const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);
/// How long delete waits for connections to say goodbye.
pub const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// How long the last packets have to leave. Without them peers notice only by a timeout.
pub const GOODBYE_TIME: Duration = Duration::from_millis(30);
/// How long delete waits for the threads after that.
pub const RUNTIME_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a listener may take to report its first address.
pub const LISTEN_TIMEOUT: Duration = Duration::from_secs(2);
