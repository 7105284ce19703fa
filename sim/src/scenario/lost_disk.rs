//! A random node of three is killed, its disk is lost, and it never comes back.
//!
//! Whatever was acknowledged must be found on the two survivors, which go on taking writes.

use super::{Scenario, three_nodes};
use crate::invariants::of_a_cluster;
use crate::run::{Failure, Run};
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "lost_disk",
    about: "a random node of three is killed, its disk is lost, and it stays away",
    shape: three_nodes,
    faults,
    liveness_max: Duration::from_secs(30),
    invariants: of_a_cluster,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    let before = run.chance.between(Duration::from_millis(500), Duration::from_secs(4));
    run.pass(before)?;
    let node = run.any_node();
    run.cluster.lose_disk(node);
    run.forget(node);
    run.fault();
    let after = run.chance.between(Duration::from_secs(1), Duration::from_secs(5));
    run.pass(after)
}
