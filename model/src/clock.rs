//! The hybrid logical clock that gives stamps, as a value.
//!
//! It never reads a clock: wall and monotonic time are arguments. It gives stamps that only rise, never one above a
//! ceiling that is durable, and says so when the wall clock can no longer be trusted.
//!
//! The ceiling is reserved ahead of the stamps: a node logs it first, so that after a crash, whatever the wall clock
//! says, it goes on above every stamp it ever gave. Source: Kulkarni et al., "Logical Physical Clocks", OPODIS 2014.

use crate::time::Stamp;

/// How far ahead of the wall clock a ceiling is reserved, in milliseconds.
pub const CEILING_RESERVE_MS: u64 = 1_000;
/// The default of `clock_offset_max`, in milliseconds: how far clocks of a cluster may lie apart.
pub const OFFSET_MS_MAX: u64 = 10_000;

/// A stamp, and what must be durable before anybody may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// The stamp given.
    pub stamp: Stamp,
    /// A new ceiling, to be logged ahead of the record in the same batch; none if the present one suffices.
    pub ceiling: Option<Stamp>,
}

/// Why the clock cannot be trusted. The node is not ready and refuses writes until it is put right or accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// Wall and monotonic clock no longer run together. Set the clock right, or restart with `--accept-clock-jump`.
    #[error(
        "the wall clock left the monotonic clock by {offset_ms} ms, more than {offset_ms_max} ms; set it right or start with --accept-clock-jump"
    )]
    Jumped {
        /// How far apart they are, in milliseconds; negative if the wall clock went back.
        offset_ms: i64,
        /// The limit, `clock_offset_max`.
        offset_ms_max: u64,
    },
    /// The wall clock lies before stamps that were given. Set the clock right, or restart with `--accept-clock-jump`.
    #[error(
        "the wall clock lies {behind_ms} ms below the ceiling of stamps given, more than {offset_ms_max} ms; set it right or start with --accept-clock-jump"
    )]
    BelowCeiling {
        /// How far below, in milliseconds.
        behind_ms: u64,
        /// The limit, `clock_offset_max`.
        offset_ms_max: u64,
    },
    /// A peer's stamp lies in the future. Refuse what bears it; its clock or ours is wrong.
    #[error("stamp {stamp} lies {ahead_ms} ms ahead of the wall clock, more than {offset_ms_max} ms")]
    TooFarAhead {
        /// The stamp.
        stamp: Stamp,
        /// How far ahead, in milliseconds.
        ahead_ms: u64,
        /// The limit, `clock_offset_max`.
        offset_ms_max: u64,
    },
    /// The last stamp of all was given, in the year 10889.
    #[error("no stamp is left after {0}")]
    Exhausted(Stamp),
}

/// A hybrid logical clock.
///
/// Invariants: stamps rise strictly; none lies above the last ceiling returned or restored.
#[derive(Clone, Debug)]
pub struct Clock {
    last: Stamp,
    ceiling: Stamp,
    offset_ms_max: u64,
    /// Wall minus monotonic time as first seen or accepted, in milliseconds; none until the first look.
    believed_offset_ms: Option<i64>,
    /// The wall clock may lie below the ceiling: somebody accepted the jump.
    low_wall_accepted: bool,
    /// Nobody knows whether the wall clock is right.
    is_wall_doubted: bool,
}

impl Clock {
    /// The clock of a node that starts: above the durable `ceiling` and the `greatest` stamp in its log.
    ///
    /// Both are [`Stamp::ZERO`] for a fresh node. `offset_ms_max` is `clock_offset_max`.
    pub fn restore(ceiling: Stamp, greatest: Stamp, offset_ms_max: u64) -> Self {
        let last = ceiling.max(greatest);
        Self {
            last,
            ceiling: last,
            offset_ms_max,
            believed_offset_ms: None,
            low_wall_accepted: false,
            is_wall_doubted: false,
        }
    }

