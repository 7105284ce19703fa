//! The network between nodes is cut, both ways, one way, or again and again, while clients still reach all of them.
//!
//! No majority is needed to write two copies, so both sides may take writes; afterwards they must come to the same.

use super::{Scenario, three_nodes};
use crate::cluster::Site;
use crate::invariants::of_a_cluster;
use crate::run::{Failure, Run};
use std::time::Duration;

/// How many cuts there are.
const CUTS: u32 = 3;
/// How often a flapping link goes down.
const FLAPS: u32 = 8;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "partition",
    about: "nodes are cut off from each other, both ways, one way, and flapping",
    shape: three_nodes,
    faults,
    liveness_max: Duration::from_secs(60),
    invariants: of_a_cluster,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    for _ in 0..CUTS {
        let before = run.chance.between(Duration::ZERO, Duration::from_secs(2));
        run.pass(before)?;
        let (node, other) = run.two_nodes();
        run.fault();
        match run.chance.below(4) {
            0 => {
                run.cluster.isolate(node);
                let cut = run.chance.between(Duration::from_secs(1), Duration::from_secs(8));
                run.pass(cut)?;
            }
            1 => {
                run.cluster.partition(&[Site::Node(node)], &[Site::Node(other)]);
                let cut = run.chance.between(Duration::from_secs(1), Duration::from_secs(8));
                run.pass(cut)?;
            }
            2 => {
                run.cluster.partition_oneway(&[Site::Node(node)], &[Site::Node(other)]);
                let cut = run.chance.between(Duration::from_secs(1), Duration::from_secs(8));
                run.pass(cut)?;
            }
            _ => flap(run, node)?,
        }
        run.cluster.heal();
        run.trouble();
    }
    Ok(())
}

/// The link of a node to the others goes down and up again.
fn flap(run: &mut Run, node: usize) -> Result<(), Failure> {
    for _ in 0..FLAPS {
        run.cluster.isolate(node);
        let down = run.chance.between(Duration::from_millis(50), Duration::from_secs(1));
        run.pass(down)?;
        run.cluster.heal();
        let up = run.chance.between(Duration::from_millis(50), Duration::from_secs(1));
        run.pass(up)?;
    }
    Ok(())
}
