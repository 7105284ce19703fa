//! A node of three wakes up a year ahead, out of reach of the others or among them, with its clock accepted by an operator
//! who looked at the wrong watch. It takes writes, and is taken away.
//!
//! What it stamped lies in a future that nobody may follow it into: no record with such a stamp may get to another disk, and
//! no other clock may rise to it. Nor is its own disk of use any more, whose ceiling it must never undercut.

use super::{Scenario, three_nodes};
use crate::invariants::{Invariant, StampsKeepToTheTime, of_a_cluster};
use crate::run::{Failure, Run};
use std::time::Duration;

/// How far the clock is wrong, in milliseconds.
const YEAR_MS: i64 = 365 * 24 * 3_600_000;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "clock_a_year_ahead",
    about: "a node of three starts with its clock a year ahead and accepted, is met by the others, and is taken away",
    shape: three_nodes,
    faults,
    liveness_max: Duration::from_secs(60),
    invariants,
};

fn invariants() -> Vec<Box<dyn Invariant>> {
    let own: Box<dyn Invariant> = Box::new(StampsKeepToTheTime);
    std::iter::once(own).chain(of_a_cluster()).collect()
}

fn faults(run: &mut Run) -> Result<(), Failure> {
    let before = run.chance.between(Duration::from_millis(500), Duration::from_secs(2));
    run.pass(before)?;
    let node = run.any_node();
    run.cluster.kill(node);
    run.trouble();
    run.cluster.set_skew_ms(node, YEAR_MS);
    if run.chance.below(3) > 0 {
        run.cluster.isolate(node);
    }
    run.cluster.start_with_clock_accepted(node);
    let apart = run.chance.between(Duration::from_millis(500), Duration::from_secs(5));
    run.pass(apart)?;
    run.cluster.heal();
    let together = run.chance.between(Duration::from_secs(2), Duration::from_secs(10));
    run.pass(together)?;
    run.cluster.kill(node);
    run.forget(node);
    run.pass(Duration::from_secs(1))
}
