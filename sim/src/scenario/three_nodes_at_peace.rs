//! Three nodes found a cluster and serve it; nothing goes wrong.
//!
//! What every other scenario is measured against: latency, replication lag, and that nothing is missing at the end.

use super::{Scenario, three_nodes};
use crate::invariants::of_a_cluster;
use crate::run::{Failure, Run};
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "three_nodes_at_peace",
    about: "three nodes, clients writing, nothing goes wrong",
    shape: three_nodes,
    faults,
    liveness_max: Duration::from_secs(20),
    invariants: of_a_cluster,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    run.pass(Duration::from_secs(5))
}
