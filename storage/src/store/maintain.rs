//! What is done beside reading and writing: rebuilding, checking, compacting, scrubbing.
//!
//! It decides what is due and never when: a thread of the node's calls it, in a simulation the test does.

use super::error::{ReadError, StoreError};
use super::shared::{Shared, State};
use super::summary::{Garbage, all_superseded, superseded, superseded_position};
use crate::index::Batch;
use crate::index::entry::{IdEntry, Table, entry_id};
use crate::log::ReadError as LogReadError;
use crate::log::{Compacted, Damage, Frame, Item, Knowledge, LogError, Lost, Position, Scrubber};
use crate::stored::StoredRecord;
use model::{Home, RecordId};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

/// How many entries are taken out in one batch.
const FORGOTTEN_AT_ONCE: usize = 64;

/// Maintains a store. More than one does no harm.
#[derive(Debug)]
pub struct Maintenance {
    shared: Arc<Shared>,
    scrubber: Scrubber,
    /// Segments in which damage concerns no record any more.
    mended: BTreeSet<u32>,
}

/// What a stretch of scrubbing found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Bytes that were read.
    pub bytes: u64,
    /// Stretches of the log that are not what was written.
    pub damages: Vec<Damage>,
    /// Records whose frame is sound and whose content does not hash to their id.
    pub misnamed: Vec<(Position, RecordId)>,
    /// Whether this stretch ended at the end of the log; the next one begins at its start.
    pub finished: bool,
}

