//! Listening, with errors found before anything runs.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use libp2p::multiaddr::Protocol;
use libp2p::Multiaddr;
use socket2::{Domain, Socket, Type};

use crate::error::{Code, Error, Result};

fn socket_address(address: &Multiaddr) -> Option<(SocketAddr, bool)> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    match (parts.next()?, parts.next()) {
        (Protocol::Tcp(port), None) => Some((SocketAddr::new(ip, port), true)),
        (Protocol::Tcp(port), Some(Protocol::Ws(_))) => Some((SocketAddr::new(ip, port), true)),
        (Protocol::Udp(port), Some(Protocol::QuicV1)) => Some((SocketAddr::new(ip, port), false)),
        _ => None,
    }
}

/// A machine without IPv6 may still run with our default addresses.
fn ipv6_is_missing(ip: IpAddr, error: &io::Error) -> bool {
    let IpAddr::V6(ip) = ip else {
        return false;
    };
    match error.raw_os_error() {
        Some(libc::EAFNOSUPPORT) => true,
        Some(libc::EADDRNOTAVAIL) => ip == Ipv6Addr::UNSPECIFIED || ip == Ipv6Addr::LOCALHOST,
        _ => false,
    }
}

/// Tries to bind, and lets go. libp2p binds TCP with SO_REUSEPORT, so that a second node of the
/// same user would share the port unnoticed; this one binds without.
fn try_bind(socket_address: SocketAddr, tcp: bool) -> io::Result<()> {
    let kind = if tcp { Type::STREAM } else { Type::DGRAM };
    let socket = Socket::new(Domain::for_address(socket_address), kind, None)?;
    if socket_address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of an earlier run that linger do not count; a listening socket does.
    socket.set_reuse_address(tcp)?;
    socket.bind(&socket_address.into())?;
    if tcp {
        socket.listen(1)?;
    }
    Ok(())
}

pub enum Checked {
    Usable,
    /// Not to be listened on, and why.
    Skip(String),
}

/// Errors: `Malformed`, `AddressTaken`, `Io`; each names the address.
pub fn check(address: &Multiaddr) -> Result<Checked> {
    let Some((socket_address, tcp)) = socket_address(address) else {
        return Err(Error::new(
            Code::Malformed,
            format!(
                "cannot listen on {address}: \
                 expected /ip4 or /ip6 with /tcp/<port>, /tcp/<port>/ws or /udp/<port>/quic-v1"
            ),
        ));
    };
    match try_bind(socket_address, tcp) {
        Ok(()) => Ok(Checked::Usable),
        Err(e) if ipv6_is_missing(socket_address.ip(), &e) => Ok(Checked::Skip(format!(
            "not listening on {address}: this machine has no IPv6 ({e})"
        ))),
        Err(e) => Err(failure(address, &e)),
    }
}

pub fn failure(address: &Multiaddr, error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::AddrInUse {
        return Error::new(Code::AddressTaken, format!("{address} is in use already"));
    }
    Error::new(Code::Io, format!("cannot listen on {address}: {error}"))
}
