//! libp2p behind include/phase_net.h. That header states the conventions; this file is its
//! functions.
//!
//! No product logic here: what is announced, when a dial is repeated, who may do what is decided in
//! C++ (src/peer and above).
#![allow(non_camel_case_types)]
#![deny(unsafe_op_in_unsafe_fn)]

mod abi;
mod book;
mod channel;
mod error;
mod limits;
mod listen;
mod node;
mod queue;
mod requests;
mod slots;
mod store;
mod stream;
mod transport;

use std::ffi::{c_char, c_int, CStr};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex, Once, PoisonError, Weak};
use std::time::Duration;

use libp2p::identity::{ed25519, Keypair, PublicKey};
use libp2p::{Multiaddr, PeerId, StreamProtocol};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::Instant;

use abi::{
    error_out, phase_net_error, phase_net_event, phase_net_options, phase_net_peer,
    phase_net_peers, phase_net_stream, phase_net_texts,
};
use book::Book;
use channel::{Moved, Streams};
use error::{Code, Error, Result};
use limits::{
    ADDRESS_BYTES_MAX, AGENT_BYTES_MAX, COMMANDS_MAX, KEY_BYTES_MAX, LISTEN_MAX,
    PROTOCOL_BYTES_MAX, RUNTIME_TIMEOUT, WORKER_THREADS,
};
use node::{Command, Node, Options, Order, Shared};
use queue::{Key, Queue};
use stream::Protocols;

const KEY_BYTES: usize = 32;

/// The multihash code of a peer id that contains its key, and the protobuf of an Ed25519 key before
/// its 32 bytes (libp2p peer ids specification).
const IDENTITY_HASH: u64 = 0;
const ED25519_PREFIX: [u8; 4] = [0x08, 0x01, 0x12, 0x20];

/// The Ed25519 key of a peer, if that is what it has.
fn peer_key(peer: &PeerId) -> Option<Key> {
    let hash = peer.as_ref();
    if hash.code() != IDENTITY_HASH {
        return None;
    }
    hash.digest().strip_prefix(&ED25519_PREFIX)?.try_into().ok()
}

fn peer_id(key: &Key) -> Result<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(key)
        .map_err(|_| Error::new(Code::Invalid, "the peer's key is no Ed25519 public key"))?;
    Ok(PublicKey::from(key).to_peer_id())
}

pub struct phase_net {
    shared: Arc<Shared>,
    orders: Option<mpsc::Sender<Order>>,
    runtime: Option<Arc<Runtime>>,
    /// The node's task; its end is the end of all connections.
    node: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

/// Runs `body`; a panic ends the process. The release profile aborts by itself before it gets here;
/// a profile that unwinds must not unwind into C++ either.
fn guarded<T>(body: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => value,
        Err(_) => std::process::abort(),
    }
}

/// Says on one line what the bug was; the default hook would print a backtrace hint of another
/// tool.
fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            eprintln!("phase-net: bug, aborting: {info}");
        }));
    });
}

/// # Safety
/// `text` is null or ends with a zero byte.
unsafe fn text_in<'a>(text: *const c_char, bytes_max: usize, what: &str) -> Result<&'a str> {
    if text.is_null() {
        return Err(Error::new(Code::Invalid, format!("{what} is missing")));
    }
    // SAFETY: by contract of the caller.
    let text = unsafe { CStr::from_ptr(text) }
        .to_str()
        .map_err(|_| Error::new(Code::Malformed, format!("{what} is not UTF-8")))?;
    if text.len() > bytes_max {
        let why = format!("{what} is longer than {bytes_max} bytes");
        return Err(Error::new(Code::Malformed, why));
    }
    Ok(text)
}

/// # Safety
/// As `text_in`.
unsafe fn address_in(text: *const c_char) -> Result<Multiaddr> {
    // SAFETY: by contract of the caller.
    let text = unsafe { text_in(text, ADDRESS_BYTES_MAX, "the address") }?;
    text.parse()
        .map_err(|e| Error::new(Code::Malformed, format!("not a multiaddr: {text}: {e}")))
}

/// # Safety
/// As `text_in`.
unsafe fn protocol_in(text: *const c_char) -> Result<StreamProtocol> {
    // SAFETY: by contract of the caller.
    let text = unsafe { text_in(text, PROTOCOL_BYTES_MAX, "the protocol") }?;
    StreamProtocol::try_from_owned(text.to_owned())
        .map_err(|_| Error::new(Code::Invalid, format!("not a protocol name: {text}")))
}

