//! Three nodes get the next version's build, one after the other, while clients write; one of them is killed in between and one
//! goes back; then the next version is activated, and what it brought is written and read everywhere.
//!
//! Before the activation a node that goes back starts and serves: nothing is on its disk that the first version does not
//! know, no node takes anything new, and nobody sends it. From the moment at which the node is back, nobody has the next version
//! activated. After it the old build does not start, and changes nothing on the disk.

use super::change::ask_for;
use super::upgrade::{
    NEXT, SHIPPED, STOP_MAX, notes_everywhere, nothing_new_is_sent, refuses_a_note, refuses_activation, replace_build,
    the_old_build_does_not_start, until_all_go_by, until_all_logs_are_raised,
};
use super::{LIVENESS_MAX, Scenario, three_nodes};
use crate::cluster::Process;
use crate::invariants::of_a_cluster;
use crate::run::{Failure, Run};
use serde_json::json;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "rolling_upgrade",
    about: "three nodes get the next build one by one, one goes back, the next version is activated and used",
    shape: three_nodes,
    faults,
    liveness_max: LIVENESS_MAX,
    invariants: of_a_cluster,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    let nodes = run.staying();
    let (first, killed, back) = (run.any_node(), run.chance.index(nodes.len()), run.chance.index(nodes.len()));
    for step in 0..nodes.len() {
        let node = (first + step) % nodes.len();
        run.pass_up_to_seconds(2)?;
        refuses_a_note(run, node, step)?;
        refuses_activation(run, node)?;
        replace_and_count(run, node, NEXT)?;
        if step == killed {
            let node = run.any_node();
            run.cluster.kill(node);
            run.trouble();
            run.pass_up_to_seconds(3)?;
            run.cluster.start(node);
        }
        run.until_ready(SCENARIO.liveness_max)?;
        nothing_new_is_sent(run, &nodes)?;
        if step == back {
            run.pass_up_to_seconds(2)?;
            go_back(run, &nodes, node)?;
            replace_and_count(run, node, NEXT)?;
            run.until_ready(SCENARIO.liveness_max)?;
        }
    }
    for node in &nodes {
        refuses_a_note(run, *node, nodes.len())?;
    }
    nothing_new_is_sent(run, &nodes)?;
    let away = activate(run, &nodes)?;
    run.until_ready(SCENARIO.liveness_max)?;
    until_all_go_by(run, &nodes, NEXT)?;
    until_all_logs_are_raised(run, &nodes, NEXT)?;
    notes_everywhere(run, &nodes)?;
    run.fault();
    the_old_build_does_not_start(run, away)?;
    run.until_ready(SCENARIO.liveness_max)
}

/// A node gets the build before. As soon as it is there, and before the control plane can know, nobody lets the next version be
/// activated: all others may speak it.
fn go_back(run: &mut Run, nodes: &[usize], node: usize) -> Result<(), Failure> {
    replace_and_count(run, node, SHIPPED)?;
    run.until("the node is back", STOP_MAX, |run| run.cluster.process(node) == Process::Up)?;
    nodes.iter().try_for_each(|asked| refuses_activation(run, *asked))?;
    run.until_ready(SCENARIO.liveness_max)
}

/// Activates the next version, sometimes with a node away that does not hear of it; returns one of them.
fn activate(run: &mut Run, nodes: &[usize]) -> Result<usize, Failure> {
    let away = run.any_node();
    let is_away = run.chance.below(2) == 0;
    if is_away {
        // It must have said to the control plane what it speaks: nobody activates what a member may not speak.
        ask_for(run, nodes, &json!({"change": "activate", "version": NEXT, "plan": true}))?;
        run.cluster.kill(away);
        run.trouble();
    }
    let present: Vec<_> = nodes.iter().copied().filter(|node| !is_away || *node != away).collect();
    ask_for(run, &present, &json!({"change": "activate", "version": NEXT}))?;
    run.pass_up_to_seconds(2)?;
    if is_away {
        run.cluster.start(away);
    }
    Ok(away)
}

/// Stops a node in order and starts it with another build; clients must recover from it.
fn replace_and_count(run: &mut Run, node: usize, version: u16) -> Result<(), Failure> {
    run.fault();
    replace_build(run, node, version)
}
