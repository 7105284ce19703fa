//! Which node a client asks: any at random, but for a while none that has just failed it, as a load balancer would.
//!
//! It knows only what became of the client's own attempts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a node that failed a client is not asked by it, unless all have.
pub const AVOIDED: Duration = Duration::from_secs(10);

/// What one client remembers of its nodes. Clones are the same.
#[derive(Clone, Debug)]
pub struct Choice(Arc<Mutex<Vec<Option<Duration>>>>);

impl Choice {
    /// Of a client of so many nodes that has asked none of them.
    pub fn among(nodes: usize) -> Self {
        Self(Arc::new(Mutex::new(vec![None; nodes])))
    }

    /// The node to ask at `now`: of `nodes` in a circle from `start` on the first that is not avoided, or else the one
    /// that failed longest ago.
    pub fn from(&self, start: usize, now: Duration) -> usize {
        let failed = self.failed();
        let circle = (0..failed.len()).map(|step| (start + step) % failed.len());
        let when = |node: &usize| {
            let failed = failed.get(*node).copied().flatten();
            failed.filter(|failed| *failed + AVOIDED > now)
        };
        circle.min_by_key(when).unwrap_or(start)
    }

    /// Notes how an attempt on `node` ended at `now`.
    pub fn note(&self, node: usize, answered: bool, now: Duration) {
        if let Some(failed) = self.failed().get_mut(node) {
            *failed = (!answered).then_some(now);
        }
    }

    fn failed(&self) -> MutexGuard<'_, Vec<Option<Duration>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[test]
fn a_node_that_failed_is_avoided_for_a_while_unless_all_did() {
    let (choice, second) = (Choice::among(3), Duration::from_secs(1));
    assert_eq!([0, 1, 2].map(|start| choice.from(start, second)), [0, 1, 2]);
    choice.note(1, false, second);
    assert_eq!([0, 1, 2].map(|start| choice.from(start, second * 2)), [0, 2, 2]);
    choice.note(2, false, second * 2);
    choice.note(0, false, second * 3);
    assert_eq!([0, 1, 2].map(|start| choice.from(start, second * 4)), [1, 1, 1]);
    choice.note(2, true, second * 4);
    assert_eq!(choice.from(0, second * 5), 2);
    assert_eq!(choice.from(0, second * 60), 0);
}
