//! A fourth node joins three while clients write; at any moment of it one of the four is killed, loses power or is cut off.

use super::change::{disturb, join, until_settled};
use super::replication_factor_changes::invariants;
use super::{LIVENESS_MAX, Scenario};
use crate::cluster::Shape;
use crate::run::{Failure, Run};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "a_node_joins",
    about: "a fourth node joins three, and one of the four goes away and comes back meanwhile",
    shape: || Shape { nodes: 4, founders: 3, ..Shape::default() },
    faults,
    liveness_max: LIVENESS_MAX,
    invariants,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    run.pass_up_to_seconds(2)?;
    join(run, &[0, 1, 2], 3)?;
    disturb(run, &[0, 1, 2, 3])?;
    until_settled(run, &[0, 1, 2, 3])
}
