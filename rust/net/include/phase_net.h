/* phase_net.h — libp2p for Phase: peers, streams and a DHT behind a few C functions.
 *
 * Conventions, for every function here:
 *
 *   Threads    The library runs its own threads and calls nobody back. A `const phase_net_t *` may
 *              be used by several threads at once; `phase_net_delete` by none beside it. The other
 *              types belong to one thread at a time.
 *   Blocking   Nothing blocks but `phase_net_delete`, which waits for the threads: some 30 ms when
 *              peers are connected, at most about 5 s.
 *   Ownership  What `_new` or a returned pointer gives, the `_delete` of its type takes; null is
 *              allowed there. Arguments are borrowed for the call. Text is UTF-8 and ends with a
 *              zero byte; text that comes out lives as long as the object it was taken from.
 *   Aliasing   Output pointers must not point into anything else that is passed.
 *   Errors     A returned `phase_net_error_t *` is null for success; it carries a code and a text.
 *   Panics     A bug of the library prints one line on stderr and aborts the process; it never
 *              unwinds into C++.
 *   Commands   Functions with a `request` only start something. Its end is exactly one event of
 *              kind PHASE_NET_COMPLETED with that number, which the caller chose and does not reuse
 *              while it is under way. A command that returns an error has no event.
 *   Peers      A peer is its raw Ed25519 public key, PHASE_NET_KEY_BYTES long. Peers with other
 *              kinds of key are refused.
 *   Streams    A stream is read and written by the caller, what goes at once; it costs no
 *              descriptor. When nothing goes, an event of that stream follows as soon as trying
 *              again is worth it; it can come without need. Nothing is taken from the peer before
 *              it is read here. The end of what the peer sends is told apart from a reset by either
 *              side or a lost connection, but over QUIC a reset can look like an end alone, since
 *              libp2p cannot send one of QUIC's own, and so it can once this side has been shut
 *              down for writing. So the protocol above marks its ends.
 *
 * Bounds are named in src/limits.rs; at each the answer is PHASE_NET_BUSY, or a stream is reset.
 */
#ifndef PHASE_NET_H
#define PHASE_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define PHASE_NET_STATIC_ASSERT static_assert
#else
#define PHASE_NET_STATIC_ASSERT _Static_assert
#endif

#define PHASE_NET_KEY_BYTES 32

/* Why something did not work. Values are stable. */
enum {
  PHASE_NET_OK = 0,
  PHASE_NET_INVALID = 1,       /* an argument is off */
  PHASE_NET_MALFORMED = 2,     /* an address that cannot be read, or not be used for this */
  PHASE_NET_ADDRESS_TAKEN = 3, /* somebody else listens there; the text names the address */
  PHASE_NET_IO = 4,            /* a system call failed */
  PHASE_NET_UNAVAILABLE = 5,   /* nobody there now */
  PHASE_NET_TIMED_OUT = 6,
  PHASE_NET_UNSUPPORTED = 7, /* the peer does not speak the protocol */
  PHASE_NET_BUSY = 8,        /* at a bound */
  PHASE_NET_WRONG_PEER = 9,  /* another peer answered there */
  PHASE_NET_INTERNAL = 10
};

typedef struct phase_net phase_net_t;
typedef struct phase_net_error phase_net_error_t;
typedef struct phase_net_texts phase_net_texts_t;
typedef struct phase_net_peers phase_net_peers_t;
typedef struct phase_net_stream phase_net_stream_t;

/* ── Errors ── */

int32_t phase_net_error_code(const phase_net_error_t* error);
const char* phase_net_error_text(const phase_net_error_t* error);
void phase_net_error_delete(phase_net_error_t* error);

/* Errors: MALFORMED unless `address` is a multiaddr. */
phase_net_error_t* phase_net_address_check(const char* address);

/* ── A node ── */

