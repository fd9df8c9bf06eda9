//! The node: a swarm, and the loop that turns commands into completions.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use libp2p::core::transport::{ListenerId, TransportError};
use libp2p::identity::Keypair;
use libp2p::kad::{self, QueryId};
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, NetworkBehaviour, SwarmEvent};
use libp2p::{
    connection_limits, identify, mdns, ping, upnp, Multiaddr, PeerId, Stream, StreamProtocol, Swarm,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout, Instant};

use crate::book::Book;
use crate::channel::Streams;
use crate::error::{Code, Error, Result};
use crate::limits::{
    CLOSE_TIMEOUT, CONNECTIONS_PER_PEER_MAX, DRAIN_TIMEOUT, GOODBYE_TIME, KNOWN_PEERS_MAX,
    LISTEN_TIMEOUT, PENDING_CONNECTIONS_MAX, PROVIDER_TTL, QUERY_TIMEOUT, SMALL_BUCKET,
};
use crate::listen::{self, Checked};
use crate::queue::Queue;
use crate::requests::{Pinged, Requests};
use crate::slots::Slots;
use crate::store::ProviderStore;
use crate::stream::{self, Protocols};
use crate::transport;

pub const PROTOCOL_VERSION: &str = "/phase/1";
pub const KAD_PROTOCOL: StreamProtocol = StreamProtocol::new("/phase/kad/1.0.0");
pub const PING_PROTOCOL: StreamProtocol = ping::PROTOCOL_NAME;

pub struct Options {
    pub listen: Vec<Multiaddr>,
    pub agent: String,
    pub mdns: bool,
    pub upnp: bool,
    pub dht_client: bool,
    pub small: bool,
    pub connections_max: u32,
    pub streams_per_peer_max: usize,
    pub streams_max: usize,
    pub idle_timeout: Duration,
}

#[derive(Debug)]
pub enum Command {
    Open {
        peer: PeerId,
        protocol: StreamProtocol,
    },
    Ping {
        peer: PeerId,
    },
    Dial {
        address: Multiaddr,
    },
    Provide {
        key: kad::RecordKey,
    },
    Find {
        key: kad::RecordKey,
    },
}

/// A command with the number its completion will carry.
#[derive(Debug)]
pub struct Order {
    pub request: u64,
    pub deadline: Instant,
    pub command: Command,
}

/// What the threads of C++ see beside the commands.
pub struct Shared {
    pub queue: Arc<Queue>,
    pub book: Mutex<Book>,
    pub protocols: Protocols,
    pub streams: Arc<Streams<Stream>>,
    pub local: PeerId,
}

impl Shared {
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn warn(&self, text: String) {
        if self.book().warn(&text) {
            self.queue.warning(text);
        }
    }
}

#[derive(NetworkBehaviour)]
pub struct Behaviour {
    limits: connection_limits::Behaviour,
    pub streams: stream::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub kad: kad::Behaviour<ProviderStore>,
    mdns: Toggle<mdns::tokio::Behaviour>,
    upnp: Toggle<upnp::tokio::Behaviour>,
}

fn connection_limits(options: &Options) -> connection_limits::Behaviour {
    let all = options.connections_max.max(1);
    // Inbound ones never take the whole: this node can always still reach somebody itself.
    let incoming = (all - all / 4).max(1);
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_established(Some(all))
        .with_max_established_incoming(Some(incoming))
        .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX))
        .with_max_pending_incoming(Some(PENDING_CONNECTIONS_MAX))
        .with_max_pending_outgoing(Some(PENDING_CONNECTIONS_MAX));
    connection_limits::Behaviour::new(limits)
}

fn kademlia(local: PeerId, options: &Options) -> kad::Behaviour<ProviderStore> {
    let mut config = kad::Config::new(KAD_PROTOCOL);
    // src/peer repeats announcements; a second schedule here would only hide its mistakes.
    config
        .set_provider_publication_interval(None)
        .set_publication_interval(None)
        .set_replication_interval(None)
        .set_provider_record_ttl(Some(PROVIDER_TTL))
        .set_query_timeout(QUERY_TIMEOUT);
    if let (true, Some(few)) = (options.small, NonZeroUsize::new(SMALL_BUCKET)) {
        config.set_kbucket_size(few);
    }
    let mut kad = kad::Behaviour::with_config(local, ProviderStore::new(local), config);
    kad.set_mode(Some(if options.dht_client {
        kad::Mode::Client
    } else {
        kad::Mode::Server
    }));
    kad
}

