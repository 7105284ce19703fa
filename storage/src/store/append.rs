//! Writing: the one appender of a store.
//!
//! A call is one batch in the log with one sync, then one batch in the index, and only then an answer: what is answered is
//! durable and visible. It never writes what is known already, and never brings back what was erased.

use super::Reader;
use super::change::Changes;
use super::error::{AppendError, ReadError, StoreError};
use super::maintain::Maintenance;
use super::merge::{Role, Terms};
use super::plan::{Plan, Verdict};
use super::shared::{Shared, State, Writer};
use super::summary::Summary;
use crate::log::{Frame, Log, LogError, SpareJob};
use model::clock::{Clock, ClockError};
use model::{Record, RecordId, Stamp};
use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard};

/// What became of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is new.
    Created {
        /// The stamp it was given.
        stamp: Stamp,
    },
    /// It was known, and is durable.
    Exists {
        /// The stamp it has.
        stamp: Stamp,
    },
    /// It was erased; it does not come back.
    Erased,
    /// It is longer than a segment of the log can hold, and was not stored.
    TooLarge,
}

/// The only writer of a store.
#[derive(Debug)]
pub struct Appender {
    log: Log,
    shared: Arc<Shared>,
}

impl Appender {
    pub(super) fn new(log: Log, shared: Arc<Shared>) -> Self {
        Self { log, shared }
    }

    /// Stores records that are not known yet and stamps them. `wall_ms` is milliseconds since the Unix epoch.
    ///
    /// The answers stand in the order of `records`. Of two valid envelopes of one id the one with the bytewise smaller
    /// signatures is kept, under the stamp of the first, unless that is closed ([`Reader::close`]). When this returns, everything it names is durable and visible.
    /// Cost: one sync, unless everything is known.
    ///
    /// # Errors
    ///
    /// [`AppendError`]; then nothing is acknowledged, though the records may become durable. Sending them again is safe.
    pub fn append(&mut self, records: Vec<Record>, wall_ms: u64) -> Result<Vec<Appended>, AppendError> {
        let shared = Arc::clone(&self.shared);
        let mut writer = shared.writer();
        shared.must_be_ready()?;
        let (mut plan, terms) = (Plan::new(self.frame_bytes_max()), Terms::new(shared.closed()));
        let verdicts = records.iter().map(|record| plan.admit(&shared, record, Role::Owned, terms));
        let verdicts = verdicts.collect::<Result<Vec<_>, _>>()?;
        if !plan.is_empty() {
            let ceiling = self.stamp(&mut plan, wall_ms)?;
            let ceiling_frame = ceiling.map(|ceiling| Frame::Ceiling { ceiling });
            let frames: Vec<_> = ceiling_frame.into_iter().chain(plan.frames()).collect();
            self.write(&mut writer, &frames, &plan.unknown)?;
            ceiling.into_iter().for_each(|ceiling| shared.clock().reserved(ceiling));
            shared.publish_stamp(shared.clock().last());
        }
        let answer = |verdict| match verdict {
            Verdict::Created(place) => Appended::Created { stamp: plan.stamp_at(place) },
            Verdict::Exists(place) => Appended::Exists { stamp: plan.stamp_at(place) },
            Verdict::Erased => Appended::Erased,
            Verdict::TooLarge => Appended::TooLarge,
        };
        Ok(verdicts.into_iter().map(answer).collect())
    }

    /// Gives the records of a plan their stamps: above every time handed out to queries so far, and above every other
    /// stamp, whatever becomes of these. Returns the ceiling that has to go to the log ahead of them, if one has; it
    /// counts only once it is durable.
    fn stamp(&self, plan: &mut Plan, wall_ms: u64) -> Result<Option<Stamp>, AppendError> {
        let mut clock = self.shared.clock();
        let mut moment = self.shared.moment();
        let floor = moment.begin(clock.last(), wall_ms);
        clock.raise(floor);
        let (mut ahead, mut ceiling, mut last) = (clock.clone(), None, Stamp::ZERO);
        let stamped = plan.stamp(|| {
            let tick = ahead.now(wall_ms)?;
            ceiling = tick.ceiling.or(ceiling);
            last = tick.stamp;
            Ok::<_, ClockError>(tick.stamp)
        });
        clock.raise(ahead.last());
        match stamped {
            Ok(()) => moment.stamped(last, ahead.ceiling()),
            Err(_) => moment.land(),
        }
        Ok(stamped.map(|()| ceiling)?)
    }

