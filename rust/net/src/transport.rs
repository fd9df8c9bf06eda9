//! QUIC and TCP/Noise/Yamux beneath one DNS resolver.

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, Transport};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{dns, noise, quic, tcp, yamux, PeerId};

use crate::error::{Code, Error, Result};

/// The transport, and a warning when the machine's resolver could not be read: names other than
/// `localhost` and those of /etc/hosts then stay unresolved. No public resolver is asked instead.
pub fn build(key: &Keypair, streams_max: u32) -> Result<(Stack, Option<String>)> {
    let internal = |e: noise::Error| Error::new(Code::Internal, e.to_string());
    let tcp = tcp::tokio::Transport::new(tcp::Config::default())
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(key).map_err(internal)?)
        .multiplex(yamux::Config::default())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let mut config = quic::Config::new(key);
    config.max_concurrent_stream_limit = streams_max;
    let quic = quic::tokio::Transport::new(config)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let both = quic.or_transport(tcp).map(|either, _| either.into_inner());

    match dns::tokio::Transport::system(()) {
        Ok(_) => {
            let resolving = dns::tokio::Transport::system(both)
                .map_err(|e| Error::new(Code::Io, format!("the DNS configuration: {e}")))?;
            Ok((resolving.boxed(), None))
        }
        Err(e) => {
            let nothing = (dns::ResolverConfig::default(), dns::ResolverOpts::default());
            let resolving = dns::tokio::Transport::custom(both, nothing.0, nothing.1);
            let warning = format!("names cannot be resolved: /etc/resolv.conf: {e}");
            Ok((resolving.boxed(), Some(warning)))
        }
    }
}

pub type Stack = Boxed<(PeerId, StreamMuxerBox)>;
