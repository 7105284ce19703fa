//! How many records are short of a copy, and how far peers lag behind: what operators watch after a failure.
//!
//! It compares nothing itself and repairs nothing; it adds up what sessions found and what members report of their hints.
//!
//! A record is short of a copy if it is in the set of some owner of its home, or in a hint that is not discharged, and is
//! not confirmed on every owner; a hint counts until it is discharged. In a home in transit those who may be read count as
//! its owners. Each home is counted by one node, its live owner of the lowest id. Invariants: no id is counted twice; a count is as of the fences it was made at; it is called exact only if
//! every owner was compared and every member reported after the last change that this node knows of.

use crate::id::{Millis, NodeId};
use crate::placement::{Table, homes};
use crate::reconcile::Difference;
use crate::reconcile::session::Summary;
use model::{Home, RecordId, Stamp};
use std::collections::{BTreeMap, BTreeSet};

/// How many records of a home are short of a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shortfall {
    /// How many.
    pub records: u64,
    /// Whether that is all, as of the oldest fence; else it is a lower bound.
    pub exact: bool,
}

/// The cluster as it is when things are added up.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The table that counts.
    pub table: &'a Table,
    /// Every member.
    pub members: &'a BTreeSet<NodeId>,
    /// Who is thought alive, this node included.
    pub live: &'a BTreeSet<NodeId>,
    /// The greatest stamp that this node holds of a home; homes without records are left out.
    pub newest: &'a BTreeMap<Home, Stamp>,
}

/// What this node knows of what others hold. See the module.
#[derive(Clone, Debug)]
pub struct Accounting {
    me: NodeId,
    compared: BTreeMap<(Home, NodeId), Compared>,
    /// The last change of a home here that no comparison has seen.
    changed: BTreeMap<Home, Millis>,
    hints: BTreeMap<NodeId, Hints>,
}

#[derive(Clone, Debug)]
struct Compared {
    /// When the comparison began.
    at: Millis,
    fence: Stamp,
    difference: Difference,
}

#[derive(Clone, Debug)]
struct Hints {
    at: Stamp,
    by_home: BTreeMap<Home, u64>,
}

/// Who counts a home: its live owner of the lowest id; nobody if none is alive.
pub fn counter(table: &Table, home: Home, live: &BTreeSet<NodeId>) -> Option<NodeId> {
    table.readers(home).filter(|reader| live.contains(reader)).min()
}

impl Accounting {
    /// The books of a node that knows nothing yet.
    pub fn new(me: NodeId) -> Self {
        Self { me, compared: BTreeMap::new(), changed: BTreeMap::new(), hints: BTreeMap::new() }
    }

    /// Takes in what a session came to that began at `began`, also one that did not go through to the end.
    pub fn compared(&mut self, summary: &Summary, began: Millis) {
        for (home, difference) in &summary.homes {
            let compared = Compared { at: began, fence: summary.fence, difference: difference.clone() };
            self.compared.insert((*home, summary.peer), compared);
        }
    }

    /// Records of these homes were stored here, by whomever.
    pub fn changed(&mut self, homes: impl IntoIterator<Item = Home>, now: Millis) {
        self.changed.extend(homes.into_iter().map(|home| (home, now)));
    }

    /// A member, or this node, reports how many hints it held at `at`, by home; homes without hints may be left out.
    pub fn hints(&mut self, node: NodeId, by_home: BTreeMap<Home, u64>, at: Stamp) {
        self.hints.insert(node, Hints { at, by_home });
    }

    /// Forgets what concerns nobody any more under another table or among other members.
    pub fn retable(&mut self, table: &Table, members: &BTreeSet<NodeId>) {
        let me = self.me;
        self.compared.retain(|(home, peer), _| table.reads(me, *home) && table.reads(*peer, *home));
        self.hints.retain(|node, _| members.contains(node));
    }

    /// The homes that this node counts, each with its shortfall. Cost: of the order of what is missing.
    pub fn shortfalls(&self, view: View<'_>) -> BTreeMap<Home, Shortfall> {
        let counted = homes().filter(|home| counter(view.table, *home, view.live) == Some(self.me));
        counted.map(|home| (home, self.shortfall(home, view))).collect()
    }

