//! Up to when the sets of homes will never change again: their frontiers.
//!
//! It closes nothing, compares nothing and sends nothing: it keeps account of what comparisons found, and says what follows.
//!
//! The rule. An owner that has **closed** F takes nothing at or below F any more but from another owner of the home. A time
//! F is **stable** once every owner has, at some moment after it closed F, had the same set at or below F. The moments need
//! not be the same: sets only grow, a stamp only falls, and what an owner takes after its moment it takes from owners, none
//! of which had anything else. So the first owner to differ would have taken it from one that differed before.
//!
//! In a home in transit whoever is leaving it is an owner as long as that lasts. Who is **joining** may hold what it had as an
//! owner once, and late writes under stamps that the others have closed. So it is nobody to take from: it is anyone else, and
//! what it alone has gets a stamp anew. It follows instead whom it may read: what that one has at or below what it has closed
//! it takes exactly so. It is an owner like any other only once it had the same ([`crate::reconcile::taking`]). Whoever keeps
//! but a copy of [`Home::GLOBAL`] follows its owners in the same way.
//!
//! Invariants: the stable time of a home only rises while this node keeps a copy of it; it is never above what each owner
//! said it had closed before it summed its set; what lies at or below it is left as it is ([`Frontier::take`]).

#[cfg(test)]
mod tests;

use crate::id::{Epoch, NodeId};
use crate::placement::Table;
use model::set::SetSum;
use model::{Home, Stamp};
use std::collections::{BTreeMap, BTreeSet};

/// How many fences of a home are remembered until all owners were compared at one of them.
const FENCES_MAX: usize = 8;

/// A home in which this node and another had the same at or below a fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Same {
    /// The sum of what both had.
    pub sum: SetSum,
    /// Up to when the other says that the home is stable, if it knows.
    pub stable: Option<Stamp>,
}

/// How to take a record that another owner has and this node has not, or not so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// As one owner takes from another: the smaller stamp and the smaller signatures stay, but for what this node has at or
    /// below this time.
    Merge {
        /// Up to when it is settled here.
        settled: Option<Stamp>,
    },
    /// As who joins takes from whom it may read: exactly as it is, where either has it at or below this time.
    Follow {
        /// Up to when the other one has closed.
        until: Stamp,
    },
    /// As from anyone.
    AsFromAnyone,
}

/// The frontiers of the homes that one node keeps. See the module.
#[derive(Clone, Debug)]
pub struct Frontier {
    me: NodeId,
    /// Of the table that counts; 0 before there is one.
    epoch: Epoch,
    /// Up to when this node has closed its homes.
    closed: Stamp,
    homes: BTreeMap<Home, Known>,
}

/// What is known of one home.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The other owners; with this node they are all, unless it only keeps a copy.
    others: BTreeSet<NodeId>,
    is_owner: bool,
    /// Those of the others that hold all of it: who is not among them joins.
    readers: BTreeSet<NodeId>,
    is_reader: bool,
    stable: Option<Stamp>,
    /// By fence, what was found by the present table.
    fences: BTreeMap<Stamp, Agreed>,
}

/// Who had the same at or below a fence.
#[derive(Clone, Debug)]
struct Agreed {
    sum: SetSum,
    /// By owner, up to when both it and this node had closed before they summed.
    closed: BTreeMap<NodeId, Stamp>,
}

impl Frontier {
    /// Nothing is known yet.
    pub fn new(me: NodeId) -> Self {
        Self { me, epoch: Epoch(0), closed: Stamp::ZERO, homes: BTreeMap::new() }
    }