typedef struct phase_net_options {
  const uint8_t* seed;       /* the RFC 8032 seed, PHASE_NET_KEY_BYTES; our copy is wiped */
  const char* const* listen; /* multiaddrs: /ip4 or /ip6 with /tcp/<port> or /udp/<port>/quic-v1 */
  const char* agent;         /* told to peers by identify */
  size_t listen_count;       /* 0: does not listen */
  size_t streams_per_peer_max;
  size_t streams_max;
  uint64_t idle_timeout_ms; /* a connection without streams ends after it */
  uint32_t connections_max;
  bool mdns;       /* failing to start is a warning */
  bool upnp;       /* failing is a warning */
  bool dht_client; /* asks the DHT, answers nothing */
  /* One of many in this process: runs on the threads of the others, and knows few peers of the DHT.
   */
  bool small;
} phase_net_options_t;

/* Binds every address and starts. When the listeners have their addresses, or did not get one
 * within a bounded time (a warning), PHASE_NET_READY follows.
 * Errors: MALFORMED, ADDRESS_TAKEN, IO, INVALID; each names the address. An IPv6 address on a
 * machine without IPv6 is a warning. */
phase_net_error_t* phase_net_new(const phase_net_options_t* options, phase_net_t** out);
/* Ends what was written and closed, closes every connection, waits for the threads. Streams that
 * the caller still holds are reset, and are his to delete. Events not taken are lost, their streams
 * closed. */
void phase_net_delete(phase_net_t* net);

/* Accepts streams of `protocol` from now on. Errors: INVALID, BUSY. */
phase_net_error_t* phase_net_handle(const phase_net_t* net, const char* protocol);

/* ── Commands ── */

/* Opens a stream, over a direct connection if there is one; connects first if needed: all
 * addresses known, then the DHT. Completes with `stream`.
 * Errors: UNAVAILABLE, TIMED_OUT, UNSUPPORTED, BUSY, WRONG_PEER, INVALID. */
phase_net_error_t* phase_net_open(const phase_net_t* net, uint64_t request, const uint8_t* peer,
                                  const char* protocol, uint64_t timeout_ms);
/* Connects to a multiaddr, with or without /p2p/<id>; names are resolved. Completes with one peer.
 * Errors: MALFORMED at once; UNAVAILABLE, TIMED_OUT, WRONG_PEER, BUSY. */
phase_net_error_t* phase_net_dial(const phase_net_t* net, uint64_t request, const char* address,
                                  uint64_t timeout_ms);
/* Announces this node under `key` once; whoever keeps it forgets it after 30 minutes. Completes
 * when it is stored here and the peers that could be reached in time were told. Errors: BUSY. */
phase_net_error_t* phase_net_provide(const phase_net_t* net, uint64_t request, const uint8_t* key,
                                     size_t key_bytes, uint64_t timeout_ms);
/* Asks the DHT who announced `key`. Completes with peers, this node never among them; what was
 * found when the time is over counts. Errors: TIMED_OUT when that is nothing. */
phase_net_error_t* phase_net_find(const phase_net_t* net, uint64_t request, const uint8_t* key,
                                  size_t key_bytes, uint64_t timeout_ms);
/* Measures a round trip, connecting first if needed. Completes with `round_trip_ns`.
 * Errors: as open. */
phase_net_error_t* phase_net_ping(const phase_net_t* net, uint64_t request, const uint8_t* peer,
                                  uint64_t timeout_ms);

/* ── Streams ── */

/* Instead of a number of bytes. */
enum {
  PHASE_NET_WOULD_BLOCK = -1, /* PHASE_NET_READABLE or PHASE_NET_WRITABLE follows, once */
  PHASE_NET_RESET = -2        /* by either side, or the connection is gone */
};

/* Reads up to `bytes`, at least 1. Returns how many came, 0 at the end, or one of the above. */
int64_t phase_net_stream_read(const phase_net_stream_t* stream, uint8_t* out, size_t bytes);
/* Takes as many of `count` bytes, at least 1, as go now. Returns how many, or one of the above;
 * RESET also after shutdown. */
int64_t phase_net_stream_write(const phase_net_stream_t* stream, const uint8_t* bytes,
                               size_t count);
