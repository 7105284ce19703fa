//! Up to when the sets of homes will never change again: their frontiers.
//!
//! It closes nothing, compares nothing and sends nothing: it keeps account of what comparisons found, and says what follows.
//!
//! The rule. An owner that has **closed** F takes nothing at or below F any more but from another owner of the home. A time
//! F is **stable** once every owner has, at some moment after it closed F, had the same set at or below F. The moments need
//! not be the same: sets only grow, a stamp only falls, and what an owner takes after its moment it takes from owners, none
//! of which had anything else. So the first owner to differ would have taken it from one that differed before.
//!
//! A **newcomer**, an owner by this table and not by the one before, may hold what it had as an owner once, and what the
//! others have settled without. So nothing is taken from it that is closed here, and it makes what it has the same as what
//! an owner has that was one before, up to what that closed, until both have the same.
//!
//! In a home in transit whoever is leaving it is an owner as long as that lasts, and whoever joins is a newcomer.
//!
//! Invariants: the stable time of a home only rises while this node keeps a copy of it; it is never above what each owner
//! said it had closed before it summed its set; what lies at or below it is left as it is ([`Frontier::take`]).

#[cfg(test)]
mod tests;

use crate::id::NodeId;
use crate::placement::Table;
use model::set::SetSum;
use model::{Home, Stamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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

/// What to do with a record that another owner has and this node has not, or not so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// Merge: the smaller stamp and the smaller signatures stay, but for what this node has at or below this time.
    Merge {
        /// Up to when it is settled here.
        settled: Option<Stamp>,
    },
    /// Take it exactly as it is: it is settled there.
    AsItIs,
    /// Leave it: what is settled here does not have it. The other one finds that out.
    Leave,
}

/// The frontiers of the homes that one node keeps. See the module.
#[derive(Clone, Debug)]
pub struct Frontier {
    me: NodeId,
    /// The table that counts.
    table: Option<Arc<Table>>,
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
    /// Those of the others that were no owners by the table before, and did not have the same as this node since.
    newcomers: BTreeSet<NodeId>,
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
        Self { me, table: None, closed: Stamp::ZERO, homes: BTreeMap::new() }
    }

    /// Another table counts. What was compared by the one before counts no more; what is stable stays so, unless this node
    /// gives its copy up.
    pub fn retable(&mut self, table: &Table) {
        if self.table.as_ref().is_some_and(|before| before.epoch() >= table.epoch()) {
            return;
        }
        let (before, mut known) = (self.table.replace(Arc::new(table.clone())), std::mem::take(&mut self.homes));
        for home in crate::placement::homes() {
            let is_owner = table.holds(self.me, home);
            if is_owner || home == Home::GLOBAL {
                let others: BTreeSet<_> = table.holders(home).filter(|owner| *owner != self.me).collect();
                let known = known.remove(&home).unwrap_or_default();
                let is_new = |owner: &NodeId| {
                    let was_owner = before.as_ref().is_none_or(|before| before.holds(*owner, home));
                    !was_owner || known.newcomers.contains(owner)
                };
                let newcomers = others.iter().copied().filter(is_new).collect();
                let stable = known.stable;
                self.homes.insert(home, Known { others, is_owner, newcomers, stable, fences: BTreeMap::new() });
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
            if fence >= self.closed {
                known.newcomers.remove(&peer);
            }
        }
    }

    /// Up to when the home is stable, if that is known.
    pub fn stable(&self, home: Home) -> Option<Stamp> {
        self.homes.get(&home)?.stable
    }

    /// The least of those homes that this node keeps; none if one of them is not known, or if it keeps none.
    pub fn least(&self, homes: impl IntoIterator<Item = Home>) -> Option<Stamp> {
        let known = homes.into_iter().filter_map(|home| self.homes.get(&home));
        known.map(|known| known.stable).min().flatten()
    }

    /// The homes that this node owns.
    pub fn owned(&self) -> impl Iterator<Item = Home> {
        self.homes.iter().filter(|(_, known)| known.is_owner).map(|(home, _)| *home)
    }

    /// Up to when `peer` is to have of this home exactly what this node has, if that is known.
    pub fn settled_for(&self, peer: NodeId, home: Home) -> Option<Stamp> {
        // Whoever knows of no stable time may be a newcomer itself.
        self.stable(home).and_then(|_| self.final_for(peer, home))
    }

    /// At or below it nothing is taken from `peer` but what is settled there.
    fn final_for(&self, peer: NodeId, home: Home) -> Option<Stamp> {
        let known = self.homes.get(&home)?;
        let closed = known.newcomers.contains(&peer).then_some(self.closed);
        known.stable.max(closed)
    }

    /// What to do with a record under this stamp, held by the owner `peer`, who said by [`Frontier::settled_for`] up to
    /// when its home is `settled` there.
    pub fn take(&self, peer: NodeId, home: Home, stamp: Stamp, settled: Option<Stamp>) -> Take {
        if settled.is_some_and(|settled| stamp <= settled) {
            return Take::AsItIs;
        }
        let settled = self.final_for(peer, home);
        if settled.is_some_and(|settled| stamp <= settled) { Take::Leave } else { Take::Merge { settled } }
    }
}

impl Known {
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
