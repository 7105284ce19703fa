//! The cluster's key changes, step by step and node by node, while clients write; then again, with a node away.
//!
//! Nodes that are a step apart understand each other, so nobody notices the first change. Who comes back more than a step
//! behind is kept out, and is in again once it is given the file as it is then.

use super::{Scenario, three_nodes};
use crate::cluster::Process;
use crate::invariants::of_a_cluster;
use crate::run::{Failure, Run};
use std::time::Duration;

/// The steps of a change.
const STEPS: usize = 3;
/// How long a node may take until it listens.
const LISTENS_MAX: Duration = Duration::from_secs(10);
/// What does not hold if a write fails.
const UNNOTICED: &str = "nobody notices a change of the cluster key";

pub(super) const SCENARIO: Scenario = Scenario {
    name: "cluster_key_rotates_with_a_node_away",
    about: "the cluster's key changes under load, which nobody notices, and again with a node away",
    shape: three_nodes,
    faults,
    liveness_max: Duration::from_secs(60),
    invariants: of_a_cluster,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    let began = run.cluster.elapsed();
    for _ in 0..STEPS {
        run.cluster.rotate_key();
        let first = run.any_node();
        for step in 0..run.cluster.nodes() {
            let pause = run.chance.between(Duration::ZERO, Duration::from_secs(1));
            run.pass(pause)?;
            run.cluster.give_key((first + step) % run.cluster.nodes());
        }
    }
    run.pass(Duration::from_secs(1))?;
    let errors = run.cluster.history().recovery_time(began, run.cluster.elapsed());
    if !errors.is_zero() {
        return Err(Failure::Violated { invariant: UNNOTICED, detail: format!("clients saw errors for {errors:?}") });
    }

    let away = run.any_node();
    run.cluster.kill(away);
    run.fault();
    let steps = 1 + run.chance.index(STEPS);
    for _ in 0..steps {
        run.cluster.rotate_key();
        for node in (0..run.cluster.nodes()).filter(|node| *node != away) {
            let pause = run.chance.between(Duration::ZERO, Duration::from_millis(500));
            run.pass(pause)?;
            run.cluster.give_key(node);
        }
    }
    run.trouble();
    run.cluster.start(away);
    run.until("the node listens", LISTENS_MAX, |run| run.cluster.process(away) == Process::Up)?;
    if steps > 1 {
        let kept_out = run.chance.between(Duration::ZERO, Duration::from_secs(5));
        run.pass(kept_out)?;
        run.cluster.give_key(away);
    }
    run.until_ready(SCENARIO.liveness_max)
}
