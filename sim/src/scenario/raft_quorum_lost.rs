//! For an hour no call of Raft arrives, so that nothing can be decided, while everything else goes on; for some minutes of it
//! a node is killed, and starts again among others that nobody leads.
//!
//! The data plane must not notice: no write is given up, and each is on two nodes. It is the purest form of a lost quorum:
//! the nodes are there, gossip hears them, and each stands for election again and again.

use super::Scenario;
use super::change::{set, until_settled};
use crate::client::{Request, Workload};
use crate::cluster::Shape;
use crate::invariants::{leaders_named, of_a_cluster};
use crate::run::{Failure, Run};
use serde_json::{Value, json};
use std::time::Duration;

/// How long nothing can be decided.
const HOUR: Duration = Duration::from_secs(3600);
/// How long a decision may still be on its way to the disks when the hour begins.
const SETTLING: Duration = Duration::from_secs(10);
/// How long the node that is killed stays away.
const AWAY: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(600));
/// The mean time between two writes of a client: an hour at the rate of other scenarios would take minutes of a processor.
const EVERY: Duration = Duration::from_secs(5);
/// How many clients there are.
const CLIENTS: usize = 2;
/// The step of the simulation, for the same reason. Raft's shortest time is 50 ms.
const STEP: Duration = Duration::from_millis(10);
/// How many writes must have been acknowledged in the hour: half of what the clients send.
const ACKNOWLEDGED_MIN: usize = 720;
/// How long it may take until somebody leads again.
const LED_MAX: Duration = Duration::from_secs(10);
/// How often nodes are asked who leads.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "raft_quorum_lost",
    about: "no call of Raft arrives for an hour; reads, writes and gossip go on",
    shape,
    faults,
    liveness_max: Duration::from_secs(60),
    invariants: of_a_cluster,
};

fn shape() -> Shape {
    let workload = Workload { every: EVERY, ..Workload::default() };
    Shape { nodes: 3, clients: CLIENTS, workload, step: STEP, ..Shape::default() }
}

fn faults(run: &mut Run) -> Result<(), Failure> {
    run.cluster.lose_raft(true);
    let end = run.cluster.elapsed() + HOUR;
    run.pass(SETTLING)?;
    let (decided, acknowledged) = (last_decided(run), run.cluster.history().acknowledgements());
    let before = run.chance.between(Duration::ZERO, HOUR / 2);
    run.pass(before)?;
    let node = run.any_node();
    run.cluster.kill(node);
    let away = run.chance.between(AWAY.0, AWAY.1);
    run.pass(away)?;
    run.cluster.start(node);
    run.until_ready(SCENARIO.liveness_max)?;
    run.pass(end.saturating_sub(run.cluster.elapsed()))?;
    let now = last_decided(run);
    held(now == decided, || format!("without a quorum the committed entries went from {decided:?} to {now:?}"))?;
    writes_went_on(run, acknowledged)?;
    all_are_heard(run)?;
    let change = Request::post("/v1/admin/settings", br#"{"replication_factor":3}"#.to_vec());
    let answer = run.ask_admin(node, change)?;
    held(answer.is_ok_and(|answer| answer.status == 503), || "a change without a quorum was not put off".to_owned())?;
    run.cluster.lose_raft(false);
    until_decided(run, decided)?;
    let nodes = run.staying();
    set(run, &nodes, &json!({"replication_factor": 3}))?;
    until_settled(run, &nodes)
}

/// The last entry that any disk knows to be committed.
fn last_decided(run: &Run) -> Option<u64> {
    let logs = (0..run.cluster.nodes()).filter_map(|node| run.cluster.control_log(node).ok().flatten());
    logs.filter_map(|log| log.kept.committed).max()
}

/// No write was given up, there were as many as there should be, and each was told to be on two nodes.
fn writes_went_on(run: &Run, before: usize) -> Result<(), Failure> {
    let history = run.cluster.history();
    let acknowledged = history.acknowledged(before);
    held(history.given_up() == 0, || format!("{} writes were given up", history.given_up()))?;
    held(acknowledged.len() >= ACKNOWLEDGED_MIN, || format!("only {} writes were taken", acknowledged.len()))?;
    let fewer = acknowledged.iter().filter_map(|write| write.acknowledgement()).find(|told| told.copies < 2);
    held(fewer.is_none(), || format!("a write was taken with fewer than two copies: {fewer:?}"))
}

/// Every node hears every other.
fn all_are_heard(run: &mut Run) -> Result<(), Failure> {
    let nodes = run.staying();
    let answers = run.ask_operators(&nodes, &Request::get("/v1/admin/nodes"))?;
    for (node, answer) in nodes.iter().zip(answers) {
        let answer = answer.map(|answer| answer.json()).unwrap_or_default();
        let states = answer.get("nodes").and_then(Value::as_array).into_iter().flatten();
        let alive = states.filter(|other| other.get("state").and_then(Value::as_str) == Some("alive")).count();
        held(alive == nodes.len(), || format!("node {node} hears {alive} of {}: {answer}", nodes.len()))?;
    }
    Ok(())
}

/// Waits until all nodes name one leader, and something was decided after `before`.
fn until_decided(run: &mut Run, before: Option<u64>) -> Result<(), Failure> {
    let begun = run.cluster.elapsed();
    loop {
        let named = leaders_named(run)?;
        if named.len() == 1 && !named.contains(&None) && last_decided(run) > before {
            return Ok(());
        }
        if run.cluster.elapsed() - begun >= LED_MAX {
            return Err(Failure::Stuck { what: format!("somebody leads and decides: {named:?}"), limit: LED_MAX });
        }
        run.pass(LOOK_EVERY)?;
    }
}

/// What this scenario is about, if it does not hold.
fn held(holds: bool, detail: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Violated { invariant: SCENARIO.name, detail: detail() }) }
}
