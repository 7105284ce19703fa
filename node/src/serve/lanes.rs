//! Lanes: how many reads may block on the disk at once.
//!
//! A read without a free lane waits, and nobody waits longer than its request lives.

use crate::world::{Broken, Workers};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;

/// Runs reads that may block, at most so many at once.
#[derive(Debug, Clone)]
pub(super) struct Lanes {
    free: Arc<Semaphore>,
    workers: Workers,
}

impl Lanes {
    pub(super) fn new(reads_in_flight_max: usize, workers: Workers) -> Self {
        Self { free: Arc::new(Semaphore::new(reads_in_flight_max)), workers }
    }

    /// Runs `read` in a free lane. It is told when nobody waits for it any more, so that it may end early.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&AtomicBool) -> T + Send + 'static,
    ) -> Result<T, Broken> {
        let permit = Arc::clone(&self.free).acquire_owned().await.or(Err(Broken))?;
        let waiting = Waiting(Arc::new(AtomicBool::new(false)));
        let abandoned = Arc::clone(&waiting.0);
        let value = self.workers.run(move || {
            let value = read(&abandoned);
            drop(permit);
            value
        });
        let value = value.await;
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
