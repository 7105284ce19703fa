//! Operators ask for two changes, the second at any moment of the first, while clients write and nodes go away.
//!
//! Four nodes, and a fifth that waits. Each change is one of those that there are: let the fifth join, drain one, replace one
//! that is lost by the fifth, remove one that is dead, three copies for two, a pause. Whatever two they are, in whatever order,
//! both come to their ends.

use super::change::{ask_for, disturb, join, name_of, set, until_settled};
use super::replication_factor_changes::invariants;
use super::{LIVENESS_MAX, Scenario};
use crate::cluster::Shape;
use crate::run::{Failure, Run};
use serde_json::json;

/// The nodes that found the cluster.
const FOUNDERS: usize = 4;
/// The one that waits.
const FRESH: usize = 4;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "two_changes_at_once",
    about: "two changes of four nodes, the second at any moment of the first, and one node goes away and comes back",
    shape: || Shape { nodes: 5, founders: FOUNDERS, ..Shape::default() },
    faults,
    liveness_max: LIVENESS_MAX,
    invariants,
};

/// Who is there, and what is still to be done.
struct Members {
    here: Vec<usize>,
    /// Those that are members and do not drain.
    staying: Vec<usize>,
    fresh: bool,
    copies: u8,
    paused: bool,
}

fn faults(run: &mut Run) -> Result<(), Failure> {
    let all: Vec<_> = (0..FOUNDERS).collect();
    let mut members = Members { here: all.clone(), staying: all, fresh: true, copies: 2, paused: false };
    run.pass_up_to_seconds(2)?;
    change(run, &mut members)?;
    run.pass_up_to_seconds(10)?;
    change(run, &mut members)?;
    disturb(run, &members.here)?;
    if members.paused {
        ask_for(run, &members.here, &json!({"change": "resume"}))?;
    }
    until_settled(run, &members.staying)?;
    let drained: Vec<_> = members.here.iter().copied().filter(|node| !members.staying.contains(node)).collect();
    drained.into_iter().for_each(|node| run.let_go(node));
    Ok(())
}

/// One change of those that are possible now, by chance.
fn change(run: &mut Run, members: &mut Members) -> Result<(), Failure> {
    let one = |run: &mut Run, members: &Members| {
        let at = run.chance.index(members.staying.len());
        members.staying.get(at).copied().unwrap_or_default()
    };
    match run.chance.below(6) {
        0 | 1 if members.fresh => {
            members.fresh = false;
            join(run, &members.here, FRESH)?;
            members.here.push(FRESH);
            members.staying.push(FRESH);
        }
        2 if members.fresh => {
            members.fresh = false;
            let old = lose(run, one, members)?;
            run.cluster.start(FRESH);
            let new = name_of(run, FRESH)?;
            ask_for(run, &members.here, &json!({"change": "replace", "node": old, "by": new}))?;
            run.welcome(FRESH);
            members.here.push(FRESH);
            members.staying.push(FRESH);
        }
        // Only while all that the dead one had is elsewhere too: one loss at a time is what two copies bear.
        3 if members.fresh => {
            until_settled(run, &members.staying)?;
            let old = lose(run, one, members)?;
            ask_for(run, &members.here, &json!({"change": "remove", "node": old}))?;
            members.fresh = false;
        }
        4 => {
            members.copies = 5 - members.copies;
            set(run, &members.here, &json!({"replication_factor": members.copies}))?;
        }
        5 if !members.paused => {
            members.paused = true;
            ask_for(run, &members.here, &json!({"change": "pause"}))?;
        }
        _ => {
            let node = one(run, members);
            let name = name_of(run, node)?;
            ask_for(run, &members.here, &json!({"change": "drain", "node": name}))?;
            members.staying.retain(|stays| *stays != node);
        }
    }
    Ok(())
}

/// Takes the disk of one that is there, for ever; returns its name.
fn lose(run: &mut Run, one: impl Fn(&mut Run, &Members) -> usize, members: &mut Members) -> Result<String, Failure> {
    let node = one(run, members);
    let name = name_of(run, node)?;
    run.trouble();
    run.cluster.lose_disk(node);
    run.forget(node);
    members.here.retain(|here| *here != node);
    members.staying.retain(|stays| *stays != node);
    Ok(name)
}
