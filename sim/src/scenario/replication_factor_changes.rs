//! Operators of three nodes ask for three copies, then for two again, while clients write and nodes are killed or cut off.
//!
//! The placement table changes under the writes: what was routed by the old one must not be taken by whoever goes by the new
//! one, nor the other way round. A node that was away meanwhile comes back with the old table.

use super::change::{epochs, set, until_epoch, until_settled};
use super::{LIVENESS_MAX, Scenario, three_nodes};
use crate::invariants::{
    Invariant, NobodyDropsWhatOwnersLack, NobodyLeavesWithWhatOwnersLack, NobodyTakesWhatIsNotItsOwn, of_a_cluster,
};
use crate::run::{Failure, Run};
use serde_json::json;
use std::time::Duration;

/// The numbers of copies, one after the other; there are two at first.
const FACTORS: [u8; 2] = [3, 2];

pub(super) const SCENARIO: Scenario = Scenario {
    name: "replication_factor_changes",
    about: "three copies for two, and two again, on three nodes, of which some are killed or cut off",
    shape: three_nodes,
    faults,
    liveness_max: LIVENESS_MAX,
    invariants,
};

/// All that holds in a cluster, and what a changing table adds to it.
pub(super) fn invariants() -> Vec<Box<dyn Invariant>> {
    let added: [Box<dyn Invariant>; 3] = [
        Box::new(NobodyTakesWhatIsNotItsOwn::default()),
        Box::new(NobodyDropsWhatOwnersLack::default()),
        Box::new(NobodyLeavesWithWhatOwnersLack::default()),
    ];
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
        set(run, &present, &json!({"replication_factor": copies}))?;
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
        until_settled(run, &all)?;
        run.until_ready(SCENARIO.liveness_max)?;
    }
    Ok(())
}
