//! How long a peer takes to answer, smoothed. It asks nobody: it is told.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A measurement weighs an eighth. Source: RFC 6298, section 2.
const WEIGHT: u32 = 8;
/// What was measured longer ago than this is forgotten, so that a peer which was slow once is tried again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// The smoothed time that a peer takes to answer.
#[derive(Debug, Default)]
pub(super) struct Latency(Mutex<Option<Smoothed>>);

#[derive(Clone, Copy, Debug)]
struct Smoothed {
    mean: Duration,
    measured_at: Duration,
}

impl Latency {
    /// A call took `took` and ended at `now`, monotonic.
    pub(super) fn measured(&self, took: Duration, now: Duration) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mean =
            known.filter(|known| known.is_fresh(now)).map_or(took, |known| (known.mean * (WEIGHT - 1) + took) / WEIGHT);
        *known = Some(Smoothed { mean, measured_at: now });
    }

    /// What is known at `now`; nothing if nothing was measured of late.
    pub(super) fn at(&self, now: Duration) -> Option<Duration> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.filter(|known| known.is_fresh(now)).map(|known| known.mean)
    }
}

impl Smoothed {
    fn is_fresh(&self, now: Duration) -> bool {
        now.saturating_sub(self.measured_at) <= FORGOTTEN_AFTER
    }
}

#[test]
fn measurements_are_smoothed_and_forgotten() {
    let (latency, ms, s) = (Latency::default(), Duration::from_millis, Duration::from_secs);
    assert_eq!(latency.at(s(0)), None);
    latency.measured(ms(8), s(1));
    assert_eq!(latency.at(s(1)), Some(ms(8)));
    latency.measured(ms(16), s(2));
    assert_eq!(latency.at(s(12)), Some(ms(9)));
    assert_eq!(latency.at(s(13)), None);
    latency.measured(ms(1), s(20));
    assert_eq!(latency.at(s(20)), Some(ms(1)));
}
