//! What a node has taken of the homes in transit that it owns, and since when nothing comes to them by an earlier table.
//!
//! It takes nothing itself; it keeps account of what sessions came to. Whoever held a home under an earlier table may have
//! taken records by that table until a moment ago. So each node says **since** when it has not: a stamp that no such record
//! lies above. A session at a fence at or after that has seen all of them.
//!
//! And answers as of times that have passed must be the same on whoever joins. Whatever was said to be stable of the home
//! without this node lies at or below what each reader had **closed** when it was asked first by the present table: from then
//! on a time is stable only if this node agrees. So this node must have had the same up to there, and have closed it.
//!
//! Invariants: a home counts as taken only if this node had the same as each of its readers under the present table, at a
//! fence not before the reader's `since`, nor before what the reader had closed, which this node had closed too; whatever
//! changes who joins or leaves a home, what was taken of it before counts for nothing.

use crate::id::NodeId;
use crate::placement::{Move, Table};
use model::{Home, Stamp};
use std::collections::{BTreeMap, BTreeSet};

/// The account of one node. See the module.
#[derive(Clone, Debug, Default)]
pub struct Taking {
    homes: BTreeMap<Home, Transit>,
    /// What each node said last of the homes that it was asked about.
    told: BTreeMap<NodeId, BTreeMap<Home, Stamp>>,
}

/// A home in transit, as it is under the present table.
#[derive(Clone, Debug)]
struct Transit {
    owners: Vec<NodeId>,
    change: Move,
    /// None as long as records may be under way that were routed by an earlier table.
    since: Option<Stamp>,
    /// What others had closed when they were asked first.
    closed: BTreeMap<NodeId, Stamp>,
    same: BTreeSet<NodeId>,
}

impl Taking {
    /// Another table counts, or the same once more. Returns whether homes set out, so that [`Taking::quiet`] is due.
    pub fn retable(&mut self, table: &Table) -> bool {
        self.homes.retain(|home, transit| {
            table.transit(*home) == Some(&transit.change) && table.owners(*home) == transit.owners
        });
        for (home, change) in table.moves() {
            self.homes.entry(*home).or_insert_with(|| Transit {
                owners: table.owners(*home).to_vec(),
                change: change.clone(),
                since: None,
                closed: BTreeMap::new(),
                same: BTreeSet::new(),
            });
        }
        self.homes.values().any(|transit| transit.since.is_none())
    }

    /// Nothing is under way here any more that was routed by an earlier table, and `last` is the greatest stamp that this
    /// node knows of.
    pub fn quiet(&mut self, last: Stamp) {
        self.homes.values_mut().for_each(|transit| transit.since = transit.since.or(Some(last)));
    }

    /// Nothing that this node took of `home` by an earlier table is stamped after it: the least stamp for a home that is not
    /// in transit, the greatest as long as nobody can say.
    pub fn since(&self, home: Home) -> Stamp {
        self.homes.get(&home).map_or(Stamp::ZERO, |transit| transit.since.unwrap_or(Stamp::MAX))
    }

    /// A node that goes by the present table says [`Taking::since`] of these homes, at the beginning of a session, and up to
    /// when it has closed them.
    pub fn told(&mut self, peer: NodeId, closed: Stamp, since: BTreeMap<Home, Stamp>) {
        for home in since.keys() {
            if let Some(transit) = self.homes.get_mut(home) {
                transit.closed.entry(peer).or_insert(closed);
            }
        }
        self.told.insert(peer, since);
    }

    /// That session found that this node has just what `peer` has of these homes, up to `fence`, and both had closed so much.
    pub fn same(&mut self, peer: NodeId, homes: impl IntoIterator<Item = Home>, fence: Stamp, closed: Stamp) {
        let told = self.told.get(&peer);
        let is_late = |home: &Home| told.and_then(|told| told.get(home)).is_some_and(|since| *since <= fence);
        for home in homes.into_iter().filter(is_late) {
            let Some(transit) = self.homes.get_mut(&home) else { continue };
            if transit.closed.get(&peer).is_some_and(|until| *until <= fence.min(closed)) {
                transit.same.insert(peer);
            }
        }
    }