/// # Safety
/// `peer` is null or points to `KEY_BYTES` bytes.
unsafe fn peer_in(peer: *const u8) -> Result<PeerId> {
    if peer.is_null() {
        return Err(Error::new(Code::Invalid, "the peer is missing"));
    }
    // SAFETY: by contract of the caller.
    peer_id(unsafe { &*peer.cast::<Key>() })
}

/// # Safety
/// `key` points to `bytes` bytes.
unsafe fn record_in(key: *const u8, bytes: usize) -> Result<libp2p::kad::RecordKey> {
    if key.is_null() || bytes == 0 || bytes > KEY_BYTES_MAX {
        let why = format!("a DHT key has 1 to {KEY_BYTES_MAX} bytes");
        return Err(Error::new(Code::Invalid, why));
    }
    // SAFETY: by contract of the caller.
    Ok(requests::record_key(unsafe {
        std::slice::from_raw_parts(key, bytes)
    }))
}

/// # Safety
/// The pointers of `options` are as the header says.
unsafe fn options_in(options: &phase_net_options) -> Result<(Keypair, Options)> {
    if options.seed.is_null() || (options.listen.is_null() && options.listen_count > 0) {
        return Err(Error::new(Code::Invalid, "an option is missing"));
    }
    if options.listen_count > LISTEN_MAX {
        let why = format!("more than {LISTEN_MAX} addresses to listen on");
        return Err(Error::new(Code::Invalid, why));
    }
    let mut listen = Vec::new();
    for i in 0..options.listen_count {
        // SAFETY: `listen` has `listen_count` entries.
        let address = unsafe { address_in(*options.listen.add(i)) }?;
        if !listen.contains(&address) {
            listen.push(address);
        }
    }
    // SAFETY: by contract of the caller. `ed25519_from_bytes` wipes the copy.
    let mut seed = unsafe { *options.seed.cast::<[u8; KEY_BYTES]>() };
    let key = Keypair::ed25519_from_bytes(&mut seed)
        .map_err(|e| Error::new(Code::Invalid, format!("the seed: {e}")))?;
    // SAFETY: by contract of the caller.
    let agent = unsafe { text_in(options.agent, AGENT_BYTES_MAX, "the agent text") }?;
    Ok((
        key,
        Options {
            listen,
            agent: agent.to_owned(),
            mdns: options.mdns,
            upnp: options.upnp,
            dht_client: options.dht_client,
            small: options.small,
            connections_max: options.connections_max,
            streams_per_peer_max: options.streams_per_peer_max,
            streams_max: options.streams_max,
            idle_timeout: Duration::from_millis(options.idle_timeout_ms),
        },
    ))
}

fn new_runtime() -> std::io::Result<Arc<Runtime>> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .thread_name("phase-net")
        .enable_all()
        .build()
        .map(Arc::new)
}

/// A new one, or that of the nodes that share theirs; it ends with the last of them.
fn runtime(shared: bool) -> std::io::Result<Arc<Runtime>> {
    static SHARED: Mutex<Weak<Runtime>> = Mutex::new(Weak::new());
    if !shared {
        return new_runtime();
    }
    let mut known = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = known.upgrade() {
        return Ok(runtime);
    }
    let runtime = new_runtime()?;
    *known = Arc::downgrade(&runtime);
    Ok(runtime)
}

fn start(key: &Keypair, options: &Options) -> Result<phase_net> {
    let io = |e: std::io::Error| Error::new(Code::Io, format!("starting the network: {e}"));
    let runtime = runtime(options.small).map_err(io)?;
    let queue = Arc::new(Queue::new().map_err(io)?);
    let shared = Arc::new(Shared {
        streams: Streams::new(&queue, runtime.handle().clone()),
        queue,
        book: Mutex::new(Book::default()),
        protocols: Protocols::default(),
        local: key.public().to_peer_id(),
    });
    let (orders, received) = mpsc::channel(COMMANDS_MAX);
    let entered = runtime.enter();
    let node = Node::new(key, options, Arc::clone(&shared))?;
    drop(entered);
    let task = runtime.spawn(node.run(received));
    Ok(phase_net {
        shared,
        orders: Some(orders),
        runtime: Some(runtime),
        node: Mutex::new(Some(task)),
    })
}

