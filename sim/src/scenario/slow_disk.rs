//! The disk of a random node of three becomes so slow that its syncs take up to two seconds, while clients write.
//!
//! The node itself answers; the others must not wait for its disk where a stand-in would do.

use super::{Scenario, three_nodes};
use crate::invariants::of_a_cluster;
use crate::run::{Failure, Run};
use crate::world::Timing;
use std::time::Duration;

/// How often a disk is slow.
const SPELLS: u32 = 3;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "slow_disk",
    about: "syncs of a random node of three take up to two seconds, for seconds",
    shape: three_nodes,
    faults,
    liveness_max: Duration::from_secs(30),
    invariants: of_a_cluster,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    for _ in 0..SPELLS {
        let before = run.chance.between(Duration::ZERO, Duration::from_secs(2));
        run.pass(before)?;
        let node = run.any_node();
        let sync = run.chance.between(Duration::from_millis(20), Duration::from_secs(1));
        run.cluster.set_timing(node, Timing { sync_min: sync, sync_max: 2 * sync, ..Timing::ORDINARY });
        run.trouble();
        let spell = run.chance.between(Duration::from_secs(1), Duration::from_secs(5));
        run.pass(spell)?;
        run.cluster.set_timing(node, Timing::ORDINARY);
    }
    Ok(())
}
