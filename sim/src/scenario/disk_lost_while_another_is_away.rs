//! One node of three is away, another one loses its disk for good, and the first comes back.
//!
//! What was acknowledged meanwhile was on the disk that is lost and on that of the third node, as a hint for the one that
//! was away; from there it has to come.

use super::{Scenario, three_nodes};
use crate::invariants::of_a_cluster;
use crate::run::{Failure, Run};
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "disk_lost_while_another_is_away",
    about: "a node of three is away, another loses its disk and stays away, the first comes back",
    shape: three_nodes,
    faults,
    liveness_max: Duration::from_secs(60),
    invariants: of_a_cluster,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    let before = run.chance.between(Duration::from_millis(500), Duration::from_secs(3));
    run.pass(before)?;
    let (away, lost) = run.two_nodes();
    run.cluster.kill(away);
    run.fault();
    let alone = run.chance.between(Duration::from_secs(1), Duration::from_secs(6));
    run.pass(alone)?;
    run.cluster.lose_disk(lost);
    run.forget(lost);
    run.trouble();
    let silence = run.chance.between(Duration::ZERO, Duration::from_secs(1));
    run.pass(silence)?;
    run.cluster.start(away);
    let after = run.chance.between(Duration::from_secs(1), Duration::from_secs(5));
    run.pass(after)
}
