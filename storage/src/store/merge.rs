//! Taking over records that were stamped elsewhere, and keeping some for others.
//!
//! The same rule on every node: whatever comes, in whatever order and however often, two stores that were given the same
//! end with the same sets. It never takes a stamp that lies too far ahead, and never brings back what was erased.

use super::append::Appender;
use super::error::AppendError;
use super::plan::{Plan, Verdict};
use crate::log::Frame;
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

/// A record from elsewhere.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// The record, which passed the acceptance rule here.
    pub record: Record,
    /// The stamp that a node gave it.
    pub stamp: Stamp,
    /// As what to take it.
    pub role: Role,
}

/// What became of one incoming record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merged {
    /// It is new in its role, and durable.
    Created {
        /// The stamp it has: the given one, or a smaller one if the call named it twice.
        stamp: Stamp,
    },
    /// It was known in its role, and is durable.
    Exists {
        /// The stamp it has now: the smaller of both.
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
    /// signatures the bytewise smaller. Every stamp that is not too far ahead raises the clock, so that what this node
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
        for Incoming { record, stamp, role } in &entries {
            let is_ahead = shared.clock().observe(*stamp, wall_ms).is_err();
            #[cfg(feature = "planted")]
            let is_ahead = is_ahead && {
                let adopted = planted::is(planted::Bug::StampOfTheFutureAdopted);
                adopted.then(|| shared.clock().raise(*stamp));
                !adopted
            };
            verdicts.push(if is_ahead { None } else { Some(plan.admit(&shared, record, *role, Some(*stamp))?) });
        }
        if !plan.is_empty() {
            let ceiling = self.begin_merge(&plan, wall_ms);
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

    /// Announces a merge to the time of queries. Returns a ceiling to go to the log with it, if one is due: at least as
    /// high as every stamp in the plan, so that no moment lies above what a restart knows.
    fn begin_merge(&self, plan: &Plan, wall_ms: u64) -> Option<Stamp> {
        let shared = self.shared();
        let mut clock = shared.clock();
        let ceiling = clock.due_ceiling(wall_ms);
        let mut moment = shared.moment();
        let floor = moment.begin(clock.last(), wall_ms);
        clock.raise(floor);
        let past = plan.frames().filter_map(|frame| frame.record_stamp()).filter(|stamp| stamp.ms() <= wall_ms);
        moment.stamped(past.max().unwrap_or_default(), ceiling.unwrap_or_else(|| clock.ceiling()));
        ceiling
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
