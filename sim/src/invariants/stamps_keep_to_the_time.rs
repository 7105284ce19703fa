//! Stamps keep to the time.
//!
//! No disk of a node whose clock is right holds a record, as its own or as a hint, with a stamp more than `clock_offset_max`
//! ahead of the true time, nor a ceiling further ahead than a node reserves.
//!
//! Source: the design, 3.3 (a stamp more than `clock_offset_max` ahead is refused by peers and never adopted).

use super::on_disk::frames_on;
use super::{Invariant, Verdict};
use crate::run::{Failure, Run};
use crate::world::EPOCH_MS;
use model::Stamp;
use model::clock::{CEILING_RESERVE_MS, OFFSET_MS_MAX};
use storage::log::Frame;

/// See the module.
#[derive(Debug, Default)]
pub struct StampsKeepToTheTime;

impl Invariant for StampsKeepToTheTime {
    fn name(&self) -> &'static str {
        "stamps_keep_to_the_time"
    }

    fn check(&mut self, run: &mut Run) -> Result<Verdict, Failure> {
        Ok(run.staying().into_iter().try_for_each(|node| look(run, node)))
    }
}

fn look(run: &Run, node: usize) -> Verdict {
    let now_ms = EPOCH_MS + u64::try_from(run.cluster.elapsed().as_millis()).unwrap_or(u64::MAX);
    let latest = |stamp: Stamp, reserve_ms| stamp.ms() > now_ms + OFFSET_MS_MAX + reserve_ms;
    let mut verdict = Ok(());
    let scanned = frames_on(run.cluster.disk(node), &mut |frame| {
        let wrong = if let Frame::Ceiling { ceiling } = &frame {
            Some(*ceiling).filter(|ceiling| latest(*ceiling, CEILING_RESERVE_MS))
        } else {
            frame.record_stamp().filter(|stamp| latest(*stamp, 0))
        };
        if let (Some(stamp), Ok(())) = (wrong, &verdict) {
            verdict = Err(format!("node {node} holds {stamp}, and it is {now_ms} ms"));
        }
    });
    scanned.map_err(|error| format!("node {node}: {error}")).and(verdict)
}
