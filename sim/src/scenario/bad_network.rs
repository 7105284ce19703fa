//! Of the messages between nodes, calls and gossip alike, one in twenty is lost, as many arrive twice, and more are late.
//!
//! Nothing is down; nobody may be taken for dead for long, and what a client is told must be true all the same.

use super::{Scenario, three_nodes};
use crate::invariants::of_a_cluster;
use crate::run::{Failure, Run};
use crate::world::Forecast;
use std::time::Duration;

/// The weather of every node.
const STORM: Forecast = Forecast {
    lost_in_a_million: 50_000,
    doubled_in_a_million: 50_000,
    late_in_a_million: 100_000,
    lateness_max: Duration::from_millis(50),
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "bad_network",
    about: "5 % of the messages between nodes are lost, 5 % doubled, 10 % overtaken",
    shape: three_nodes,
    faults,
    liveness_max: Duration::from_secs(30),
    invariants: of_a_cluster,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    run.trouble();
    (0..run.cluster.nodes()).for_each(|node| run.cluster.set_weather(node, STORM));
    let time = run.chance.between(Duration::from_secs(5), Duration::from_secs(15));
    run.pass(time)
}
