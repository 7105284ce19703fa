//! One of three nodes loses its disk for ever and is replaced; as soon as homes move to the new one, whoever has the only other
//! copy of them is started again, several times, so that the new one takes them over from a node that comes and goes.

use super::change::{replace_one_of_three, until_homes_set_out, until_settled};
use super::replication_factor_changes::invariants;
use super::{LIVENESS_MAX, Scenario};
use crate::cluster::Shape;
use crate::run::{Failure, Run};
use std::time::Duration;

/// How often an owner is started again.
const RESTARTS: usize = 3;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "replaced_while_an_owner_restarts",
    about: "a lost node is replaced, and those that hold the last copies are started again meanwhile",
    shape: || Shape { nodes: 4, founders: 3, ..Shape::default() },
    faults,
    liveness_max: LIVENESS_MAX,
    invariants,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    let stay = replace_one_of_three(run, |run, _| run.pass_up_to_seconds(2))?;
    until_homes_set_out(run, &stay)?;
    for _ in 0..RESTARTS {
        let at = run.chance.index(stay.len());
        let node = stay.get(at).copied().unwrap_or_default();
        let before = run.chance.between(Duration::ZERO, Duration::from_secs(2));
        run.pass(before)?;
        if run.chance.below(3) == 0 {
            run.cluster.power_loss(node)
        } else {
            run.cluster.kill(node)
        }
        let away = run.chance.between(Duration::from_millis(20), Duration::from_secs(1));
        run.pass(away)?;
        run.cluster.start(node);
    }
    let here: Vec<_> = stay.into_iter().chain([3]).collect();
    until_settled(run, &here)
}