fn behaviour(key: &Keypair, options: &Options, shared: &Shared) -> Behaviour {
    let local = shared.local;
    let identify = identify::Config::new(PROTOCOL_VERSION.to_owned(), key.public())
        .with_agent_version(options.agent.clone())
        .with_push_listen_addr_updates(true)
        .with_cache_size(KNOWN_PEERS_MAX);
    let mdns = options.mdns.then(|| {
        mdns::tokio::Behaviour::new(mdns::Config::default(), local)
            .map_err(|e| shared.warn(format!("mDNS is off: {e}")))
            .ok()
    });
    Behaviour {
        limits: connection_limits(options),
        streams: stream::Behaviour::new(shared.protocols.clone()),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::default(),
        kad: kademlia(local, options),
        mdns: mdns.flatten().into(),
        upnp: options.upnp.then(upnp::tokio::Behaviour::default).into(),
    }
}

pub struct Node {
    pub swarm: Swarm<Behaviour>,
    pub shared: Arc<Shared>,
    pub slots: Arc<Slots>,
    pub requests: Requests,
    /// Bounded by COMMANDS_MAX: each belongs to a command.
    pub pings: JoinSet<Pinged>,
    /// Listeners that have not reported an address yet. `None` once ready.
    starting: Option<HashSet<ListenerId>>,
    /// Connections whose other end is this machine.
    loopback: HashSet<ConnectionId>,
}

impl Node {
    /// Binds all listeners. Must run inside the runtime.
    /// Errors: `Malformed`, `AddressTaken`, `Io`.
    pub fn new(key: &Keypair, options: &Options, shared: Arc<Shared>) -> Result<Self> {
        let streams_max = u32::try_from(options.streams_per_peer_max).unwrap_or(u32::MAX);
        // Kademlia, identify and ping need streams beside ours.
        let (transport, warning) = transport::build(key, streams_max.saturating_add(64).max(256))?;
        if let Some(warning) = warning {
            shared.warn(warning);
        }
        let config = libp2p::swarm::Config::with_tokio_executor()
            .with_smart_dial()
            .with_idle_connection_timeout(options.idle_timeout)
            .with_notify_handler_buffer_size(NonZeroUsize::new(32).unwrap_or(NonZeroUsize::MIN))
            .with_per_connection_event_buffer_size(64);
        let behaviour = behaviour(key, options, &shared);
        let mut node = Self {
            swarm: Swarm::new(transport, behaviour, shared.local, config),
            slots: Slots::new(options.streams_max, options.streams_per_peer_max),
            shared,
            requests: Requests::default(),
            pings: JoinSet::new(),
            starting: Some(HashSet::new()),
            loopback: HashSet::new(),
        };
        node.listen(&options.listen)?;
        Ok(node)
    }

    fn listen(&mut self, addresses: &[Multiaddr]) -> Result<()> {
        let mut starting = HashSet::new();
        for address in addresses {
            match listen::check(address)? {
                Checked::Usable => {}
                Checked::Skip(warning) => {
                    self.shared.warn(warning);
                    continue;
                }
            }
            let id = self.swarm.listen_on(address.clone()).map_err(|e| match e {
                TransportError::MultiaddrNotSupported(_) => Error::new(
                    Code::Malformed,
                    format!("cannot listen on {address}: no such transport here"),
                ),
                TransportError::Other(e) => listen::failure(address, &e),
            })?;
            starting.insert(id);
        }
        if starting.is_empty() && !addresses.is_empty() {
            let text = "none of the addresses to listen on can be used";
            return Err(Error::new(Code::Io, text));
        }
        self.starting = Some(starting);
        Ok(())
    }