    /// The homes in transit that `me` owns under `table`, the one that was told last, and of which it has just what every
    /// reader has.
    pub fn taken(&self, table: &Table, me: NodeId) -> BTreeSet<Home> {
        let owned = self.homes.iter().filter(|(home, _)| table.owns(me, **home));
        #[cfg(feature = "planted")]
        if planted::is(planted::Bug::NewOwnerServesBeforeFrontier) {
            return owned.map(|(home, _)| *home).collect();
        }
        let is_taken = |(home, transit): &(&Home, &Transit)| {
            table.readers(**home).all(|reader| reader == me || transit.same.contains(&reader))
        };
        owned.filter(is_taken).map(|(home, _)| *home).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Epoch;
    use crate::placement::homes;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);
    const C: NodeId = NodeId(3);

    fn home() -> Home {
        Home::from_number(7).unwrap()
    }

    fn at(ms: u64) -> Stamp {
        Stamp::new(ms, 0).unwrap()
    }

    /// One home is on its way from A to C, with B to stay; the others are at rest.
    fn table(epoch: u64) -> Table {
        let owners = |each: Home| if each == home() { vec![B, C] } else { vec![A, B] };
        let change = Move { joining: [C].into(), leaving: [A].into() };
        let table = Table::new(Epoch(epoch), homes().map(owners).collect()).unwrap();
        table.in_transit([(home(), change)].into()).unwrap()
    }

    #[test]
    fn a_home_is_taken_once_it_is_the_same_as_each_readers_after_that_took_its_last_by_an_earlier_table() {
        let (mut taking, table) = (Taking::default(), table(2));
        assert!(taking.retable(&table));
        let all = [home()];
        taking.same(A, all, at(98), at(98));
        taking.told(A, at(90), [(home(), at(100))].into());
        taking.told(B, at(90), [(home(), Stamp::MAX)].into());
        [A, B].into_iter().for_each(|peer| taking.same(peer, all, at(99), at(99)));
        assert_eq!(taking.taken(&table, C), BTreeSet::new(), "both may have taken more since");
        taking.same(A, all, at(100), at(100));
        assert_eq!(taking.taken(&table, C), BTreeSet::new(), "B may have what A has not");
        taking.told(B, at(90), [(home(), at(100))].into());
        taking.same(B, all, at(101), at(101));
        assert_eq!(taking.taken(&table, C), all.into());
        assert_eq!(taking.taken(&table, A), BTreeSet::new(), "it does not own it");
    }

    #[test]
    fn a_home_is_taken_only_with_all_that_may_have_been_stable_before_its_new_owner_came() {
        let (mut taking, table) = (Taking::default(), table(2));
        taking.retable(&table);
        for peer in [A, B] {
            taking.told(peer, at(100), [(home(), at(1))].into());
            taking.told(peer, at(200), [(home(), at(1))].into()); // what it closes later is stable with this node only
            taking.same(peer, [home()], at(99), at(150)); // not compared up to there
            taking.same(peer, [home()], at(150), at(99)); // not closed up to there: what is below may still come
        }
        assert_eq!(taking.taken(&table, C), BTreeSet::new());
        [A, B].into_iter().for_each(|peer| taking.same(peer, [home()], at(100), at(100)));
        assert_eq!(taking.taken(&table, C), [home()].into());
    }

    #[test]
    fn what_was_taken_counts_as_long_as_nobody_else_comes_or_goes() {
        let mut taking = Taking::default();
        taking.retable(&table(2));
        for peer in [A, B] {
            taking.told(peer, at(1), [(home(), at(1))].into());
            taking.same(peer, [home()], at(100), at(100));
        }
        taking.retable(&table(3));
        assert_eq!(taking.taken(&table(3), C), [home()].into());
        let owners = |each: Home| if each == home() { vec![B, C] } else { vec![A, B] };
        let change = Move { joining: [C].into(), leaving: BTreeSet::new() };
        let other = Table::new(Epoch(4), homes().map(owners).collect()).unwrap();
        let other = other.in_transit([(home(), change)].into()).unwrap();
        taking.retable(&other);
        assert_eq!(taking.taken(&other, C), BTreeSet::new());
    }

    #[test]
    fn nobody_can_say_since_when_before_all_that_was_under_way_is_stored() {
        let mut taking = Taking::default();
        assert_eq!(taking.since(home()), Stamp::ZERO);
        taking.retable(&table(2));
        assert_eq!(taking.since(home()), Stamp::MAX);
        taking.quiet(at(5));
        taking.quiet(at(9));
        assert_eq!((taking.since(home()), taking.since(Home::GLOBAL)), (at(5), Stamp::ZERO));
        assert!(!taking.retable(&table(3)));
    }
}
