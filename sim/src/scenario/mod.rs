//! The scenarios: what goes wrong, one file each, and the list of them all.

mod one_node_power_loss;
mod three_nodes_at_peace;

use crate::cluster::Shape;
use crate::invariants::Invariant;
use crate::run::{Failure, Run};
use std::time::Duration;

/// A scenario.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name, that of its file.
    pub name: &'static str,
    /// What goes wrong, in one line.
    pub about: &'static str,
    /// How the cluster is made.
    pub shape: fn() -> Shape,
    /// The phase with faults: begins with all nodes ready and clients writing, ends when it likes.
    pub faults: fn(&mut Run) -> Result<(), Failure>,
    /// How long each step of coming to rest may take: nodes ready, writes succeeding, nothing under way.
    pub liveness_max: Duration,
    /// What must hold.
    pub invariants: fn() -> Vec<Box<dyn Invariant>>,
}

/// All scenarios.
pub const ALL: &[Scenario] = &[one_node_power_loss::SCENARIO, three_nodes_at_peace::SCENARIO];

impl Scenario {
    /// The scenario of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|scenario| scenario.name == name)
    }
}
