//! One of four nodes is drained while clients write; at any moment of it one of the four is killed, loses power or is cut off.
//! In the end it is no member, holds nothing that is missing elsewhere, and serves nothing.

use super::change::{ask_for, disturb, name_of, until_members, until_settled};
use super::replication_factor_changes::invariants;
use super::{LIVENESS_MAX, Scenario};
use crate::cluster::Shape;
use crate::run::{Failure, Run};
use serde_json::json;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "a_node_is_drained",
    about: "one of four is drained, and one of the four goes away and comes back meanwhile",
    shape: || Shape { nodes: 4, ..Shape::default() },
    faults,
    liveness_max: LIVENESS_MAX,
    invariants,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    run.pass_up_to_seconds(2)?;
    let all = [0, 1, 2, 3];
    let gone = run.any_node();
    let stay: Vec<_> = all.into_iter().filter(|node| *node != gone).collect();
    let name = name_of(run, gone)?;
    ask_for(run, &all, &json!({"change": "drain", "node": name}))?;
    disturb(run, &all)?;
    until_members(run, &stay, 3)?;
    run.forget(gone);
    until_settled(run, &stay)
}
