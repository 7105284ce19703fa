//! The scenarios: what goes wrong, one file each, and the list of them all.

mod a_node_is_drained;
mod a_node_is_replaced;
mod a_node_joins;
mod a_removed_node_returns;
mod a_zone_is_lost;
mod all_crash_at_once;
mod bad_network;
mod change;
mod clock_a_year_ahead;
mod clock_skew;
mod cluster_key_rotates_with_a_node_away;
mod coordinator_dies;
mod disk_lost_while_another_is_away;
mod disks_rot;
mod failing_fsync;
mod founding;
mod kill_any_node;
mod late_hints;
mod lost_disk;
mod mixed_versions_for_a_day;
mod one_kill;
mod one_node_power_loss;
mod partition;
mod power_loss_any_node;
mod raft_quorum_lost;
mod replaced_while_an_owner_restarts;
mod replication_factor_changes;
mod replication_factor_of_five;
mod returning_owner;
mod rolling_restart;
mod rolling_upgrade;
mod slow_disk;
mod slow_node;
mod three_nodes_at_peace;
mod two_changes_at_once;
mod upgrade;

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

/// The scenarios that run unless others are named.
pub const ALL: &[Scenario] = &[
    a_node_is_drained::SCENARIO,
    a_node_is_replaced::SCENARIO,
    a_node_joins::SCENARIO,
    a_removed_node_returns::SCENARIO,
    a_zone_is_lost::SCENARIO,
    all_crash_at_once::SCENARIO,
    bad_network::SCENARIO,
    clock_a_year_ahead::SCENARIO,
    clock_skew::SCENARIO,
    cluster_key_rotates_with_a_node_away::SCENARIO,
    coordinator_dies::SCENARIO,
    disk_lost_while_another_is_away::SCENARIO,
    disks_rot::SCENARIO,
    failing_fsync::SCENARIO,
    founding::SCENARIO,
    kill_any_node::SCENARIO,
    late_hints::SCENARIO,
    lost_disk::SCENARIO,
    one_kill::SCENARIO,
    one_node_power_loss::SCENARIO,
    partition::SCENARIO,
    power_loss_any_node::SCENARIO,
    raft_quorum_lost::SCENARIO,
    replaced_while_an_owner_restarts::SCENARIO,
    replication_factor_changes::SCENARIO,
    replication_factor_of_five::SCENARIO,
    returning_owner::SCENARIO,
    rolling_restart::SCENARIO,
    rolling_upgrade::SCENARIO,
    slow_disk::SCENARIO,
    slow_node::SCENARIO,
    three_nodes_at_peace::SCENARIO,
    two_changes_at_once::SCENARIO,
];

/// Scenarios that take minutes a seed: they run where they are named.
pub const LONG: &[Scenario] = &[mixed_versions_for_a_day::SCENARIO];

impl Scenario {
    /// All there are.
    pub fn every() -> impl Iterator<Item = &'static Self> {
        ALL.iter().chain(LONG)
    }

    /// The scenario of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::every().find(|scenario| scenario.name == name)
    }
}

/// How long each step of coming to rest may take after a change of the cluster.
const LIVENESS_MAX: Duration = Duration::from_secs(60);

/// Three nodes that keep two copies, in one rack, with three clients.
fn three_nodes() -> Shape {
    Shape { nodes: 3, ..Shape::default() }
}
