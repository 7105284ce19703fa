//! Three nodes found a cluster and serve it; nothing goes wrong.
//!
//! What every other scenario is measured against: latency, replication lag, and that nothing is missing at the end.

use super::{Scenario, three_nodes};
use crate::cluster::Shape;
use crate::invariants::{Invariant, WhatIsStableStays, of_a_cluster};
use crate::run::{Failure, Run};
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "three_nodes_at_peace",
    about: "three nodes, clients writing, nothing goes wrong",
    shape: half_a_millisecond_apart,
    faults,
    liveness_max: Duration::from_secs(20),
    invariants,
};

/// Hosts that a packet reaches in 0 or 1 ms, as the order decides in which the simulation takes them in a step: 0.5 ms in
/// the mean.
fn half_a_millisecond_apart() -> Shape {
    Shape { latency_max: Duration::ZERO, ..three_nodes() }
}

fn invariants() -> Vec<Box<dyn Invariant>> {
    let stable: [Box<dyn Invariant>; 1] = [Box::new(WhatIsStableStays::of_at_least(8))];
    stable.into_iter().chain(of_a_cluster()).collect()
}

fn faults(run: &mut Run) -> Result<(), Failure> {
    run.measure_lag();
    run.pass(Duration::from_secs(5))
}
