//! Which node a client asks: any at random, but none that has failed it and has not said since that it is ready, as a load
//! balancer with health checks would.
//!
//! It knows only what became of the client's own attempts and of its health checks.

use super::http::{Http, Request};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often a node that failed a client is asked whether it is ready.
pub const CHECK_EVERY: Duration = Duration::from_millis(500);
/// How long it may take to answer that.
pub const CHECK_DEADLINE: Duration = Duration::from_millis(250);

/// What one client remembers of its nodes: when each failed it, if it may not be asked. Clones are the same.
#[derive(Clone, Debug)]
pub struct Choice(Arc<Mutex<Vec<Option<Duration>>>>);

impl Choice {
    /// Of a client of so many nodes that has asked none of them.
    pub fn among(nodes: usize) -> Self {
        Self(Arc::new(Mutex::new(vec![None; nodes])))
    }

    /// The node to ask: of all in a circle from `start` on the first that may be asked, or else the one that failed
    /// longest ago.
    pub fn from(&self, start: usize) -> usize {
        let failed = self.failed();
        let circle = (0..failed.len()).map(|step| (start + step) % failed.len());
        circle.min_by_key(|node| failed.get(*node).copied().flatten()).unwrap_or(start)
    }

    /// Notes how an attempt on `node` ended at `now`, or that it says it is ready.
    pub fn note(&self, node: usize, well: bool, now: Duration) {
        if let Some(failed) = self.failed().get_mut(node) {
            *failed = (!well).then_some(now);
        }
    }

    /// Asks those of `nodes` that failed whether they are ready, for ever.
    pub async fn check(self, http: Http, nodes: Arc<[SocketAddr]>) {
        loop {
            tokio::time::sleep(CHECK_EVERY).await;
            for (node, to) in nodes.iter().enumerate() {
                if self.failed().get(node).copied().flatten().is_some() {
                    let answer = http.ask(*to, Request::get("/v1/ready"), CHECK_DEADLINE).await;
                    if answer.is_ok_and(|answer| answer.status == 200) {
                        self.note(node, true, Duration::ZERO);
                    }
                }
            }
        }
    }

    fn failed(&self) -> MutexGuard<'_, Vec<Option<Duration>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[test]
fn a_node_that_failed_is_avoided_until_it_is_well_unless_all_did() {
    let (choice, second) = (Choice::among(3), Duration::from_secs(1));
    assert_eq!([0, 1, 2].map(|start| choice.from(start)), [0, 1, 2]);
    choice.note(1, false, second);
    assert_eq!([0, 1, 2].map(|start| choice.from(start)), [0, 2, 2]);
    choice.note(2, false, second * 2);
    choice.note(0, false, second * 3);
    assert_eq!([0, 1, 2].map(|start| choice.from(start)), [1, 1, 1]);
    choice.note(2, true, second * 4);
    assert_eq!(choice.from(0), 2);
}
