//! Which formats and messages nodes of several releases have in common.
//!
//! One number counts them all, on disk and between nodes. It says what may be written, never what a build is called.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A version of formats and protocol, from 1. Only what the active one knows is written and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version(pub u16);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Which versions a build speaks: all from `min` to `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Versions {
    /// The oldest.
    pub min: Version,
    /// The newest, at least `min`.
    pub max: Version,
}

impl Versions {
    /// What this release speaks.
    pub const SHIPPED: Self = Self::up_to(Version(1));

    /// What a build speaks whose newest version is `max`: that one and the one before.
    pub const fn up_to(max: Version) -> Self {
        let min = if max.0 > 1 { max.0 - 1 } else { max.0 };
        Self { min: Version(min), max }
    }

    /// Whether `version` is one of them.
    pub fn speak(self, version: Version) -> bool {
        (self.min..=self.max).contains(&version)
    }

    /// Whether who speaks these takes a call, or an answer, of a build whose newest version is `theirs`, as far as it knows
    /// that `active` is the active version.
    ///
    /// They need one in common, and an older one than the active is not understood any more. That `active` is older than all
    /// of theirs is no reason: then it is this node that has missed an activation, and must be told.
    pub fn takes(self, theirs: Version, active: Version) -> bool {
        let other = Self::up_to(theirs);
        other.min <= self.max && self.min <= other.max && theirs >= active
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max { write!(f, "{}", self.min) } else { write!(f, "{} to {}", self.min, self.max) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn to(max: u16) -> Versions {
        Versions::up_to(Version(max))
    }

    #[test]
    fn a_build_speaks_two_versions_and_the_first_one() {
        assert_eq!(to(1), Versions { min: Version(1), max: Version(1) });
        assert_eq!(to(3), Versions { min: Version(2), max: Version(3) });
        assert!(to(3).speak(Version(2)) && !to(3).speak(Version(1)) && !to(3).speak(Version(4)));
        assert_eq!([to(1).to_string(), to(3).to_string()], ["1", "2 to 3"]);
    }

    #[test]
    fn whoever_speaks_the_active_version_is_heard_and_nobody_who_is_older() {
        let takes = |own, theirs, active| to(own).takes(Version(theirs), Version(active));
        assert!(takes(1, 2, 1) && takes(2, 1, 1), "before an activation each hears the other");
        assert!(!takes(2, 1, 2), "after it the older one is refused");
        assert!(takes(1, 2, 1), "and it still hears the others, from whom it learns that");
        assert!(takes(2, 3, 1), "who has missed an activation hears of it from a later build");
        assert!(!takes(3, 1, 1) && !takes(1, 3, 1), "two that have nothing in common");
    }

    #[test]
    fn two_builds_hear_each_other_exactly_if_both_speak_what_is_active() {
        for (own, theirs, active) in (1..6).flat_map(|a| (1..6).flat_map(move |b| (1..6).map(move |c| (a, b, c)))) {
            let both = to(own).speak(Version(active)) && to(theirs).speak(Version(active));
            let (one, other) = (to(own), to(theirs));
            let hear = one.takes(other.max, Version(active)) && other.takes(one.max, Version(active));
            assert!(!both || hear, "{own} and {theirs} both speak {active}");
            assert!(!hear || own >= active && theirs >= active, "{own} and {theirs} at {active}");
        }
    }
}