impl phase_net {
    fn order(&self, request: u64, timeout_ms: u64, command: Command) -> Result<()> {
        /// Deadlines further away are cut to this: a day.
        const TIMEOUT_MS_MAX: u64 = 24 * 60 * 60 * 1000;
        self.shared.queue.reserve()?;
        let timeout = Duration::from_millis(timeout_ms.min(TIMEOUT_MS_MAX));
        let order = Order {
            request,
            deadline: Instant::now() + timeout,
            command,
        };
        let sent = |orders: &mpsc::Sender<Order>| orders.try_send(order).is_ok();
        if !self.orders.as_ref().is_some_and(sent) {
            self.shared.queue.release();
            return Err(Error::new(Code::Busy, "the network takes no commands now"));
        }
        Ok(())
    }

    fn shut_down(&mut self) {
        self.orders = None;
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        let task = self.node.get_mut().map(Option::take).unwrap_or_default();
        if let Some(task) = task {
            // Bounded by DRAIN_TIMEOUT and CLOSE_TIMEOUT inside; this is for a bug there.
            let _ = runtime.block_on(async { tokio::time::timeout(RUNTIME_TIMEOUT, task).await });
        }
        self.shared.streams.break_off_all();
        if let Some(last) = Arc::into_inner(runtime) {
            last.shutdown_timeout(RUNTIME_TIMEOUT);
        }
    }
}

