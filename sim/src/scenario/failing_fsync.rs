//! A sync of a random node of three fails and with it what was written is gone, while clients write.
//!
//! A node cannot know what reached its disk after that: it must stop, and acknowledge nothing of it. It is started again.

use super::{Scenario, three_nodes};
use crate::invariants::of_a_cluster;
use crate::run::{Failure, Run};
use std::time::Duration;

/// How many syncs fail.
const FAILURES: u32 = 4;
/// How long the node may take to notice.
const NOTICED_MAX: Duration = Duration::from_secs(10);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "failing_fsync",
    about: "a sync of a random node of three fails, and it starts again",
    shape: three_nodes,
    faults,
    liveness_max: Duration::from_secs(30),
    invariants: of_a_cluster,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    for _ in 0..FAILURES {
        let before = run.chance.between(Duration::ZERO, Duration::from_secs(2));
        run.pass(before)?;
        let node = run.any_node();
        run.cluster.fail_next_sync(node);
        run.fault();
        run.until("the node whose sync failed has stopped", NOTICED_MAX, |run| !run.cluster.running().contains(&node))?;
        let away = run.chance.between(Duration::ZERO, Duration::from_secs(4));
        run.pass(away)?;
        run.cluster.start(node);
        run.until_ready(SCENARIO.liveness_max)?;
    }
    Ok(())
}
