//! Writing: the one appender of a store.
//!
//! A call is one batch in the log with one sync, then one batch in the index, and only then an answer: what is answered is
//! durable and visible. It never writes what is known already, and never brings back what was erased.

use super::change::Changes;
use super::elements::UNREADABLE;
use super::error::{AppendError, EraseError, ReadError, StoreError};
use super::maintain::Maintenance;
use super::read::Lookup;
use super::shared::{Shared, State, Writer};
use super::summary::Summary;
use super::{Erasure, Reader};
use crate::index::entry::IdEntry;
use crate::log::{Frame, Log, LogError, Lost, RecordKind, SpareJob, StoredRecord};
use crate::stored;
use model::clock::Clock;
use model::{AgentId, Home, Record, RecordId, Signature, Stamp, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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
    clock: Clock,
    shared: Arc<Shared>,
}

/// A record that is to be written.
struct Pending {
    id: RecordId,
    home: Home,
    stamp: Stamp,
    kind: RecordKind,
    archive: Vec<u8>,
    signatures: Vec<Signature>,
}

impl Pending {
    fn new(record: &Record, stamp: Stamp) -> Result<Self, AppendError> {
        let (kind, archive) = stored::encode(record.envelope()).map_err(AppendError::Archive)?;
        let signatures = record.envelope().signatures().to_vec();
        Ok(Self { id: record.id(), home: record.home(), stamp, kind, archive, signatures })
    }

    fn frame(&self) -> Frame<'_> {
        let Self { id, home, stamp, kind, ref archive, .. } = *self;
        Frame::Record(StoredRecord { home, stamp, kind, id, archive })
    }
}

impl Appender {
    pub(super) fn new(log: Log, clock: Clock, shared: Arc<Shared>) -> Self {
        Self { log, clock, shared }
    }

    /// Stores records that are not known yet and stamps them. `wall_ms` is milliseconds since the Unix epoch.
    ///
    /// The answers stand in the order of `records`. Of two valid envelopes of one id the one with the bytewise smaller
    /// signatures is kept, under the stamp of the first. When this returns, everything it names is durable and visible.
    /// Cost: one sync, unless everything is known.
    ///
    /// # Errors
    ///
    /// [`AppendError`]; then nothing is acknowledged, though the records may become durable. Sending them again is safe.
    pub fn append(&mut self, records: Vec<Record>, wall_ms: u64) -> Result<Vec<Appended>, AppendError> {
        let shared = Arc::clone(&self.shared);
        let mut writer = shared.writer();
        shared.must_be_ready()?;
        // Times handed out to queries so far lie below every stamp given now.
        let mut clock = raised(self.clock.clone(), shared.moment().begin(self.clock.last(), wall_ms));
        let mut plan = Plan::new(&mut clock, wall_ms, self.log.frame_bytes_max());
        let answers = records.iter().map(|record| plan.admit(&shared, record)).collect::<Result<Vec<_>, _>>();
        let Plan { ceiling, pending, unknown, .. } = plan;
        if answers.is_err() || pending.is_empty() {
            shared.moment().land();
        } else {
            shared.moment().stamped(clock.last(), clock.ceiling());
            let ceiling = ceiling.map(|ceiling| Frame::Ceiling { ceiling });
            let frames: Vec<_> = ceiling.into_iter().chain(pending.iter().map(Pending::frame)).collect();
            let written = self.write(&mut writer, &frames, &unknown);
            // A stamp is never given twice, and a ceiling counts only once it is durable.
            self.clock = if written.is_ok() { clock } else { raised(self.clock.clone(), clock.last()) };
            written?;
            shared.publish_stamp(self.clock.last());
        }
        answers
    }

    /// Lets the time of queries go on while nobody writes: logs a new ceiling if the last one lies
    /// [`super::moment::BEHIND_MS_MAX`] behind `wall_ms`. To be called now and then. Cost: one sync then, else nothing.
    ///
    /// # Errors
    ///
    /// As [`Appender::append`]; then the time stands still as before.
    pub fn keep_time(&mut self, wall_ms: u64) -> Result<(), AppendError> {
        let shared = Arc::clone(&self.shared);
        if !shared.moment().is_behind(wall_ms) {
            return Ok(());
        }
        let mut writer = shared.writer();
        shared.must_be_ready()?;
        let mut clock = raised(self.clock.clone(), shared.moment().begin(self.clock.last(), wall_ms));
        let Some(ceiling) = clock.now(wall_ms).ok().and_then(|tick| tick.ceiling) else {
            shared.moment().land();
            return Ok(());
        };
        shared.moment().stamped(clock.last(), clock.ceiling());
        let written = self.write(&mut writer, &[Frame::Ceiling { ceiling }], &BTreeSet::new());
        self.clock = if written.is_ok() { clock } else { raised(self.clock.clone(), clock.last()) };
        written
    }