    /// Another table counts. What was compared by the one before counts no more; what is stable stays so, unless this node
    /// gives its copy up.
    pub fn retable(&mut self, table: &Table) {
        if self.epoch >= table.epoch() {
            return;
        }
        let mut known = std::mem::take(&mut self.homes);
        self.epoch = table.epoch();
        for home in crate::placement::homes() {
            let is_owner = table.holds(self.me, home);
            if is_owner || home == Home::GLOBAL {
                let stable = known.remove(&home).and_then(|known| known.stable);
                let others = table.holders(home).filter(|owner| *owner != self.me).collect();
                let readers = table.readers(home).filter(|owner| *owner != self.me).collect();
                let (is_reader, fences) = (table.reads(self.me, home), BTreeMap::new());
                self.homes.insert(home, Known { others, is_owner, readers, is_reader, stable, fences });
            }
        }
    }

    /// This node has closed so much: that is all there is to it where it is the only owner.
    pub fn closed(&mut self, closed: Stamp) {
        self.closed = self.closed.max(closed);
        for known in self.homes.values_mut().filter(|known| known.is_owner && known.others.is_empty()) {
            known.rise(closed);
        }
    }

    /// This node and `peer` had the same of these homes at or below `fence`, by the present table. Before each summed its
    /// sets, both had closed up to `closed`, which may lie below the fence.
    pub fn compared(&mut self, peer: NodeId, fence: Stamp, closed: Stamp, homes: &BTreeMap<Home, Same>) {
        for (home, Same { sum, stable }) in homes {
            let Some(known) = self.homes.get_mut(home).filter(|known| known.others.contains(&peer)) else { continue };
            if let Some(stable) = stable {
                // The peer knows it of all owners; this node must have closed it too, to leave it as it is.
                known.rise(fence.min(*stable).min(closed));
            }
            if known.is_owner {
                known.agree(peer, fence, closed, *sum);
            }
        }
    }

    /// Up to when the home is stable, if that is known.
    pub fn stable(&self, home: Home) -> Option<Stamp> {
        self.homes.get(&home)?.stable
    }

    /// The least of those homes that this node keeps and is not about to join; none if one of them is not known, or if it
    /// keeps none.
    pub fn least(&self, homes: impl IntoIterator<Item = Home>) -> Option<Stamp> {
        let known = homes.into_iter().filter_map(|home| self.homes.get(&home)).filter(|known| !known.joins());
        #[cfg(feature = "planted")]
        if planted::is(planted::Bug::NewOwnerServesBeforeFrontier) {
            return known.map(|known| known.stable.or(Some(self.closed))).min().flatten();
        }
        known.map(|known| known.stable).min().flatten()
    }

    /// Up to when whoever joins this home is to have exactly what this node has, if it may be followed.
    pub fn settled(&self, home: Home) -> Option<Stamp> {
        self.homes.get(&home).filter(|known| known.is_reader).map(|_| self.closed)
    }

    /// How to take what `peer` has of this home, who said by [`Frontier::settled`] up to when it is `settled` there.
    pub fn take(&self, peer: NodeId, home: Home, settled: Option<Stamp>) -> Take {
        let Some(known) = self.homes.get(&home) else { return Take::AsFromAnyone };
        if !known.readers.contains(&peer) {
            return Take::AsFromAnyone;
        }
        match settled {
            _ if known.is_reader => Take::Merge { settled: known.stable },
            Some(until) => Take::Follow { until },
            None => Take::AsFromAnyone,
        }
    }
}

impl Known {
    fn joins(&self) -> bool {
        self.is_owner && !self.is_reader
    }

    fn rise(&mut self, stable: Stamp) {
        self.stable = self.stable.max(Some(stable));
    }

    fn agree(&mut self, peer: NodeId, fence: Stamp, closed: Stamp, sum: SetSum) {
        let agreed = self.fences.entry(fence).or_insert_with(|| Agreed { sum, closed: BTreeMap::new() });
        if agreed.sum != sum {
            // This node has taken something since: the others have yet to.
            *agreed = Agreed { sum, closed: BTreeMap::new() };
        }
        agreed.closed.insert(peer, closed);
        let all = self.others.iter().map(|owner| agreed.closed.get(owner).copied());
        if let Some(closed) = all.min().flatten() {
            self.rise(closed.min(fence));
        }
        if self.fences.len() > FENCES_MAX {
            self.fences.pop_first();
        }
    }
}
