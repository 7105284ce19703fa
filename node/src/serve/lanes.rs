//! Lanes: how many reads may block on the disk at once.
//!
//! A read runs on a thread of the runtime's blocking pool; a read without a free lane waits, and nobody waits longer
//! than its request lives.

use std::sync::Arc;
use tokio::sync::Semaphore;

/// Runs reads that may block, at most so many at once.
#[derive(Debug, Clone)]
pub(super) struct Lanes(Arc<Semaphore>);

/// The read did not come to an end: it panicked, or the node is stopping.
#[derive(Debug, thiserror::Error)]
#[error("the read did not come to an end")]
pub(super) struct Broken;

impl Lanes {
    pub(super) fn new(reads_in_flight_max: usize) -> Self {
        Self(Arc::new(Semaphore::new(reads_in_flight_max)))
    }

    /// Runs `read` in a free lane.
    pub(super) async fn run<T: Send + 'static>(&self, read: impl FnOnce() -> T + Send + 'static) -> Result<T, Broken> {
        let permit = Arc::clone(&self.0).acquire_owned().await.map_err(broken)?;
        #[expect(clippy::disallowed_methods, reason = "the one place where reads may block, bounded by the lanes")]
        let task = tokio::task::spawn_blocking(move || {
            let value = read();
            drop(permit);
            value
        });
        task.await.map_err(broken)
    }
}

fn broken(error: impl std::error::Error) -> Broken {
    tracing::error!(%error, "a read did not come to an end");
    Broken
}
