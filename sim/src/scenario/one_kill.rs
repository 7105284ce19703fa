//! A node of three is killed once, and stays away: the leader of the control plane in more than every other seed.
//!
//! Short, so that many seeds give the figures that operators ask for first: what a retrying client sees of it, how soon the
//! others know, and how soon another node leads.

use super::{Scenario, three_nodes};
use crate::invariants::of_a_cluster;
use crate::run::{Failure, Run};
use std::time::Duration;

/// How long the survivors may take to know.
const NOTICED_MAX: Duration = Duration::from_secs(10);
/// How long clients go on at least: two of their retries and more after the last health check of a second.
const AFTER: Duration = Duration::from_secs(2);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "one_kill",
    about: "a node of three, the leader most often, is killed once: the figures of a fail-over",
    shape: three_nodes,
    faults,
    liveness_max: Duration::from_secs(30),
    invariants: of_a_cluster,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    let before = run.chance.between(Duration::from_millis(500), Duration::from_secs(2));
    run.pass(before)?;
    let leader = run.leader()?;
    let node = leader.filter(|_| run.chance.below(2) == 0).unwrap_or_else(|| run.any_node());
    run.cluster.kill(node);
    run.forget(node);
    run.fault();
    run.until_noticed(node, leader == Some(node), NOTICED_MAX)?;
    run.pass(AFTER)
}
