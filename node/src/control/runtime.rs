//! Tokio as openraft's runtime, with the node's own randomness.
//!
//! openraft 0.9 draws one random number: the election timeout, once, in `Raft::new`. With its own runtime that comes from
//! the system, and no two runs of a simulation are alike.

use crate::world::Entropy;
use openraft::{AsyncRuntime, OptionalSend, TokioInstant, TokioRuntime};
use rand_core_06::{Error, RngCore};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

tokio::task_local! {
    static ENTROPY: Arc<dyn Entropy>;
}

/// Runs `work`, in which openraft draws from `entropy`.
pub(super) async fn with_entropy<T>(entropy: Arc<dyn Entropy>, work: impl Future<Output = T>) -> T {
    ENTROPY.scope(entropy, work).await
}

/// Tokio, with the node's randomness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Runtime;

/// Draws from the node's entropy; outside [`with_entropy`], and when there is none, every number is 0.
#[derive(Debug)]
pub(super) struct Chance(Option<Arc<dyn Entropy>>);

impl RngCore for Chance {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        let filled = self.0.as_ref().is_some_and(|entropy| entropy.fill(bytes).is_ok());
        if !filled {
            bytes.fill(0);
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl AsyncRuntime for Runtime {
    type JoinError = <TokioRuntime as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <TokioRuntime as AsyncRuntime>::JoinHandle<T>;
    type Sleep = <TokioRuntime as AsyncRuntime>::Sleep;
    type Instant = TokioInstant;
    type TimeoutError = <TokioRuntime as AsyncRuntime>::TimeoutError;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = <TokioRuntime as AsyncRuntime>::Timeout<R, T>;
    type ThreadLocalRng = Chance;
    type OneshotSender<T: OptionalSend> = <TokioRuntime as AsyncRuntime>::OneshotSender<T>;
    type OneshotReceiver<T: OptionalSend> = <TokioRuntime as AsyncRuntime>::OneshotReceiver<T>;
    type OneshotReceiverError = <TokioRuntime as AsyncRuntime>::OneshotReceiverError;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        TokioRuntime::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(deadline: Self::Instant, future: F) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(join_error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        Chance(ENTROPY.try_with(Arc::clone).ok())
    }

    fn oneshot<T: OptionalSend>() -> (Self::OneshotSender<T>, Self::OneshotReceiver<T>) {
        TokioRuntime::oneshot()
    }
}
