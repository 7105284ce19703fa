//! Five nodes in three zones, of which one is lost with all its nodes, and comes back; then a node moves to another zone.
//!
//! No zone ever has both copies of a record, so writes and reads go on while a zone is away, and nothing that is acknowledged
//! depends on it. A node that is started again in another zone has homes moved until that is so again.

use super::change::{placed_in_zones, until_settled};
use super::replication_factor_changes::invariants;
use super::{LIVENESS_MAX, Scenario};
use crate::cluster::Shape;
use crate::run::{Failure, Run};
use node::settings::Zone;
use std::time::Duration;

/// The zone of each node.
const ZONES: [&str; 5] = ["a", "a", "b", "b", "c"];
/// How long clients may fail to write after a zone is lost: until their attempts and the deadlines of nodes are over.
const AWAY_MIN: Duration = Duration::from_secs(3);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "a_zone_is_lost",
    about: "a zone of three goes away with its nodes and comes back, and a node moves to another zone",
    shape: || Shape {
        nodes: ZONES.len(),
        settings: |settings, node| settings.zone = ZONES.get(node).and_then(|zone| Zone::parse(zone)),
        ..Shape::default()
    },
    faults,
    liveness_max: LIVENESS_MAX,
    invariants,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    let all: Vec<_> = (0..ZONES.len()).collect();
    let mut zones = ZONES;
    until_settled(run, &all)?;
    placed_in_zones(run, &all, &zones)?;
    run.pass_up_to_seconds(2)?;
    let lost = ["a", "b", "c"].get(run.chance.index(3)).copied().unwrap_or_default();
    let (away, here): (Vec<_>, Vec<_>) = all.iter().copied().partition(|node| zones.get(*node) == Some(&lost));
    run.trouble();
    let kills = run.chance.below(2) == 0;
    for node in &away {
        if kills { run.cluster.power_loss(*node) } else { run.cluster.isolate(*node) }
    }
    run.pass(AWAY_MIN)?;
    let before = run.cluster.history().acknowledgements();
    run.pass_up_to_seconds(4)?;
    if run.cluster.history().acknowledgements() == before {
        return Err(Failure::Stuck { what: format!("writes go on without zone {lost}"), limit: AWAY_MIN });
    }
    run.until_ready_among(&here, LIVENESS_MAX)?;
    run.cluster.heal();
    away.iter().for_each(|node| run.cluster.start(*node));
    run.until_ready(LIVENESS_MAX)?;

    let moved = run.any_node();
    let to = ["a", "b", "c"].get(run.chance.index(3)).copied().unwrap_or_default();
    run.cluster.kill(moved);
    run.cluster.set_zone(moved, to);
    run.cluster.start(moved);
    if let Some(zone) = zones.get_mut(moved) {
        *zone = to;
    }
    run.until_ready(LIVENESS_MAX)?;
    run.pass(Duration::from_secs(3))?;
    until_settled(run, &all)?;
    placed_in_zones(run, &all, &zones)
}