    /// Erases the body of a record: an `erased` frame is durable and the body can no longer be found when this returns.
    /// It leaves the log when [`Maintenance::compact`] has rewritten its segment. Erasing again changes nothing and
    /// returns the first erasure. `eraser` is the key that ordered it, `at` when. The signatures digest of a record that
    /// is damaged is all zero. Cost: two syncs; of a damaged record a look at the whole index besides.
    ///
    /// # Errors
    ///
    /// [`EraseError::NotFound`] for an id that is not known here, and the others.
    pub fn erase(&mut self, id: RecordId, eraser: AgentId, at: Timestamp) -> Result<Erasure, EraseError> {
        let shared = Arc::clone(&self.shared);
        let mut writer = shared.writer();
        shared.must_be_ready()?;
        let (home, stamp, signatures, lost) = match shared.lookup(&id).map_err(AppendError::Index)? {
            Lookup::Absent => return Err(EraseError::NotFound),
            Lookup::Erased(erasure) => return Ok(erasure),
            Lookup::Found(record) => (record.home(), record.stamp(), record.signatures_digest(), None),
            Lookup::Damaged(position) => match shared.id_entry(&id).map_err(AppendError::Index)? {
                Some(IdEntry { position, length, home, stamp, kind, erased: false }) => {
                    let lost = Lost { home, stamp, position, length, kind: Some(kind), id };
                    (home, stamp, UNREADABLE, Some(Frame::Lost(lost)))
                }
                _ => return Err(EraseError::Damaged(position)),
            },
        };
        let frame = Frame::Erased { home, stamp, id, signatures, eraser, erased_at: at };
        self.free_for_compaction(&mut writer, &id)?;
        let frames: Vec<_> = lost.into_iter().chain([frame]).collect();
        self.write(&mut writer, &frames, &BTreeSet::new())?;
        // Once more, in a batch of its own: a damaged frame must not bring the record back.
        self.write(&mut writer, &[frame], &BTreeSet::new())?;
        Ok(Erasure { id, home, stamp, signatures, eraser, at })
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
    pub fn clock(&mut self) -> &mut Clock {
        &mut self.clock
    }

    /// The segments of the log that are sealed, ascending.
    pub fn sealed_segments(&self) -> Vec<u32> {
        self.log.sealed_segments()
    }

    /// Ends the open segment if the body is in it: only a sealed one can be rewritten without it.
    fn free_for_compaction(&mut self, writer: &mut Writer, id: &RecordId) -> Result<(), AppendError> {
        let entry = self.shared.id_entry(id).map_err(AppendError::Index)?;
        if entry.is_some_and(|entry| entry.position.segment == self.log.end().segment) {
            self.end_segment(writer)?;
        }
        Ok(())
    }

    /// Seals the open segment; the index then reflects the seal.
    fn end_segment(&mut self, writer: &mut Writer) -> Result<(), LogError> {
        let ended = self.log.roll_early();
        self.shared.catch_up_behind(writer);
        ended
    }

    /// One batch in the log, then one in the index, which does not know the ids in `unknown`: they need not be looked up.
    fn write(
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
        let mut rewrites = 0;
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
            rewrites = u64::from(changes.rewrote());
            let summary = Summary { ids: end, postings: end, counts: changes.counts };
            let (mut batch, set) = changes.into_batch(&mut shared.sums())?;
            batch.put(Summary::key(), summary.encode());
            index.apply(batch)?;
            shared.sums().land(set);
            Ok(summary)
        });
        writer.rewrites += rewrites;
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

/// `clock`, giving no stamp at or before `last`; its ceiling stays.
fn raised(mut clock: Clock, last: Stamp) -> Clock {
    match clock.observe(last, last.ms()) {
        Ok(()) => clock,
        Err(error) => unreachable!("a stamp is not ahead of its own time: {error}"),
    }
}

/// What one call is going to write.
struct Plan<'a> {
    clock: &'a mut Clock,
    wall_ms: u64,
    ceiling: Option<Stamp>,
    pending: Vec<Pending>,
    /// Where in `pending` an id is.
    places: BTreeMap<RecordId, usize>,
    /// The ids in `pending` that have no entry in the index.
    unknown: BTreeSet<RecordId>,
    /// The longest frame that the log takes, in bytes.
    frame_bytes_max: usize,
}

