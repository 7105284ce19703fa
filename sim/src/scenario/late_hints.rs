//! Two of three nodes are away, the third keeps hints for them and is cut off when they return; then it delivers them.
//!
//! By then both owners have closed a time after the hints and agree on it: the records must come under new stamps. Records that
//! clients sent long ago and send once more, and an old copy that is imported again at every node, change nothing.

use super::{Scenario, three_nodes};
use crate::client::Request;
use crate::invariants::{Invariant, Placed, WhatIsStableStays, of_a_cluster};
use crate::run::{Failure, Run};
use api::json::envelope_json;
use model::Home;
use std::time::Duration;

/// How many records are sent once more at each node, one by one.
const RETRIES: usize = 5;
/// How many records of the old copy are imported at each node.
const IMPORTED: usize = 200;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "late_hints",
    about: "hints come when both owners have closed a later time, and old records are sent once more",
    shape: three_nodes,
    faults,
    liveness_max: Duration::from_secs(60),
    invariants,
};

fn invariants() -> Vec<Box<dyn Invariant>> {
    let stable: [Box<dyn Invariant>; 1] = [Box::new(WhatIsStableStays::of_at_least(20))];
    stable.into_iter().chain(of_a_cluster()).collect()
}

fn faults(run: &mut Run) -> Result<(), Failure> {
    let before = run.chance.between(Duration::from_secs(4), Duration::from_secs(6));
    run.pass(before)?;
    let keeper = keeper(run);
    let others: Vec<_> = (0..run.cluster.nodes()).filter(|node| *node != keeper).collect();
    others.iter().for_each(|node| run.cluster.kill(*node));
    run.trouble();
    let alone = run.chance.between(Duration::from_millis(500), Duration::from_secs(2));
    run.pass(alone)?;
    run.cluster.isolate(keeper);
    others.iter().for_each(|node| run.cluster.start(*node));
    let agreed = run.chance.between(Duration::from_secs(12), Duration::from_secs(16));
    run.pass(agreed)?;
    run.cluster.heal();
    send_once_more(run)?;
    import(run)?;
    run.pass(Duration::from_secs(3))
}

/// The node that does not own the global home: what the others agree on without it is stable all the same.
fn keeper(run: &Run) -> usize {
    let all: Vec<_> = (0..run.cluster.nodes()).collect();
    let placed = Placed::of(&run.cluster, &all).ok();
    let is_owner = |node: &usize| {
        placed.as_ref().is_some_and(|placed| {
            let owners = placed.table.owners(Home::GLOBAL).iter();
            owners.filter_map(|owner| placed.nodes.get(owner)).any(|owner| owner == node)
        })
    };
    all.into_iter().find(|node| !is_owner(node)).unwrap_or_default()
}

/// Has every node take some of the first records again; whether it does is not asked.
fn send_once_more(run: &mut Run) -> Result<(), Failure> {
    let first: Vec<_> = run.cluster.history().acknowledged(0).into_iter().take(RETRIES).collect();
    for node in 0..run.cluster.nodes() {
        for write in &first {
            let body = envelope_json(write.record.envelope());
            drop(run.ask(node, Request::post("/v1/assert", body))?);
        }
    }
    Ok(())
}

/// Has every node import the same old copy, as an archive of one cluster is imported into another; what it says is not asked.
fn import(run: &mut Run) -> Result<(), Failure> {
    let first = run.cluster.history().acknowledged(0).into_iter().take(IMPORTED);
    let lines: Vec<_> = first.map(|write| envelope_json(write.record.envelope())).collect();
    for node in 0..run.cluster.nodes() {
        drop(run.ask(node, Request::post("/v1/records", lines.join(&b'\n')))?);
    }
    Ok(())
}
