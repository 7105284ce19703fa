//! The same as `replication_factor_changes`, with five nodes: most of them own a home neither before nor after a change.

use super::Scenario;
use super::replication_factor_changes::{faults, invariants};
use crate::cluster::Shape;
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "replication_factor_of_five",
    about: "three copies for two, and two again, on five nodes, of which some are killed or cut off",
    shape: || Shape { nodes: 5, ..Shape::default() },
    faults,
    liveness_max: Duration::from_secs(60),
    invariants,
};
