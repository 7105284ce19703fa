//! A write that was answered with two copies is on two disks at that moment.
//!
//! When the acknowledgement reaches the client, at least as many disks as it names hold the record, as their own or as a
//! hint, where the power could not take it any more. A disk that was lost since the node synced counts as none, so this is
//! looked at in the very step; and not for every write, since each look reads all logs: for one in [`EVERY`].
//!
//! Source: the design, 4.1 ("an acknowledgement always comes after `fdatasync`") and 4.2 (it comes when `ack` different
//! nodes have synced).

use super::on_disk::frames_on;
use super::{Invariant, Verdict};
use crate::cluster::Cluster;
use crate::history::Write;
use crate::run::{Failure, Run};
use model::RecordId;
use std::collections::BTreeSet;
use storage::log::Frame;

/// One in so many acknowledgements is looked at.
const EVERY: usize = 16;

/// See the module.
#[derive(Debug, Default)]
pub struct AWriteAnsweredWithTwoCopiesIsOnTwoDisks {
    /// How many acknowledgements there were.
    seen: usize,
}

impl Invariant for AWriteAnsweredWithTwoCopiesIsOnTwoDisks {
    fn name(&self) -> &'static str {
        "a_write_answered_with_two_copies_is_on_two_disks"
    }

    fn watch(&mut self, cluster: &Cluster, news: &[Write]) -> Verdict {
        let before = self.seen;
        self.seen += news.len();
        if before / EVERY == self.seen / EVERY {
            return Ok(());
        }
        let disks = (0..cluster.nodes()).map(|node| records_on(cluster, node)).collect::<Result<Vec<_>, _>>()?;
        for write in news {
            let (id, told) = (write.record.id(), write.acknowledgement().map_or(0, |told| told.copies));
            let found = disks.iter().filter(|disk| disk.contains(&id)).count();
            if u64::try_from(found).is_ok_and(|found| found < told) {
                return Err(format!("{id} was answered with {told} copies and is on {found} disks"));
            }
        }
        Ok(())
    }

    fn check(&mut self, _: &mut Run) -> Result<Verdict, Failure> {
        Ok(Ok(()))
    }
}

/// The ids of all records that the disk of a node holds; none if it has no log yet.
fn records_on(cluster: &Cluster, node: usize) -> Result<BTreeSet<RecordId>, String> {
    let mut ids = BTreeSet::new();
    let scanned = frames_on(cluster.disk(node), &mut |frame| {
        if let Frame::Record(record) | Frame::Hint(record) = frame {
            ids.insert(record.id);
        }
    });
    scanned.map(|()| ids).map_err(|error| format!("node {node}: {error}"))
}
