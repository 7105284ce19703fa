//! Three nodes found a cluster and serve it; nothing goes wrong.
//!
//! What every other scenario is measured against: latency, replication lag, and that nothing is missing at the end.

use super::Scenario;
use crate::cluster::Shape;
use crate::invariants::NoAcknowledgedWriteIsLost;
use crate::run::{Failure, Run};
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "three_nodes_at_peace",
    about: "three nodes, clients writing, nothing goes wrong",
    shape: || Shape { nodes: 3, ..Shape::default() },
    faults,
    liveness_max: Duration::from_secs(20),
    invariants: || vec![Box::new(NoAcknowledgedWriteIsLost)],
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    run.pass(Duration::from_secs(5))
}
