//! How nodes come to hold the same: pairs of owners compare the sets of the homes they share, and send what is missing.
//!
//! [`schedule`] says with whom and when, [`session`] compares and repairs, [`fitness`] says what this node may be asked
//! meanwhile, [`taking`] when a home that moves has arrived, [`pace`] how fast records are taken, [`handover`] sees to what this
//! node holds and does not own, [`bequest`] to what a node held that was removed,
//! [`parting`] says when one that is drained may be let go. None of them sees a record, sends anything, or reads a clock.

pub mod bequest;
pub mod fitness;
pub mod handover;
mod merge;
pub mod pace;
pub mod parting;
pub mod schedule;
pub mod session;
pub mod taking;

use crate::id::NodeId;
use crate::placement::Table;
use model::set::Leaf;
use model::{Home, RecordId, Stamp};
use std::collections::BTreeSet;

/// One element of a home's set. In lists, elements are in the order of stamp and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Element {
    /// Its stamp here.
    pub stamp: Stamp,
    /// The record.
    pub id: RecordId,
    /// What stands for id, stamp and signatures.
    pub leaf: Leaf,
}

/// What two nodes did not both have of a home, up to a fence, when they were done with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// What this node lacked, and still does.
    pub missing_here: Missing,
    /// What the peer lacked, and still does as far as this node knows.
    pub missing_there: Missing,
    /// How many ids both had, but not in the same form.
    pub unlike: u64,
    /// Whether the difference was too large to be taken in one piece: then an id may be counted more than once.
    pub in_pieces: bool,
}

/// Ids that a node lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Which; at most [`Missing::IDS_MAX`].
    pub ids: BTreeSet<RecordId>,
    /// How many besides.
    pub others: u64,
    /// The smallest stamp among all of them.
    pub oldest: Option<Stamp>,
}

impl Missing {
    /// How many ids are kept by name.
    pub const IDS_MAX: usize = 256;

    /// How many ids are missing.
    pub fn count(&self) -> u64 {
        self.others + self.ids.len() as u64
    }

    fn add(&mut self, element: &Element) {
        self.oldest = Some(self.oldest.map_or(element.stamp, |oldest| oldest.min(element.stamp)));
        if self.ids.len() < Self::IDS_MAX {
            self.ids.insert(element.id);
        } else if !self.ids.contains(&element.id) {
            self.others += 1;
        }
    }
}

/// The homes that `me` compares with `peer`: those that both are to have, and [`Home::GLOBAL`] if `peer` is to have it, since
/// every node keeps a copy of that.
pub fn shared_homes(table: &Table, me: NodeId, peer: NodeId) -> BTreeSet<Home> {
    let global = table.holds(peer, Home::GLOBAL).then_some(Home::GLOBAL);
    table.shared(me, peer).chain(global).filter(|_| me != peer).collect()
}

/// Which of the homes that `me` holds records of belong to others alone: those records are to be handed over.
///
/// [`handover`] sees to that. [`Home::GLOBAL`] is never among them.
pub fn strays(table: &Table, me: NodeId, held: impl IntoIterator<Item = Home>) -> BTreeSet<Home> {
    #[cfg(feature = "planted")]
    if planted::is(planted::Bug::FormerOwnerDropsTooEarly) {
        return held.into_iter().filter(|home| *home != Home::GLOBAL && !table.owns(me, *home)).collect();
    }
    held.into_iter().filter(|home| *home != Home::GLOBAL && !table.holds(me, *home)).collect()
}

#[test]
fn a_node_compares_what_it_shares_and_the_global_home_and_hands_over_what_is_not_its_own() {
    use crate::id::Epoch;
    use crate::placement::homes;
    let [a, b, c, d] = [1, 2, 3, 4].map(NodeId);
    let owners = |home: Home| match home.number() {
        0..100 => vec![a, b],
        100..200 => vec![b, c],
        _ => vec![c, a],
    };
    let table = Table::new(Epoch(1), homes().map(owners).collect()).unwrap();
    let numbers = |set: BTreeSet<Home>| set.into_iter().map(Home::number).collect::<Vec<_>>();
    assert_eq!(numbers(shared_homes(&table, a, b)), (0..100).collect::<Vec<_>>());
    assert_eq!(numbers(shared_homes(&table, a, c)), (200..257).collect::<Vec<_>>());
    assert_eq!(numbers(shared_homes(&table, b, c)), (100..200).chain([256]).collect::<Vec<_>>());
    assert_eq!(numbers(shared_homes(&table, d, c)), [256]);
    assert!(shared_homes(&table, c, c).is_empty());
    assert_eq!(numbers(strays(&table, a, homes())), (100..200).collect::<Vec<_>>());
    assert_eq!(numbers(strays(&table, d, homes())), (0..256).collect::<Vec<_>>());
}