    /// The last stamp given or adopted.
    pub fn last(&self) -> Stamp {
        self.last
    }

    /// No stamp above it was given.
    pub fn ceiling(&self) -> Stamp {
        self.ceiling
    }

    /// Gives the next stamp. `wall_ms` is milliseconds since the Unix epoch.
    ///
    /// The wall clock if it is ahead of every stamp so far, else the smallest stamp after the last. A ceiling that comes
    /// with it is [`CEILING_RESERVE_MS`] ahead of the wall clock, or just above the stamp if the wall clock lies behind:
    /// a node that restarts again and again on a slow or frozen clock then climbs by a millisecond a start, not by the
    /// reserve.
    ///
    /// # Errors
    ///
    /// [`ClockError::Exhausted`] after the last stamp of all.
    pub fn now(&mut self, wall_ms: u64) -> Result<Tick, ClockError> {
        let stamp = self.next(wall_ms)?;
        let ceiling = (stamp > self.ceiling).then(|| self.ceiling_for(stamp, wall_ms));
        self.last = stamp;
        self.ceiling = ceiling.unwrap_or(self.ceiling);
        Ok(Tick { stamp, ceiling })
    }

    /// Gives the next stamp as [`Clock::now`] does, if it does not lie above the ceiling; `None` if it does, and nothing
    /// has changed then.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn below_ceiling(&mut self, wall_ms: u64) -> Result<Option<Stamp>, ClockError> {
        let stamp = self.next(wall_ms)?;
        if stamp > self.ceiling {
            return Ok(None);
        }
        self.last = stamp;
        Ok(Some(stamp))
    }

    /// The ceiling to be logged now, if less than half of [`CEILING_RESERVE_MS`] is left below the present one and there
    /// is a higher one to reserve.
    pub fn due_ceiling(&self, wall_ms: u64) -> Option<Stamp> {
        let wall_ms = self.undoubted(wall_ms);
        let is_low = self.ceiling.ms() < wall_ms.max(self.last.ms()).saturating_add(CEILING_RESERVE_MS / 2);
        is_low.then(|| self.next_ceiling(wall_ms)).flatten()
    }

    /// The ceiling that would be reserved now, if it lies above the present one.
    pub fn next_ceiling(&self, wall_ms: u64) -> Option<Stamp> {
        let wall_ms = self.undoubted(wall_ms);
        let stamp = self.next(wall_ms).unwrap_or(Stamp::MAX);
        Some(self.ceiling_for(stamp, wall_ms)).filter(|ceiling| *ceiling > self.ceiling)
    }

    /// Takes note that a ceiling is durable.
    pub fn reserved(&mut self, ceiling: Stamp) {
        self.ceiling = self.ceiling.max(ceiling);
    }

    /// Gives no stamp at or before `stamp` from now on; the ceiling stays.
    pub fn raise(&mut self, stamp: Stamp) {
        self.last = self.last.max(stamp);
    }

    /// The next stamp, not given yet.
    fn next(&self, wall_ms: u64) -> Result<Stamp, ClockError> {
        let next = self.last.next().ok_or(ClockError::Exhausted(self.last))?;
        Ok(Stamp::new(wall_ms, 0).map_or(next, |wall| wall.max(next)))
    }

    /// The time on which a ceiling may be reserved: not one later than the last stamp while the wall clock is in doubt.
    pub fn undoubted(&self, wall_ms: u64) -> u64 {
        if self.is_wall_doubted { wall_ms.min(self.last.ms()) } else { wall_ms }
    }

    fn ceiling_for(&self, stamp: Stamp, wall_ms: u64) -> Stamp {
        let reserved = Stamp::new(wall_ms.saturating_add(CEILING_RESERVE_MS), 0).unwrap_or(Stamp::MAX);
        let just_above = Stamp::new(self.last.ms() + 1, 0).unwrap_or(Stamp::MAX);
        reserved.max(just_above).max(stamp)
    }

    /// Takes note of a peer's stamp, so that what this node accepts later is stamped later.
    ///
    /// The ceiling stays: the next stamp given brings a new one if it needs it.
    ///
    /// # Errors
    ///
    /// [`ClockError::TooFarAhead`] if it is more than `clock_offset_max` ahead of `wall_ms`; nothing is adopted.
    pub fn observe(&mut self, stamp: Stamp, wall_ms: u64) -> Result<(), ClockError> {
        let ahead_ms = stamp.ms().saturating_sub(wall_ms);
        if ahead_ms > self.offset_ms_max {
            return Err(ClockError::TooFarAhead { stamp, ahead_ms, offset_ms_max: self.offset_ms_max });
        }
        self.raise(stamp);
        Ok(())
    }

    /// Looks at both clocks, a few times a second; the first look is the measure for the others.
    ///
    /// `monotonic_ms` counts from any moment; the same slow steering of both clocks goes unseen, a step does not. After an
    /// error it stays an error until the wall clock is right again or [`Clock::accept_jump`].
    ///
    /// # Errors
    ///
    /// [`ClockError::Jumped`] or [`ClockError::BelowCeiling`], by more than `clock_offset_max`.
    pub fn health(&mut self, wall_ms: u64, monotonic_ms: u64) -> Result<(), ClockError> {
        let offset_ms_max = self.offset_ms_max;
        let behind_ms = self.ceiling.ms().saturating_sub(wall_ms);
        self.low_wall_accepted &= behind_ms > offset_ms_max;
        if behind_ms > offset_ms_max && !self.low_wall_accepted {
            return Err(ClockError::BelowCeiling { behind_ms, offset_ms_max });
        }
        let offset = difference(wall_ms, monotonic_ms);
        let offset_ms = offset.saturating_sub(*self.believed_offset_ms.get_or_insert(offset));
        if offset_ms.unsigned_abs() > offset_ms_max {
            return Err(ClockError::Jumped { offset_ms, offset_ms_max });
        }
        Ok(())
    }

    /// Says whether the wall clock is in doubt. While it is, ceilings follow the stamps that were adopted and not the wall
    /// clock: one reserved on a wrong clock's word could never be undercut again.
    pub fn doubt_wall(&mut self, doubted: bool) {
        self.is_wall_doubted = doubted;
    }

    /// Takes both clocks as they are for the measure of the looks to come: somebody found the wall clock right who can
    /// tell. Stamps and ceiling stay as they are.
    pub fn measure(&mut self, wall_ms: u64, monotonic_ms: u64) {
        self.believed_offset_ms = Some(difference(wall_ms, monotonic_ms));
    }

    /// Goes on with the clocks as they are: what `--accept-clock-jump` means.
    ///
    /// Stamps still only rise: below the ceiling they count up from it.
    pub fn accept_jump(&mut self, wall_ms: u64, monotonic_ms: u64) {
        self.measure(wall_ms, monotonic_ms);
        self.low_wall_accepted = true;
    }
}

