//! Nodes of two versions run together for a day, in which faults come about every half hour and nodes get the one build or the
//! other; then the next version is activated, and what it brought is written and read everywhere.
//!
//! It is what an operator does who upgrades one node, watches it for a day, and goes back and forth meanwhile. As long as the
//! next version is not active, nothing of it is taken, sent or written, whoever is killed, cut off or exchanged.

use super::change::ask_for;
use super::upgrade::{
    NEXT, SHIPPED, notes_everywhere, nothing_new_is_sent, refuses_a_note, refuses_activation, replace_build,
    until_all_go_by, until_all_logs_are_raised,
};
use super::{LIVENESS_MAX, Scenario};
use crate::client::Workload;
use crate::cluster::{Shape, Site};
use crate::invariants::of_a_cluster;
use crate::run::{Failure, Run};
use serde_json::json;
use std::time::Duration;

/// How long versions are mixed.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long nothing happens between two faults.
const PEACE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3600));
/// How long a fault lasts.
const TROUBLE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// The mean time between two writes of a client.
const EVERY: Duration = Duration::from_secs(30);
/// How many clients there are.
const CLIENTS: usize = 2;
/// The step of the simulation, or a day would take an hour of a processor. Raft's shortest time is 50 ms.
const STEP: Duration = Duration::from_millis(10);
/// How many writes must have been acknowledged in the day: half of what the clients send.
const ACKNOWLEDGED_MIN: usize = 2_880;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "mixed_versions_for_a_day",
    about: "nodes of two builds run together for a day with faults, then the next version is activated; left out unless named",
    shape,
    faults,
    liveness_max: LIVENESS_MAX,
    invariants: of_a_cluster,
};

fn shape() -> Shape {
    let workload = Workload { every: EVERY, ..Workload::default() };
    Shape { nodes: 3, clients: CLIENTS, workload, step: STEP, ..Shape::default() }
}

fn faults(run: &mut Run) -> Result<(), Failure> {
    let nodes = run.staying();
    let before = run.cluster.history().acknowledgements();
    let end = run.cluster.elapsed() + DAY;
    let mut builds = vec![SHIPPED; nodes.len()];
    exchange(run, &nodes, &mut builds)?;
    for round in 0.. {
        let peace = run.chance.between(PEACE.0, PEACE.1);
        if run.cluster.elapsed() + peace >= end {
            break;
        }
        run.pass(peace)?;
        trouble(run, &nodes, &mut builds)?;
        run.until_ready(SCENARIO.liveness_max)?;
        let node = run.any_node();
        refuses_a_note(run, node, round)?;
        refuses_activation(run, node)?;
        nothing_new_is_sent(run, &nodes)?;
    }
    run.pass(end.saturating_sub(run.cluster.elapsed()))?;
    let acknowledged = run.cluster.history().acknowledged(before).len();
    if acknowledged < ACKNOWLEDGED_MIN {
        let detail = format!("only {acknowledged} writes were taken in a day");
        return Err(Failure::Violated { invariant: SCENARIO.name, detail });
    }
    for node in nodes.iter().filter(|node| builds.get(**node) == Some(&SHIPPED)) {
        replace_build(run, *node, NEXT)?;
        run.until_ready(SCENARIO.liveness_max)?;
    }
    ask_for(run, &nodes, &json!({"change": "activate", "version": NEXT}))?;
    until_all_go_by(run, &nodes, NEXT)?;
    until_all_logs_are_raised(run, &nodes, NEXT)?;
    notes_everywhere(run, &nodes)
}

/// One fault, and its end: a node away, cut off, heard by one side only, or of another build.
fn trouble(run: &mut Run, nodes: &[usize], builds: &mut [u16]) -> Result<(), Failure> {
    let lasts = run.chance.between(TROUBLE.0, TROUBLE.1);
    let (node, other) = run.two_nodes();
    match run.chance.below(5) {
        0 => run.cluster.kill(node),
        1 => run.cluster.power_loss(node),
        2 => run.cluster.isolate(node),
        3 => run.cluster.partition_oneway(&[Site::Node(node)], &[Site::Node(other)]),
        _ => return exchange(run, nodes, builds),
    }
    run.pass(lasts)?;
    run.cluster.heal();
    if !run.cluster.running().contains(&node) {
        run.cluster.start(node);
    }
    Ok(())
}

/// A node gets the other build, unless all would then be of the next one: activation would be possible.
fn exchange(run: &mut Run, nodes: &[usize], builds: &mut [u16]) -> Result<(), Failure> {
    let node = run.any_node();
    let shipped = nodes.iter().filter(|other| **other != node && builds.get(**other) == Some(&SHIPPED)).count();
    let Some(build) = builds.get_mut(node) else { return Ok(()) };
    *build = if *build == SHIPPED && shipped > 0 { NEXT } else { SHIPPED };
    replace_build(run, node, *build)
}
