//! All nodes are stopped in order and started again, one after the other, as an upgrade does; sometimes across a cut.
//!
//! The next one is stopped when all are ready, or, across a cut, when the last one listens.

use super::{Scenario, three_nodes};
use crate::cluster::Process;
use crate::invariants::of_a_cluster;
use crate::run::{Failure, Run};
use std::time::Duration;

/// How long a node may take to stop in order, and to listen.
const STOP_MAX: Duration = Duration::from_secs(30);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "rolling_restart",
    about: "all nodes stop in order and start again, one by one, sometimes with a partition",
    shape: three_nodes,
    faults,
    liveness_max: Duration::from_secs(60),
    invariants: of_a_cluster,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    let cut = run.chance.below(2) == 0;
    let first = run.any_node();
    for step in 0..run.cluster.nodes() {
        let node = (first + step) % run.cluster.nodes();
        run.pass(Duration::from_millis(500))?;
        if cut {
            let away = run.any_node();
            run.trouble();
            run.cluster.isolate(away);
        }
        run.cluster.stop(node);
        if !cut {
            run.fault();
        }
        run.until("the node has stopped", STOP_MAX, |run| run.cluster.process(node) == Process::Stopped)?;
        run.cluster.start(node);
        if cut {
            run.until("the node listens", STOP_MAX, |run| run.cluster.process(node) == Process::Up)?;
            let time = run.chance.between(Duration::ZERO, Duration::from_secs(4));
            run.pass(time)?;
            run.cluster.heal();
        } else {
            run.until_ready(SCENARIO.liveness_max)?;
        }
    }
    Ok(())
}