    /// Runs until the sender of orders is gone.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let ready_by = Instant::now() + LISTEN_TIMEOUT;
        self.report_ready_if_all_listen();
        loop {
            let starting = self.starting.is_some();
            let wake = self.requests.next_deadline().unwrap_or(ready_by);
            let waits = self.requests.next_deadline().is_some();
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.on_order(order),
                    None => break,
                },
                event = self.swarm.select_next_some() => self.on_swarm_event(event),
                Some(Ok(pinged)) = self.pings.join_next() => self.on_pinged(pinged),
                () = sleep_until(wake), if waits => self.expire(Instant::now()),
                () = sleep_until(ready_by), if starting => self.give_up_waiting_for_listeners(),
            }
        }
        self.close().await;
    }

    /// Lets written bytes out, then says goodbye to every peer.
    async fn close(mut self) {
        let drained = Instant::now() + DRAIN_TIMEOUT;
        while self.shared.streams.closing() > 0 && Instant::now() < drained {
            let step = Instant::now() + Duration::from_millis(5);
            let _ = tokio::time::timeout_at(step, self.swarm.select_next_some()).await;
        }
        let peers: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        if peers.is_empty() {
            return;
        }
        for peer in peers {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let gone = async {
            while self.swarm.network_info().num_peers() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        let _ = timeout(CLOSE_TIMEOUT, gone).await;
        // A QUIC connection counts as closed before its last packet has left.
        tokio::time::sleep(GOODBYE_TIME).await;
    }

    fn report_ready_if_all_listen(&mut self) {
        if self.starting.as_ref().is_some_and(HashSet::is_empty) {
            self.starting = None;
            self.shared.queue.ready(Ok(()));
        }
    }

    fn give_up_waiting_for_listeners(&mut self) {
        if let Some(starting) = self.starting.take() {
            self.shared.warn(format!(
                "{} listeners have no address yet: is a network interface up?",
                starting.len()
            ));
            self.shared.queue.ready(Ok(()));
        }
    }

    fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                num_established,
                ..
            } => {
                if is_loopback(endpoint.get_remote_address()) {
                    self.loopback.insert(connection_id);
                }
                let count = usize::try_from(num_established.get()).unwrap_or(usize::MAX);
                self.shared.book().connections(peer_id, count);
                if endpoint.is_dialer() {
                    let address = endpoint.get_remote_address().clone();
                    self.shared.book().learn(peer_id, [address]);
                }
                self.on_connected(peer_id, connection_id);
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                num_established,
                ..
            } => {
                self.loopback.remove(&connection_id);
                let count = usize::try_from(num_established).unwrap_or(usize::MAX);
                self.shared.book().connections(peer_id, count);
            }
            SwarmEvent::OutgoingConnectionError {
                connection_id,
                peer_id,
                error,
            } => self.on_dial_failed(connection_id, peer_id, error.into()),
            SwarmEvent::NewListenAddr {
                listener_id,
                address,
            } => {
                self.shared.book().listen(address);
                if let Some(starting) = &mut self.starting {
                    starting.remove(&listener_id);
                }
                self.report_ready_if_all_listen();
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => self.shared.book().unlisten(&address),
            SwarmEvent::ListenerClosed {
                addresses, reason, ..
            } => {
                for address in &addresses {
                    self.shared.book().unlisten(address);
                }
                if let Err(e) = reason {
                    self.shared.warn(format!("a listener ended: {e}"));
                }
            }
            _ => {}
        }
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Streams(stream::Event::Opened { request, result }) => {
                self.on_opened(request, result);
            }
            BehaviourEvent::Streams(stream::Event::Inbound {
                peer,
                protocol,
                stream,
            }) => self.on_inbound(peer, &protocol, stream),
            BehaviourEvent::Identify(identify::Event::Received {
                connection_id,
                peer_id,
                info,
            }) => self.on_identified(connection_id, peer_id, info),
            BehaviourEvent::Ping(event) => match event.result {
                Ok(time) => self.shared.book().round_trip(event.peer, time),
                // TCP alone would keep a dead connection for many minutes.
                Err(ping::Failure::Timeout) => {
                    self.swarm.close_connection(event.connection);
                }
                Err(_) => {}
            },
            BehaviourEvent::Kad(event) => self.on_kad_event(event),
            BehaviourEvent::Mdns(mdns::Event::Discovered(found)) => self.on_mdns(found),
            BehaviourEvent::Upnp(upnp::Event::GatewayNotFound) => {
                self.shared
                    .warn("UPnP: no gateway answered; the port is not mapped".to_owned());
            }
            BehaviourEvent::Upnp(upnp::Event::NonRoutableGateway) => {
                self.shared
                    .warn("UPnP: the gateway has no public address itself".to_owned());
            }
            _ => {}
        }
    }

    fn on_kad_event(&mut self, event: kad::Event) {
        match event {
            kad::Event::RoutingUpdated {
                peer,
                is_new_peer,
                addresses,
                ..
            } => {
                self.shared.book().learn(peer, addresses.iter().cloned());
                if is_new_peer {
                    self.shared.queue.routing();
                }
            }
            kad::Event::OutboundQueryProgressed {
                id, result, step, ..
            } => self.on_query(id, result, step.last),
            _ => {}
        }
    }

    fn on_query(&mut self, id: QueryId, result: kad::QueryResult, last: bool) {
        match result {
            kad::QueryResult::GetProviders(Ok(kad::GetProvidersOk::FoundProviders {
                providers,
                ..
            })) => {
                for peer in &providers {
                    self.learn_from_queries(*peer);
                }
                self.on_providers(id, providers);
            }
            kad::QueryResult::GetClosestPeers(
                Ok(kad::GetClosestPeersOk { peers, .. })
                | Err(kad::GetClosestPeersError::Timeout { peers, .. }),
            ) => {
                for found in peers {
                    self.shared.book().learn(found.peer_id, found.addrs);
                }
            }
            _ => {}
        }
        if last {
            self.on_query_ended(id);
        }
    }

    /// A running query knows addresses of the providers it found and forgets them at its end. The
    /// behaviour tells them to whoever is about to dial; asking is free of side effects.
    fn learn_from_queries(&mut self, peer: PeerId) {
        let id = ConnectionId::new_unchecked(0);
        let kad = &mut self.swarm.behaviour_mut().kad;
        let role = libp2p::core::Endpoint::Dialer;
        if let Ok(addresses) = kad.handle_pending_outbound_connection(id, Some(peer), &[], role) {
            self.shared.book().learn(peer, addresses);
        }
    }

    fn on_identified(&mut self, id: ConnectionId, peer: PeerId, info: identify::Info) {
        let local = self.loopback.contains(&id);
        let usable = |address: &Multiaddr| is_dialable(address) && (local || !is_loopback(address));
        let addresses: Vec<Multiaddr> = info
            .listen_addrs
            .into_iter()
            .filter(usable)
            .take(crate::limits::ADDRESSES_PER_PEER_MAX)
            .collect();
        if info.protocols.contains(&KAD_PROTOCOL) {
            for address in &addresses {
                let kad = &mut self.swarm.behaviour_mut().kad;
                kad.add_address(&peer, address.clone());
            }
        }
        self.shared.book().learn(peer, addresses);
    }

    fn on_mdns(&mut self, found: Vec<(PeerId, Multiaddr)>) {
        let mut peers: HashMap<PeerId, Vec<Multiaddr>> = HashMap::new();
        for (peer, address) in found {
            peers.entry(peer).or_default().push(address);
        }
        for (peer, addresses) in peers {
            if crate::peer_key(&peer).is_none() {
                continue;
            }
            self.shared.book().learn(peer, addresses);
            if self.swarm.network_info().num_peers() < crate::limits::MDNS_CONNECTIONS_MAX {
                let options = DialOpts::peer_id(peer)
                    .condition(PeerCondition::DisconnectedAndNotDialing)
                    .addresses(self.shared.book().addresses(&peer))
                    .build();
                // Whether it is there shows soon enough; nobody waits for it.
                let _ = self.swarm.dial(options);
            }
        }
    }
}

fn is_loopback(address: &Multiaddr) -> bool {
    use libp2p::multiaddr::Protocol;
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.is_loopback(),
        Some(Protocol::Ip6(ip)) => ip.is_loopback(),
        _ => false,
    }
}

/// Leaves out what no other machine can dial: unspecified and link-local addresses.
fn is_dialable(address: &Multiaddr) -> bool {
    use libp2p::multiaddr::Protocol;
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => !ip.is_unspecified() && !ip.is_link_local(),
        Some(Protocol::Ip6(ip)) => !ip.is_unspecified() && !ip.is_unicast_link_local(),
        Some(Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) | Protocol::Dnsaddr(_)) => {
            true
        }
        _ => false,
    }
}
