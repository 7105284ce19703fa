//! What becomes of a message between two nodes: nothing special on a machine, all that a network may do in a simulation.
//!
//! A simulated stream does not lose a part of itself and go on, so whole messages are lost, doubled and delayed here, by
//! the one who calls. It never changes what a message says.

use std::fmt::Debug;
use std::future::{Future, pending};
use std::net::SocketAddr;
use std::time::Duration;

/// What becomes of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives, and so does the answer.
    Deliver,
    /// It never arrives.
    LoseRequest,
    /// It arrives; the answer never does.
    LoseAnswer,
    /// It arrives twice; one of the two answers comes back.
    Duplicate,
    /// It arrives so much later.
    Delay(Duration),
}

/// Who decides what becomes of messages.
pub trait Courier: Debug + Send + Sync + 'static {
    /// Of the next call of `method` at `to`. Asked once a call.
    fn fate(&self, to: SocketAddr, method: &'static str) -> Fate;
}

/// Delivers everything.
#[derive(Clone, Copy, Debug)]
pub struct Reliable;

impl Courier for Reliable {
    fn fate(&self, _: SocketAddr, _: &'static str) -> Fate {
        Fate::Deliver
    }
}

/// Makes a call, with the fate that `courier` has for it. `call` begins one attempt; a call that is lost waits for ever,
/// so the caller sets a deadline.
pub async fn carry<T, F>(courier: &dyn Courier, to: SocketAddr, method: &'static str, call: impl Fn() -> F) -> T
where
    F: Future<Output = T>,
{
    match courier.fate(to, method) {
        Fate::Deliver => call().await,
        Fate::LoseRequest => pending().await,
        Fate::LoseAnswer => {
            call().await;
            pending().await
        }
        Fate::Duplicate => tokio::join!(biased; call(), call()).0,
        Fate::Delay(time) => {
            tokio::time::sleep(time).await;
            call().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::{Context, Poll, Waker};

    impl Courier for Fate {
        fn fate(&self, _: SocketAddr, _: &'static str) -> Fate {
            *self
        }
    }

    /// How often a call has arrived when everything was done that needs no time, and the answer to it.
    fn outcome(fate: Fate) -> (u32, Poll<u32>) {
        let arrived = AtomicU32::new(0);
        let call = || async { arrived.fetch_add(1, Ordering::SeqCst) };
        let carried = pin!(carry(&fate, ([10, 0, 0, 1], 1).into(), "store", call));
        let answer = carried.poll(&mut Context::from_waker(Waker::noop()));
        (arrived.load(Ordering::SeqCst), answer)
    }

    #[tokio::test]
    async fn each_fate_is_carried_out() {
        assert_eq!(outcome(Fate::Deliver), (1, Poll::Ready(0)));
        assert_eq!(outcome(Fate::LoseRequest), (0, Poll::Pending));
        assert_eq!(outcome(Fate::LoseAnswer), (1, Poll::Pending));
        assert_eq!(outcome(Fate::Duplicate), (2, Poll::Ready(0)));
        assert_eq!(outcome(Fate::Delay(Duration::from_secs(3600))), (0, Poll::Pending));
        let soon = Fate::Delay(Duration::from_millis(1));
        assert_eq!(carry(&soon, ([10, 0, 0, 1], 1).into(), "store", || async { 7 }).await, 7);
    }
}
