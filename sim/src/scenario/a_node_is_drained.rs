//! One of four nodes is drained while clients write; at any moment of it one of the four is killed, loses power or is cut off:
//! by chance just when the drained one owns nothing any more, and keeps a hint perhaps.
//! In the end it is no member, holds nothing that is missing elsewhere, and serves nothing.

use super::change::{ask_for, disturb, name_of, until_it_owns_nothing, until_members, until_settled};
use super::replication_factor_changes::invariants;
use super::{LIVENESS_MAX, Scenario};
use crate::cluster::Shape;
use crate::run::{Failure, Run};
use serde_json::json;
use std::time::Duration;

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
    if run.chance.below(2) == 0 {
        until_it_owns_nothing(run, &stay, &name)?;
        go_away_in_the_end(run, &stay)?;
    } else {
        disturb(run, &all)?;
    }
    until_members(run, &stay, 3)?;
    run.let_go(gone);
    until_settled(run, &stay)
}

/// One of those that stay is killed, and comes back.
fn go_away_in_the_end(run: &mut Run, stay: &[usize]) -> Result<(), Failure> {
    let before = run.chance.between(Duration::ZERO, Duration::from_secs(2));
    run.pass(before)?;
    let at = run.chance.index(stay.len());
    let node = stay.get(at).copied().unwrap_or_default();
    run.trouble();
    run.cluster.kill(node);
    let away = run.chance.between(Duration::from_secs(1), Duration::from_secs(6));
    run.pass(away)?;
    run.cluster.start(node);
    Ok(())
}