/* Ends what is sent, after what was written. Idempotent. */
void phase_net_stream_shutdown(const phase_net_stream_t* stream);
/* Gives the stream back, in order or not: what was written still goes out and nothing is read any
 * more, or, with `reset`, all is dropped at once. */
void phase_net_stream_delete(const phase_net_stream_t* stream, bool reset);

/* ── Events ── */

enum {
  PHASE_NET_NONE = 0,
  PHASE_NET_COMPLETED = 1, /* request, code; stream, peers or round_trip_ns by command */
  PHASE_NET_INBOUND = 2,   /* stream, peers[0], text = protocol */
  PHASE_NET_READY = 3,     /* code; the listeners have their addresses */
  PHASE_NET_ROUTING = 4,   /* the DHT's table has gained peers since the last such event */
  PHASE_NET_WARNING = 5,   /* text; also in phase_net_warnings */
  PHASE_NET_READABLE = 6,  /* stream_id; at most one such event of a stream waits */
  PHASE_NET_WRITABLE = 7   /* the same */
};

typedef struct phase_net_event {
  uint64_t request;
  int64_t round_trip_ns;
  const char* text;     /* never null; of an error, a warning or a protocol */
  const uint8_t* peers; /* peer_count keys, one after the other; null when none */
  size_t peer_count;
  uint64_t stream_id; /* of `stream`, or of one given out before */
  /* Or null. To keep it, set this to null before the event is cleared. */
  const phase_net_stream_t* stream;
  int32_t kind;
  int32_t code;
} phase_net_event_t;

/* A descriptor that is readable while events wait. Belongs to the library; poll it, never read. */
int phase_net_event_fd(const phase_net_t* net);
/* Takes the next event. False, and kind NONE, when none waits. One thread takes events. */
bool phase_net_next_event(const phase_net_t* net, phase_net_event_t* out);
/* Frees what the event holds and resets its stream unless taken. */
void phase_net_event_clear(phase_net_event_t* event);

/* ── What is known, at any time ── */

size_t phase_net_texts_count(const phase_net_texts_t* texts);
const char* phase_net_texts_at(const phase_net_texts_t* texts, size_t index);
void phase_net_texts_delete(phase_net_texts_t* texts);

/* Where this node listens, each with /p2p/<id>. */
phase_net_texts_t* phase_net_listen_addresses(const phase_net_t* net);
/* What failed without stopping the node. */
phase_net_texts_t* phase_net_warnings(const phase_net_t* net);

typedef struct phase_net_peer {
  uint8_t key[PHASE_NET_KEY_BYTES];
  int64_t round_trip_ns; /* the last measured one, or -1 */
  const phase_net_texts_t* addresses;
  bool connected;
} phase_net_peer_t;

/* Peers connected, found by mDNS, or met in the DHT. */
phase_net_peers_t* phase_net_peers(const phase_net_t* net);
size_t phase_net_peers_count(const phase_net_peers_t* peers);
const phase_net_peer_t* phase_net_peers_at(const phase_net_peers_t* peers, size_t index);
void phase_net_peers_delete(phase_net_peers_t* peers);

/* src/abi.rs asserts the same figures: a field added on one side alone does not compile. */
PHASE_NET_STATIC_ASSERT(sizeof(phase_net_options_t) == 64, "phase_net_options_t");
PHASE_NET_STATIC_ASSERT(offsetof(phase_net_options_t, small) == 63, "phase_net_options_t");
PHASE_NET_STATIC_ASSERT(sizeof(phase_net_event_t) == 64, "phase_net_event_t");
PHASE_NET_STATIC_ASSERT(offsetof(phase_net_event_t, kind) == 56, "phase_net_event_t");
PHASE_NET_STATIC_ASSERT(sizeof(phase_net_peer_t) == 56, "phase_net_peer_t");
PHASE_NET_STATIC_ASSERT(offsetof(phase_net_peer_t, connected) == 48, "phase_net_peer_t");

#undef PHASE_NET_STATIC_ASSERT
#ifdef __cplusplus
}
#endif
#endif
