//! The time of a query as a moment: everything stamped at or before it is visible, and nothing is stamped so later.
//!
//! A stamp is given before its record is encoded, synced and indexed. So a time taken from the wall clock, or from the
//! last stamp, may lie above a record that cannot be seen yet; the next page of the same query would show it. [`Moment`]
//! hands out times below what is being written, and the appender stamps above what was handed out. It reads no clock.
//!
//! Invariants: while stamps are in flight, no time above [`Flight::base`] is handed out that was not already, and all of
//! them lie above it; no time is handed out above the durable ceiling, or the last stamp in the log, since only those
//! are known to lie below every stamp given after a restart. An idle node's time would therefore stand still a little
//! after its last write; the appender's `keep_time` lets it go on, at most [`BEHIND_MS_MAX`] behind.
//!
//! What this does not cover: an erasure takes a record out of the past, and sending a damaged record again brings it
//! back there, under its old stamp. And records that were stamped elsewhere, or by a [`super::Stamper`], come when they
//! come: a merge may add at or below a time that was handed out, and may move a record there. What holds of a merge: once
//! it returned, its stamps that were not ahead of the wall clock lie at or below every time handed out after it; those
//! ahead of it come to lie there as the wall clock passes them, and never push the time ahead of the wall clock.

use model::Stamp;

/// How far the time of an idle node may fall behind the wall clock before a new ceiling is logged, in milliseconds.
pub(super) const BEHIND_MS_MAX: u64 = 60_000;

/// Which times are moments. A value: whoever shares it locks it.
#[derive(Debug)]
pub(super) struct Moment {
    /// The last stamp given in a batch that is visible now.
    published: Stamp,
    /// No stamp after a restart lies at or below it.
    ceiling: Stamp,
    /// The latest time handed out.
    promised: Stamp,
    /// What is being written.
    flight: Option<Flight>,
    /// What is in flight may be found after a restart, and never before.
    stranded: bool,
}

/// Stamps that are given and not visible yet.
#[derive(Debug)]
struct Flight {
    /// All of them lie above it.
    base: Stamp,
    /// The last of them that is to be seen as soon as they are.
    last: Stamp,
    /// The ceiling above them, which goes to the log with them.
    ceiling: Stamp,
    /// Whether they are in the log.
    written: bool,
}

impl Moment {
    /// When the log was opened: every stamp in it lies at or below `ceiling`, every stamp to be given above.
    pub(super) fn new(ceiling: Stamp) -> Self {
        Self { published: ceiling, ceiling, promised: ceiling, flight: None, stranded: false }
    }

    /// The latest moment there is at `wall_ms`, milliseconds since the Unix epoch. Never before one handed out earlier.
    pub(super) fn now(&mut self, wall_ms: u64) -> Stamp {
        let bound = self.flight.as_ref().map_or(Stamp::MAX, |flight| flight.base);
        let clock = just_before(wall_ms).min(bound).min(self.ceiling);
        self.promised = self.promised.max(self.published).max(clock);
        self.promised
    }

    /// Whether the ceiling holds the time back by more than [`BEHIND_MS_MAX`].
    pub(super) fn is_behind(&self, wall_ms: u64) -> bool {
        wall_ms.saturating_sub(self.ceiling.ms()) > BEHIND_MS_MAX
    }

    /// Stamps are about to be given. `last` is the last one given before; the answer takes its place: every stamp of the
    /// flight must lie above it, and at or above `wall_ms`.
    pub(super) fn begin(&mut self, last: Stamp, wall_ms: u64) -> Stamp {
        let last = last.max(self.promised);
        if !self.stranded {
            let base = last.max(just_before(wall_ms));
            self.flight = Some(Flight { base, last: Stamp::ZERO, ceiling: self.ceiling, written: false });
        }
        last
    }

    /// They are given: the last of them that is to be seen at once, and the ceiling that is in the log or goes there before
    /// them.
    pub(super) fn stamped(&mut self, last: Stamp, ceiling: Stamp) {
        if !self.stranded
            && let Some(flight) = &mut self.flight
        {
            (flight.last, flight.ceiling) = (last, ceiling);
        }
    }

