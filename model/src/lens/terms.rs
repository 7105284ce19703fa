//! Under which terms claims are resolved.
//!
//! Plain values. Nothing here parses the words of a request.

use crate::record::SourceClass;
use crate::time::{Duration, Stamp, Timestamp};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
const YEAR_MS: u64 = 365 * DAY_MS;

/// Under which terms claims are resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What was accepted later is not seen at all: neither candidate nor excluded.
    pub as_of: Stamp,
    /// If given, claims that do not hold at that moment are excluded.
    pub valid_at: Option<Timestamp>,
    /// How fast a weight decays up to `as_of`.
    pub half_life: HalfLife,
    /// Whether `deprecated` and `rejected` claims are candidates too.
    pub include_inactive: bool,
}

impl Terms {
    /// The terms of somebody who only says when: any validity, no decay, no inactive claims.
    pub fn at(as_of: Stamp) -> Self {
        Self { as_of, valid_at: None, half_life: HalfLife::Off, include_inactive: false }
    }
}

/// How fast weights decay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfLife {
    /// They do not.
    Off,
    /// By class: 10, 5, 2 and 1 years, 180 days, 30 days, from regulatory to anecdotal. A year has 365 days.
    Class,
    /// The same for all.
    Every(Duration),
}

impl HalfLife {
    /// After what time a claim of `class` weighs half as much; `None` if it does not decay.
    pub fn of(self, class: SourceClass) -> Option<Duration> {
        match self {
            Self::Off => None,
            Self::Class => Duration::from_ms(match class {
                SourceClass::Regulatory => 10 * YEAR_MS,
                SourceClass::Clinical => 5 * YEAR_MS,
                SourceClass::Observational => 2 * YEAR_MS,
                SourceClass::Expert => YEAR_MS,
                SourceClass::Community => 180 * DAY_MS,
                SourceClass::Anecdotal => 30 * DAY_MS,
            }),
            Self::Every(duration) => Some(duration),
        }
    }
}

#[test]
fn the_stronger_the_class_the_longer_it_lasts() {
    let half_lives: Vec<_> = SourceClass::ALL.iter().map(|class| HalfLife::Class.of(*class)).collect();
    assert!(half_lives.is_sorted_by(|a, b| a > b) && half_lives.iter().all(Option::is_some));
}
