//! Fifty machines that come and go, with the membership, the planner and the steps that ship: a bounded part of what
//! `cargo run --release -p cluster --example churn` measures.

#[expect(dead_code, clippy::indexing_slicing, reason = "other targets use the rest; a machine is an index")]
mod simulation;

use simulation::churn::Churn;
use simulation::{SECOND, Shape, percentile};

#[test]
fn fifty_machines_come_and_go_and_only_what_must_move_moves() {
    let mut churn = Churn::start(Shape { machines: 50, ..Shape::three(1) });
    churn.simulation.run_for(30 * SECOND);
    let returns = churn.anyone();
    churn.kill(returns);
    churn.boot(returns);

    let lost = churn.anyone();
    churn.kill(lost);
    let replaced = churn.replace(lost);
    assert_eq!((replaced.moved, replaced.tables), (replaced.least, 3), "{replaced:?}");
    let added = churn.add();
    assert!((added.least..=added.least + 1).contains(&added.moved), "{added:?}");
    let leaves = churn.anyone();
    let drained = churn.drain(leaves);
    assert_eq!(drained.moved, drained.least, "{drained:?}");

    assert_eq!(churn.false_verdicts, 0);
    assert_eq!(churn.simulation.measures.renewals, 0);
    assert_eq!(churn.found.len(), 3 * 49 + 1, "each survivor found each crash; the last time there were 50 of them");
    assert!(percentile(&mut churn.found, 990) <= 4 * SECOND, "{:?}", churn.found);
}
