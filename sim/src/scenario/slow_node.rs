//! A random node of three stands still for one to five seconds, now and then, while clients write.
//!
//! It is not dead: what it was sent arrives late, and it must not serve what it missed before it met another owner.

use super::{Scenario, three_nodes};
use crate::invariants::of_a_cluster;
use crate::run::{Failure, Run};
use std::time::Duration;

/// How often a node stalls.
const STALLS: u32 = 4;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "slow_node",
    about: "a random node of three executes nothing for one to five seconds, now and then",
    shape: three_nodes,
    faults,
    liveness_max: Duration::from_secs(30),
    invariants: of_a_cluster,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    for _ in 0..STALLS {
        let before = run.chance.between(Duration::ZERO, Duration::from_secs(3));
        run.pass(before)?;
        let node = run.any_node();
        let time = run.chance.between(Duration::from_secs(1), Duration::from_secs(5));
        run.cluster.stall(node, time);
        run.fault();
        run.pass(time)?;
    }
    Ok(())
}