impl Maintenance {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let scrubber = shared.log.scrubber();
        Self { shared, scrubber, mended: BTreeSet::new() }
    }

    /// Takes one step of what is due to the index: rebuilding it, comparing it with the log after an unclean stop, or taking
    /// out what moved away. Returns whether there is more to do. Some 20 ms of a rebuild and a few of the rest, during which
    /// no record is appended.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if there is a reason that a rebuild does not remove, a full disk for one. Try again later.
    pub fn step(&mut self) -> Result<bool, StoreError> {
        let mut writer = self.shared.writer();
        match self.shared.step(&mut writer) {
            Ok(done) => Ok(done > 0),
            Err(StoreError::Read(ReadError::Index(_) | ReadError::Rebuilding(_))) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Whether queries and appends wait for the steps that are left.
    pub fn is_urgent(&self) -> bool {
        matches!(self.shared.state(), State::Rebuilding { .. })
    }

    /// Has the segment of a damage rewritten by [`Maintenance::compact`] in which no record cannot be read any more, once it is
    /// sealed: until then exports and scans tell of the damage.
    pub fn mend(&mut self, damage: &Damage) {
        self.mended.insert(damage.segment);
    }

    /// Rewrites the sealed segment that gains most from it, if one holds an erased body or more garbage than the setting
    /// allows, or was named to [`Maintenance::mend`]. Reads and appends go on. Returns what came of it; `None` if no segment is due.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the segment is as it was.
    pub fn compact(&mut self) -> Result<Option<Compacted>, StoreError> {
        let shared = &self.shared;
        shared.must_have_postings()?;
        let due = self.due()?;
        // While a home is being dropped, what is counted as garbage of it may not go yet.
        let Some(dropped) = shared.dropped_for_good() else { return Ok(None) };
        for (segment, before) in due {
            // What compaction drops must not be missed by an index that a crash takes back in time.
            shared.with_index(|index| Ok(index.flush()?))?;
            let superseded = shared.superseded_in(segment)?;
            let mut known = Known { shared, dropped: &dropped, erases: before.erased > 0, in_doubt: false };
            let compacted = match shared.compactor.compact_knowing(segment, shared.stamp(), &mut known) {
                Err(LogError::NotSealed(_)) => continue,
                compacted => compacted?,
            };
            self.mended.remove(&segment);
            let is_clean = !known.in_doubt && compacted.damages.is_empty();
            // Damaged bytes that were copied aside may be of any frame.
            let is_gone = is_clean && shared.compactor.has_copies(segment).is_ok_and(|has| !has);
            if is_gone {
                shared.forget(superseded)?;
            }
            let _writer = shared.writer();
            shared.with_index(|index| {
                let key = Garbage::key(segment);
                let now = index.get(&key)?.as_deref().and_then(Garbage::decode).unwrap_or_default();
                let mut batch = Batch::default();
                match now.without(before) {
                    Garbage { bytes: 0, erased: 0 } => batch.delete(key),
                    left => batch.put(key, left.encode()),
                }
                Ok(index.apply(batch)?)
            })?;
            return Ok(Some(compacted));
        }
        Ok(None)
    }

    /// Reads on in the log for about `bytes_max` bytes, checking every checksum and every id.
    ///
    /// # Errors
    ///
    /// [`ReadError::Log`] if the disk refuses; damage is no error, it is reported.
    pub fn scrub(&mut self, bytes_max: u64) -> Result<Scrubbed, ReadError> {
        let mut found = Scrubbed::default();
        let progress = self.scrubber.step(bytes_max, &mut |item| match item {
            Item::Damage(damage) => found.damages.push(damage),
            Item::Frame(position, Frame::Record(record) | Frame::Hint(record)) => {
                let computed = StoredRecord::new(&record, record.stamp).and_then(|stored| stored.computed_id());
                if computed != Some(record.id) {
                    found.misnamed.push((position, record.id));
                }
            }
            Item::Frame(..) => {}
        })?;
        found.bytes = progress.bytes;
        found.finished = progress.complete;
        Ok(found)
    }

    /// The records that lie where there is damage and cannot be read; erased ones are none. Cost: a look at every `i` entry,
    /// and the records there are read: of a compacted segment all, for its positions are no offsets. Memory: 48 bytes for
    /// each of them.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the index or the disk refuses; damage is no error.
    pub fn unreadable_in(&self, damage: &Damage) -> Result<Vec<(Home, RecordId)>, ReadError> {
        let mut places = Vec::new();
        let is_there = |entry: &IdEntry| {
            let IdEntry { position, length, .. } = *entry;
            let overlaps = position.at < damage.to && damage.from < position.at.saturating_add(length);
            position.segment == damage.segment && (overlaps || damage.generation > 0)
        };
        self.shared.with_index(|index| {
            index.scan(&Table::Id.prefix(), &[], &mut |key, value| {
                let here = entry_id(key).zip(IdEntry::decode(value));
                let here = here.filter(|(_, entry)| !entry.erased && is_there(entry));
                places.extend(here.map(|(id, entry)| (entry.position, entry.length, entry.home, id)));
                ControlFlow::Continue(())
            })?;
            Ok(())
        })?;
        let mut unreadable = Vec::new();
        for (position, length, home, id) in places {
            match self.shared.log.read(position, length) {
                Ok(_) => {}
                Err(LogReadError::Damaged(_) | LogReadError::Gone(_)) => unreadable.push((home, id)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(unreadable)
    }

    /// The segments that are due, those with erased bodies first, then by garbage.
    fn due(&self) -> Result<Vec<(u32, Garbage)>, ReadError> {
        let mut due = Vec::new();
        self.shared.with_index(|index| {
            index.scan(&Garbage::prefix(), &[], &mut |key, value| {
                due.extend(Garbage::segment(key).zip(Garbage::decode(value)));
                ControlFlow::Continue(())
            })?;
            Ok(())
        })?;
        let settings = &self.shared.place.settings;
        let bytes_max = u64::from(settings.log.segment_bytes_max) * u64::from(settings.garbage_percent_max) / 100;
        let open = self.shared.log.end().segment;
        let is_due = |segment: &u32, garbage: &Garbage| {
            garbage.erased > 0 || garbage.bytes > bytes_max || self.mended.contains(segment)
        };
        let unnamed: Vec<_> =
            self.mended.iter().filter(|segment| due.iter().all(|(other, _)| other != *segment)).collect();
        due.extend(unnamed.into_iter().map(|segment| (*segment, Garbage::default())));
        due.retain(|(segment, garbage)| *segment < open && is_due(segment, garbage));
        due.sort_by_key(|(segment, garbage)| (garbage.erased == 0, u64::MAX - garbage.bytes, *segment));
        Ok(due)
    }
}

/// What the store tells the log about a segment that is compacted.
struct Known<'s> {
    shared: &'s Shared,
    /// By home, before which position nothing is left of it; the index has it on disk.
    dropped: &'s BTreeMap<Home, Position>,
    erases: bool,
    /// Of some frame it could not be told whether it is needed.
    in_doubt: bool,
}

impl Knowledge for Known<'_> {
    fn needs(&mut self, position: Position, frame: &Frame<'_>) -> bool {
        self.shared.is_needed(position, frame, self.dropped).unwrap_or_else(|_| {
            self.in_doubt = true;
            true
        })
    }

    /// Cost: a look at every `i` entry; only where something is damaged.
    fn lost(&mut self, from: Position, to: Position) -> io::Result<Vec<Lost>> {
        let mut lost = Vec::new();
        let asked = self.shared.with_index(|index| {
            index.scan(&Table::Id.prefix(), &[], &mut |key, value| {
                if let Some((id, entry)) = entry_id(key).zip(IdEntry::decode(value))
                    && (from..to).contains(&entry.position)
                {
                    let IdEntry { position, length, home, stamp, kind, erased } = entry;
                    lost.push(Lost { home, stamp, position, length, kind: (!erased).then_some(kind), id });
                }
                ControlFlow::Continue(())
            })?;
            Ok(())
        });
        asked.map_err(io::Error::other)?;
        Ok(lost)
    }

    fn erases(&self) -> bool {
        self.erases
    }
}

impl Shared {
    /// Whether something in a segment is not needed any more.
    pub(super) fn has_garbage(&self, segment: u32) -> Result<bool, ReadError> {
        self.with_index(|index| Ok(index.get(&Garbage::key(segment))?.is_some()))
    }

    /// By home, the position before which nothing is left of it but what was erased; `None` while one is being dropped.
    fn dropped_for_good(&self) -> Option<BTreeMap<Home, Position>> {
        let sums = self.sums();
        sums.going().is_none().then(|| sums.all_dropped().map(|(home, dropped)| (home, dropped.out)).collect())
    }

    /// Whether the log still needs a frame; `dropped` says what went with its home.
    fn is_needed(
        &self,
        position: Position,
        frame: &Frame<'_>,
        dropped: &BTreeMap<Home, Position>,
    ) -> Result<bool, ReadError> {
        let unless = |home: &Home, id: &RecordId, obsolete: &dyn Fn(IdEntry) -> bool| {
            let went = || dropped.get(home).is_some_and(|before| position < *before);
            Ok::<_, ReadError>(self.id_entry_left(id)?.map_or_else(|| !went(), |entry| !obsolete(entry)))
        };
        match frame {
            Frame::Record(record) => {
                unless(&record.home, &record.id, &|entry| entry.erased || entry.position > position)
            }
            // Both copies of an erasure are.
            Frame::Erased { .. } => Ok(true),
            // What stands elsewhere than the frame that it tells of tells a rebuild of an erased body.
            Frame::Lost(lost) if lost.position != position => Ok(true),
            Frame::Lost(lost) => unless(&lost.home, &lost.id, &|entry| entry.position != position),
            Frame::Stamp { home, id, stamp } => unless(home, id, &|entry| entry.erased || entry.stamp != *stamp),
            Frame::Hint(record) => {
                let entry = self.hint_entry(record.home, &record.id)?;
                Ok(entry.is_some_and(|entry| entry.position == position))
            }
            // As long as the log holds a hint that it takes back.
            Frame::HintDone { id, .. } => self.has_superseded_before(position, id),
            // The last of a home says all that the others said.
            Frame::HomeDropped { home, .. } => Ok(dropped.get(home).is_none_or(|before| position >= *before)),
            Frame::Close { .. } | Frame::Ceiling { .. } | Frame::Seal { .. } | Frame::Offsets { .. } => Ok(true),
            #[cfg(feature = "next")]
            Frame::Version { .. } => Ok(true),
        }
    }

    /// Whether the log may hold a body of `id` before `position` that is not needed any more.
    fn has_superseded_before(&self, position: Position, id: &RecordId) -> Result<bool, ReadError> {
        self.with_index(|index| {
            let mut found = false;
            index.scan(&superseded(id), &[], &mut |key, _| {
                found = superseded_position(key).is_none_or(|before| before < position);
                if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            Ok(found)
        })
    }

    /// The keys of the `superseded` entries of frames in a segment. Cost: a look at all such entries.
    fn superseded_in(&self, segment: u32) -> Result<Vec<Vec<u8>>, ReadError> {
        self.with_index(|index| {
            let mut keys = Vec::new();
            index.scan(&all_superseded(), &[], &mut |key, _| {
                if superseded_position(key).is_some_and(|position| position.segment == segment) {
                    keys.push(key.to_vec());
                }
                ControlFlow::Continue(())
            })?;
            Ok(keys)
        })
    }

    /// Takes out entries that nobody looks for any more, some at a time: readers and the writer wait while a batch is applied.
    /// The writer's lock is not needed: nobody else changes or reads entries of frames that are gone.
    fn forget(&self, keys: Vec<Vec<u8>>) -> Result<(), ReadError> {
        let mut keys = keys.into_iter().peekable();
        while keys.peek().is_some() {
            let mut batch = Batch::default();
            keys.by_ref().take(FORGOTTEN_AT_ONCE).for_each(|key| batch.delete(key));
            self.with_index(|index| Ok(index.apply(batch)?))?;
        }
        Ok(())
    }
}
