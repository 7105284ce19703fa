//! What this node may be asked: the homes in which it has caught up since it started, or since it stood still.
//!
//! It reads no clock and meets nobody itself; it keeps account of what sessions came to.

use crate::id::{Millis, NodeId};
use crate::placement::Table;
use model::{Home, Stamp};
use std::collections::{BTreeMap, BTreeSet};

/// When a node is not to be trusted with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The longest time between two ticks that is no stall. A node that stood still longer may have missed writes.
    pub stall_max: Millis,
    /// How long after a start or a stall nobody is said to be out of reach.
    pub alone_after: Millis,
}

/// The homes for which this node may answer.
///
/// Invariants: after a start or a stall a home is fit only once it was met at a fence not before it, or once all its other
/// readers have been out of reach for [`Settings::alone_after`]; who is no reader of a home is never fit for it.
#[derive(Clone, Debug)]
pub struct Fitness {
    settings: Settings,
    /// The last start or stall, on the monotonic clock and as a stamp.
    since: (Millis, Stamp),
    last: Millis,
    met: BTreeMap<Home, Stamp>,
}

impl Fitness {
    /// The fitness of a node that starts `now`, when a new stamp would be `stamp`.
    pub fn start(settings: Settings, now: Millis, stamp: Stamp) -> Self {
        Self { settings, since: (now, stamp), last: now, met: BTreeMap::new() }
    }

    /// To be called several times within each [`Settings::stall_max`]. Returns whether the node stood still before it.
    pub fn tick(&mut self, now: Millis, stamp: Stamp) -> bool {
        let stalled = now - self.last > self.settings.stall_max;
        if stalled {
            self.since = (now, stamp);
        }
        self.last = now;
        stalled
    }

    /// A session found that this node has all that another reader has of these homes, up to `fence`.
    pub fn met(&mut self, homes: &BTreeSet<Home>, fence: Stamp) {
        for home in homes {
            let last = self.met.entry(*home).or_insert(fence);
            *last = fence.max(*last);
        }
    }

    /// Another table counts: what this node owns only from now on has to be met first, also if it owned it before.
    pub fn retable(&mut self, table: &Table, me: NodeId) {
        self.met.retain(|home, _| table.holds(me, *home));
    }

    /// Whether this node may be asked about `home`. `reachable` are the nodes that answer it.
    pub fn is_fit(&self, home: Home, table: &Table, me: NodeId, reachable: &BTreeSet<NodeId>, now: Millis) -> bool {
        let mut others = table.readers(home).filter(|reader| *reader != me).peekable();
        let is_waiting = now < self.since.0 + self.settings.alone_after;
        let alone = others.peek().is_none() || (!is_waiting && others.all(|reader| !reachable.contains(&reader)));
        table.reads(me, home) && (self.meeting(home).is_some() || alone)
    }

    /// How old the last meeting over `home` is when a new stamp would be `stamp`; nothing for the only owner, who misses
    /// nothing. `None` without a meeting since the start or the stall: what this node has of `home` may be of any age, even
    /// if it is fit because nobody else can be reached.
    pub fn fence_age(&self, home: Home, table: &Table, me: NodeId, stamp: Stamp) -> Option<Millis> {
        if table.readers(home).eq([me]) {
            return Some(Millis(0));
        }
        self.meeting(home).map(|fence| Millis(stamp.ms().saturating_sub(fence.ms())))
    }

    /// Whether a meeting over one of `homes` at `fence` would be the first since the start or the stall.
    pub fn wants(&self, homes: &BTreeSet<Home>, fence: Stamp) -> bool {
        fence >= self.since.1 && homes.iter().any(|home| self.meeting(*home).is_none())
    }

