//! A random node of three loses its power at any call of its disk, what was not synced is torn, and it comes back.
//!
//! Nobody is told that it is gone: its connections go silent, as when a cable is pulled.

use super::{Scenario, three_nodes};
use crate::invariants::of_a_cluster;
use crate::run::{Failure, Run};
use std::time::Duration;

/// How often the power fails.
const FALLS: u32 = 4;
/// The power fails at one of so many calls of the disk.
const CALLS_MAX: u64 = 300;
/// How long a node may live on after its fuse was armed; then its power is taken anyway.
const FUSE_MAX: Duration = Duration::from_secs(5);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "power_loss_any_node",
    about: "a random node of three loses power at random disk calls, with a torn disk",
    shape: three_nodes,
    faults,
    liveness_max: Duration::from_secs(30),
    invariants: of_a_cluster,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    for _ in 0..FALLS {
        let before = run.chance.between(Duration::ZERO, Duration::from_secs(2));
        run.pass(before)?;
        let node = run.any_node();
        run.trouble();
        let call = 1 + run.chance.below(CALLS_MAX);
        run.cluster.power_loss_at(node, call);
        run.pass_while(FUSE_MAX, |run| run.cluster.running().contains(&node))?;
        if run.cluster.running().contains(&node) {
            run.cluster.power_loss(node);
        }
        run.fault();
        let away = run.chance.between(Duration::ZERO, Duration::from_secs(5));
        run.pass(away)?;
        run.cluster.start(node);
    }
    Ok(())
}
