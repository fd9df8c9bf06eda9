//! The bounds of the crate's plain parts, as a program: a test harness would need the whole
//! dependency tree a second time, with another panic strategy. `cargo run --release -p phase-net
//! --example bounds`
#![allow(dead_code)]

#[path = "../src/book.rs"]
mod book;
#[path = "../src/channel.rs"]
mod channel;
#[path = "../src/error.rs"]
mod error;
#[path = "../src/limits.rs"]
mod limits;
#[path = "../src/queue.rs"]
mod queue;
#[path = "../src/slots.rs"]
mod slots;
#[path = "../src/store.rs"]
mod store;

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use book::Book;
use channel::{Moved, Streams};
use error::Code;
use futures::{AsyncRead, AsyncWrite};
use libp2p::kad::store::RecordStore;
use libp2p::kad::{ProviderRecord, RecordKey};
use libp2p::{Multiaddr, PeerId};
use limits::*;
use queue::{Event, Queue, Way};
use slots::Slots;
use store::ProviderStore;

fn record(key: u32, provider: PeerId) -> ProviderRecord {
    ProviderRecord::new(
        key.to_be_bytes().to_vec(),
        provider,
        Vec::<Multiaddr>::new(),
    )
}

fn providers(store: &ProviderStore, key: u32) -> usize {
    store.providers(&RecordKey::new(&key.to_be_bytes())).len()
}

fn strangers_cannot_take_the_room_of_own_keys() {
    let local = PeerId::random();
    let mut store = ProviderStore::new(local);
    let mut key = 0;
    for _ in 0..FOREIGN_KEYS_MAX / KEYS_PER_PROVIDER_MAX {
        let stranger = PeerId::random();
        for _ in 0..KEYS_PER_PROVIDER_MAX {
            key += 1;
            store.add_provider(record(key, stranger)).unwrap();
        }
        assert!(
            store.add_provider(record(key + 1, stranger)).is_err(),
            "its share is used up"
        );
        // Repeating what is stored is no new key.
        store.add_provider(record(key, stranger)).unwrap();
    }
    assert!(
        store
            .add_provider(record(key + 1, PeerId::random()))
            .is_err(),
        "all room is used up"
    );
    store.add_provider(record(key + 1, local)).unwrap();
    assert_eq!(providers(&store, key + 1), 1);
}

fn expired_records_make_room() {
    let mut store = ProviderStore::new(PeerId::random());
    let now = Instant::now();
    for _ in 0..PROVIDERS_PER_KEY_MAX {
        let mut old = record(1, PeerId::random());
        old.expires = Some(now);
        store.add_provider(old).unwrap();
    }
    let fresh = PeerId::random();
    store.add_provider(record(1, fresh)).unwrap();
    assert_eq!(providers(&store, 1), 1);
    store.remove_provider(&RecordKey::new(&1u32.to_be_bytes()), &fresh);
    assert_eq!(providers(&store, 1), 0);
}

fn only_providers_are_stored() {
    let mut store = ProviderStore::new(PeerId::random());
    let value = libp2p::kad::Record::new(vec![1], vec![2]);
    assert!(store.put(value).is_err());
    let mut long = record(1, PeerId::random());
    long.key = RecordKey::new(&vec![0; KEY_BYTES_MAX + 1]);
    assert!(store.add_provider(long).is_err());
}

fn a_book_forgets_the_oldest_unconnected_peer_and_the_oldest_address() {
    let mut book = Book::default();
    let connected = PeerId::random();
    book.connections(connected, 1);
    for _ in 0..2 * KNOWN_PEERS_MAX {
        book.learn(PeerId::random(), []);
    }
    assert_eq!(book.peers().len(), KNOWN_PEERS_MAX);
    assert!(book.peers().iter().any(|row| row.peer == connected));

    let at = |port: usize| format!("/ip4/10.0.0.1/tcp/{port}").parse().unwrap();
    book.learn(connected, (1..=2 * ADDRESSES_PER_PEER_MAX).map(at));
    let kept = book.addresses(&connected);
    assert_eq!(kept.len(), ADDRESSES_PER_PEER_MAX);
    assert_eq!(kept[0], at(2 * ADDRESSES_PER_PEER_MAX));
}

fn a_book_keeps_the_first_warnings_once() {
    let mut book = Book::default();
    assert!(book.warn("0") && !book.warn("0"));
    for i in 1..2 * WARNINGS_MAX {
        book.warn(&i.to_string());
    }
    assert_eq!(book.warnings().len(), WARNINGS_MAX);
}

fn slots_are_bounded_and_come_back() {
    let slots = Slots::new(3, 2);
    let (a, b) = (PeerId::random(), PeerId::random());
    let first = slots.take(a).unwrap();
    let _second = slots.take(a).unwrap();
    assert_eq!(slots.take(a).err().unwrap().code, Code::Busy);
    let _third = slots.take(b).unwrap();
    assert_eq!(slots.take(b).err().unwrap().code, Code::Busy);
    drop(first);
    slots.take(b).unwrap();
}

