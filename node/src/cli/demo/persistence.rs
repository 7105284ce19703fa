//! How a client goes on when a write fails: a deadline an attempt, three more attempts, each on another node.
//!
//! It sends nothing and waits for nothing itself; both are handed in.

use std::time::Duration;

/// How long an attempt may take.
pub const ATTEMPT_MAX: Duration = Duration::from_millis(250);
/// How long to wait before each further attempt.
pub const WAITS: [Duration; 3] = [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400)];

/// A client of several nodes that stays with the one that answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Persistence {
    node: usize,
    nodes: usize,
}

impl Persistence {
    /// A client of `nodes` nodes, at least one, that begins with number `first`, from 0.
    pub fn new(first: usize, nodes: usize) -> Self {
        Self { node: first % nodes.max(1), nodes: nodes.max(1) }
    }

    /// Has `attempt` made on one node after the other until it succeeds; nothing if all attempts failed, or if `wait`
    /// says not to go on.
    pub fn write<T>(
        &mut self,
        mut attempt: impl FnMut(usize) -> Option<T>,
        mut wait: impl FnMut(Duration) -> bool,
    ) -> Option<T> {
        let mut waits = WAITS.into_iter();
        loop {
            if let Some(done) = attempt(self.node) {
                return Some(done);
            }
            self.node = (self.node + 1) % self.nodes;
            if !wait(waits.next()?) {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which nodes are tried and how long is waited, where only the nodes in `alive` answer.
    fn tried(client: &mut Persistence, alive: &[usize]) -> (Vec<usize>, Vec<u128>, bool) {
        let (mut nodes, mut waits) = (Vec::new(), Vec::new());
        let attempt = |node| {
            nodes.push(node);
            alive.contains(&node).then_some(())
        };
        let wait = |time: Duration| {
            waits.push(time.as_millis());
            true
        };
        let done = client.write(attempt, wait).is_some();
        (nodes, waits, done)
    }

    #[test]
    fn each_attempt_is_on_another_node_after_a_longer_wait() {
        let mut client = Persistence::new(1, 3);
        assert_eq!(tried(&mut client, &[]), (vec![1, 2, 0, 1], vec![100, 200, 400], false));
    }

    #[test]
    fn a_client_stays_with_the_node_that_answered() {
        let mut client = Persistence::new(2, 3);
        assert_eq!(tried(&mut client, &[0, 1]), (vec![2, 0], vec![100], true));
        assert_eq!(tried(&mut client, &[0, 1]), (vec![0], vec![], true));
    }

    #[test]
    fn who_is_asked_to_stop_does_not_try_again() {
        let mut attempts = 0;
        let attempt = |_| {
            attempts += 1;
            None::<()>
        };
        assert_eq!(Persistence::new(0, 3).write(attempt, |_| false), None);
        assert_eq!(attempts, 1);
    }
}
