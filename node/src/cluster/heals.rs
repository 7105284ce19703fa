//! Fetching from other owners what is damaged on this node's disk.
//!
//! The sums of a home know what a node was given, not what it can still read: two owners of which one has a bad sector agree.
//! So the scrubber says which records cannot be read ([`crate::serve`]), and they are asked for here by id, until somebody has
//! each of them whole. What comes is verified as from any client and written anew; its index entry then names the new place, and
//! nobody looks at the damaged one any more.

use super::Cluster;
use std::sync::Arc;
use std::time::Duration;

/// How often damaged records are asked for.
const EVERY: Duration = Duration::from_secs(1);
/// How many are asked of one node at once.
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
    /// Asks every other owner that is up for some of what is damaged here.
    async fn heal(self: &Arc<Self>) {
        #[cfg(feature = "planted")]
        if planted::is(planted::Bug::DamageOnlyCounted) {
            return;
        }
        let Some(table) = self.table() else { return };
        let (damaged, down) = (self.local.damaged(), self.down());
        damaged.retain(|home| table.holds(self.me, home));
        for peer in self.member_ids().into_iter().filter(|node| *node != self.me && !down.contains(node)) {
            let ids = damaged.to_ask(ASKED_AT_ONCE, |home| table.holds(peer, home));
            if ids.is_empty() {
                continue;
            }
            match self.pull((peer, None), table.epoch(), ids).await {
                Ok(here) => {
                    tracing::info!(%peer, records = here.len(), "fetched damaged records");
                    self.local.metrics().healed_records.inc_by(here.len() as u64);
                    damaged.healed(&here);
                }
                Err(error) => tracing::info!(%peer, %error, "damaged records could not be fetched now"),
            }
        }
    }
}
