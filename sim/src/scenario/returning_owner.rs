//! A random node of three is away for a while, again and again, and comes back to a cluster that writes and reads.
//!
//! Its memory of the time before must not be served as if it were all, and whoever reads from all owners mends it. It has
//! time to meet the others before the next one goes, so nobody is ever without an owner that has met another.

use super::{Scenario, three_nodes};
use crate::cluster::Process;
use crate::invariants::{AReadOfAllRepairsItsOwners, Invariant, ReadsAreAsFreshAsTheySay, of_a_cluster};
use crate::run::{Failure, Run};
use std::time::Duration;

/// How often a node is away.
const RETURNS: u32 = 3;
/// How long a node may take until it listens.
const LISTENS_MAX: Duration = Duration::from_secs(10);
/// How long the next one stays at least after one is back: a fence lies up to 3 s back.
const MEETS: Duration = Duration::from_millis(3_200);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "returning_owner",
    about: "a random node of three is away, comes back, and is read from at once",
    shape: three_nodes,
    faults,
    liveness_max: Duration::from_secs(30),
    invariants,
};

fn invariants() -> Vec<Box<dyn Invariant>> {
    let readers: [Box<dyn Invariant>; 2] =
        [Box::new(ReadsAreAsFreshAsTheySay::default()), Box::new(AReadOfAllRepairsItsOwners::default())];
    readers.into_iter().chain(of_a_cluster()).collect()
}

fn faults(run: &mut Run) -> Result<(), Failure> {
    for _ in 0..RETURNS {
        let before = run.chance.between(Duration::ZERO, Duration::from_secs(1));
        run.pass(before)?;
        let node = run.any_node();
        run.cluster.kill(node);
        run.fault();
        let away = run.chance.between(Duration::from_secs(1), Duration::from_secs(3));
        run.pass(away)?;
        run.cluster.start(node);
        run.until("the node listens", LISTENS_MAX, |run| run.cluster.process(node) == Process::Up)?;
        run.pass(MEETS)?;
    }
    Ok(())
}
