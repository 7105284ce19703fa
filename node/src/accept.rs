//! Accepting connections until the node stops. It knows nothing of what is served on them.

use crate::world::Listener;
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// How long accepting pauses when the system refuses, for want of file descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until `stop`, then waits until those there are have answered what they were asked. Dropped, it
/// closes them all.
pub(crate) async fn run(
    mut listener: Box<dyn Listener>,
    http: auto::Builder<TokioExecutor>,
    router: Router,
    connections_max: usize,
    mut stop: watch::Receiver<bool>,
) {
    let service = TowerToHyperService::new(router);
    let connections = GracefulShutdown::new();
    let mut tasks = JoinSet::new();
    let free = Arc::new(Semaphore::new(connections_max));
    loop {
        let accepted = async {
            let permit = Arc::clone(&free).acquire_owned().await.map_err(io::Error::other)?;
            let (stream, _) = listener.accept().await?;
            Ok::<_, io::Error>((stream, permit))
        };
        let (stream, permit) = tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            accepted = accepted => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let connection = http.serve_connection(TokioIo::new(stream), service.clone()).into_owned();
        let connection = connections.watch(connection);
        while tasks.try_join_next().is_some() {} // those that have ended
        tasks.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection broke");
            }
            drop(permit);
        });
    }
    drop(listener);
    connections.shutdown().await;
}

/// Returns when the node stops.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the node itself is gone, which is a stop too.
    stop.wait_for(|stop| *stop).await.ok();
}
