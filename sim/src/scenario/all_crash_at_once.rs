//! All three nodes go down at one moment, by a kill or a loss of power that tears their disks, and come back.
//!
//! What was acknowledged is on two of the disks and has to come from there; nobody else remembers anything.

use super::{Scenario, three_nodes};
use crate::invariants::of_a_cluster;
use crate::run::{Failure, Run};
use std::time::Duration;

/// How often they all go down.
const CRASHES: u32 = 3;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "all_crash_at_once",
    about: "all three nodes are killed or lose power at once, and come back",
    shape: three_nodes,
    faults,
    liveness_max: Duration::from_secs(60),
    invariants: of_a_cluster,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    for _ in 0..CRASHES {
        let before = run.chance.between(Duration::from_millis(200), Duration::from_secs(3));
        run.pass(before)?;
        let power = run.chance.below(2) == 0;
        for node in 0..run.cluster.nodes() {
            if power { run.cluster.power_loss(node) } else { run.cluster.kill(node) }
        }
        run.trouble();
        for node in 0..run.cluster.nodes() {
            let away = run.chance.between(Duration::ZERO, Duration::from_secs(1));
            run.pass(away)?;
            run.cluster.start(node);
        }
        run.until_ready(SCENARIO.liveness_max)?;
    }
    Ok(())
}
