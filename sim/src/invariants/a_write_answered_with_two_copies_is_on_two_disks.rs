//! A write that was answered with two copies is on two disks at that moment.
//!
//! When an acknowledgement reaches its client, at least as many disks as it names hold the record, as their own or as a
//! hint, where the power cannot take it any more: for each of them the sync that made it durable is over by then, the time
//! that it took included. Every disk notes that itself; one that was lost since, with the node that synced, counts as what
//! it was.
//!
//! Source: the design, 4.1 ("an acknowledgement always comes after `fdatasync`") and 4.2 (it comes when `ack` different
//! nodes have synced).

use super::{Invariant, Verdict};
use crate::cluster::Cluster;
use crate::history::Write;
use crate::run::{Failure, Run};

/// See the module.
#[derive(Debug)]
pub struct AWriteAnsweredWithTwoCopiesIsOnTwoDisks;

impl Invariant for AWriteAnsweredWithTwoCopiesIsOnTwoDisks {
    fn name(&self) -> &'static str {
        "a_write_answered_with_two_copies_is_on_two_disks"
    }

    fn watch(&mut self, cluster: &Cluster, news: &[Write]) -> Verdict {
        for write in news {
            let (Some(told), Some(attempt)) = (write.acknowledgement(), write.attempts.last()) else { continue };
            let id = write.record.id();
            let holds = |node: &usize| cluster.disk(*node).was_durable_at(&id, attempt.ended + cluster.doubt());
            let found = (0..cluster.nodes()).filter(holds).count();
            if u64::try_from(found).is_ok_and(|found| found < told.copies) {
                return Err(format!("{id} was answered with {} copies and was on {found} disks", told.copies));
            }
        }
        Ok(())
    }

    fn check(&mut self, _: &mut Run) -> Result<Verdict, Failure> {
        Ok(Ok(()))
    }
}