    /// The fence of the last meeting over `home`, if that counts.
    fn meeting(&self, home: Home) -> Option<Stamp> {
        #[cfg(feature = "planted")]
        if planted::is(planted::Bug::ServedBeforeItMet) || planted::is(planted::Bug::NewOwnerServesBeforeFrontier) {
            return Some(self.met.get(&home).map_or(self.since.1, |fence| self.since.1.max(*fence)));
        }
        self.met.get(&home).copied().filter(|fence| *fence >= self.since.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Epoch;
    use crate::placement::homes;

    const ME: NodeId = NodeId(1);
    const OTHER: NodeId = NodeId(2);

    const SETTINGS: Settings = Settings { stall_max: Millis(500), alone_after: Millis(3_000) };

    fn at(ms: u64) -> Stamp {
        Stamp::new(1_000_000 + ms, 0).unwrap()
    }

    fn home(number: u16) -> Home {
        Home::from_number(number).unwrap()
    }

    /// Even homes are this node's and another's, odd ones its own; from 100 on, the other's alone.
    fn table() -> Table {
        let owners = |home: Home| match home.number() {
            0..100 if home.number() % 2 == 1 => vec![ME],
            0..100 => vec![ME, OTHER],
            _ => vec![OTHER],
        };
        Table::new(Epoch(1), homes().map(owners).collect()).unwrap()
    }

    /// A node that ticks every 100 ms from the start to the time it is asked.
    fn ticked(to: u64) -> Fitness {
        let mut fitness = Fitness::start(SETTINGS, Millis(0), at(0));
        (1..=to / 100).for_each(|step| assert!(!fitness.tick(Millis(step * 100), at(step * 100))));
        fitness
    }

    fn is_fit(fitness: &Fitness, number: u16, reachable: bool, now: u64) -> bool {
        let reachable = if reachable { [OTHER].into() } else { BTreeSet::new() };
        fitness.is_fit(home(number), &table(), ME, &reachable, Millis(now))
    }

    fn fence_age(fitness: &Fitness, number: u16, now: u64) -> Option<Millis> {
        fitness.fence_age(home(number), &table(), ME, at(now))
    }

    #[test]
    fn after_a_start_a_home_is_fit_once_it_was_met_at_a_later_fence() {
        let mut fitness = ticked(4_000);
        assert!(!is_fit(&fitness, 2, true, 4_000));
        fitness.met(&[home(2)].into(), Stamp::end_of_ms(999_999));
        assert!(!is_fit(&fitness, 2, true, 4_000), "a fence before the start");
        fitness.met(&[home(2)].into(), at(0));
        assert!(is_fit(&fitness, 2, true, 4_000));
        assert!(!is_fit(&fitness, 4, true, 4_000));
        assert_eq!(fence_age(&fitness, 2, 4_000), Some(Millis(4_000)));
        assert_eq!(fence_age(&fitness, 4, 4_000), None);
    }

    #[test]
    fn a_stall_is_like_a_start() {
        let mut fitness = ticked(1_000);
        fitness.met(&[home(2)].into(), at(500));
        assert!(!fitness.tick(Millis(1_500), at(1_500)));
        assert!(is_fit(&fitness, 2, true, 1_500));
        assert!(fitness.tick(Millis(2_001), at(2_001)));
        assert!(!is_fit(&fitness, 2, true, 2_001));
        assert_eq!(fence_age(&fitness, 2, 2_001), None);
        fitness.met(&[home(2)].into(), at(2_001));
        assert!(is_fit(&fitness, 2, true, 2_001));
        assert_eq!(fence_age(&fitness, 2, 2_003), Some(Millis(2)));
    }

    #[test]
    fn who_can_reach_no_other_owner_answers_after_a_while() {
        let fitness = ticked(3_000);
        assert!(!is_fit(&fitness, 2, false, 2_999));
        assert!(is_fit(&fitness, 2, false, 3_000));
        assert!(!is_fit(&fitness, 2, true, 3_000));
        assert_eq!(fence_age(&fitness, 2, 3_000), None, "how old that is nobody knows");
    }

    #[test]
    fn a_first_meeting_is_wanted_once_its_fence_would_count() {
        let mut fitness = ticked(1_000);
        let both = [home(2), home(4)].into();
        assert!(!fitness.wants(&both, Stamp::end_of_ms(999_999)));
        assert!(fitness.wants(&both, at(0)));
        fitness.met(&[home(2)].into(), at(500));
        assert!(fitness.wants(&both, at(600)) && !fitness.wants(&[home(2)].into(), at(600)));
    }

    #[test]
    fn the_only_owner_is_fit_at_once_and_who_owns_nothing_never() {
        let mut fitness = ticked(0);
        assert!(is_fit(&fitness, 1, true, 0));
        assert_eq!(fence_age(&fitness, 1, 5_000), Some(Millis(0)));
        fitness.met(&[home(100)].into(), at(9));
        assert!(!is_fit(&fitness, 100, false, 9_000));
    }

    #[test]
    fn a_home_that_was_lost_and_regained_has_to_be_met_again() {
        let mut fitness = ticked(1_000);
        fitness.met(&[home(2)].into(), at(500));
        let without = Table::new(Epoch(2), vec![vec![OTHER]; 257]).unwrap();
        fitness.retable(&without, ME);
        fitness.retable(&table(), ME);
        assert!(!is_fit(&fitness, 2, true, 1_000));
    }
}
