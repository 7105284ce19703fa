//! Five fresh nodes that are told to expect three, of which ever other three reach each other, while power fails.
//!
//! Any three of them may found a cluster, and whoever has promised to be in one must be in no other, whatever it has
//! forgotten: there may be one cluster at the end, or none, and not two.

use super::Scenario;
use crate::cluster::{Shape, Site};
use crate::invariants::{Invariant, NoSecondFounding};
use crate::run::{Failure, Run};
use std::time::Duration;

/// How many nodes there are, and how many each expects.
const NODES: usize = 5;
const EXPECTED: u64 = 3;
/// How often it is others that reach each other.
const ROUNDS: u32 = 6;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "founding",
    about: "five fresh nodes that expect three; ever other three reach each other, while power fails",
    shape,
    faults,
    liveness_max: Duration::from_secs(30),
    invariants: || -> Vec<Box<dyn Invariant>> { vec![Box::new(NoSecondFounding::default())] },
};

fn shape() -> Shape {
    let settings = |settings: &mut node::settings::Settings, _| settings.bootstrap_expect = Some(EXPECTED);
    Shape { nodes: NODES, clients: 0, is_founded: false, settings, ..Shape::default() }
}

fn faults(run: &mut Run) -> Result<(), Failure> {
    for _ in 0..ROUNDS {
        let (inside, outside) = three_of_five(run);
        let sites = |nodes: &[usize]| nodes.iter().copied().map(Site::Node).collect::<Vec<_>>();
        run.cluster.partition(&sites(&inside), &sites(&outside));
        inside.iter().for_each(|node| run.cluster.start(*node));
        let together = run.chance.between(Duration::from_millis(500), Duration::from_secs(3));
        run.pass(together)?;
        if let [deaf, others @ ..] = inside.as_slice() {
            run.cluster.partition_oneway(&sites(others), &[Site::Node(*deaf)]);
            let unheard = run.chance.between(Duration::ZERO, Duration::from_secs(1));
            run.pass(unheard)?;
        }
        for node in inside {
            if run.chance.below(2) == 0 {
                run.cluster.power_loss(node);
            }
        }
        run.cluster.heal();
    }
    Ok(())
}

/// Three nodes by chance, and the others.
fn three_of_five(run: &mut Run) -> (Vec<usize>, Vec<usize>) {
    let mut outside: Vec<_> = (0..NODES).collect();
    let mut inside = Vec::new();
    while u64::try_from(inside.len()).is_ok_and(|count| count < EXPECTED) {
        inside.push(outside.swap_remove(run.chance.index(outside.len())));
    }
    (inside, outside)
}
