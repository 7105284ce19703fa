//! How fast a node takes records over, so that what it does for clients is hardly slower meanwhile.
//!
//! A leaky bucket: what was taken drains at a fixed rate, and whoever takes more waits until what came before has drained.
//! Turner, IEEE Communications Magazine 24(10), 1986.

use crate::id::Millis;

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

    /// Takes so many bytes, and returns when more may be taken. `now` never goes back.
    pub fn take(&mut self, bytes: u64, now: Millis) -> Millis {
        let drains_in = bytes.saturating_mul(1_000) / self.bytes_per_second;
        self.free_at = self.free_at.max(now) + Millis(drains_in);
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
        assert_eq!(pace.take(1_000, Millis(50)), Millis(1_050));
        assert_eq!(pace.take(500, Millis(60)), Millis(1_550));
        assert_eq!(pace.take(100, Millis(9_000)), Millis(9_100));
    }

    proptest! {
        #[test]
        fn whoever_waits_as_told_is_never_faster(takes in prop::collection::vec(0_u64..100_000, 1..50), rate in 1_000_u64..1_000_000) {
            let (mut pace, mut now) = (Pace::new(rate), Millis(0));
            for bytes in &takes {
                now = pace.take(*bytes, now);
            }
            let least_ms = takes.iter().map(|bytes| bytes * 1_000 / rate).sum::<u64>();
            prop_assert!(now.0 >= least_ms);
        }
    }
}
