//! The sums of the homes' sets, in memory, so that neither a write nor a comparison with another node reads them.
//!
//! It never knows an element: what a batch of the index changes is collected in a [`SetChange`] and taken up once that
//! batch is applied. The sums by second of the last [`WINDOW_SECONDS`] tell what a set was at a recent fence.
//!
//! It also keeps which homes were dropped, since what is held of a home is told by both.
//!
//! Invariants: the total of a home is the value of its `t` entry; what is kept of a second is the sum of all elements
//! with stamps in it, for each second from [`Sums::from_second`] on.

use super::dropped::{Dropped, Drops};
use crate::index::Batch;
use crate::index::entry::set::sum_key;
use model::set::{Leaf, SetKey, SetSum};
use model::{Home, Stamp};
use std::collections::BTreeMap;

/// For so many seconds before the newest stamp the sums are kept by second.
pub(super) const WINDOW_SECONDS: u64 = 64;

/// What changes in the homes' sets.
#[derive(Debug, Default)]
pub(super) struct SetChange {
    /// By home and second; a difference of sums each.
    sums: BTreeMap<(Home, u64), SetSum>,
    /// Homes that were dropped, or are further on with it.
    dropped: Drops,
}

impl SetChange {
    /// An element comes.
    pub(super) fn add(&mut self, key: &SetKey, home: Home, stamp: Stamp, leaf: Leaf) {
        self.sums.entry((home, second_of(stamp))).or_default().add(key, leaf);
    }

    /// An element goes.
    pub(super) fn remove(&mut self, key: &SetKey, home: Home, stamp: Stamp, leaf: Leaf) {
        self.sums.entry((home, second_of(stamp))).or_default().remove(key, leaf);
    }

    /// A home is dropped so far.
    pub(super) fn drop_home(&mut self, home: Home, dropped: Dropped) {
        self.dropped.insert(home, dropped);
    }
}

/// What the set of a home is at a fence, as far as it is known in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtFence {
    /// This.
    Exactly(SetSum),
    /// This, without the elements with stamps after the fence up to this one.
    Without(SetSum, Stamp),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Sums {
    homes: BTreeMap<Home, HomeSums>,
    /// The values of the entries `m` `dropped`.
    dropped: Drops,
    /// The first second of which the sums are known.
    from_second: u64,
    /// No stamp in the index lies in a later second.
    newest_second: u64,
}

#[derive(Debug, Default)]
struct HomeSums {
    total: SetSum,
    /// By second; one without elements may be left out.
    recent: BTreeMap<u64, SetSum>,
}

impl Sums {
    /// Those of an index that holds `totals` and no stamp after `newest`, and dropped these homes.
    pub(super) fn load(&mut self, totals: BTreeMap<Home, SetSum>, dropped: Drops, newest: Stamp) {
        self.dropped = dropped;
        self.newest_second = self.newest_second.max(second_of(newest));
        self.from_second = self.newest_second.saturating_add(1);
        let alone = |(home, total)| (home, HomeSums { total, recent: BTreeMap::new() });
        self.homes = totals.into_iter().map(alone).collect();
    }

    /// Those of an index without elements.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Puts the totals as `change` leaves them into the batch that makes the change, which is about to be applied.
    pub(super) fn prepare(&mut self, change: &SetChange, batch: &mut Batch) {
        let mut totals: BTreeMap<Home, SetSum> = BTreeMap::new();
        for ((home, second), difference) in &change.sums {
            self.newest_second = self.newest_second.max(*second);
            let total = totals.entry(*home).or_insert_with(|| self.total(*home));
            *total = total.plus(*difference);
        }
        totals.into_iter().for_each(|(home, total)| batch.put(sum_key(home), total.to_bytes().to_vec()));
    }

    /// Takes up a change that the index has.
    pub(super) fn land(&mut self, change: SetChange) {
        for ((home, second), difference) in change.sums {
            let sums = self.homes.entry(home).or_default();
            sums.total = sums.total.plus(difference);
            if second >= self.from_second {
                let sum = sums.recent.entry(second).or_default();
                *sum = sum.plus(difference);
            }
        }
        self.dropped.extend(change.dropped);
        let from_second = self.newest_second.saturating_sub(WINDOW_SECONDS - 1);
        if from_second > self.from_second {
            self.from_second = from_second;
            self.homes.values_mut().for_each(|sums| sums.recent = sums.recent.split_off(&from_second));
        }
    }

    /// What the log says of a home that moved away.
    pub(super) fn dropped(&self, home: Home) -> Dropped {
        self.dropped.get(&home).copied().unwrap_or(Dropped::NONE)
    }

    /// What the log says of all homes that ever moved away.
    pub(super) fn all_dropped(&self) -> impl Iterator<Item = (Home, Dropped)> {
        self.dropped.iter().map(|(home, dropped)| (*home, *dropped))
    }

    /// A home that was dropped and of which the index still has entries.
    pub(super) fn going(&self) -> Option<(Home, Dropped)> {
        self.all_dropped().find(|(_, dropped)| dropped.is_going())
    }

