//! Commands under way: from the order to its one completion.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::kad::{self, QueryId};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError};
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol};
use tokio::time::{timeout_at, Instant};

use crate::error::{Code, Error, Result};
use crate::limits::{OPEN_ATTEMPTS, PING_ATTEMPTS, PROVIDERS_FOUND_MAX};
use crate::node::{Command, Node, Order, PING_PROTOCOL};
use crate::peer_key;
use crate::queue::{Key, Outcome};
use crate::slots::Slot;

/// Who gets a stream.
enum Purpose {
    Caller(Slot),
    /// The stream never reaches C++. How many were tried before.
    Ping(usize),
}

/// One try of a ping, as its task ends.
pub struct Pinged {
    request: u64,
    deadline: Instant,
    peer: PeerId,
    before: usize,
    result: Result<Outcome>,
}

/// A stream wanted by C++, or by us for a ping.
struct Opening {
    peer: PeerId,
    protocol: StreamProtocol,
    purpose: Purpose,
    /// Handed to a connection; otherwise waiting for one.
    started: bool,
    /// Connections lost while it opened on them.
    failed: u32,
}

enum Kind {
    Open(Opening),
    Dial(ConnectionId),
    Provide(QueryId),
    Find(QueryId, Vec<Key>),
}

struct Pending {
    deadline: Instant,
    kind: Kind,
}

/// The attempt to get a connection to a peer, shared by all who wait for it.
#[derive(Default)]
struct Reaching {
    dial: Option<ConnectionId>,
    query: Option<QueryId>,
    looked_up: bool,
}

#[derive(Default)]
pub struct Requests {
    pending: HashMap<u64, Pending>,
    deadlines: BTreeSet<(Instant, u64)>,
    reaching: HashMap<PeerId, Reaching>,
}

impl Requests {
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    fn insert(&mut self, request: u64, deadline: Instant, kind: Kind) {
        self.deadlines.insert((deadline, request));
        self.pending.insert(request, Pending { deadline, kind });
    }

    fn remove(&mut self, request: u64) -> Option<Pending> {
        let pending = self.pending.remove(&request)?;
        self.deadlines.remove(&(pending.deadline, request));
        Some(pending)
    }

    fn opening(&mut self, request: u64) -> Option<&mut Opening> {
        match &mut self.pending.get_mut(&request)?.kind {
            Kind::Open(opening) => Some(opening),
            _ => None,
        }
    }

    /// Those that wait for a connection to `peer`.
    fn waiting(&self, peer: &PeerId) -> Vec<u64> {
        let waits = |kind: &Kind| match kind {
            Kind::Open(opening) => opening.peer == *peer && !opening.started,
            _ => false,
        };
        let found = self.pending.iter().filter(|(_, p)| waits(&p.kind));
        found.map(|(request, _)| *request).collect()
    }

    fn find(&self, wanted: impl Fn(&Kind) -> bool) -> Option<u64> {
        let mut found = self.pending.iter().filter(|(_, p)| wanted(&p.kind));
        found.next().map(|(request, _)| *request)
    }
}

impl Node {
    pub fn on_order(&mut self, order: Order) {
        let Order {
            request,
            deadline,
            command,
        } = order;
        match command {
            Command::Open { peer, protocol } => {
                let purpose = self.slots.take(peer).map(Purpose::Caller);
                self.order_open(request, deadline, peer, protocol, purpose);
            }
            Command::Ping { peer } => self.order_ping(request, deadline, peer, 0),
            Command::Dial { address } => self.order_dial(request, deadline, address),
            Command::Provide { key } => {
                let kad = &mut self.swarm.behaviour_mut().kad;
                match kad.start_providing(key) {
                    Ok(id) => self.requests.insert(request, deadline, Kind::Provide(id)),
                    Err(e) => self.complete(request, Err(Error::new(Code::Busy, e.to_string()))),
                }
            }
            Command::Find { key } => {
                let id = self.swarm.behaviour_mut().kad.get_providers(key);
                let kind = Kind::Find(id, Vec::new());
                self.requests.insert(request, deadline, kind);
            }
        }
    }

