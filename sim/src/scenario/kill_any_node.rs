//! A random node of three is killed and started again, over and over, while clients write.
//!
//! What a retrying client sees of it, and how soon the others know, are the figures that operators ask for first.

use super::{Scenario, three_nodes};
use crate::invariants::of_a_cluster;
use crate::run::{Failure, Run};
use std::time::Duration;

/// How often a node is killed.
const KILLS: u32 = 4;
/// How long a killed node stays away.
const AWAY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(6));
/// How long the survivors may take to know.
const DETECTION_MAX: Duration = Duration::from_secs(10);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "kill_any_node",
    about: "a random node of three is killed and started again, over and over",
    shape: three_nodes,
    faults,
    liveness_max: Duration::from_secs(30),
    invariants: of_a_cluster,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    for kill in 0..KILLS {
        let before = run.chance.between(Duration::ZERO, Duration::from_secs(3));
        run.pass(before)?;
        let (node, leader) = (run.any_node(), run.leader()?);
        run.cluster.kill(node);
        run.fault();
        if kill == 0 {
            run.until_noticed(node, leader == Some(node), DETECTION_MAX)?;
        }
        let away = run.chance.between(AWAY.0, AWAY.1);
        run.pass(away)?;
        run.cluster.start(node);
        let ready_first = run.chance.below(2) == 0;
        if ready_first {
            run.until_ready(SCENARIO.liveness_max)?;
        }
    }
    Ok(())
}
