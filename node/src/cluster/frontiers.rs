//! Closing time after time, and saying up to when nothing changes any more of what this node keeps.
//!
//! The rule is that of [`cluster::frontier`]; what is compared is what [`super::repairs`] compares anyhow. Nothing is
//! written for it but a ceiling of the clock now and then ([`Reader::close`]).

use super::Cluster;
use super::repairs::FENCE_BACK_MS;
use ::cluster::NodeId;
use ::cluster::frontier::Same;
use ::cluster::placement::homes;
use ::cluster::reconcile::session::Roots;
use model::set::SetSum;
use model::{Home, Stamp};
use proto::Homes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use storage::store::{ReadError, Reader};

/// How often a node closes what it alone owns.
const CLOSE_EVERY: Duration = Duration::from_secs(1);

/// Closes what this node alone owns, until it stops.
pub(crate) async fn run(cluster: Arc<Cluster>) {
    loop {
        let until = cluster.may_close();
        if let Ok(closed) = cluster.local.read(move |reader| reader.close(until)).await {
            cluster.health.frontier(|frontier| frontier.closed(closed));
        }
        tokio::time::sleep(CLOSE_EVERY).await;
    }
}

impl Cluster {
    /// Up to when this node may close its homes: no write that is under way is to be stamped anew for it, whichever node's
    /// clock stamped it, and no owner that was away takes under a new stamp what the other owners have under the old one.
    pub(super) fn may_close(&self) -> Stamp {
        if self.is_alone() {
            return self.local.reader().now(self.clock.wall_ms());
        }
        let Some(table) = self.table() else { return Stamp::ZERO };
        // What joins follows others, whatever it has closed.
        let is_fit = homes().filter(|home| table.reads(self.me, *home)).all(|home| self.is_fit(self.me, home));
        if !is_fit || self.clock_trouble().is_some() {
            return Stamp::ZERO;
        }
        let slowest_ms = self.clock.wall_ms().saturating_sub(self.behind_ms_max());
        Stamp::end_of_ms(slowest_ms.saturating_sub(FENCE_BACK_MS))
    }

    /// Closes what may be, and then sums homes up to a fence: in this order, so that the sums stand for what is closed.
    pub(super) async fn close_and_sum(&self, fence: Stamp, homes: BTreeSet<Home>) -> Option<Roots> {
        let until = self.may_close().min(fence);
        let summed = self.local.read(move |reader| sum(reader, until, fence, homes)).await.ok()?;
        let (closed, sums) = summed.ok()?;
        let stable = self.health.frontier(|frontier| {
            frontier.closed(closed);
            sums.keys().filter_map(|home| Some((*home, frontier.stable(*home)?))).collect()
        });
        Some(Roots { sums, closed, stable, settled: BTreeMap::new() })
    }

    /// This node and `peer` had the same of these homes at a fence.
    pub(super) fn had_the_same(&self, peer: NodeId, fence: Stamp, closed: Stamp, homes: &BTreeMap<Home, Same>) {
        self.health.frontier(|frontier| frontier.compared(peer, fence, closed, homes));
        self.health.taking(|taking| taking.same(peer, homes.keys().copied(), fence, closed));
    }

    /// Follows a peer that has closed more than this node can, for want of a ceiling: somebody writes, though not here.
    pub(super) async fn keep_up(&self, theirs: Stamp) {
        let until = self.may_close().min(theirs);
        if self.local.reader().closed() < until {
            self.local.raise_ceiling(until).await;
        }
    }

    /// Up to when nothing changes any more of those of the homes that this node keeps, if it knows. To be asked before they
    /// are read.
    pub(crate) fn stable_at(&self, homes: &Homes) -> Option<Stamp> {
        self.health.frontier(|frontier| frontier.least(homes.iter()))
    }

    /// The same of the copy of [`Home::GLOBAL`], by which this node makes of claims what a lens makes of them.
    pub(crate) fn global_stable_at(&self) -> Option<Stamp> {
        self.health.frontier(|frontier| frontier.stable(Home::GLOBAL))
    }

    /// How long ago that was which this node says is stable of everything that it keeps, in milliseconds; none if it does
    /// not know.
    pub(super) fn stable_age_ms(&self) -> Option<u64> {
        let stable = self.stable_at(&Homes::all())?;
        Some(self.clock.wall_ms().saturating_sub(stable.ms()))
    }
}

/// Closes, then sums. A home that cannot be summed now is left out.
fn sum(
    reader: &Reader,
    until: Stamp,
    fence: Stamp,
    homes: BTreeSet<Home>,
) -> Result<(Stamp, BTreeMap<Home, SetSum>), ReadError> {
    let closed = reader.close(until);
    let sum = |home: Home| Some((home, reader.root(home, fence).ok()?));
    Ok((closed, homes.into_iter().filter_map(sum).collect()))
}
