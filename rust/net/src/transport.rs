//! QUIC, TCP/Noise/Yamux and, where only HTTPS gets out, the same over WebSocket (RFC 6455).
//! Names are resolved by the machine's resolver.

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, Transport};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{dns, noise, quic, tcp, websocket, yamux, PeerId};

use crate::error::{Code, Error, Result};

/// The transport, and a warning when the machine's resolver could not be read: names other than
/// `localhost` and those of /etc/hosts then stay unresolved. No public resolver is asked instead.
pub fn build(key: &Keypair, streams_max: u32) -> Result<(Stack, Option<String>)> {
    let internal = |e: noise::Error| Error::new(Code::Internal, e.to_string());
    let noise_config = noise::Config::new(key).map_err(internal)?;
    let tcp = tcp::tokio::Transport::new(tcp::Config::default())
        .upgrade(Version::V1Lazy)
        .authenticate(noise_config.clone())
        .multiplex(yamux::Config::default())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let mut config = quic::Config::new(key);
    config.max_concurrent_stream_limit = streams_max;
    let quic = quic::tokio::Transport::new(config)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let both = quic.or_transport(tcp).map(|either, _| either.into_inner());

    let (resolver, warning) = match dns::tokio::Transport::system(()) {
        Ok(_) => (None, None),
        Err(e) => {
            let nothing = (dns::ResolverConfig::default(), dns::ResolverOpts::default());
            let warning = format!("names cannot be resolved: /etc/resolv.conf: {e}");
            (Some(nothing), Some(warning))
        }
    };
    // Names stay in a WebSocket's address until it is dialled: TLS checks the certificate by them.
    let plain = tcp::tokio::Transport::new(tcp::Config::default());
    let web = websocket::Config::new(resolving(plain, &resolver)?)
        .upgrade(Version::V1Lazy)
        .authenticate(noise_config)
        .multiplex(yamux::Config::default())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let all = web.or_transport(resolving(both, &resolver)?).map(|either, _| either.into_inner());
    Ok((all.boxed(), warning))
}

type Resolver = Option<(dns::ResolverConfig, dns::ResolverOpts)>;

fn resolving<T>(inner: T, resolver: &Resolver) -> Result<dns::tokio::Transport<T>> {
    match resolver {
        Some((config, options)) => {
            Ok(dns::tokio::Transport::custom(inner, config.clone(), options.clone()))
        }
        None => dns::tokio::Transport::system(inner)
            .map_err(|e| Error::new(Code::Io, format!("the DNS configuration: {e}"))),
    }
}

pub type Stack = Boxed<(PeerId, StreamMuxerBox)>;
