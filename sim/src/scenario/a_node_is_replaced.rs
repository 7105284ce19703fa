//! One of three nodes loses its disk for ever while clients write, and a fourth takes its place; one of the others is killed,
//! loses power or is cut off meanwhile: the last other owner of many homes among them.
//!
//! By chance the one without a disk is started again at its old address, told to found a cluster of three as it did once. It is
//! another node now, that nobody let in, and founds nothing.

use super::change::{disturb, replace_one_of_three, until_settled};
use super::replication_factor_changes::invariants;
use super::{LIVENESS_MAX, Scenario};
use crate::cluster::Shape;
use crate::run::{Failure, Run};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "a_node_is_replaced",
    about: "a fourth node takes the place of one that lost its disk, and another goes away and comes back meanwhile",
    shape: || Shape { nodes: 4, founders: 3, ..Shape::default() },
    faults,
    liveness_max: LIVENESS_MAX,
    invariants,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    let stay = replace_one_of_three(run, |run, gone| {
        if run.chance.below(2) == 0 {
            run.cluster.start(gone);
        }
        run.pass_up_to_seconds(3)
    })?;
    let here: Vec<_> = stay.into_iter().chain([3]).collect();
    disturb(run, &here)?;
    until_settled(run, &here)
}
