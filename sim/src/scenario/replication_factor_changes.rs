//! Operators of three nodes ask for three copies, then for two again, while clients write and nodes are killed or cut off.
//!
//! The placement table changes under the writes: what was routed by the old one must not be taken by whoever goes by the new
//! one, nor the other way round. A node that was away meanwhile comes back with the old table.

use super::{Scenario, three_nodes};
use crate::client::{Answer, Lost, Request};
use crate::invariants::{Invariant, NobodyTakesWhatIsNotItsOwn, of_a_cluster};
use crate::run::{Failure, Run};
use serde_json::{Value, json};
use std::time::Duration;

/// The numbers of copies, one after the other; there are two at first.
const FACTORS: [u8; 2] = [3, 2];
/// How long it may take until a change is decided, and until all who hear of it go by its table.
const CHANGE_MAX: Duration = Duration::from_secs(30);
/// How often nodes are asked.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "replication_factor_changes",
    about: "three copies for two, and two again, on three nodes, of which some are killed or cut off",
    shape: three_nodes,
    faults,
    liveness_max: Duration::from_secs(60),
    invariants,
};

/// All that holds in a cluster, and what a changing table adds to it.
pub(super) fn invariants() -> Vec<Box<dyn Invariant>> {
    let added: [Box<dyn Invariant>; 1] = [Box::new(NobodyTakesWhatIsNotItsOwn::default())];
    added.into_iter().chain(of_a_cluster()).collect()
}

/// Each change, with a node that does not hear of it until later, or with none; then a node is killed.
pub(super) fn faults(run: &mut Run) -> Result<(), Failure> {
    for copies in FACTORS {
        let before = run.chance.between(Duration::from_millis(500), Duration::from_secs(2));
        run.pass(before)?;
        run.trouble();
        let absent = run.any_node();
        let absent = match run.chance.below(4) {
            0 => None,
            1 => {
                run.cluster.kill(absent);
                Some(absent)
            }
            _ => {
                run.cluster.isolate(absent);
                Some(absent)
            }
        };
        let all: Vec<_> = (0..run.cluster.nodes()).collect();
        let present: Vec<_> = all.iter().copied().filter(|node| Some(*node) != absent).collect();
        let known = epochs(run, &present)?.into_iter().flatten().max().unwrap_or_default();
        ask_for(run, &present, copies)?;
        until_epoch(run, &present, known + 1)?;
        let late = run.chance.between(Duration::ZERO, Duration::from_secs(2));
        run.pass(late)?;
        run.cluster.heal();
        absent.into_iter().for_each(|node| run.cluster.start(node));
        until_epoch(run, &all, known + 1)?;
        let node = run.any_node();
        run.cluster.kill(node);
        let away = run.chance.between(Duration::from_millis(50), Duration::from_secs(3));
        run.pass(away)?;
        run.cluster.start(node);
        run.until_ready(SCENARIO.liveness_max)?;
    }
    Ok(())
}

/// Asks one node after the other for so many copies until one says that it is decided.
pub(super) fn ask_for(run: &mut Run, nodes: &[usize], copies: u8) -> Result<(), Failure> {
    let begun = run.cluster.elapsed();
    let body = json!({"replication_factor": copies}).to_string().into_bytes();
    for node in nodes.iter().cycle() {
        let answer = run.ask_admin(*node, Request::post("/v1/admin/settings", body.clone()))?;
        if answer.is_ok_and(|answer| answer.status == 200) {
            break;
        }
        if run.cluster.elapsed() - begun >= CHANGE_MAX {
            return Err(Failure::Stuck { what: format!("{copies} copies are decided on"), limit: CHANGE_MAX });
        }
        run.pass(LOOK_EVERY)?;
    }
    Ok(())
}

/// The epochs of the tables that nodes go by, as they tell operators.
pub(super) fn epochs(run: &mut Run, nodes: &[usize]) -> Result<Vec<Option<u64>>, Failure> {
    let answers = run.ask_operators(nodes, &Request::get("/v1/admin/cluster"))?;
    let epoch = |answer: Result<Answer, Lost>| answer.ok()?.json().get("epoch").and_then(Value::as_u64);
    Ok(answers.into_iter().map(epoch).collect())
}

/// Waits until all these nodes go by the table of that epoch.
pub(super) fn until_epoch(run: &mut Run, nodes: &[usize], epoch: u64) -> Result<(), Failure> {
    let begun = run.cluster.elapsed();
    loop {
        let found = epochs(run, nodes)?;
        if found.iter().all(|found| *found == Some(epoch)) {
            return Ok(());
        }
        if run.cluster.elapsed() - begun >= CHANGE_MAX {
            let what = format!("nodes {nodes:?} go by epoch {epoch}: {found:?}");
            return Err(Failure::Stuck { what, limit: CHANGE_MAX });
        }
        run.pass(LOOK_EVERY)?;
    }
}
