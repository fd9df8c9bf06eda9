//! Who is known, with addresses, as C++ asks for it at any time: a snapshot behind a lock.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

use crate::limits::{ADDRESSES_PER_PEER_MAX, KNOWN_PEERS_MAX, WARNINGS_MAX};

struct Known {
    addresses: Vec<Multiaddr>,
    connections: usize,
    round_trip: Option<Duration>,
    seen: Instant,
}

impl Known {
    fn new() -> Self {
        Self {
            addresses: Vec::new(),
            connections: 0,
            round_trip: None,
            seen: Instant::now(),
        }
    }
}

pub struct PeerRow {
    pub peer: PeerId,
    pub connected: bool,
    pub round_trip: Option<Duration>,
    pub addresses: Vec<Multiaddr>,
}

#[derive(Default)]
pub struct Book {
    peers: HashMap<PeerId, Known>,
    listening: Vec<Multiaddr>,
    warnings: Vec<String>,
}

/// The address without a trailing `/p2p/<id>`, so that one address is stored once.
pub fn bare(mut address: Multiaddr) -> Multiaddr {
    if let Some(Protocol::P2p(_)) = address.iter().last() {
        address.pop();
    }
    address
}

impl Book {
    fn entry(&mut self, peer: PeerId) -> &mut Known {
        if !self.peers.contains_key(&peer) && self.peers.len() >= KNOWN_PEERS_MAX {
            let idle = self
                .peers
                .iter()
                .filter(|(_, known)| known.connections == 0);
            if let Some(oldest) = idle.min_by_key(|(_, known)| known.seen).map(|(p, _)| *p) {
                self.peers.remove(&oldest);
            }
        }
        let known = self.peers.entry(peer).or_insert_with(Known::new);
        known.seen = Instant::now();
        known
    }

    /// Remembers addresses, newest first.
    pub fn learn(&mut self, peer: PeerId, addresses: impl IntoIterator<Item = Multiaddr>) {
        let known = self.entry(peer);
        for address in addresses.into_iter().map(bare) {
            known.addresses.retain(|a| *a != address);
            known.addresses.insert(0, address);
        }
        known.addresses.truncate(ADDRESSES_PER_PEER_MAX);
    }

    pub fn addresses(&self, peer: &PeerId) -> Vec<Multiaddr> {
        self.peers
            .get(peer)
            .map(|known| known.addresses.clone())
            .unwrap_or_default()
    }

    pub fn connections(&mut self, peer: PeerId, count: usize) {
        let known = self.entry(peer);
        known.connections = count;
        if count == 0 {
            known.round_trip = None;
        }
    }

    pub fn round_trip(&mut self, peer: PeerId, time: Duration) {
        self.entry(peer).round_trip = Some(time);
    }

    pub fn peers(&self) -> Vec<PeerRow> {
        let row = |(peer, known): (&PeerId, &Known)| PeerRow {
            peer: *peer,
            connected: known.connections > 0,
            round_trip: known.round_trip,
            addresses: known.addresses.clone(),
        };
        self.peers.iter().map(row).collect()
    }

    pub fn listen(&mut self, address: Multiaddr) {
        if !self.listening.contains(&address) {
            self.listening.push(address);
        }
    }

    pub fn unlisten(&mut self, address: &Multiaddr) {
        self.listening.retain(|a| a != address);
    }

    pub fn listening(&self) -> &[Multiaddr] {
        &self.listening
    }

    /// False when it is not news, or too many are kept already.
    pub fn warn(&mut self, text: &str) -> bool {
        if self.warnings.len() >= WARNINGS_MAX || self.warnings.iter().any(|w| w == text) {
            return false;
        }
        self.warnings.push(text.to_owned());
        true
    }

    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}
