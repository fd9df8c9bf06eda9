//! The behaviour that opens and accepts raw streams.
//!
//! Unlike `libp2p-stream`: nothing is dropped unseen (each hand-over is back-pressured by the
//! swarm; what exceeds a bound is reset), an open that cannot finish fails, and direct connections
//! are preferred over relayed ones.

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::future::{ready, Ready};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, ReadyUpgrade, UpgradeInfo};
use libp2p::core::Endpoint;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
    NetworkBehaviour, NotifyHandler, StreamProtocol, StreamUpgradeError, SubstreamProtocol,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, Stream};

use crate::error::{Code, Error, Result};
use crate::limits::{
    INBOUND_PER_CONNECTION_MAX, NEGOTIATING_PER_CONNECTION_MAX, NEGOTIATION_TIMEOUT, PROTOCOLS_MAX,
};
use crate::peer_key;

/// Protocols accepted from others; grows while the node runs, so it is shared with every handler.
#[derive(Clone, Default)]
pub struct Protocols(Arc<RwLock<Vec<StreamProtocol>>>);

impl Protocols {
    pub fn add(&self, protocol: StreamProtocol) -> Result<()> {
        let mut list = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if list.contains(&protocol) {
            return Ok(());
        }
        if list.len() >= PROTOCOLS_MAX {
            return Err(Error::new(
                Code::Busy,
                format!("{PROTOCOLS_MAX} protocols are handled already"),
            ));
        }
        list.push(protocol);
        Ok(())
    }

    fn list(&self) -> Vec<StreamProtocol> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Takes any of the accepted protocols, and says which.
pub struct Accept(Vec<StreamProtocol>);

impl UpgradeInfo for Accept {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Accept {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<std::result::Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

/// What the behaviour asks of a handler.
#[derive(Debug)]
pub struct Open {
    request: u64,
    protocol: StreamProtocol,
}

/// What a handler reports.
#[derive(Debug)]
pub enum Report {
    Inbound(Stream, StreamProtocol),
    Opened(u64, Result<Stream>),
}

pub struct Handler {
    protocols: Protocols,
    opening: VecDeque<Open>,
    negotiating: usize,
    reports: VecDeque<Report>,
}

type HandlerEvent = ConnectionHandlerEvent<ReadyUpgrade<StreamProtocol>, u64, Report>;

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Report;
    type InboundProtocol = Accept;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = u64;

    fn listen_protocol(&self) -> SubstreamProtocol<Accept, ()> {
        SubstreamProtocol::new(Accept(self.protocols.list()), ()).with_timeout(NEGOTIATION_TIMEOUT)
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<HandlerEvent> {
        if let Some(report) = self.reports.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(report));
        }
        if self.negotiating < NEGOTIATING_PER_CONNECTION_MAX {
            if let Some(open) = self.opening.pop_front() {
                self.negotiating += 1;
                let upgrade = ReadyUpgrade::new(open.protocol);
                return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                    protocol: SubstreamProtocol::new(upgrade, open.request)
                        .with_timeout(NEGOTIATION_TIMEOUT),
                });
            }
        }
        // The connection polls again after each event it delivers: no waker is kept.
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, open: Open) {
        self.opening.push_back(open);
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<Accept, ReadyUpgrade<StreamProtocol>, (), u64>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, protocol),
                ..
            }) if self.reports.len() < INBOUND_PER_CONNECTION_MAX => {
                self.reports.push_back(Report::Inbound(stream, protocol));
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: stream,
                info: request,
            }) => {
                self.negotiating -= 1;
                self.reports.push_back(Report::Opened(request, Ok(stream)));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError {
                info: request,
                error,
            }) => {
                self.negotiating -= 1;
                let error = negotiation_error(error);
                self.reports.push_back(Report::Opened(request, Err(error)));
            }
            // An inbound stream beyond the bound is dropped here, which resets it.
            _ => {}
        }
    }
}

fn negotiation_error(error: StreamUpgradeError<Infallible>) -> Error {
    match error {
        StreamUpgradeError::Timeout => Error::new(
            Code::TimedOut,
            "the peer did not agree on a protocol in time",
        ),
        StreamUpgradeError::NegotiationFailed => {
            Error::new(Code::Unsupported, "the peer does not speak the protocol")
        }
        StreamUpgradeError::Io(cause) => Error::new(
            Code::Unavailable,
            format!("the connection failed while the stream opened: {cause}"),
        ),
        StreamUpgradeError::Apply(never) => match never {},
    }
}