    fn complete(&self, request: u64, result: Result<Outcome>) {
        self.shared.queue.complete(request, result);
    }

    /// Completes a request that is under way; one that has timed out is gone already.
    fn finish(&mut self, request: u64, result: Result<Outcome>) {
        if self.requests.remove(request).is_some() {
            self.complete(request, result);
        }
    }

    fn order_open(
        &mut self,
        request: u64,
        deadline: Instant,
        peer: PeerId,
        protocol: StreamProtocol,
        purpose: Result<Purpose>,
    ) {
        if peer == self.shared.local {
            let error = Error::new(Code::Invalid, format!("{peer} is this node itself"));
            return self.complete(request, Err(error));
        }
        let purpose = match purpose {
            Ok(purpose) => purpose,
            Err(error) => return self.complete(request, Err(error)),
        };
        let opening = Opening {
            peer,
            protocol,
            purpose,
            started: false,
            failed: 0,
        };
        self.requests.insert(request, deadline, Kind::Open(opening));
        self.start_or_reach(request);
    }

    fn order_ping(&mut self, request: u64, deadline: Instant, peer: PeerId, before: usize) {
        let purpose = Ok(Purpose::Ping(before));
        self.order_open(request, deadline, peer, PING_PROTOCOL, purpose);
    }

    pub fn on_pinged(&mut self, pinged: Pinged) {
        let Pinged {
            request,
            deadline,
            peer,
            before,
            result,
        } = pinged;
        match result {
            Err(error) if error.code == Code::Unavailable && before + 1 < PING_ATTEMPTS => {
                self.order_ping(request, deadline, peer, before + 1);
            }
            other => self.complete(request, other),
        }
    }

    fn start_or_reach(&mut self, request: u64) {
        let Some(opening) = self.requests.opening(request) else {
            return;
        };
        let (peer, protocol) = (opening.peer, opening.protocol.clone());
        let streams = &mut self.swarm.behaviour_mut().streams;
        if streams.open(peer, protocol, request) {
            if let Some(opening) = self.requests.opening(request) {
                opening.started = true;
            }
        } else {
            self.reach(peer);
        }
    }

    /// Gets a connection to `peer` unless that is under way: all known addresses at once, those of
    /// libp2p's own tables too; else the DHT is asked for it.
    fn reach(&mut self, peer: PeerId) {
        if self.requests.reaching.contains_key(&peer) {
            return;
        }
        self.requests.reaching.insert(peer, Reaching::default());
        self.reach_by_dial(peer);
    }