// ── Errors ──

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_error_code(error: *const phase_net_error) -> i32 {
    guarded(|| unsafe { (*error).code as i32 })
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_error_text(error: *const phase_net_error) -> *const c_char {
    guarded(|| unsafe { (*error).text.as_ptr() })
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_error_delete(error: *mut phase_net_error) {
    guarded(|| {
        if !error.is_null() {
            drop(unsafe { Box::from_raw(error) });
        }
    });
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_address_check(address: *const c_char) -> *mut phase_net_error {
    guarded(|| error_out(unsafe { address_in(address) }.map(drop)))
}

// ── A node ──

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_new(
    options: *const phase_net_options,
    out: *mut *mut phase_net,
) -> *mut phase_net_error {
    guarded(|| {
        install_panic_hook();
        unsafe { *out = std::ptr::null_mut() };
        let started =
            unsafe { options_in(&*options) }.and_then(|(key, options)| start(&key, &options));
        error_out(started.map(|net| unsafe { *out = Box::into_raw(Box::new(net)) }))
    })
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_delete(net: *mut phase_net) {
    guarded(|| {
        if !net.is_null() {
            unsafe { Box::from_raw(net) }.shut_down();
        }
    });
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_handle(
    net: *const phase_net,
    protocol: *const c_char,
) -> *mut phase_net_error {
    guarded(|| unsafe {
        let protocol = protocol_in(protocol);
        error_out(protocol.and_then(|protocol| (&*net).shared.protocols.add(protocol)))
    })
}

// ── Commands ──

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_open(
    net: *const phase_net,
    request: u64,
    peer: *const u8,
    protocol: *const c_char,
    timeout_ms: u64,
) -> *mut phase_net_error {
    guarded(|| unsafe {
        let command = peer_in(peer).and_then(|peer| {
            let protocol = protocol_in(protocol)?;
            Ok(Command::Open { peer, protocol })
        });
        error_out(command.and_then(|command| (&*net).order(request, timeout_ms, command)))
    })
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_dial(
    net: *const phase_net,
    request: u64,
    address: *const c_char,
    timeout_ms: u64,
) -> *mut phase_net_error {
    guarded(|| unsafe {
        let command = address_in(address).map(|address| Command::Dial { address });
        error_out(command.and_then(|command| (&*net).order(request, timeout_ms, command)))
    })
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_provide(
    net: *const phase_net,
    request: u64,
    key: *const u8,
    key_bytes: usize,
    timeout_ms: u64,
) -> *mut phase_net_error {
    guarded(|| unsafe {
        let command = record_in(key, key_bytes).map(|key| Command::Provide { key });
        error_out(command.and_then(|command| (&*net).order(request, timeout_ms, command)))
    })
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_find(
    net: *const phase_net,
    request: u64,
    key: *const u8,
    key_bytes: usize,
    timeout_ms: u64,
) -> *mut phase_net_error {
    guarded(|| unsafe {
        let command = record_in(key, key_bytes).map(|key| Command::Find { key });
        error_out(command.and_then(|command| (&*net).order(request, timeout_ms, command)))
    })
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_ping(
    net: *const phase_net,
    request: u64,
    peer: *const u8,
    timeout_ms: u64,
) -> *mut phase_net_error {
    guarded(|| unsafe {
        let command = peer_in(peer).map(|peer| Command::Ping { peer });
        error_out(command.and_then(|command| (&*net).order(request, timeout_ms, command)))
    })
}

// ── Streams ──

const WOULD_BLOCK: i64 = -1;
const RESET: i64 = -2;

fn moved(moved: Moved) -> i64 {
    match moved {
        Moved::Bytes(count) => i64::try_from(count).unwrap_or(i64::MAX),
        Moved::End => 0,
        Moved::WouldBlock => WOULD_BLOCK,
        Moved::Reset => RESET,
    }
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_stream_read(
    stream: *const phase_net_stream,
    out: *mut u8,
    bytes: usize,
) -> i64 {
    guarded(|| unsafe { moved((*stream).read(std::slice::from_raw_parts_mut(out, bytes))) })
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_stream_write(
    stream: *const phase_net_stream,
    bytes: *const u8,
    count: usize,
) -> i64 {
    guarded(|| unsafe { moved((*stream).write(std::slice::from_raw_parts(bytes, count))) })
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_stream_shutdown(stream: *const phase_net_stream) {
    guarded(|| {
        // SAFETY: the caller's reference stays his.
        let stream = unsafe { std::mem::ManuallyDrop::new(Arc::from_raw(stream)) };
        stream.shut_down();
    });
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_stream_delete(stream: *const phase_net_stream, reset: bool) {
    guarded(|| {
        if !stream.is_null() {
            // SAFETY: the caller's reference, given back.
            unsafe { Arc::from_raw(stream) }.end(reset);
        }
    });
}

// ── Events ──

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_event_fd(net: *const phase_net) -> c_int {
    guarded(|| unsafe { (&*net).shared.queue.descriptor() })
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_next_event(
    net: *const phase_net,
    out: *mut phase_net_event,
) -> bool {
    guarded(|| unsafe {
        let event = (&*net).shared.queue.pop();
        let some = event.is_some();
        out.write(event.map_or_else(phase_net_event::none, phase_net_event::from));
        some
    })
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_event_clear(event: *mut phase_net_event) {
    guarded(|| unsafe { (*event).clear() });
}

// ── What is known ──

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_texts_count(texts: *const phase_net_texts) -> usize {
    guarded(|| unsafe { &*texts }.0.len())
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_texts_at(
    texts: *const phase_net_texts,
    index: usize,
) -> *const c_char {
    guarded(|| unsafe {
        let texts = &*texts;
        texts.0.get(index).map_or(std::ptr::null(), |t| t.as_ptr())
    })
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_texts_delete(texts: *mut phase_net_texts) {
    guarded(|| {
        if !texts.is_null() {
            drop(unsafe { Box::from_raw(texts) });
        }
    });
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_listen_addresses(net: *const phase_net) -> *mut phase_net_texts {
    guarded(|| unsafe {
        let shared = &(&*net).shared;
        let book = shared.book();
        let addresses = book.listening().iter();
        let full = addresses.map(|address| format!("{address}/p2p/{}", shared.local));
        Box::into_raw(Box::new(phase_net_texts::new(full)))
    })
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_warnings(net: *const phase_net) -> *mut phase_net_texts {
    guarded(|| unsafe {
        let book = (&*net).shared.book();
        Box::into_raw(Box::new(phase_net_texts::new(book.warnings())))
    })
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_peers(net: *const phase_net) -> *mut phase_net_peers {
    guarded(|| unsafe {
        let known = (&*net).shared.book().peers();
        Box::into_raw(Box::new(phase_net_peers::new(known)))
    })
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_peers_count(peers: *const phase_net_peers) -> usize {
    guarded(|| unsafe { &*peers }.rows.len())
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_peers_at(
    peers: *const phase_net_peers,
    index: usize,
) -> *const phase_net_peer {
    guarded(|| unsafe {
        let peers = &*peers;
        peers
            .rows
            .get(index)
            .map_or(std::ptr::null(), |row| &raw const *row)
    })
}

/// # Safety
/// See the header.
#[no_mangle]
pub unsafe extern "C" fn phase_net_peers_delete(peers: *mut phase_net_peers) {
    guarded(|| {
        if !peers.is_null() {
            drop(unsafe { Box::from_raw(peers) });
        }
    });
}
