//! The wall clock of a random node of three jumps, by seconds, minutes or a year, ahead or back, and is put right again.
//!
//! Sometimes the node starts again while its clock is wrong, and cannot tell by itself; or its clock is put right while it is
//! away, and it starts below what it reserved. Stamps must not run away with it, nor go back; and once the clock is right the node serves again, though nobody starts it anew: what it knew in between, or
//! reserved, must not keep it from that.

use super::{Scenario, three_nodes};
use crate::invariants::of_a_cluster;
use crate::run::{Failure, Run};
use std::time::Duration;

/// How often a clock jumps.
const JUMPS: u32 = 4;
/// How far, in milliseconds: within `clock_offset_max`, and well beyond it.
const FAR_MS: [i64; 5] = [2_000, 8_000, 60_000, 300_000, 365 * 24 * 3_600_000];

pub(super) const SCENARIO: Scenario = Scenario {
    name: "clock_skew",
    about: "the wall clock of a random node of three jumps by seconds, minutes or a year, ahead or back",
    shape: three_nodes,
    faults,
    liveness_max: Duration::from_secs(60),
    invariants: of_a_cluster,
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    for _ in 0..JUMPS {
        let before = run.chance.between(Duration::ZERO, Duration::from_secs(2));
        run.pass(before)?;
        let node = run.any_node();
        let far = FAR_MS.get(run.chance.index(FAR_MS.len())).copied().unwrap_or_default();
        let skew_ms = if run.chance.below(2) == 0 { far } else { -far };
        run.cluster.set_skew_ms(node, skew_ms);
        run.trouble();
        let wrong = run.chance.between(Duration::from_millis(100), Duration::from_secs(5));
        run.pass(wrong)?;
        if run.chance.below(3) == 0 {
            run.cluster.kill(node);
            if run.chance.below(2) == 0 {
                run.cluster.set_skew_ms(node, 0);
            }
            run.cluster.start(node);
            run.pass(wrong)?;
        }
        run.cluster.set_skew_ms(node, 0);
    }
    Ok(())
}
