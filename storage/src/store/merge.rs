//! Taking over records that were stamped elsewhere, and keeping some for others.
//!
//! The same rule on every node: whatever comes, in whatever order and however often, two stores that were given the same
//! end with the same sets. It never takes a stamp that lies too far ahead, and never brings back what was erased.

use super::append::Appender;
use super::error::AppendError;
use super::plan::{Plan, Verdict};
use crate::log::Frame;
use model::clock::ClockError;
use model::{Home, Record, RecordId, Stamp};
use std::collections::BTreeSet;
use std::sync::Arc;

/// As what a store takes a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// As one of its own: found by every read, and an element of its home's set.
    Owned,
    /// As one that it keeps for owners of the record's home, until [`Appender::discharge`]. It is durable and found by
    /// [`super::Reader::hints`] and its kin only. A store may hold a record in both roles.
    Hint,
}

/// From whom a store takes a record; it matters at or below the time that the store closed ([`super::Reader::close`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Another owner of its home, who holds it so: the smaller stamp and the smaller signatures stay.
    Owner {
        /// What this store has at or below it is settled, and does not change.
        settled: Option<Stamp>,
    },
    /// One whom this store follows: where it or this store has it at or below this stamp, it is taken exactly as it is, and
    /// else as from an owner.
    Followed {
        /// Up to when the other one has closed.
        until: Stamp,
    },
    /// Anyone else: a coordinator, the keeper of a hint, a former owner, an archive. At or below the closed time it gets
    /// a new stamp if it is not known, and changes nothing if it is.
    Other,
}

/// A record from elsewhere.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The record, which passed the acceptance rule here.
    pub record: Record,
    /// The stamp that a node gave it.
    pub stamp: Stamp,
    /// As what to take it.
    pub role: Role,
    /// From whom it is. Of no account in a hint, which keeps the stamp it was given.
    pub source: Source,
}

/// On which terms one incoming record is taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// Its stamp; `None` if the clock is to give it one.
    pub(super) stamp: Option<Stamp>,
    /// No stamp at or below it is taken, and nothing that has one changes; `None` where that does not count.
    pub(super) closed: Option<Stamp>,
    /// It is taken exactly as it is, whatever is known, if either has a stamp at or below this one.
    pub(super) follows: Option<Stamp>,
}

/// What became of one incoming record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merged {
    /// It is new in its role, and durable.
    Created {
        /// The stamp it has: the given one, a smaller one if the call named it twice, or a new one if the given one was
        /// closed.
        stamp: Stamp,
    },
    /// It was known in its role, and is durable.
    Exists {
        /// The stamp it has now: the smaller of both, if that was not closed.
        stamp: Stamp,
    },
    /// It was erased; it does not come back.
    Erased,
    /// Its stamp lies more than `clock_offset_max` ahead of the wall clock; it was not taken, nor the stamp.
    Ahead,
    /// It is longer than a segment of the log can hold, and was not stored.
    TooLarge,
}

impl Appender {
    /// Takes over records under the stamps they have. `wall_ms` is milliseconds since the Unix epoch.
    ///
    /// The answers stand in the order of `entries`. Of two stamps of one id the smaller is kept, of two lists of
    /// signatures the bytewise smaller; at or below the closed time the [`Source`] decides. Every stamp that is not too far ahead raises the clock, so that what this node
    /// stamps from now on lies above it. When this returns, everything it names is durable and, if owned, visible.
    /// Cost: one sync, unless everything is known; for what is known a read of the log each.
    ///
    /// # Errors
    ///
    /// [`AppendError`]; then nothing is acknowledged, though the records may become durable. Sending them again is safe.
    pub fn merge(&mut self, entries: Vec<Incoming>, wall_ms: u64) -> Result<Vec<Merged>, AppendError> {
        let shared = Arc::clone(self.shared());
        let mut writer = shared.writer();
        shared.must_be_ready()?;
        let mut plan = Plan::new(self.frame_bytes_max());
        let mut verdicts = Vec::with_capacity(entries.len());
        for Incoming { record, stamp, role, source } in &entries {
            let is_ahead = shared.clock().observe(*stamp, wall_ms).is_err();
            #[cfg(feature = "planted")]
            let is_ahead = is_ahead && {
                let adopted = planted::is(planted::Bug::StampOfTheFutureAdopted);
                adopted.then(|| shared.clock().raise(*stamp));
                !adopted
            };
            let terms = Terms::of(*stamp, *role, *source, shared.closed());
            verdicts.push(if is_ahead { None } else { Some(plan.admit(&shared, record, *role, terms)?) });
        }
        if !plan.is_empty() {
            let ceiling = self.begin_merge(&mut plan, wall_ms)?;
            let frames: Vec<_> =
                ceiling.map(|ceiling| Frame::Ceiling { ceiling }).into_iter().chain(plan.frames()).collect();
            self.write(&mut writer, &frames, &plan.unknown)?;
            ceiling.into_iter().for_each(|ceiling| shared.clock().reserved(ceiling));
            shared.publish_stamp(shared.clock().last());
        }
        Ok(verdicts.into_iter().map(|verdict| answer(&plan, verdict)).collect())
    }