    fn reach_by_dial(&mut self, peer: PeerId) {
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::Disconnected)
            .addresses(self.shared.book().addresses(&peer))
            .extend_addresses_through_behaviour()
            .build();
        let id = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => {
                if let Some(reaching) = self.requests.reaching.get_mut(&peer) {
                    reaching.dial = Some(id);
                }
            }
            Err(DialError::DialPeerConditionFalse(_)) => self.start_waiting(peer),
            Err(error) => self.reach_by_look_up(peer, error.into()),
        }
    }

    /// The second attempt. `cause` is what ended the first.
    fn reach_by_look_up(&mut self, peer: PeerId, cause: Error) {
        let kad = &mut self.swarm.behaviour_mut().kad;
        let alone = kad.kbuckets().all(|bucket| bucket.is_empty());
        let looked_up = match self.requests.reaching.get(&peer) {
            Some(reaching) => reaching.looked_up,
            None => return,
        };
        if alone || looked_up {
            self.requests.reaching.remove(&peer);
            for request in self.requests.waiting(&peer) {
                let text = format!("cannot reach {peer}: {}", cause.text);
                self.finish(request, Err(Error::new(cause.code, text)));
            }
            return;
        }
        let query = kad.get_closest_peers(peer);
        if let Some(reaching) = self.requests.reaching.get_mut(&peer) {
            reaching.looked_up = true;
            reaching.dial = None;
            reaching.query = Some(query);
        }
    }

    fn start_waiting(&mut self, peer: PeerId) {
        self.requests.reaching.remove(&peer);
        for request in self.requests.waiting(&peer) {
            self.start_or_reach(request);
        }
    }

    fn order_dial(&mut self, request: u64, deadline: Instant, address: Multiaddr) {
        use libp2p::multiaddr::Protocol;
        let peer = match address.iter().last() {
            Some(Protocol::P2p(peer)) => Some(peer),
            _ => None,
        };
        let options = match peer {
            Some(peer) if self.swarm.is_connected(&peer) => {
                return self.complete(request, reached(&peer));
            }
            Some(peer) => DialOpts::peer_id(peer)
                .condition(PeerCondition::Always)
                .addresses(vec![address])
                .build(),
            None => DialOpts::unknown_peer_id().address(address).build(),
        };
        let id = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => self.requests.insert(request, deadline, Kind::Dial(id)),
            Err(error) => self.complete(request, Err(error.into())),
        }
    }

    pub fn on_connected(&mut self, peer: PeerId, id: ConnectionId) {
        let dial = |kind: &Kind| matches!(kind, Kind::Dial(dialed) if *dialed == id);
        if let Some(request) = self.requests.find(dial) {
            self.finish(request, reached(&peer));
        }
        self.start_waiting(peer);
    }

    pub fn on_dial_failed(&mut self, id: ConnectionId, peer: Option<PeerId>, error: Error) {
        let dial = |kind: &Kind| matches!(kind, Kind::Dial(dialed) if *dialed == id);
        if let Some(request) = self.requests.find(dial) {
            return self.finish(request, Err(error));
        }
        let Some(peer) = peer else {
            return;
        };
        let ours = match self.requests.reaching.get(&peer) {
            Some(reaching) => reaching.dial == Some(id),
            None => false,
        };
        if ours && self.swarm.is_connected(&peer) {
            self.start_waiting(peer);
        } else if ours {
            self.reach_by_look_up(peer, error);
        }
    }

    pub fn on_query_ended(&mut self, id: QueryId) {
        let reached = |reaching: &Reaching| reaching.query == Some(id);
        let mut looked_up = self.requests.reaching.iter().filter(|(_, r)| reached(r));
        if let Some((peer, _)) = looked_up.next() {
            let peer = *peer;
            if let Some(reaching) = self.requests.reaching.get_mut(&peer) {
                reaching.query = None;
            }
            return self.reach_by_dial(peer);
        }
        let ended = |kind: &Kind| match kind {
            Kind::Provide(query) | Kind::Find(query, _) => *query == id,
            _ => false,
        };
        if let Some(request) = self.requests.find(ended) {
            if let Some(pending) = self.requests.remove(request) {
                // An announcement that reached nobody yet is still stored here.
                self.complete(request, Ok(harvest(pending.kind)));
            }
        }
    }

    pub fn on_providers(&mut self, id: QueryId, providers: HashSet<PeerId>) {
        let wanted = |kind: &Kind| matches!(kind, Kind::Find(query, _) if *query == id);
        let Some(request) = self.requests.find(wanted) else {
            return;
        };
        let local = self.shared.local;
        let Some(Pending {
            kind: Kind::Find(_, found),
            ..
        }) = self.requests.pending.get_mut(&request)
        else {
            return;
        };
        let others = providers.iter().filter(|peer| **peer != local);
        for key in others.filter_map(peer_key) {
            if found.len() < PROVIDERS_FOUND_MAX && !found.contains(&key) {
                found.push(key);
            }
        }
        if found.len() >= PROVIDERS_FOUND_MAX {
            if let Some(mut query) = self.swarm.behaviour_mut().kad.query_mut(&id) {
                query.finish();
            }
        }
    }

    pub fn expire(&mut self, now: Instant) {
        while let Some((at, request)) = self.requests.deadlines.first().copied() {
            if at > now {
                return;
            }
            let Some(pending) = self.requests.remove(request) else {
                return;
            };
            let late = |text: String| Err(Error::new(Code::TimedOut, text));
            let result = match &pending.kind {
                Kind::Open(opening) => late(format!("{} did not answer in time", opening.peer)),
                Kind::Dial(_) => late("nobody answered in time".to_owned()),
                Kind::Find(_, found) if found.is_empty() => {
                    late("no provider was found in time".to_owned())
                }
                Kind::Provide(_) | Kind::Find(..) => Ok(Outcome::default()),
            };
            if let Kind::Provide(query) | Kind::Find(query, _) = &pending.kind {
                if let Some(mut query) = self.swarm.behaviour_mut().kad.query_mut(query) {
                    query.finish();
                }
            }
            let result = result.map(|_| harvest(pending.kind));
            self.complete(request, result);
        }
    }

    pub fn on_opened(&mut self, request: u64, result: Result<Stream>) {
        let Some(opening) = self.requests.opening(request) else {
            return; // timed out; the stream is dropped
        };
        match result {
            Err(error) if error.code == Code::Unavailable && opening.failed + 1 < OPEN_ATTEMPTS => {
                opening.failed += 1;
                opening.started = false;
                self.start_or_reach(request);
            }
            Err(error) => self.finish(request, Err(error)),
            Ok(stream) => self.deliver(request, stream),
        }
    }

    fn deliver(&mut self, request: u64, stream: Stream) {
        let Some(Pending {
            deadline,
            kind: Kind::Open(opening),
        }) = self.requests.remove(request)
        else {
            return;
        };
        let slot = match opening.purpose {
            Purpose::Caller(slot) => slot,
            Purpose::Ping(before) => {
                self.pings.spawn(async move {
                    let result = match timeout_at(deadline, echo(stream)).await {
                        Ok(done) => {
                            done.map_err(|e| Error::new(Code::Unavailable, format!("ping: {e}")))
                        }
                        Err(_) => Err(Error::new(Code::TimedOut, "no answer to the ping in time")),
                    };
                    Pinged {
                        request,
                        deadline,
                        peer: opening.peer,
                        before,
                        result,
                    }
                });
                return;
            }
        };
        let outcome = Outcome {
            stream: Some(self.shared.streams.open(stream, slot)),
            ..Outcome::default()
        };
        self.complete(request, Ok(outcome));
    }

    /// What is over a bound is dropped here, which resets it.
    pub fn on_inbound(&mut self, peer: PeerId, protocol: &StreamProtocol, stream: Stream) {
        let Some(key) = peer_key(&peer) else {
            return;
        };
        let Ok(slot) = self.slots.take(peer) else {
            return;
        };
        let stream = self.shared.streams.open(stream, slot);
        let protocol = protocol.as_ref().to_owned();
        self.shared.queue.inbound(key, protocol, stream);
    }
}

