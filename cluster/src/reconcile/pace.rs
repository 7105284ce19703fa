//! How fast a node takes records over, so that what it does for clients is hardly slower meanwhile.
//!
//! A leaky bucket: what was taken drains at a fixed rate, and whoever takes more waits until what came before has drained.
//! Turner, IEEE Communications Magazine 24(10), 1986. Besides, work is followed by a rest in proportion to it, so that the
//! more the machine has to do for others, the slower it goes: Douceur and Bolosky, "Progress-based regulation of
//! low-importance processes", SOSP 1999, say why time is what to go by.

use crate::id::Millis;

/// How many times as long as it took is rested after work that clients do not wait for: half of the time is work.
pub const REST: u32 = 1;
/// The longest rest after one piece of work, so that a machine which stood still for a moment does not stand still for more.
const REST_MAX: Millis = Millis(500);

/// The pace of one node, over all its sessions.
#[derive(Clone, Debug)]
pub struct Pace {
    bytes_per_second: u64,
    /// When all that was taken so far has drained.
    free_at: Millis,
}

impl Pace {
    /// At most so many bytes a second, at least 1.
    pub fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), free_at: Millis(0) }
    }

    /// So many bytes were taken, which took so long. Returns when more may be taken. `now` never goes back.
    pub fn take(&mut self, bytes: u64, took: Millis, now: Millis) -> Millis {
        let drains_in = Millis(bytes.saturating_mul(1_000) / self.bytes_per_second);
        let rest = Millis(took.0.saturating_mul(u64::from(REST))).min(REST_MAX);
        self.free_at = self.free_at.max(now) + drains_in.max(rest);
        self.free_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn who_took_a_second_worth_waits_for_a_second_and_idle_time_is_not_saved_up() {
        let mut pace = Pace::new(1_000);
        let at_once = Millis(0);
        assert_eq!(pace.take(1_000, at_once, Millis(50)), Millis(1_050));
        assert_eq!(pace.take(500, at_once, Millis(60)), Millis(1_550));
        assert_eq!(pace.take(100, at_once, Millis(9_000)), Millis(9_100));
    }

    #[test]
    fn work_is_followed_by_a_rest_in_proportion_and_a_long_standstill_by_a_bounded_one() {
        let mut pace = Pace::new(1_000);
        assert_eq!(pace.take(1, Millis(20), Millis(100)), Millis(120));
        assert_eq!(pace.take(100, Millis(20), Millis(200)), Millis(300), "the longer of the two counts");
        assert_eq!(pace.take(1, Millis(60_000), Millis(60_300)), Millis(60_800));
    }

    proptest! {
        #[test]
        fn whoever_waits_as_told_is_never_faster(takes in prop::collection::vec(0_u64..100_000, 1..50), rate in 1_000_u64..1_000_000) {
            let (mut pace, mut now) = (Pace::new(rate), Millis(0));
            for bytes in &takes {
                now = pace.take(*bytes, Millis(0), now);
            }
            let least_ms = takes.iter().map(|bytes| bytes * 1_000 / rate).sum::<u64>();
            prop_assert!(now.0 >= least_ms);
        }
    }
}
