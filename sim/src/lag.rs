//! Replication lag: how long after the first owner of its home the last one had a record on its disk.
//!
//! Read from what the disks note of their syncs, for every acknowledged record. Hints do not count: who keeps one is no
//! owner.

use crate::cluster::Cluster;
use crate::invariants::Placed;
use std::time::Duration;

/// The lag of each acknowledged record, in the order of the acknowledgements. A record that some owner does not have by now
/// has lagged until now; one that no owner has is left out, and lost. None without a table, as on a node alone.
pub(crate) fn lags(cluster: &Cluster) -> Vec<Duration> {
    let everybody: Vec<_> = (0..cluster.nodes()).collect();
    let Ok(placed) = Placed::of(cluster, &everybody) else { return Vec::new() };
    let lag = |write: crate::history::Write| {
        let (id, owners) = (write.record.id(), placed.table.owners(write.record.home()));
        let disks = owners.iter().filter_map(|owner| placed.nodes.get(owner));
        let had: Vec<_> = disks.map(|node| cluster.disk(*node).durable(&id).owned).collect();
        let first = had.iter().flatten().min()?;
        let last = had.iter().map(|since| since.unwrap_or(cluster.elapsed())).max()?;
        Some(last - *first)
    };
    cluster.history().acknowledged(0).into_iter().filter_map(lag).collect()
}
