//! A coordinator dies between the first copy of a write and the second, and comes back later, or never.
//!
//! It is killed so many microseconds of work after it took a write that one disk has the record and the other does not
//! yet: what it sends is late, or its power fails at one of the next calls of its disk. Nobody was told that the record is
//! stored; a retry elsewhere must neither lose it nor make two stamps of it for good.

use super::{Scenario, three_nodes};
use crate::invariants::of_a_cluster;
use crate::run::{Failure, Run};
use crate::world::Forecast;
use std::time::Duration;

/// How many coordinators die.
const DEATHS: u32 = 4;
/// The power fails at one of so many calls of the disk.
const CALLS_MAX: u64 = 12;
/// How late what a coordinator sends is, at most; it dies within that time.
const LATENESS_MAX: Duration = Duration::from_millis(40);
/// How long a node may live on after its fuse was armed.
const FUSE_MAX: Duration = Duration::from_secs(2);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "coordinator_dies",
    about: "a coordinator dies between the first copy of a write and the second",
    shape: three_nodes,
    faults,
    liveness_max: Duration::from_secs(30),
    invariants: of_a_cluster,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    for _ in 0..DEATHS {
        let before = run.chance.between(Duration::ZERO, Duration::from_secs(2));
        run.pass(before)?;
        let node = run.any_node();
        let late = Forecast { late_in_a_million: 1_000_000, lateness_max: LATENESS_MAX, ..Forecast::default() };
        run.cluster.set_weather(node, late);
        if run.chance.below(2) == 0 {
            let time = run.chance.between(Duration::from_millis(1), LATENESS_MAX);
            run.pass(time)?;
            run.cluster.kill(node);
        } else {
            let call = 1 + run.chance.below(CALLS_MAX);
            run.cluster.power_loss_at(node, call);
            run.pass_while(FUSE_MAX, |run| run.cluster.running().contains(&node))?;
        }
        run.fault();
        run.cluster.set_weather(node, Forecast::default());
        let away = run.chance.between(Duration::from_millis(100), Duration::from_secs(5));
        run.pass(away)?;
        run.cluster.start(node);
    }
    Ok(())
}