impl<'a> Plan<'a> {
    fn new(clock: &'a mut Clock, wall_ms: u64, frame_bytes_max: usize) -> Self {
        let (pending, places, unknown) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        Self { clock, wall_ms, ceiling: None, pending, places, unknown, frame_bytes_max }
    }

    fn admit(&mut self, shared: &Shared, record: &Record) -> Result<Appended, AppendError> {
        let signatures = record.envelope().signatures();
        if let Some(earlier) = self.places.get(&record.id()).and_then(|place| self.pending.get_mut(*place)) {
            let stamp = earlier.stamp;
            if signatures < earlier.signatures.as_slice() {
                *earlier = Pending::new(record, stamp)?;
            }
            return Ok(Appended::Exists { stamp });
        }
        let known = shared.known(&record.id()).map_err(AppendError::Index)?;
        if matches!(known, Known::No) {
            self.unknown.insert(record.id());
        }
        match known {
            Known::No | Known::Gone => {
                let Some(pending) = self.pending(record, Stamp::ZERO)? else { return Ok(Appended::TooLarge) };
                let tick = self.clock.now(self.wall_ms)?;
                self.ceiling = tick.ceiling.or(self.ceiling);
                self.add(Pending { stamp: tick.stamp, ..pending });
                Ok(Appended::Created { stamp: tick.stamp })
            }
            Known::Erased => Ok(Appended::Erased),
            Known::Sound { stamp, signatures: known } => {
                if signatures < known.as_slice() {
                    self.pending(record, stamp)?.into_iter().for_each(|pending| self.add(pending));
                }
                Ok(Appended::Exists { stamp })
            }
            // What the disk lost comes back with the envelope.
            Known::Damaged { stamp } => {
                let Some(pending) = self.pending(record, stamp)? else { return Ok(Appended::TooLarge) };
                self.add(pending);
                Ok(Appended::Exists { stamp })
            }
        }
    }

    /// What is to be written of `record`; `None` if it does not fit in a segment.
    fn pending(&self, record: &Record, stamp: Stamp) -> Result<Option<Pending>, AppendError> {
        let pending = Pending::new(record, stamp)?;
        Ok((pending.frame().length() <= self.frame_bytes_max).then_some(pending))
    }

    fn add(&mut self, pending: Pending) {
        self.places.insert(pending.id, self.pending.len());
        self.pending.push(pending);
    }
}

/// What the store holds of an id.
enum Known {
    /// It has no entry.
    No,
    /// It has an entry, and there is no record of it any more.
    Gone,
    Erased,
    Sound {
        stamp: Stamp,
        signatures: Vec<Signature>,
    },
    Damaged {
        stamp: Stamp,
    },
}

impl Shared {
    fn known(&self, id: &RecordId) -> Result<Known, ReadError> {
        let Some(entry) = self.id_entry(id)? else { return Ok(Known::No) };
        let stamp = entry.stamp;
        Ok(match self.lookup_at(id, &entry) {
            Ok(Lookup::Found(record)) => Known::Sound { stamp, signatures: record.signatures() },
            Ok(Lookup::Erased(_)) => Known::Erased,
            Ok(Lookup::Absent) => Known::Gone,
            Ok(Lookup::Damaged(_)) if entry.erased => Known::Erased,
            Ok(Lookup::Damaged(_)) | Err(ReadError::Archive(_)) => Known::Damaged { stamp },
            Err(error) => return Err(error),
        })
    }

    fn must_be_ready(&self) -> Result<(), AppendError> {
        match self.state() {
            State::Ready => Ok(()),
            State::Rebuilding { progress, .. } => Err(AppendError::Rebuilding(progress)),
            State::Closed => Err(AppendError::Index(ReadError::Closed)),
        }
    }
}
