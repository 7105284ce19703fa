//! Lanes: how many reads may block on the disk at once.
//!
//! A read runs on a thread of the runtime's blocking pool; a read without a free lane waits, and nobody waits longer
//! than its request lives.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

    /// Runs `read` in a free lane. It is told when nobody waits for it any more, so that it may end early.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&AtomicBool) -> T + Send + 'static,
    ) -> Result<T, Broken> {
        let permit = Arc::clone(&self.0).acquire_owned().await.map_err(broken)?;
        let waiting = Waiting(Arc::new(AtomicBool::new(false)));
        let abandoned = Arc::clone(&waiting.0);
        #[expect(clippy::disallowed_methods, reason = "the one place where reads may block, bounded by the lanes")]
        let task = tokio::task::spawn_blocking(move || {
            let value = read(&abandoned);
            drop(permit);
            value
        });
        let value = task.await.map_err(broken);
        drop(waiting);
        value
    }
}

/// Somebody who waits for a read; dropped, the read is abandoned.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn broken(error: impl std::error::Error) -> Broken {
    tracing::error!(%error, "a read did not come to an end");
    Broken
}