    fn shortfall(&self, home: Home, view: View<'_>) -> Shortfall {
        let others = || view.table.readers(home).filter(|reader| *reader != self.me);
        let known: Vec<_> = others().filter_map(|owner| self.compared.get(&(home, owner))).collect();
        let ids = |compared: &&Compared| {
            let Difference { missing_here, missing_there, .. } = &compared.difference;
            missing_here.ids.union(&missing_there.ids).copied().collect::<Vec<RecordId>>()
        };
        let union: BTreeSet<_> = known.iter().flat_map(ids).collect();
        let of_one = known.iter().map(|compared| compared.at_least()).max().unwrap_or(0);
        let hints = self.hints.values().filter_map(|hints| hints.by_home.get(&home).copied()).max().unwrap_or(0);
        let fence = known.iter().map(|compared| compared.fence).min();
        let sessions =
            known.len() == others().count() && known.iter().all(|compared| self.is_current(home, compared, view));
        let exact = sessions && hints == 0 && self.all_reported(view, fence);
        Shortfall { records: (union.len() as u64).max(of_one).max(hints), exact }
    }

    /// Whether nothing changed here since a comparison, as far as it went.
    fn is_current(&self, home: Home, compared: &Compared, view: View<'_>) -> bool {
        let unchanged = self.changed.get(&home).is_none_or(|changed| *changed < compared.at);
        let seen = view.newest.get(&home).is_none_or(|newest| *newest <= compared.fence);
        unchanged && seen && compared.is_whole()
    }

    /// Whether every member is alive and has reported its hints after `fence`.
    fn all_reported(&self, view: View<'_>, fence: Option<Stamp>) -> bool {
        let reported = |node| self.hints.get(node).is_some_and(|hints| fence.is_none_or(|fence| hints.at >= fence));
        view.members.iter().all(|node| view.live.contains(node) && reported(node))
    }

    /// How far each other owner lags behind this node when a new stamp would be `stamp`; of homes that it joins it does not.
    ///
    /// That is the age of the oldest record that it is known to lack. Of one that is not alive nothing new is known: it is
    /// the age of the last fence at which it was compared, if there are records after that.
    pub fn lags(&self, view: View<'_>, stamp: Stamp) -> BTreeMap<NodeId, Millis> {
        let mut lags = BTreeMap::new();
        let is_read = |((home, peer), _): &(&(Home, NodeId), &Compared)| view.table.reads(*peer, *home);
        for ((home, peer), compared) in self.compared.iter().filter(is_read) {
            let unseen = view.newest.get(home).is_some_and(|newest| *newest > compared.fence);
            let away = (unseen && !view.live.contains(peer)).then_some(compared.fence);
            let since = compared.difference.missing_there.oldest.into_iter().chain(away).min();
            let lag = since.map_or(0, |since| stamp.ms().saturating_sub(since.ms()));
            let longest = lags.entry(*peer).or_insert(Millis(0));
            *longest = Millis(lag).max(*longest);
        }
        lags
    }
}

impl Compared {
    /// How many different ids this comparison alone shows to be missing on either side.
    fn at_least(&self) -> u64 {
        let Difference { missing_here, missing_there, in_pieces, .. } = &self.difference;
        let (here, there) = (missing_here.count(), missing_there.count());
        if *in_pieces { here.max(there) } else { here + there }
    }

    /// Whether all that is missing is known by name.
    fn is_whole(&self) -> bool {
        let Difference { missing_here, missing_there, in_pieces, .. } = &self.difference;
        missing_here.others == 0 && missing_there.others == 0 && !in_pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Epoch;
    use crate::reconcile::Missing;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);
    const C: NodeId = NodeId(3);

    fn at(ms: u64) -> Stamp {
        Stamp::new(ms, 0).unwrap()
    }

    fn home() -> Home {
        Home::from_number(0).unwrap()
    }

    fn missing(ids: &[u8]) -> Missing {
        let set: BTreeSet<_> = ids.iter().map(|id| RecordId([*id; 32])).collect();
        Missing { ids: set, others: 0, oldest: ids.iter().min().map(|id| at(u64::from(*id))) }
    }

    fn summary(peer: NodeId, fence: u64, here: &[u8], there: &[u8]) -> Summary {
        let difference =
            Difference { missing_here: missing(here), missing_there: missing(there), ..Difference::default() };
        Summary { peer, fence: at(fence), complete: true, homes: [(home(), difference)].into() }
    }

    /// Three nodes that own everything, seen from A, whose newest record is of 1,000.
    struct Story {
        books: Accounting,
        table: Table,
        live: BTreeSet<NodeId>,
    }

