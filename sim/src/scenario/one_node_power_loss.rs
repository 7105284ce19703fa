//! The power of a lone node fails again and again, at any call of its disk, while clients write.
//!
//! Now and then the process is killed instead, or the node stalls before, or its disk is slow.

use super::Scenario;
use crate::cluster::{Cluster, Process, Shape};
use crate::invariants::{AWriteAnsweredWithTwoCopiesIsOnTwoDisks, NoAcknowledgedWriteIsLost};
use crate::run::{Failure, Run};
use crate::world::Timing;
use std::time::Duration;

/// How often the node goes down.
const FALLS: u32 = 6;
/// The power fails at one of so many calls of the disk: a second or two of writing.
const CALLS_MAX: u64 = 400;
/// How long the node may live on after a fuse was armed.
const FUSE_MAX: Duration = Duration::from_secs(30);

pub(super) const SCENARIO: Scenario = Scenario {
    name: "one_node_power_loss",
    about: "one node loses power at random disk calls, is killed and stalls, while clients write",
    shape: Shape::default,
    faults,
    liveness_max: Duration::from_secs(20),
    invariants: || vec![Box::new(AWriteAnsweredWithTwoCopiesIsOnTwoDisks), Box::new(NoAcknowledgedWriteIsLost)],
};

fn faults(run: &mut Run) -> Result<(), Failure> {
    const MS: Duration = Duration::from_millis(1);
    let runs = |cluster: &Cluster| matches!(cluster.process(0), Process::Up | Process::Starting);
    for _ in 0..FALLS {
        let before = run.chance.between(Duration::ZERO, 500 * MS);
        run.pass(before)?;
        run.trouble();
        match run.chance.below(4) {
            0 => {
                let time = run.chance.between(MS, 1000 * MS);
                run.cluster.stall(0, time);
            }
            1 => {
                let sync = run.chance.between(10 * MS, 200 * MS);
                run.cluster.set_timing(0, Timing { sync_min: sync, sync_max: 2 * sync, ..Timing::ORDINARY });
            }
            _ => run.cluster.set_timing(0, Timing::ORDINARY),
        }
        if run.chance.below(5) == 0 {
            run.cluster.kill(0);
        } else {
            let call = 1 + run.chance.below(CALLS_MAX);
            run.cluster.power_loss_at(0, call);
            run.until("the power has failed", FUSE_MAX, |run| !runs(&run.cluster))?;
        }
        run.fault();
        let down = run.chance.between(Duration::ZERO, 1000 * MS);
        run.pass(down)?;
        run.cluster.start(0);
    }
    Ok(())
}
