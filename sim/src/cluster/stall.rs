//! A stall: for a while a process executes nothing, as after SIGSTOP or on a machine that swaps.
//!
//! turmoil always runs every host. So the host's own executor is given so much other work that it gets to nothing else:
//! a queue of idle tasks in front of those of the node, just as many as it takes up in each step, the last of each step
//! moving the host's time on. The node's timers go off meanwhile, and what they wake stands in the queue behind; so when
//! the stall is over everything that became due happens late and at once, in the order in which it was due. What the
//! network has for the host is held by the caller, and comes after that.
//!
//! It is not exact at its edges: what had arrived just before may still be seen in the first steps.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

/// The step of a simulation in which hosts may stall.
pub(super) const STEP: Duration = Duration::from_millis(1);
/// How many tasks tokio's executor of one thread runs before it looks at timers (`event_interval`, by default).
const TASKS_A_STEP: u32 = 61;

/// Stalls the runtime that this is called on for `time`, in whole steps, from the next task on.
pub(super) fn stall(time: Duration) {
    let steps = time.as_millis() / STEP.as_millis();
    for _ in 0..steps {
        for _ in 1..TASKS_A_STEP {
            tokio::spawn(std::future::ready(()));
        }
        tokio::spawn(async { move_on() });
    }
}

/// Moves the time of this runtime on by one step, at once.
fn move_on() {
    let advance = pin!(tokio::time::advance(STEP));
    // The first poll moves the clock; the rest of it would only yield.
    let moved = advance.poll(&mut Context::from_waker(Waker::noop()));
    debug_assert!(moved.is_pending());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// When a task that wants to run every 10 ms did so, on a host that stalls from 100 ms on.
    fn runs(stalled: Duration) -> Vec<u128> {
        let ran = Arc::new(Mutex::new(Vec::new()));
        let mut sim = turmoil::Builder::new().rng_seed(1).tick_duration(STEP).build();
        let seen = Arc::clone(&ran);
        sim.host("stalls", move || {
            let seen = Arc::clone(&seen);
            async move {
                tokio::spawn(async move {
                    loop {
                        tokio::time::sleep(STEP * 10).await;
                        seen.lock().unwrap().push(turmoil::elapsed().as_millis());
                    }
                });
                tokio::time::sleep(STEP * 100).await;
                stall(stalled);
                std::future::pending().await
            }
        });
        sim.client("waits", async {
            tokio::time::sleep(STEP * 3000).await;
            Ok(())
        });
        sim.run().unwrap();
        let ran = ran.lock().unwrap();
        ran.clone()
    }

    #[test]
    fn a_stalled_host_executes_nothing_and_its_time_goes_on() {
        let stalled = runs(STEP * 2000);
        let gap = stalled.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!((1995..=2011).contains(&gap), "{gap}");
        assert!(stalled.last().unwrap() > &2900, "{stalled:?}");
        assert!(runs(Duration::ZERO).windows(2).all(|pair| pair[1] - pair[0] < 12));
    }
}