fn reached(peer: &PeerId) -> Result<Outcome> {
    let Some(key) = peer_key(peer) else {
        return Err(Error::new(
            Code::Unsupported,
            format!("{peer} has no Ed25519 key"),
        ));
    };
    Ok(Outcome {
        peers: vec![key],
        ..Outcome::default()
    })
}

fn harvest(kind: Kind) -> Outcome {
    let peers = match kind {
        Kind::Find(_, found) => found,
        _ => Vec::new(),
    };
    Outcome {
        peers,
        ..Outcome::default()
    }
}

/// The ping protocol of libp2p: 32 random bytes come back.
async fn echo(mut stream: Stream) -> io::Result<Outcome> {
    let mut sent = [0u8; 32];
    // SAFETY: writes at most that many bytes into a live array.
    let filled = unsafe { libc::getrandom(sent.as_mut_ptr().cast(), sent.len(), 0) };
    if usize::try_from(filled) != Ok(sent.len()) {
        return Err(io::Error::last_os_error());
    }
    let started = Instant::now();
    stream.write_all(&sent).await?;
    stream.flush().await?;
    let mut back = [0u8; 32];
    stream.read_exact(&mut back).await?;
    if back != sent {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "other bytes came back",
        ));
    }
    Ok(Outcome {
        round_trip: Some(started.elapsed()),
        ..Outcome::default()
    })
}

/// The key as the DHT sees it.
pub fn record_key(bytes: &[u8]) -> kad::RecordKey {
    kad::RecordKey::new(&bytes)
}
