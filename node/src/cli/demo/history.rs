//! What writers saw: what was acknowledged, which attempts failed, and for how long.

use model::RecordId;
use std::time::Duration;

/// What one or several writers saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Every claim that a node acknowledged.
    pub acknowledged: Vec<Acknowledged>,
    /// On how many nodes the one with the fewest was, as its node said.
    pub copies_min: Option<u64>,
    /// How many attempts were made.
    pub attempts: u64,
    /// Those that failed.
    pub failed_attempts: Vec<FailedAttempt>,
    /// Claims that all attempts failed for. Some may have been stored all the same.
    pub failed_writes: u64,
}

/// A claim that was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Its name.
    pub id: RecordId,
    /// What it is about.
    pub subject: String,
    /// When it was acknowledged, on the clock of the writers.
    pub at: Duration,
    /// How long after its first attempt that was.
    pub took: Duration,
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedAttempt {
    /// When that was clear, on the clock of the writers.
    pub at: Duration,
    /// What the writer heard.
    pub why: String,
}

impl History {
    /// Adds what another writer saw.
    pub fn add(&mut self, other: Self) {
        let Self { acknowledged, copies_min, attempts, failed_attempts, failed_writes } = other;
        self.acknowledged.extend(acknowledged);
        self.copies_min = self.copies_min.into_iter().chain(copies_min).min();
        self.attempts += attempts;
        self.failed_attempts.extend(failed_attempts);
        self.failed_writes += failed_writes;
    }

    /// How many claims were acknowledged after `kill`.
    pub fn acknowledged_after(&self, kill: Duration) -> usize {
        self.since(kill).count()
    }

    /// How long the slowest claim that was acknowledged after `kill` took, with all its attempts. Zero if there is none.
    pub fn slowest_after(&self, kill: Duration) -> Duration {
        self.since(kill).map(|claim| claim.took).max().unwrap_or_default()
    }

    fn since(&self, kill: Duration) -> impl Iterator<Item = &Acknowledged> {
        self.acknowledged.iter().filter(move |claim| claim.at > kill)
    }

    /// From `kill` to the last attempt that failed after it: for how long clients noticed. Zero if none did.
    pub fn errors_seen_for(&self, kill: Duration) -> Duration {
        let failed = self.failed_attempts.iter().map(|attempt| attempt.at.saturating_sub(kill));
        failed.max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(at_ms: u64) -> FailedAttempt {
        FailedAttempt { at: Duration::from_millis(at_ms), why: "no answer".to_owned() }
    }

    #[test]
    fn errors_are_seen_from_the_kill_to_the_last_failed_attempt() {
        let ms = Duration::from_millis;
        let mut history = History { failed_attempts: vec![failed(1250), failed(900)], ..History::default() };
        assert_eq!(history.errors_seen_for(ms(1000)), ms(250));
        history.add(History { failed_attempts: vec![failed(1400)], attempts: 3, ..History::default() });
        assert_eq!((history.errors_seen_for(ms(1000)), history.attempts), (ms(400), 3));
        assert_eq!(History::default().errors_seen_for(ms(1000)), Duration::ZERO);
    }

    #[test]
    fn what_was_acknowledged_before_the_kill_does_not_count_as_acknowledged_after_it() {
        let ms = Duration::from_millis;
        let claim = |at, took| Acknowledged {
            id: RecordId([1; 32]),
            subject: "demo://x".to_owned(),
            at: ms(at),
            took: ms(took),
        };
        let mut history = History { acknowledged: vec![claim(900, 700)], ..History::default() };
        assert_eq!((history.acknowledged_after(ms(1000)), history.slowest_after(ms(1000))), (0, Duration::ZERO));
        history.acknowledged.extend([claim(1100, 20), claim(1400, 360)]);
        assert_eq!((history.acknowledged_after(ms(1000)), history.slowest_after(ms(1000))), (2, ms(360)));
    }

    #[test]
    fn the_fewest_copies_count() {
        let of = |copies_min| History { copies_min, ..History::default() };
        let mut all = of(None);
        [of(Some(2)), of(None), of(Some(1)), of(Some(3))].into_iter().for_each(|history| all.add(history));
        assert_eq!(all.copies_min, Some(1));
    }
}