fn difference(a: u64, b: u64) -> i64 {
    let magnitude = i64::try_from(a.abs_diff(b)).unwrap_or(i64::MAX);
    if a < b { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: u64 = 1_785_000_000_000;

    #[derive(Clone, Debug)]
    enum Event {
        Stamp { wall_step_ms: i64 },
        StampBelow { wall_step_ms: i64 },
        Reserve { due: bool },
        Observe { ahead_ms: i64, counter: u16 },
        Restart { log_kept: bool },
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            6 => (-50_i64..2_000).prop_map(|wall_step_ms| Event::Stamp { wall_step_ms }),
            2 => Just(Event::Stamp { wall_step_ms: 0 }),
            4 => (-50_i64..400).prop_map(|wall_step_ms| Event::StampBelow { wall_step_ms }),
            3 => any::<bool>().prop_map(|due| Event::Reserve { due }),
            2 => (-20_000_i64..20_000, any::<u16>()).prop_map(|(ahead_ms, counter)| Event::Observe { ahead_ms, counter }),
            1 => any::<bool>().prop_map(|log_kept| Event::Restart { log_kept }),
        ]
    }

    proptest! {
        #[test]
        fn stamps_rise_and_never_pass_the_durable_ceiling(events in prop::collection::vec(event(), 1..200)) {
            let mut wall = START;
            let mut clock = Clock::restore(Stamp::ZERO, Stamp::ZERO, OFFSET_MS_MAX);
            let (mut durable, mut given) = (Stamp::ZERO, Stamp::ZERO);
            for event in events {
                match event {
                    Event::Stamp { wall_step_ms } => {
                        wall = wall.saturating_add_signed(wall_step_ms);
                        let tick = clock.now(wall).unwrap();
                        durable = tick.ceiling.unwrap_or(durable);
                        prop_assert!(tick.stamp > given);
                        prop_assert!(tick.stamp <= durable);
                        prop_assert!(tick.stamp.ms() >= wall);
                        given = tick.stamp;
                    }
                    Event::StampBelow { wall_step_ms } => {
                        wall = wall.saturating_add_signed(wall_step_ms);
                        let before = clock.last();
                        match clock.below_ceiling(wall).unwrap() {
                            Some(stamp) => {
                                prop_assert!(stamp > given && stamp <= durable && stamp.ms() >= wall);
                                given = stamp;
                            }
                            None => {
                                prop_assert_eq!(clock.last(), before);
                                prop_assert!(clock.due_ceiling(wall).is_some());
                            }
                        }
                    }
                    Event::Reserve { due } => {
                        let ceiling = if due { clock.due_ceiling(wall) } else { clock.next_ceiling(wall) };
                        if let Some(ceiling) = ceiling {
                            prop_assert!(ceiling > durable && ceiling >= clock.last());
                            durable = ceiling;
                            clock.reserved(ceiling);
                        }
                        if !due {
                            prop_assert!(clock.below_ceiling(wall).unwrap().is_some_and(|stamp| stamp > given));
                            given = clock.last();
                        }
                    }
                    Event::Observe { ahead_ms, counter } => {
                        let stamp = Stamp::new(wall.saturating_add_signed(ahead_ms), counter).unwrap();
                        let before = clock.last();
                        let adopted = clock.observe(stamp, wall).is_ok();
                        prop_assert_eq!(adopted, ahead_ms <= OFFSET_MS_MAX as i64);
                        prop_assert_eq!(clock.last(), if adopted { before.max(stamp) } else { before });
                    }
                    Event::Restart { log_kept } => {
                        let greatest = if log_kept { given } else { Stamp::ZERO };
                        clock = Clock::restore(durable, greatest, OFFSET_MS_MAX);
                    }
                }
            }
        }

        #[test]
        fn quick_restarts_on_a_slow_clock_do_not_push_the_ceiling_away(slowness in 0_u64..3) {
            let mut durable = Stamp::ZERO;
            for start in 0..5_000 {
                let wall = START + start * slowness / 2;
                let mut clock = Clock::restore(durable, Stamp::ZERO, OFFSET_MS_MAX);
                durable = clock.now(wall).unwrap().ceiling.unwrap_or(durable);
                prop_assert!(durable.ms() <= START + CEILING_RESERVE_MS + start);
                prop_assert_eq!(clock.health(wall, start), Ok(()));
            }
        }
    }

    #[test]
    fn one_ceiling_serves_a_second_of_stamps() {
        let mut clock = Clock::restore(Stamp::ZERO, Stamp::ZERO, OFFSET_MS_MAX);
        let ceilings = (0..=1_000).filter_map(|ms| clock.now(START + ms).unwrap().ceiling).count();
        assert_eq!(ceilings, 1);
    }

    #[test]
    fn a_counter_that_is_full_counts_into_the_next_millisecond() {
        let full = Stamp::new(START, u16::MAX).unwrap();
        let mut clock = Clock::restore(full, Stamp::ZERO, OFFSET_MS_MAX);
        let tick = clock.now(START - 5_000).unwrap();
        assert_eq!(tick, Tick { stamp: Stamp::new(START + 1, 0).unwrap(), ceiling: Stamp::new(START + 1, 0) });
    }

    #[test]
    fn the_last_stamp_of_all_is_the_last() {
        let mut clock = Clock::restore(Stamp::MAX, Stamp::ZERO, OFFSET_MS_MAX);
        assert_eq!(clock.now(u64::MAX), Err(ClockError::Exhausted(Stamp::MAX)));
    }

    #[test]
    fn a_wall_clock_that_leaves_the_monotonic_clock_is_an_error_until_accepted() {
        let mut clock = Clock::restore(Stamp::ZERO, Stamp::ZERO, OFFSET_MS_MAX);
        assert_eq!(clock.health(START, 50), Ok(()));
        assert_eq!(clock.health(START + 10_000, 50), Ok(()));
        let jumped = ClockError::Jumped { offset_ms: 10_001, offset_ms_max: OFFSET_MS_MAX };
        assert_eq!(clock.health(START + 11_001, 1_050), Err(jumped));
        assert_eq!(clock.health(START + 2_000, 2_050), Ok(()), "it came back");
        let back = ClockError::Jumped { offset_ms: -60_000, offset_ms_max: OFFSET_MS_MAX };
        assert_eq!(clock.health(START - 57_000, 3_050), Err(back));
        clock.accept_jump(START - 57_000, 3_050);
        assert_eq!(clock.health(START - 56_000, 4_050), Ok(()));
    }

    #[test]
    fn a_wall_clock_below_the_ceiling_is_an_error_until_accepted() {
        let ceiling = Stamp::new(START, 0).unwrap();
        let mut clock = Clock::restore(ceiling, Stamp::ZERO, OFFSET_MS_MAX);
        let behind = ClockError::BelowCeiling { behind_ms: 10_001, offset_ms_max: OFFSET_MS_MAX };
        assert_eq!(clock.health(START - 10_001, 0), Err(behind));
        clock.accept_jump(START - 10_001, 0);
        assert_eq!(clock.health(START - 10_000 - 1, 0), Ok(()));
        assert!(clock.now(START - 10_001).unwrap().stamp > ceiling);
    }

    #[test]
    fn no_ceiling_is_reserved_on_the_word_of_a_clock_in_doubt() {
        let mut clock = Clock::restore(Stamp::ZERO, Stamp::ZERO, OFFSET_MS_MAX);
        clock.doubt_wall(true);
        let adopted = Stamp::new(START + 3, 7).unwrap();
        clock.observe(adopted, START).unwrap();
        let ahead_ms = START + 365 * 24 * 3_600_000;
        let ceiling = clock.due_ceiling(ahead_ms).unwrap();
        assert!(ceiling > adopted && ceiling.ms() <= adopted.ms() + CEILING_RESERVE_MS, "{ceiling}");
        clock.reserved(ceiling);
        assert_eq!(clock.due_ceiling(ahead_ms), None);
        clock.doubt_wall(false);
        assert!(clock.due_ceiling(START + CEILING_RESERVE_MS).is_some_and(|next| next > ceiling));
    }

    #[test]
    fn a_clock_that_was_wrong_at_the_start_is_right_once_somebody_who_can_tell_says_so() {
        let mut clock = Clock::restore(Stamp::ZERO, Stamp::ZERO, OFFSET_MS_MAX);
        assert_eq!(clock.health(START + 60_000, 0), Ok(()));
        assert_eq!(
            clock.health(START, 0),
            Err(ClockError::Jumped { offset_ms: -60_000, offset_ms_max: OFFSET_MS_MAX })
        );
        clock.measure(START, 0);
        assert_eq!(clock.health(START + 5, 5), Ok(()));
    }
}
