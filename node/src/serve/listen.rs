//! The two listeners: one for clients, one for operators. They know nothing of what they serve.

use super::StartError;
use crate::settings::Settings;
use api::Database;
use axum::Router;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Both sockets, bound and not yet answering.
#[derive(Debug)]
pub(super) struct Listeners {
    clients: TcpListener,
    operators: TcpListener,
}

impl Listeners {
    pub(super) async fn bind(settings: &Settings) -> Result<Self, StartError> {
        let clients = bind("bind_addr", settings.bind_addr).await?;
        let operators = bind("admin_addr", settings.admin_addr).await?;
        Ok(Self { clients, operators })
    }

    /// Where clients and operators connect, with the ports that the system chose.
    pub(super) fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.clients.local_addr()?, self.operators.local_addr()?))
    }

    /// Answers until `stop`, and then until what is in flight is answered.
    pub(super) fn serve(
        self,
        database: Arc<dyn Database>,
        settings: &Settings,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let limits = limits(settings);
        let clients = run(self.clients, api::client_router(Arc::clone(&database), limits.clone()), stop.clone());
        let operators = run(self.operators, api::admin_router(database, limits), stop);
        async move {
            tokio::join!(clients, operators);
        }
    }
}

async fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { setting, address, source })
}

async fn run(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let stopped = async move {
        // An error means that the node itself is gone, which is a stop too.
        stop.wait_for(|stop| *stop).await.ok();
    };
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stopped).await {
        tracing::error!(%error, "a listener failed");
    }
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
