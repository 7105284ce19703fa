//! One of three nodes loses its disk for ever while clients write, and a fourth takes its place; one of the others is killed,
//! loses power or is cut off meanwhile: the last other owner of many homes among them.

use super::change::{ask_for, disturb, name_of, until_settled};
use super::replication_factor_changes::invariants as of_a_changing_cluster;
use super::{LIVENESS_MAX, Scenario};
use crate::cluster::Shape;
use crate::invariants::Invariant;
use crate::run::{Failure, Run};
use serde_json::json;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "a_node_is_replaced",
    about: "a fourth node takes the place of one that lost its disk, and another goes away and comes back meanwhile",
    shape: || Shape { nodes: 4, founders: 3, ..Shape::default() },
    faults,
    liveness_max: LIVENESS_MAX,
    invariants,
};

/// All but what the frontier does not hold yet: a newcomer may keep a late write under a stamp that the other owner closed
/// (decision 12, the first of its limits; seed 5 shows it).
fn invariants() -> Vec<Box<dyn Invariant>> {
    of_a_changing_cluster().into_iter().filter(|invariant| invariant.name() != "what_is_stable_stays").collect()
}

fn faults(run: &mut Run) -> Result<(), Failure> {
    run.pass_up_to_seconds(2)?;
    let gone = run.chance.index(3);
    let stay: Vec<_> = (0..3).filter(|node| *node != gone).collect();
    let old = name_of(run, gone)?;
    run.trouble();
    run.cluster.lose_disk(gone);
    run.forget(gone);
    run.cluster.start(3);
    let new = name_of(run, 3)?;
    run.pass_up_to_seconds(3)?;
    ask_for(run, &stay, &json!({"change": "replace", "node": old, "by": new}))?;
    run.welcome(3);
    let here: Vec<_> = stay.iter().copied().chain([3]).collect();
    disturb(run, &here)?;
    until_settled(run, &here)
}