struct Connection {
    id: ConnectionId,
    relayed: bool,
    /// Opens handed to this connection and not reported yet.
    opening: HashSet<u64>,
}

#[derive(Debug)]
pub enum Event {
    Inbound {
        peer: PeerId,
        protocol: StreamProtocol,
        stream: Stream,
    },
    Opened {
        request: u64,
        result: Result<Stream>,
    },
}

pub struct Behaviour {
    protocols: Protocols,
    connections: HashMap<PeerId, Vec<Connection>>,
    events: VecDeque<ToSwarm<Event, Open>>,
}

impl Behaviour {
    pub fn new(protocols: Protocols) -> Self {
        Self {
            protocols,
            connections: HashMap::new(),
            events: VecDeque::new(),
        }
    }

    /// Starts opening a stream on the best connection. False when the peer is not connected.
    /// Otherwise exactly one `Event::Opened` follows. The caller bounds how many are under way.
    pub fn open(&mut self, peer: PeerId, protocol: StreamProtocol, request: u64) -> bool {
        let Some(connections) = self.connections.get_mut(&peer) else {
            return false;
        };
        let Some(best) = connections.iter_mut().min_by_key(|c| c.relayed) else {
            return false;
        };
        best.opening.insert(request);
        self.events.push_back(ToSwarm::NotifyHandler {
            peer_id: peer,
            handler: NotifyHandler::One(best.id),
            event: Open { request, protocol },
        });
        true
    }

    fn handler(&self, peer: &PeerId) -> std::result::Result<Handler, ConnectionDenied> {
        if peer_key(peer).is_none() {
            return Err(ConnectionDenied::new(format!("{peer} has no Ed25519 key")));
        }
        Ok(Handler {
            protocols: self.protocols.clone(),
            opening: VecDeque::new(),
            negotiating: 0,
            reports: VecDeque::new(),
        })
    }

    fn closed(&mut self, peer: &PeerId, id: ConnectionId) {
        let Some(connections) = self.connections.get_mut(peer) else {
            return;
        };
        let Some(at) = connections.iter().position(|c| c.id == id) else {
            return;
        };
        for request in connections.remove(at).opening {
            let result = Err(Error::new(
                Code::Unavailable,
                "the connection closed while the stream opened",
            ));
            let event = Event::Opened { request, result };
            self.events.push_back(ToSwarm::GenerateEvent(event));
        }
        if connections.is_empty() {
            self.connections.remove(peer);
        }
    }
}

fn relayed(address: &Multiaddr) -> bool {
    address.iter().any(|p| matches!(p, Protocol::P2pCircuit))
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> std::result::Result<Handler, ConnectionDenied> {
        self.handler(&peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> std::result::Result<Handler, ConnectionDenied> {
        self.handler(&peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                let connection = Connection {
                    id: established.connection_id,
                    relayed: relayed(established.endpoint.get_remote_address()),
                    opening: HashSet::new(),
                };
                let connections = self.connections.entry(established.peer_id).or_default();
                connections.push(connection);
            }
            FromSwarm::ConnectionClosed(closed) => {
                self.closed(&closed.peer_id, closed.connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        report: THandlerOutEvent<Self>,
    ) {
        let event = match report {
            Report::Inbound(stream, protocol) => Event::Inbound {
                peer,
                protocol,
                stream,
            },
            Report::Opened(request, result) => {
                let connections = self.connections.get_mut(&peer).into_iter().flatten();
                for connection in connections.filter(|c| c.id == id) {
                    connection.opening.remove(&request);
                }
                Event::Opened { request, result }
            }
        };
        self.events.push_back(ToSwarm::GenerateEvent(event));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Event, THandlerInEvent<Self>>> {
        // The swarm polls after each call above, and the node polls the swarm after each `open`.
        match self.events.pop_front() {
            Some(event) => Poll::Ready(event),
            None => Poll::Pending,
        }
    }
}