    /// The sum of all elements of `home`.
    pub(super) fn total(&self, home: Home) -> SetSum {
        self.homes.get(&home).map(|sums| sums.total).unwrap_or_default()
    }

    /// The homes with elements, and their sums.
    pub(super) fn totals(&self) -> Vec<(Home, SetSum)> {
        let totals = self.homes.iter().map(|(home, sums)| (*home, sums.total));
        totals.filter(|(_, total)| *total != SetSum::ZERO).collect()
    }

    /// The sum of the elements of `home` with stamps at or before `fence`, as far as memory tells.
    pub(super) fn at_fence(&self, home: Home, fence: Stamp) -> AtFence {
        let Some(sums) = self.homes.get(&home) else { return AtFence::Exactly(SetSum::ZERO) };
        let second = second_of(fence);
        let later = sums.recent.range(second.saturating_add(1)..).map(|(_, sum)| *sum);
        let until_then = later.fold(sums.total, SetSum::minus);
        if second < self.from_second {
            return AtFence::Without(until_then, end_of(self.from_second - 1));
        }
        let whole = fence == end_of(second) || sums.recent.get(&second).is_none_or(|sum| *sum == SetSum::ZERO);
        if whole { AtFence::Exactly(until_then) } else { AtFence::Without(until_then, end_of(second)) }
    }
}

fn second_of(stamp: Stamp) -> u64 {
    stamp.ms() / 1_000
}

/// The last stamp of a second.
fn end_of(second: u64) -> Stamp {
    Stamp::end_of_ms(second.saturating_mul(1_000).saturating_add(999))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: SetKey = SetKey::new([3; 32]);
    const START: u64 = 1_785_000_000;

    /// An element: its home, its stamp and its leaf, and whether it goes again.
    fn elements() -> impl Strategy<Value = Vec<(u16, u64, u8, bool)>> {
        prop::collection::vec((0..2_u16, 0..200_000_u64, any::<u8>(), any::<bool>()), 1..60)
    }

    fn home(number: u16) -> Home {
        Home::from_number(number).unwrap()
    }

    fn at(ms: u64) -> Stamp {
        Stamp::new(START * 1_000 + ms, 0).unwrap()
    }

    fn known(sums: &Sums, number: u16, fence: Stamp, elements: &[(u16, Stamp, Leaf)]) -> SetSum {
        let above = |to: Stamp| {
            let mut sum = SetSum::ZERO;
            let there = elements.iter().filter(|(at, stamp, _)| *at == number && *stamp > fence && *stamp <= to);
            there.for_each(|(_, _, leaf)| sum.add(&KEY, *leaf));
            sum
        };
        match sums.at_fence(home(number), fence) {
            AtFence::Exactly(sum) => sum,
            AtFence::Without(sum, to) => sum.minus(above(to)),
        }
    }

    proptest! {
        #[test]
        fn at_every_fence_the_sum_is_that_of_the_elements_up_to_it(
            elements in elements(),
            reload in 0..60_usize,
            fences in prop::collection::vec(0..201_000_u64, 8),
        ) {
            let (mut sums, mut there) = (Sums::default(), Vec::new());
            for (n, (number, ms, leaf, goes)) in elements.into_iter().enumerate() {
                if n == reload {
                    let totals = sums.totals().into_iter().collect();
                    sums.load(totals, BTreeMap::new(), Stamp::ZERO);
                }
                let (stamp, leaf) = (at(ms), Leaf([leaf; 16]));
                let mut change = SetChange::default();
                change.add(&KEY, home(number), stamp, leaf);
                there.push((number, stamp, leaf));
                if goes {
                    let (number, stamp, leaf) = there.swap_remove(n * 7 % there.len());
                    change.remove(&KEY, home(number), stamp, leaf);
                }
                sums.prepare(&change, &mut Batch::default());
                sums.land(change);
                for fence in fences.iter().flat_map(|ms| [at(*ms), end_of(START + ms / 1_000)]).chain([Stamp::MAX]) {
                    for number in 0..2 {
                        let mut wanted = SetSum::ZERO;
                        let below = there.iter().filter(|(at, stamp, _)| *at == number && *stamp <= fence);
                        below.for_each(|(_, _, leaf)| wanted.add(&KEY, *leaf));
                        prop_assert_eq!(known(&sums, number, fence, &there), wanted);
                    }
                }
            }
        }
    }

    #[test]
    fn the_end_of_a_recent_second_costs_no_scan() {
        let (mut sums, mut change) = (Sums::default(), SetChange::default());
        for second in 0..200 {
            change.add(&KEY, home(7), at(second * 1_000), Leaf([1; 16]));
        }
        sums.prepare(&change, &mut Batch::default());
        sums.land(change);
        for second in 200 - WINDOW_SECONDS..200 {
            let AtFence::Exactly(sum) = sums.at_fence(home(7), end_of(START + second)) else { panic!("{second}") };
            assert_eq!(sum.count, second + 1);
        }
        assert!(matches!(sums.at_fence(home(7), end_of(START + 100)), AtFence::Without(..)));
        assert_eq!(sums.at_fence(home(8), Stamp::ZERO), AtFence::Exactly(SetSum::ZERO));
    }
}