/// The other end of a stream of the transport.
#[derive(Default)]
struct Far {
    sends: VecDeque<u8>,
    ended: bool,
    broken: bool,
    refuses: bool,
    /// Bytes it takes before the writer must wait.
    room: usize,
    got: Vec<u8>,
    closed: bool,
    dropped: bool,
    readers: Option<Waker>,
    writers: Option<Waker>,
}

#[derive(Clone, Default)]
struct FarEnd(Arc<Mutex<Far>>);
struct NearEnd(FarEnd);

impl FarEnd {
    fn lock(&self) -> MutexGuard<'_, Far> {
        self.0.lock().unwrap()
    }
    /// Changes something, and wakes whoever waits, as a transport does.
    fn change(&self, change: impl FnOnce(&mut Far)) {
        let mut far = self.lock();
        change(&mut far);
        let wakers = [far.readers.take(), far.writers.take()];
        drop(far);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

impl Drop for NearEnd {
    fn drop(&mut self) {
        self.0.lock().dropped = true;
    }
}

impl AsyncRead for NearEnd {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut far = self.0.lock();
        if far.broken {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let count = out.len().min(far.sends.len());
        for (to, from) in out.iter_mut().zip(far.sends.drain(..count)) {
            *to = from;
        }
        if count > 0 || far.ended {
            return Poll::Ready(Ok(count));
        }
        far.readers = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for NearEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut far = self.0.lock();
        if far.refuses || far.broken || far.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = bytes.len().min(far.room);
        if count == 0 {
            far.writers = Some(cx.waker().clone());
            return Poll::Pending;
        }
        far.room -= count;
        far.got.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    /// Like Yamux: the end needs room too.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut far = self.0.lock();
        if far.room == 0 {
            far.writers = Some(cx.waker().clone());
            return Poll::Pending;
        }
        far.closed = true;
        Poll::Ready(Ok(()))
    }
}

struct World {
    queue: Arc<Queue>,
    slots: Arc<Slots>,
    streams: Arc<Streams<NearEnd>>,
}

impl World {
    fn open(&self) -> (FarEnd, Arc<channel::Channel<NearEnd>>) {
        let far = FarEnd::default();
        let slot = self.slots.take(PeerId::random()).unwrap();
        (far.clone(), self.streams.open(NearEnd(far), slot))
    }
    fn told(&self) -> Vec<(u64, Way)> {
        let events = std::iter::from_fn(|| self.queue.pop());
        let of_stream = |event| match event {
            Event::Stream(signal) => Some((signal.id, signal.way)),
            _ => None,
        };
        events.filter_map(of_stream).collect()
    }
}

fn who_waits_is_told_once(world: &World) {
    let (far, channel) = world.open();
    let mut out = [0; 8];
    far.change(|far| far.sends.extend(b"nobody waits"));
    assert_eq!(world.told(), [], "nobody has asked");
    assert_eq!(channel.read(&mut out), Moved::Bytes(8));
    assert_eq!(channel.read(&mut out), Moved::Bytes(4));
    assert_eq!(channel.read(&mut out), Moved::WouldBlock);
    for _ in 0..100 {
        far.change(|far| far.sends.push_back(1));
    }
    assert_eq!(world.told(), [(channel.id, Way::Read)]);
    // Whoever waits in vain between an event and its taking is still told.
    while channel.read(&mut out) != Moved::WouldBlock {}
    far.change(|far| far.sends.push_back(1));
    assert_eq!(channel.read(&mut out), Moved::Bytes(1));
    assert_eq!(channel.read(&mut out), Moved::WouldBlock);
    far.change(|far| far.sends.push_back(1));
    assert_eq!(world.told(), [(channel.id, Way::Read)]);

    assert_eq!(channel.write(b"12345"), Moved::WouldBlock);
    far.change(|far| far.room = 3);
    assert_eq!(world.told(), [(channel.id, Way::Write)]);
    assert_eq!(channel.write(b"12345"), Moved::Bytes(3));
    assert_eq!(far.lock().got, b"123");
}

fn an_end_and_a_reset_are_told_apart(world: &World) {
    let mut out = [0; 8];
    let (far, channel) = world.open();
    far.change(|far| {
        far.sends.extend(b"last");
        far.ended = true;
        far.room = 100;
    });
    assert_eq!(channel.read(&mut out), Moved::Bytes(4));
    assert_eq!(channel.read(&mut out), Moved::End);
    assert_eq!(
        channel.write(b"back"),
        Moved::Bytes(4),
        "only one direction"
    );
    channel.shut_down();
    assert_eq!(channel.write(b"more"), Moved::Reset);
    assert!(far.lock().closed && far.lock().dropped, "both are over");
    assert_eq!(channel.read(&mut out), Moved::End);

    let (far, channel) = world.open();
    assert_eq!(channel.read(&mut out), Moved::WouldBlock);
    assert_eq!(channel.write(b"x"), Moved::WouldBlock);
    far.change(|far| far.broken = true);
    assert_eq!(channel.read(&mut out), Moved::Reset);
    assert!(far.lock().dropped);
    assert_eq!(world.told().len(), 2);
    assert_eq!(channel.write(b"x"), Moved::Reset);

    // As QUIC: an end, and a peer that takes nothing any more.
    let (far, channel) = world.open();
    far.change(|far| {
        far.ended = true;
        far.refuses = true;
    });
    assert_eq!(channel.read(&mut out), Moved::Reset);
}

/// Waits for what another thread does; a second is a failure.
fn becomes_so(what: &str, so: impl Fn() -> bool) {
    let until = Instant::now() + LINGER_TIMEOUT * 3;
    while !so() {
        assert!(Instant::now() < until, "{what}");
        std::thread::yield_now();
    }
}

fn what_was_written_outlives_the_channel(world: &World) {
    let (far, channel) = world.open();
    far.change(|far| far.room = 4);
    assert_eq!(channel.write(b"rest"), Moved::Bytes(4));
    channel.shut_down();
    channel.end(false);
    drop(channel);
    assert!(
        !far.lock().closed && !far.lock().dropped,
        "no room for the end yet"
    );
    assert_eq!(world.streams.closing(), 1);
    far.change(|far| far.room = 1);
    becomes_so("the end goes out", || far.lock().closed);
    // What the peer still sends is taken, up to a bound.
    far.change(|far| far.sends.extend(vec![0; 2 * LINGER_BYTES]));
    becomes_so("it is let go", || far.lock().dropped);
    becomes_so("nothing is closing", || world.streams.closing() == 0);

    let (far, channel) = world.open();
    far.change(|far| far.room = 9);
    channel.shut_down();
    channel.end(false);
    let began = Instant::now();
    becomes_so("a silent peer is let go", || far.lock().dropped);
    assert!(began.elapsed() + Duration::from_millis(50) >= LINGER_TIMEOUT);

    let (far, channel) = world.open();
    channel.end(true);
    assert!(far.lock().dropped && !far.lock().closed);

    let (far, channel) = world.open();
    drop(channel);
    assert!(far.lock().dropped && !far.lock().closed, "without a word");
}

fn the_end_of_the_node_is_a_reset_for_all(world: &World) {
    let all: Vec<_> = (0..100).map(|_| world.open()).collect();
    for (_, channel) in &all {
        assert_eq!(channel.read(&mut [0]), Moved::WouldBlock);
        assert_eq!(channel.write(&[0]), Moved::WouldBlock);
    }
    world.streams.break_off_all();
    assert_eq!(world.told().len(), 200, "each direction once");
    for (far, channel) in &all {
        assert!(far.lock().dropped);
        assert_eq!(channel.read(&mut [0]), Moved::Reset);
        assert_eq!(channel.write(&[0]), Moved::Reset);
        channel.shut_down();
        channel.end(false);
    }
}

/// A writer and a reader on threads of their own, with little room: no wake is lost.
fn no_wake_is_lost(world: &World) {
    const BYTES: usize = 200_000;
    let (far, channel) = world.open();
    let near = Arc::clone(&channel);
    let moving = std::thread::spawn(move || {
        for step in 0..BYTES {
            far.change(|far| {
                far.sends.push_back((step % 251) as u8);
                far.room += 1;
            });
        }
        far
    });
    let (mut read, mut written, mut waits) = (0, 0, (false, false));
    let until = Instant::now() + Duration::from_secs(60);
    let mut out = [0; 7];
    while read < BYTES || written < BYTES {
        assert!(Instant::now() < until, "{read} read, {written} written");
        if !waits.0 && read < BYTES {
            match near.read(&mut out) {
                Moved::Bytes(count) => {
                    for (at, byte) in out[..count].iter().enumerate() {
                        assert_eq!(usize::from(*byte), (read + at) % 251);
                    }
                    read += count;
                }
                other => {
                    assert_eq!(other, Moved::WouldBlock);
                    waits.0 = true;
                }
            }
        }
        if !waits.1 && written < BYTES {
            match near.write(&[7; 5][..5.min(BYTES - written)]) {
                Moved::Bytes(count) => written += count,
                other => {
                    assert_eq!(other, Moved::WouldBlock);
                    waits.1 = true;
                }
            }
        }
        for (_, way) in world.told() {
            match way {
                Way::Read => waits.0 = false,
                Way::Write => waits.1 = false,
            }
        }
    }
    assert_eq!(moving.join().unwrap().lock().got.len(), BYTES);
}

fn main() {
    strangers_cannot_take_the_room_of_own_keys();
    expired_records_make_room();
    only_providers_are_stored();
    a_book_forgets_the_oldest_unconnected_peer_and_the_oldest_address();
    a_book_keeps_the_first_warnings_once();
    slots_are_bounded_and_come_back();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let queue = Arc::new(Queue::new().unwrap());
    let world = World {
        streams: Streams::new(&queue, runtime.handle().clone()),
        slots: Slots::new(1000, 1),
        queue,
    };
    who_waits_is_told_once(&world);
    an_end_and_a_reset_are_told_apart(&world);
    what_was_written_outlives_the_channel(&world);
    the_end_of_the_node_is_a_reset_for_all(&world);
    no_wake_is_lost(&world);
    assert!(world.slots.take(PeerId::random()).is_ok());
    println!("ok");
}