    /// Gives hints up: every owner has them. One that is not known, or not any more, is passed over. Returns how many
    /// were given up. Their bodies leave the log as other garbage does. Cost: one sync, unless none is known.
    ///
    /// # Errors
    ///
    /// As [`Appender::merge`].
    pub fn discharge(&mut self, hints: Vec<(Home, RecordId)>) -> Result<u64, AppendError> {
        let shared = Arc::clone(self.shared());
        let mut writer = shared.writer();
        shared.must_be_ready()?;
        let (mut frames, now) = (Vec::new(), shared.stamp());
        for (home, id) in BTreeSet::from_iter(hints) {
            if shared.hint_entry(home, &id).map_err(AppendError::Index)?.is_some() {
                frames.push(Frame::HintDone { home, now, id });
            }
        }
        if !frames.is_empty() {
            self.write(&mut writer, &frames, &BTreeSet::new())?;
        }
        Ok(frames.len() as u64)
    }

    /// Announces a merge to the time of queries, and gives those a stamp that need a new one: above every closed time and
    /// every moment. Returns a ceiling to go to the log with it, if one is due: at least as high as every stamp in the
    /// plan, so that no moment lies above what a restart knows.
    fn begin_merge(&self, plan: &mut Plan, wall_ms: u64) -> Result<Option<Stamp>, AppendError> {
        let shared = self.shared();
        let mut clock = shared.clock();
        let mut ceiling = clock.due_ceiling(wall_ms);
        let mut moment = shared.moment();
        let floor = moment.begin(clock.last(), wall_ms);
        clock.raise(floor);
        let mut ahead = clock.clone();
        ceiling.into_iter().for_each(|ceiling| ahead.reserved(ceiling));
        let stamped = plan.stamp(|| {
            let tick = ahead.now(ahead.undoubted(wall_ms))?;
            ceiling = tick.ceiling.or(ceiling);
            Ok::<_, ClockError>(tick.stamp)
        });
        clock.raise(ahead.last());
        if let Err(error) = stamped {
            moment.land();
            return Err(error.into());
        }
        let past = plan.frames().filter_map(|frame| frame.record_stamp()).filter(|stamp| stamp.ms() <= wall_ms);
        moment.stamped(past.max().unwrap_or_default(), ceiling.unwrap_or_else(|| clock.ceiling()));
        Ok(ceiling)
    }
}

impl Terms {
    /// Those of a record that the appender stamps itself, when it has closed so much.
    pub(super) fn new(closed: Stamp) -> Self {
        Self { stamp: None, closed: Some(closed), follows: None }
    }

    fn of(stamp: Stamp, role: Role, source: Source, closed: Stamp) -> Self {
        let (closed, follows) = match (role, source) {
            #[cfg(feature = "planted")]
            (Role::Owned, Source::Other) if planted::is(planted::Bug::MinMergeBelowClosedFrontier) => (None, None),
            (Role::Owned, Source::Other) => (Some(closed), None),
            (Role::Owned, Source::Followed { until }) => (None, Some(until)),
            (Role::Owned, Source::Owner { settled }) => (settled, None),
            (Role::Hint, _) => (None, None),
        };
        Self { stamp: Some(stamp).filter(|stamp| closed.is_none_or(|closed| *stamp > closed)), closed, follows }
    }

    /// Whether it is taken exactly as it is in place of what is known under this stamp.
    pub(super) fn is_exact(&self, known: Option<Stamp>) -> bool {
        let is_below = |until| [self.stamp, known].into_iter().flatten().any(|stamp| stamp <= until);
        self.follows.is_some_and(is_below)
    }

    /// Whether what is known under this stamp may change.
    pub(super) fn may_change(&self, known: Option<Stamp>) -> bool {
        known.zip(self.closed).is_none_or(|(known, closed)| known > closed)
    }
}

fn answer(plan: &Plan, verdict: Option<Verdict>) -> Merged {
    match verdict {
        Some(Verdict::Created(place)) => Merged::Created { stamp: plan.stamp_at(place) },
        Some(Verdict::Exists(place)) => Merged::Exists { stamp: plan.stamp_at(place) },
        Some(Verdict::Erased) => Merged::Erased,
        Some(Verdict::TooLarge) => Merged::TooLarge,
        None => Merged::Ahead,
    }
}
