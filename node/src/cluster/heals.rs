//! Fetching from other owners what is damaged on this node's disk.
//!
//! The sums of a home know what a node was given, not what it can still read: two owners of which one has a bad sector agree.
//! So the scrubber says which records cannot be read ([`crate::serve`]), and they are asked for here by id, until somebody has
//! each of them whole. What comes is verified as from any client and written anew; its index entry then names the new place, and
//! nobody looks at the damaged one any more.

use super::Cluster;
use model::{Home, RecordId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use storage::store::Lookup;

/// How often damaged records are asked for.
const EVERY: Duration = Duration::from_secs(1);
/// How many are asked for at once.
const ASKED_AT_ONCE: usize = 512;

/// Heals until the node stops.
pub(crate) async fn run(cluster: Arc<Cluster>) {
    loop {
        tokio::time::sleep(EVERY).await;
        if cluster.local.damaged().count() > 0 {
            cluster.heal().await;
            let metrics = cluster.local.metrics();
            metrics.set_damaged(cluster.local.damaged().count());
        }
    }
}

impl Cluster {
    /// Asks the others that are up for some of what is damaged here, each for what it is read from.
    async fn heal(self: &Arc<Self>) {
        #[cfg(feature = "planted")]
        if planted::is(planted::Bug::DamageOnlyCounted) {
            return;
        }
        let Some(table) = self.table() else { return };
        let damaged = self.local.damaged();
        let due = damaged.take_due(self.now(), ASKED_AT_ONCE);
        let Some(mut wanted) = self.still_damaged(due.clone()).await else { return };
        damaged.forget(due.keys().filter(|id| !wanted.contains_key(id)));
        let down = self.down();
        for peer in self.member_ids().into_iter().filter(|node| *node != self.me && !down.contains(node)) {
            let has = |home| home == Home::GLOBAL || table.reads(peer, home);
            let ids: BTreeSet<_> = wanted.iter().filter(|(_, home)| has(**home)).map(|(id, _)| *id).collect();
            if ids.is_empty() {
                continue;
            }
            match self.pull((peer, None), table.epoch(), ids).await {
                Ok(here) if here.is_empty() => {}
                Ok(here) => {
                    tracing::info!(%peer, records = here.len(), "fetched damaged records");
                    self.local.metrics().healed_records.inc_by(here.len() as u64);
                    damaged.forget(&here);
                    wanted.retain(|id, _| !here.contains(id));
                }
                Err(error) => tracing::info!(%peer, %error, "damaged records could not be fetched now"),
            }
        }
    }

    /// Those that this node still has to keep and cannot read: a read from all owners, a client or an erasure may have come
    /// before. `None` if that cannot be told now.
    async fn still_damaged(&self, mut ids: BTreeMap<RecordId, Home>) -> Option<BTreeMap<RecordId, Home>> {
        ids.retain(|_, home| self.keeps(*home));
        let looked = self.local.read(move |reader| {
            ids.retain(|id, _| reader.get(id).map_or(true, |found| matches!(found, Lookup::Damaged(_))));
            ids
        });
        looked.await.ok()
    }
}