    impl Story {
        /// At rest: everything was compared and reported after the last record.
        fn at_rest() -> Self {
            let mut books = Accounting::new(A);
            books.changed([home()], Millis(10));
            books.compared(&summary(B, 1_000, &[], &[]), Millis(11));
            books.compared(&summary(C, 1_001, &[], &[]), Millis(12));
            [A, B, C].into_iter().for_each(|node| books.hints(node, BTreeMap::new(), at(1_002)));
            let table = Table::new(Epoch(1), vec![vec![C, A, B]; 257]).unwrap();
            Self { books, table, live: [A, B, C].into() }
        }

        fn but(mut self, change: impl FnOnce(&mut Accounting)) -> Self {
            change(&mut self.books);
            self
        }

        fn view<R>(&self, f: impl FnOnce(View<'_>) -> R) -> R {
            let members = [A, B, C].into();
            let newest = [(home(), at(1_000))].into();
            f(View { table: &self.table, members: &members, live: &self.live, newest: &newest })
        }

        #[track_caller]
        fn counts(&self, records: u64, exact: bool) {
            let shortfalls = self.view(|view| self.books.shortfalls(view));
            assert_eq!(shortfalls[&home()], Shortfall { records, exact });
        }
    }

    #[test]
    fn at_rest_the_count_is_exact() {
        Story::at_rest().counts(0, true);
        let missing = |books: &mut Accounting| {
            books.compared(&summary(B, 1_000, &[1, 2], &[3]), Millis(13));
            books.compared(&summary(C, 1_000, &[2], &[3, 4]), Millis(13));
        };
        Story::at_rest().but(missing).counts(4, true);
    }

    #[test]
    fn every_reason_to_doubt_makes_it_a_lower_bound() {
        let rest = Story::at_rest;
        rest().but(|books| books.changed([home()], Millis(12))).counts(0, false);
        rest().but(|books| books.compared(&summary(B, 999, &[], &[7]), Millis(13))).counts(1, false);
        rest().but(|books| books.hints(C, BTreeMap::new(), at(999))).counts(0, false);
        rest().but(|books| books.hints(C, [(home(), 5)].into(), at(1_003))).counts(5, false);
        rest().but(|books| drop(books.hints.remove(&A))).counts(0, false);
        rest().but(|books| drop(books.compared.remove(&(home(), C)))).counts(0, false);
        let mut large = summary(B, 1_000, &[1], &[2]);
        large.homes.values_mut().for_each(|difference| difference.missing_there.others = 100);
        rest().but(|books| books.compared(&large, Millis(13))).counts(102, false);
        let mut down = rest();
        down.live.remove(&C);
        down.counts(0, false);
    }

    #[test]
    fn each_home_is_counted_by_one_node_as_long_as_one_of_its_owners_lives() {
        let mut story = Story::at_rest();
        assert_eq!(story.view(|view| story.books.shortfalls(view)).len(), 257);
        let others = Accounting::new(B);
        assert!(story.view(|view| others.shortfalls(view)).is_empty());
        story.live.remove(&A);
        assert_eq!(story.view(|view| others.shortfalls(view)).len(), 257);
        assert_eq!(counter(&story.table, home(), &BTreeSet::new()), None);
    }

    #[test]
    fn a_peer_lags_by_the_age_of_what_it_lacks_and_once_away_by_that_of_the_last_fence() {
        let mut story = Story::at_rest();
        story.books.compared(&summary(B, 990, &[1], &[200, 100]), Millis(13));
        story.books.compared(&summary(C, 990, &[1], &[]), Millis(13));
        let lags = |story: &Story| story.view(|view| story.books.lags(view, at(1_500)));
        assert_eq!(lags(&story), [(B, Millis(1_400)), (C, Millis(0))].into());
        story.live.remove(&C);
        assert_eq!(lags(&story), [(B, Millis(1_400)), (C, Millis(510))].into());
    }

    #[test]
    fn who_owns_nothing_together_any_more_is_forgotten() {
        let mut story = Story::at_rest();
        let table = Table::new(Epoch(2), vec![vec![A, B]; 257]).unwrap();
        story.books.retable(&table, &[A, B].into());
        story.table = table;
        assert_eq!(story.view(|view| story.books.lags(view, at(1_500))), [(B, Millis(0))].into());
        story.counts(0, false);
    }
}
