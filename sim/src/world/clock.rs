//! The clocks of a simulated host: its wall clock is off by what the scenario says, its monotonic one never is.
//!
//! Time itself is turmoil's; nothing here reads the machine's.

use node::clock::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// When every simulation begins: a moment in July 2026, in milliseconds since the Unix epoch.
pub const EPOCH_MS: u64 = 1_785_000_000_000;

/// Wall clock and monotonic clock of a host. Clones are the same clocks.
#[derive(Clone, Debug, Default)]
pub struct HostClock {
    /// How far the wall clock is ahead, in milliseconds.
    skew_ms: Arc<AtomicI64>,
    /// The latest moment that was asked for, in microseconds: what is shown while no host runs.
    latest_us: Arc<AtomicU64>,
}

impl HostClock {
    /// Sets how far the wall clock is ahead of true time, in milliseconds; negative for behind. A change is a jump.
    pub fn set_skew_ms(&self, skew_ms: i64) {
        self.skew_ms.store(skew_ms, Ordering::Relaxed);
    }

    /// How far the wall clock is ahead of true time, in milliseconds.
    pub fn skew_ms(&self) -> i64 {
        self.skew_ms.load(Ordering::Relaxed)
    }
}

impl Clock for HostClock {
    fn wall_ms(&self) -> u64 {
        let elapsed_ms = u64::try_from(self.monotonic().as_millis()).unwrap_or(u64::MAX);
        EPOCH_MS.saturating_add(elapsed_ms).saturating_add_signed(self.skew_ms())
    }

    fn monotonic(&self) -> Duration {
        let now = turmoil::sim_elapsed().map_or(0, |elapsed| u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX));
        Duration::from_micros(self.latest_us.fetch_max(now, Ordering::Relaxed).max(now))
    }
}