    /// Stops in order, so that the next start need not check the index. Readers get [`ReadError::Closed`] from now on.
    /// Cost: reads the index folder once.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the log is whole all the same, and the next start checks or rebuilds the index.
    pub fn seal(mut self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let ready = shared.state() == State::Ready;
        self.log.seal(shared.stamp())?;
        while ready && shared.step_to_the_end()? {}
        shared.close_index()
    }

    /// Seals the open segment early if compacting it would gain something, so that [`Maintenance::compact`] may.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; nothing changed, unless the log stopped.
    pub fn roll(&mut self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let mut writer = shared.writer();
        if shared.has_garbage(self.log.end().segment)? { Ok(self.end_segment(&mut writer)?) } else { Ok(()) }
    }

    /// What is to be done now and then beside the writing, on a thread of its own.
    pub fn maintenance(&self) -> Maintenance {
        Maintenance::new(Arc::clone(&self.shared))
    }

    /// Preparing the next segment, if that is due: run it on another thread, so that no write waits for it.
    pub fn spare_job(&self) -> Option<SpareJob> {
        self.log.wants_spare()
    }

    /// A reader.
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared))
    }

    /// The clock that gives the stamps, for its health and for accepting a jump.
    pub fn clock(&self) -> MutexGuard<'_, Clock> {
        self.shared.clock()
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The longest frame that the log takes, in bytes.
    pub(super) fn frame_bytes_max(&self) -> usize {
        self.log.frame_bytes_max()
    }

    /// The segment that takes appends.
    pub(super) fn open_segment(&self) -> u32 {
        self.log.end().segment
    }

    /// The segments of the log that are sealed, ascending.
    pub fn sealed_segments(&self) -> Vec<u32> {
        self.log.sealed_segments()
    }

    /// Seals the open segment; the index then reflects the seal.
    pub(super) fn end_segment(&mut self, writer: &mut Writer) -> Result<(), LogError> {
        let ended = self.log.roll_early();
        self.shared.catch_up_behind(writer);
        ended
    }

    /// One batch in the log, then one in the index, which does not know the ids in `unknown`: they need not be looked up.
    pub(super) fn write(
        &mut self,
        writer: &mut Writer,
        frames: &[Frame<'_>],
        unknown: &BTreeSet<RecordId>,
    ) -> Result<(), AppendError> {
        let shared = &self.shared;
        let before = self.log.end();
        let positions = match self.log.append(frames) {
            Ok(positions) => {
                shared.moment().written();
                positions
            }
            Err(error) => {
                if self.log.is_stopped() {
                    shared.moment().strand();
                } else if self.log.end() != before {
                    // Of a long append the first batches are durable.
                    shared.moment().written();
                }
                shared.catch_up_behind(writer);
                return Err(error.into());
            }
        };
        let end = self.log.end();
        let (mut rewrites, mut discharges) = (0, 0);
        let applied = shared.with_index(|index| {
            let mut changes = Changes::new(index, &shared.log, writer.summary.counts, shared.place.set_key);
            for (position, frame) in positions.iter().zip(frames) {
                if let Frame::Record(record) = frame
                    && unknown.contains(&record.id)
                {
                    changes.take_unknown(*position, record)?;
                } else {
                    changes.take(*position, frame)?;
                }
            }
            (rewrites, discharges) = (u64::from(changes.rewrote), u64::from(changes.discharged));
            let summary = Summary { ids: end, postings: end, counts: changes.counts };
            let (mut batch, set) = changes.into_batch(&mut shared.sums())?;
            batch.put(Summary::key(), summary.encode());
            index.apply(batch)?;
            shared.sums().land(set);
            Ok(summary)
        });
        writer.rewrites += rewrites;
        writer.discharges += discharges;
        match applied {
            Ok(summary) => {
                writer.summary = summary;
                shared.publish(&summary);
                Ok(())
            }
            // What is in the log and not in the index is taken up by the next step of maintenance.
            Err(error) => {
                shared.publish(&writer.summary);
                Err(AppendError::Index(error))
            }
        }
    }
}

impl Shared {
    pub(super) fn must_be_ready(&self) -> Result<(), AppendError> {
        match self.state() {
            State::Ready => Ok(()),
            State::Rebuilding { progress, .. } => Err(AppendError::Rebuilding(progress)),
            State::Closed => Err(AppendError::Index(ReadError::Closed)),
        }
    }
}