    /// They are in the log, the ceiling at least and as many of them as will ever be.
    pub(super) fn written(&mut self) {
        if !self.stranded
            && let Some(flight) = &mut self.flight
        {
            flight.written = true;
            self.ceiling = self.ceiling.max(flight.ceiling);
        }
    }

    /// Whether they are in the log is not known before a restart: the log stopped.
    pub(super) fn strand(&mut self) {
        self.stranded = true;
    }

    /// Whether what the log holds is not known before a restart.
    pub(super) fn is_stranded(&self) -> bool {
        self.stranded
    }

    /// What is in the log is visible, and nothing else will be.
    pub(super) fn land(&mut self) {
        if !self.stranded
            && let Some(flight) = self.flight.take()
            && flight.written
        {
            // The clock may stand above the ceiling: on stamps of a batch that the log did not take.
            self.published = self.published.max(flight.last.min(self.ceiling));
        }
    }
}

/// The last stamp before a millisecond; [`Stamp::ZERO`] where the clock has no stamp for it.
fn just_before(wall_ms: u64) -> Stamp {
    Stamp::new(wall_ms, 0).map_or(Stamp::ZERO, |stamp| Stamp::from_bits(stamp.to_bits().saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::clock::Clock;
    use proptest::prelude::*;

    const START_MS: u64 = 1_785_000_000_000;

    #[derive(Clone, Debug)]
    enum Event {
        Wall(i64),
        Ask,
        /// Give so many stamps.
        Begin(u8),
        /// The log took them.
        Write,
        /// The index took them.
        Show,
        /// The log did not take them and goes on.
        Refuse,
        /// A sync failed: they may be in the log.
        Stop {
            kept: bool,
        },
        /// Killed; what is not in the log, and on a torn end what is, may be lost.
        Restart {
            kept: bool,
        },
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (-3_000_i64..3_000).prop_map(Event::Wall),
            6 => Just(Event::Ask),
            4 => (0_u8..4).prop_map(Event::Begin),
            4 => Just(Event::Write),
            4 => Just(Event::Show),
            1 => Just(Event::Refuse),
            1 => any::<bool>().prop_map(|kept| Event::Stop { kept }),
            1 => any::<bool>().prop_map(|kept| Event::Restart { kept }),
        ]
    }

    /// A store without records: only their stamps.
    struct World {
        wall_ms: u64,
        clock: Clock,
        moment: Moment,
        durable_ceiling: Stamp,
        visible: Vec<Stamp>,
        /// Given, and the clock that gave them; then whether they are in the log.
        in_flight: Option<(Vec<Stamp>, Clock, bool)>,
        /// Found by the next start.
        stranded: Vec<Stamp>,
        stopped: bool,
        asked: Vec<(Stamp, usize)>,
    }

    impl World {
        fn step(&mut self, event: &Event) {
            match (event, self.in_flight.take()) {
                (Event::Wall(step), flight) => {
                    self.wall_ms = self.wall_ms.saturating_add_signed(*step);
                    self.in_flight = flight;
                }
                (Event::Ask, flight) => {
                    self.in_flight = flight;
                    let now = self.moment.now(self.wall_ms);
                    self.asked.push((now, self.up_to(now)));
                }
                (Event::Begin(count), None) if !self.stopped => {
                    let mut clock = self.clock.clone();
                    let last = self.moment.begin(clock.last(), self.wall_ms);
                    clock.observe(last, last.ms()).unwrap();
                    let stamps = (0..*count).map(|_| clock.now(self.wall_ms).unwrap().stamp).collect();
                    self.moment.stamped(clock.last(), clock.ceiling());
                    self.in_flight = Some((stamps, clock, false));
                }
                (Event::Write, Some((stamps, clock, false))) => {
                    self.durable_ceiling = clock.ceiling();
                    self.moment.written();
                    self.in_flight = Some((stamps, clock, true));
                }
                (Event::Show, Some((stamps, clock, true))) => {
                    self.visible.extend(stamps);
                    self.clock = clock;
                    self.moment.land();
                }
                (Event::Refuse, Some((_, clock, false))) => {
                    self.clock.observe(clock.last(), clock.last().ms()).unwrap();
                    self.moment.land();
                }
                (Event::Stop { kept }, Some((stamps, clock, false))) => {
                    if *kept {
                        self.durable_ceiling = clock.ceiling();
                        self.stranded = stamps;
                    }
                    self.moment.strand();
                    self.moment.land();
                    self.stopped = true;
                }
                (Event::Restart { kept }, flight) => {
                    if let Some((stamps, clock, written)) = flight
                        && (written || *kept)
                    {
                        self.durable_ceiling = clock.ceiling();
                        self.stranded.extend(stamps);
                    }
                    self.visible.append(&mut self.stranded);
                    let greatest = self.visible.iter().max().copied().unwrap_or_default();
                    self.clock = Clock::restore(self.durable_ceiling, greatest, 10_000);
                    self.moment = Moment::new(self.clock.ceiling());
                    self.stopped = false;
                }
                (_, flight) => self.in_flight = flight,
            }
        }

        fn up_to(&self, as_of: Stamp) -> usize {
            self.visible.iter().filter(|stamp| **stamp <= as_of).count()
        }
    }

    proptest! {
            #[test]
            fn nothing_is_ever_added_at_or_below_a_time_that_was_handed_out(events in prop::collection::vec(event(), 1..80)) {
                let clock = Clock::restore(Stamp::ZERO, Stamp::ZERO, 10_000);
                let mut world = World {
                    wall_ms: START_MS,
                    moment: Moment::new(clock.ceiling()),
                    clock,
                    durable_ceiling: Stamp::ZERO,
                    visible: Vec::new(),
                    in_flight: None,
                    stranded: Vec::new(),
                    stopped: false,
                    asked: Vec::new(),
                };
                for event in events {
                    world.step(&event);
                    for (as_of, seen) in &world.asked {
                        prop_assert_eq!(world.up_to(*as_of), *seen, "as of {}, after {:?}", as_of, event);
                    }
                    let shown = matches!(event, Event::Show | Event::Restart { .. }) && world.in_flight.is_none();
                    if shown {
    let now = world.moment.now(world.wall_ms);
                        prop_assert_eq!(world.up_to(now), world.visible.len(), "all of it is seen");
                    }
                }
            }
        }

    #[test]
    fn stamps_that_the_log_did_not_take_are_no_moments() {
        let stamp = |ms| Stamp::new(ms, 0).unwrap();
        let mut moment = Moment::new(stamp(START_MS));
        moment.begin(stamp(START_MS), START_MS + 5);
        moment.stamped(stamp(START_MS + 5), stamp(START_MS + 1_005));
        moment.land();
        assert_eq!(moment.now(START_MS + 9), stamp(START_MS), "the ceiling above them was not written either");
        moment.begin(stamp(START_MS + 5), START_MS + 6);
        moment.stamped(stamp(START_MS + 5), stamp(START_MS)); // a batch without new stamps: a record that is healed
        moment.written();
        moment.land();
        assert_eq!(moment.now(START_MS + 9), stamp(START_MS));
    }

    #[test]
    fn time_passes_up_to_the_ceiling_while_nothing_is_written() {
        let stamp = |ms| Stamp::new(ms, 0).unwrap();
        let mut moment = Moment::new(stamp(START_MS));
        moment.begin(stamp(START_MS), START_MS + 5);
        moment.stamped(stamp(START_MS + 5), stamp(START_MS + 1_005));
        moment.written();
        assert_eq!(moment.now(START_MS + 9), Stamp::end_of_ms(START_MS + 4), "what is in flight is not seen");
        moment.land();
        assert_eq!(moment.now(START_MS + 5), stamp(START_MS + 5), "what was just written is");
        assert_eq!(moment.now(START_MS + 9), Stamp::end_of_ms(START_MS + 8));
        assert_eq!(moment.now(START_MS + 9_000), stamp(START_MS + 1_005));
        assert_eq!(moment.now(START_MS), stamp(START_MS + 1_005), "never back");
    }
}
