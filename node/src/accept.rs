//! Accepting connections until the node stops. It knows nothing of what is served on them, nor who comes in.

use crate::world::{Listener, Stream};
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// How long accepting pauses when the system refuses, for want of file descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Looks at whoever connects, before anything is served.
pub(crate) trait Reception: Clone + Send + 'static {
    /// Takes the other side in; nothing if it is turned away.
    fn receive(self, stream: Stream) -> impl Future<Output = Option<Visit>> + Send;
}

/// A connection that was taken.
pub(crate) struct Visit {
    pub(crate) stream: Stream,
    /// What is served on it.
    pub(crate) router: Router,
    /// When the other side must leave. Dropped when it has left.
    pub(crate) leave: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Everybody is let in, for as long as they like.
impl Reception for Router {
    async fn receive(self, stream: Stream) -> Option<Visit> {
        Some(Visit { stream, router: self, leave: Box::pin(pending()) })
    }
}

/// Accepts connections until `stop`, then waits until those there are have answered what they were asked. Dropped, it
/// closes them all.
pub(crate) async fn run(
    mut listener: Box<dyn Listener>,
    http: auto::Builder<TokioExecutor>,
    reception: impl Reception,
    connections_max: usize,
    mut stop: watch::Receiver<bool>,
) {
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
        let (http, reception, connections) = (http.clone(), reception.clone(), connections.watcher());
        let mut stop = stop.clone();
        while tasks.try_join_next().is_some() {} // those that have ended
        tasks.spawn(async move {
            let received = tokio::select! {
                biased;
                received = reception.receive(stream) => received,
                () = stopped(&mut stop) => None,
            };
            if let Some(Visit { stream, router, leave }) = received {
                let service = TowerToHyperService::new(router);
                let connection = http.serve_connection(TokioIo::new(stream), service).into_owned();
                tokio::select! {
                    biased;
                    ended = connections.watch(connection) => if let Err(error) = ended {
                        tracing::debug!(error, "a connection broke");
                    },
                    () = leave => tracing::debug!("a connection was closed: its caller does not belong here"),
                }
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
