//! The two listeners: one for clients, one for operators. They know nothing of what they serve.

use super::{StartError, date};
use crate::accept;
use crate::clock::Clock;
use crate::settings::Settings;
use crate::world::{Listener, Network};
use api::Database;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long a client may take to send the head of a request; then its connection is closed.
const HEADER_READ_MAX: Duration = Duration::from_secs(10);
/// How often a silent HTTP/2 connection is asked whether anybody is there.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// The most requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;

/// Both sockets, bound and not yet answering.
#[derive(Debug)]
pub(super) struct Listeners {
    clients: Box<dyn Listener>,
    operators: Box<dyn Listener>,
}

impl Listeners {
    pub(super) async fn bind(settings: &Settings, network: &dyn Network) -> Result<Self, StartError> {
        let clients = bind(network, "bind_addr", settings.bind_addr).await?;
        let operators = bind(network, "admin_addr", settings.admin_addr).await?;
        Ok(Self { clients, operators })
    }

    /// Where clients and operators connect, with the ports that the system chose.
    pub(super) fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.clients.local_address()?, self.operators.local_address()?))
    }

    /// Answers until `stop`, and then until what is in flight is answered.
    pub(super) fn serve(
        self,
        database: Arc<dyn Database>,
        settings: &Settings,
        clock: &Arc<dyn Clock>,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let limits = limits(settings);
        let connections_max = usize::try_from(settings.http_connections_max).unwrap_or(usize::MAX);
        let clients = date::stamped(api::client_router(Arc::clone(&database), limits.clone()), clock);
        let operators = date::stamped(api::admin_router(database, limits), clock);
        let clients = accept::run(self.clients, http(), clients, connections_max, stop.clone());
        let operators = accept::run(self.operators, http(), operators, connections_max, stop);
        async move {
            tokio::join!(biased; clients, operators);
        }
    }
}

async fn bind(
    network: &dyn Network,
    setting: &'static str,
    address: SocketAddr,
) -> Result<Box<dyn Listener>, StartError> {
    network.listen(address).await.map_err(|source| StartError::Listen { setting, address, source })
}

/// HTTP as clients speak it.
fn http() -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    // The date comes from the node's own clock; see there.
    http.http1().auto_date_header(false).timer(TokioTimer::new()).header_read_timeout(HEADER_READ_MAX);
    http.http2().auto_date_header(false).timer(TokioTimer::new());
    http.http2().keep_alive_interval(KEEP_ALIVE).max_concurrent_streams(STREAMS_MAX);
    http
}

/// The limits of the HTTP interface.
fn limits(settings: &Settings) -> api::Settings {
    let size = |setting: u64| usize::try_from(setting).unwrap_or(usize::MAX);
    api::Settings {
        body_bytes_max: size(settings.http_body_bytes_max),
        line_bytes_max: size(settings.http_line_bytes_max),
        batch_lines_max: size(settings.http_batch_lines_max),
        batch_bytes_max: size(settings.http_batch_bytes_max),
        batch_linger_ms: settings.http_batch_linger_ms,
        batches_in_flight_max: size(settings.http_batches_in_flight_max),
        inflight_requests_max: size(settings.http_inflight_requests_max),
        request_ms_max: settings.http_request_ms_max,
        body_pause_ms_max: settings.http_body_pause_ms_max,
        page_default: size(settings.http_page_default),
        page_max: size(settings.http_page_max),
    }
}
