//! The connections to a peer, and the limits of what they hold.

use crate::world::{Network, Stream};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

/// How long opening a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// How often a connection is asked whether anybody is there, and how long the answer may take. Without it a connection
/// that was cut stays silent for ever.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// How long a call that was given up is remembered, so that what still comes of it is passed over. The library takes this
/// time from the machine's clock, whatever the world: so it is longer than a simulation, and their number bounds them.
const RESETS_KEPT: Duration = Duration::from_secs(24 * 3600);
/// How much of one answer may be under way that nobody has read.
pub(super) const STREAM_WINDOW: u32 = 1 << 20;
/// How much of all answers on a connection may be.
pub(super) const CONNECTION_WINDOW: u32 = 16 << 20;
/// The most streams that are read from one peer at once; more wait.
pub(super) const STREAMS_MAX: u32 = 8;
const _: () = assert!(STREAMS_MAX * STREAM_WINDOW < CONNECTION_WINDOW, "streams that nobody reads hold up no call");

/// The connections to one peer: what travels on one does not wait for what travels on another.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    pub(super) raft: Channel,
    pub(super) control: Channel,
    pub(super) bulk: Channel,
}

impl Lines {
    /// Connections to `address`, opened when they are first used, and opened again when they break. They are sealed if it
    /// is said how.
    pub(super) fn to(address: SocketAddr, network: &Arc<dyn Network>, seal: Option<&Arc<ClientConfig>>) -> Self {
        let line = || line(address, network, seal);
        Self { raft: line(), control: line(), bulk: line() }
    }
}

/// One connection.
pub(super) fn line(address: SocketAddr, network: &Arc<dyn Network>, seal: Option<&Arc<ClientConfig>>) -> Channel {
    let (network, seal) = (Arc::clone(network), seal.map(|seal| TlsConnector::from(Arc::clone(seal))));
    let connector = tower::service_fn(move |_: Uri| {
        let (network, seal) = (Arc::clone(&network), seal.clone());
        async move {
            let stream = network.connect(address).await?;
            let stream = match seal {
                None => stream,
                // The name is not sent, and nobody looks at it: what counts is the key.
                Some(seal) => Stream::new(seal.connect(ServerName::from(address.ip()), stream).await?),
            };
            Ok::<_, std::io::Error>(TokioIo::new(stream))
        }
    });
    // The name is not looked up: the connector knows the address.
    Endpoint::from_static("http://node")
        .connect_timeout(CONNECT_MAX)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_reset_stream_duration(RESETS_KEPT)
        .connect_with_connector_lazy(connector)
}
