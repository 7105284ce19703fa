//! The listener for other nodes. It knows nothing of what it serves.

use super::credentials::Credentials;
use super::door::Door;
use super::line::{CONNECTION_WINDOW, STREAM_WINDOW};
use super::reception::Sealed;
use super::service::Service;
use crate::accept;
use crate::world::{Listener, Network};
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use prometheus::IntCounterVec;
use proto::limits::MESSAGE_BYTES_MAX;
use proto::wire::control_server::ControlServer;
use proto::wire::data_server::DataServer;
#[cfg(feature = "next")]
use proto::wire::next::next_server::NextServer;
use proto::wire::raft_server::RaftServer;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tonic::service::Routes;

/// The most connections at once: three for each of some three hundred peers.
const CONNECTIONS_MAX: usize = 1024;
/// The most calls at once on one connection.
const CALLS_MAX: u32 = 256;
/// The longest message of somebody who does not belong here, in bytes: a greeting fits.
const STRANGERS_MESSAGE_BYTES_MAX: usize = 4 << 10;
/// How often a connection is asked whether anybody is there, and how long the answer may take: what a dead peer holds is
/// given up then. The peer asks more often.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// A socket that other nodes call, bound and not yet answering.
#[derive(Debug)]
pub struct Server {
    listener: Box<dyn Listener>,
}

impl Server {
    /// Binds `address`; port 0 lets the network choose.
    ///
    /// # Errors
    ///
    /// What the network says.
    pub async fn bind(network: &dyn Network, address: SocketAddr) -> io::Result<Self> {
        Ok(Self { listener: network.listen(address).await? })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// What the network says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_address()
    }

    /// Answers until `stop`, and then until what is under way is answered. Dropped, it closes every connection.
    ///
    /// Where the credentials have a certificate, nobody is heard who shows none; `refused` counts those, by reason.
    pub fn serve<S: Service>(
        self,
        service: Arc<S>,
        credentials: Arc<Credentials>,
        refused: IntCounterVec,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let sealed = credentials.certificate().map(|certificate| TlsAcceptor::from(certificate.server()));
        let door = Door::new(service, Arc::clone(&credentials));
        let members = router(&door, MESSAGE_BYTES_MAX);
        async move {
            match sealed {
                None => accept::run(self.listener, http(), members, CONNECTIONS_MAX, stop).await,
                Some(acceptor) => {
                    let strangers = router(&door, STRANGERS_MESSAGE_BYTES_MAX);
                    let sealed = Sealed::new(acceptor, members, strangers, credentials, refused);
                    accept::run(self.listener, http(), sealed, CONNECTIONS_MAX, stop).await;
                }
            }
        }
    }
}

/// The services behind a door, for messages up to a length.
fn router<S: Service>(door: &Door<S>, message_bytes_max: usize) -> Router {
    let routes = Routes::new(RaftServer::new(door.clone()).max_decoding_message_size(message_bytes_max))
        .add_service(ControlServer::new(door.clone()).max_decoding_message_size(message_bytes_max))
        .add_service(DataServer::new(door.clone()).max_decoding_message_size(message_bytes_max));
    // A build that does not speak the version has no such service, and says so.
    #[cfg(feature = "next")]
    let routes = match door.speaks(proto::RaisedRequest::SINCE) {
        true => routes.add_service(NextServer::new(door.clone()).max_decoding_message_size(message_bytes_max)),
        false => routes,
    };
    routes.into_axum_router()
}

/// HTTP/2 alone, without a date: nobody reads it, and it would be the machine's.
fn http() -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new()).http2_only();
    http.http2()
        .auto_date_header(false)
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .max_concurrent_streams(CALLS_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    http
}
