//! Which hosts reach which: cuts both ways and one way, hosts that are held up, and hosts without power, as one state.
//!
//! It says what each pair of hosts should be like; whoever drives the simulation makes it so. Where several things are
//! wrong with a link the worst counts, and when one is mended the others stay.

use std::collections::BTreeSet;

/// What a pair of hosts is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Everything arrives.
    Open,
    /// What is sent waits.
    Held,
    /// What the first sends to the second is lost, not the other way round.
    CutFrom(usize, usize),
    /// Nothing arrives.
    Cut,
}

/// The state of all links between hosts, which are known by their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    /// Who does not reach whom.
    cut: BTreeSet<(usize, usize)>,
    /// Whose messages wait, both ways.
    held: BTreeSet<usize>,
    /// Who has no power.
    dark: BTreeSet<usize>,
}

impl Links {
    /// Cuts what `from` sends to `to`.
    pub(super) fn cut(&mut self, from: usize, to: usize) {
        self.cut.insert((from, to));
    }

    /// Mends all cuts. Who is held or dark stays so.
    pub(super) fn heal(&mut self) {
        self.cut.clear();
    }

    /// Holds what a host sends and is sent, or lets it go.
    pub(super) fn hold(&mut self, host: usize, held: bool) {
        set(&mut self.held, host, held);
    }

    /// Takes a host's power, or gives it back.
    pub(super) fn darken(&mut self, host: usize, dark: bool) {
        set(&mut self.dark, host, dark);
    }

    /// What the link between two hosts should be like.
    pub(super) fn between(&self, one: usize, other: usize) -> Link {
        let held = self.held.contains(&one) || self.held.contains(&other);
        match (self.reaches(one, other), self.reaches(other, one)) {
            (true, true) if held => Link::Held,
            (true, true) => Link::Open,
            (false, false) => Link::Cut,
            // turmoil cannot hold one direction and cut the other.
            _ if held => Link::Cut,
            (false, true) => Link::CutFrom(one, other),
            (true, false) => Link::CutFrom(other, one),
        }
    }

    /// Whether what `from` sends to `to` arrives, sooner or later.
    pub(super) fn reaches(&self, from: usize, to: usize) -> bool {
        !self.cut.contains(&(from, to)) && !self.dark.contains(&from) && !self.dark.contains(&to)
    }
}

fn set(hosts: &mut BTreeSet<usize>, host: usize, member: bool) {
    if member {
        hosts.insert(host);
    } else {
        hosts.remove(&host);
    }
}

#[test]
fn the_worst_counts_and_mending_one_thing_leaves_the_others() {
    let mut links = Links::default();
    links.cut(0, 1);
    assert_eq!(links.between(0, 1), Link::CutFrom(0, 1));
    assert_eq!(links.between(1, 0), Link::CutFrom(0, 1));
    links.hold(1, true);
    assert_eq!(links.between(0, 1), Link::Cut);
    assert_eq!(links.between(1, 2), Link::Held);
    links.darken(2, true);
    assert_eq!(links.between(1, 2), Link::Cut);
    links.heal();
    assert_eq!(links.between(0, 1), Link::Held);
    links.darken(2, false);
    links.hold(1, false);
    assert!([(0, 1), (1, 2), (0, 2)].into_iter().all(|(one, other)| links.between(one, other) == Link::Open));
}
