//! The bounds of the crate's plain parts, as a program: a test harness would need the whole
//! dependency tree a second time, with another panic strategy. `cargo run --release -p phase-net
//! --example bounds`
#![allow(dead_code)]

#[path = "../src/book.rs"]
mod book;
#[path = "../src/ends.rs"]
mod ends;
#[path = "../src/error.rs"]
mod error;
#[path = "../src/limits.rs"]
mod limits;
#[path = "../src/slots.rs"]
mod slots;
#[path = "../src/store.rs"]
mod store;

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use book::Book;
use ends::{End, Ends};
use error::Code;
use libp2p::kad::store::RecordStore;
use libp2p::kad::{ProviderRecord, RecordKey};
use libp2p::{Multiaddr, PeerId};
use limits::*;
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

fn an_end_reaches_its_stream_only_while_it_lives() {
    let ends: Arc<Ends> = Arc::default();
    let (first, second) = (ends.watch(), ends.watch());
    ends.end(first.id, End::Closed);
    assert_eq!(first.poll(Waker::noop()), End::Closed);
    assert_eq!(second.poll(Waker::noop()), End::None);
    assert_eq!(ends.closing(), 1);
    let gone = first.id;
    drop(first);
    assert_eq!(ends.closing(), 0);
    ends.end(gone, End::Reset);
    ends.end(second.id, End::Reset);
    assert_eq!(second.poll(Waker::noop()), End::Reset);
}

fn main() {
    strangers_cannot_take_the_room_of_own_keys();
    expired_records_make_room();
    only_providers_are_stored();
    a_book_forgets_the_oldest_unconnected_peer_and_the_oldest_address();
    a_book_keeps_the_first_warnings_once();
    slots_are_bounded_and_come_back();
    an_end_reaches_its_stream_only_while_it_lives();
    println!("ok");
}
