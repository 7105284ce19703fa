//! From frames to entries: what one stretch of the log changes in the index.
//!
//! The only place that decides it; appending, erasing, replay after a crash and rebuild all come through here, so that
//! they end in the same index. Nothing here writes: it reads the index below and collects a batch on top of it. Postings,
//! elements of sets and hints have a file each: [`super::filing`], [`super::elements`], [`super::hint_entries`].
//!
//! A rebuild goes twice over the log. [`Changes::note`] settles where each id is and what was erased; then
//! [`Changes::post`] files what is still there. [`Changes::take`] does both for one frame, and takes back what an earlier
//! frame filed. Invariant: a record is filed under its position exactly if its `i` entry names that position.

use super::elements::{UNREADABLE, digest_of};
use super::error::ReadError;
use super::filing::{Filing, read_posting};
use super::summary::{Counts, Garbage, superseded, superseded_key, superseded_position};
use super::sums::{SetChange, Sums};
use crate::index::entry::{IdEntry, Posting};
use crate::index::{Batch, Index, IndexError};
use crate::log::{self, Frame, LogReader, Lost, Position, RecordKind};
use crate::stored::StoredRecord;
use model::set::SetKey;
use model::{Home, RecordId, Stamp};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Changes of the index that are not applied yet.
#[derive(Debug)]
pub(super) struct Changes<'a> {
    index: &'a dyn Index,
    pub(super) log: &'a LogReader,
    pub(super) batch: Batch,
    /// The counts, with these changes.
    pub(super) counts: Counts,
    /// Under which the sums of the sets are made.
    pub(super) set_key: SetKey,
    /// What changes in the sets of the homes.
    pub(super) set: SetChange,
    /// What has become garbage by these changes, by segment.
    garbage: BTreeMap<u32, Garbage>,
    /// Whether these changes make a record superfluous that is in the log.
    pub(super) rewrote: bool,
    /// Whether they take a hint back.
    pub(super) discharged: bool,
}

impl<'a> Changes<'a> {
    /// No changes yet.
    pub(super) fn new(index: &'a dyn Index, log: &'a LogReader, counts: Counts, set_key: SetKey) -> Self {
        let (batch, set) = (Batch::default(), SetChange::default());
        let (garbage, rewrote, discharged) = (BTreeMap::new(), false, false);
        Self { index, log, batch, counts, set_key, set, garbage, rewrote, discharged }
    }

    /// The batch of all changes, and what they change in `sums`, which is to take it up once the batch is applied.
    pub(super) fn into_batch(mut self, sums: &mut Sums) -> Result<(Batch, SetChange), ReadError> {
        for (segment, more) in std::mem::take(&mut self.garbage) {
            let before = self.get(&Garbage::key(segment))?.as_deref().and_then(Garbage::decode).unwrap_or_default();
            let bytes = before.bytes + more.bytes;
            self.batch.put(Garbage::key(segment), Garbage { bytes, erased: before.erased + more.erased }.encode());
        }
        sums.prepare(&self.set, &mut self.batch);
        Ok((self.batch, self.set))
    }

    /// The `i` entry of `id`, as these changes leave it.
    pub(super) fn id_entry(&self, id: &RecordId) -> Result<Option<IdEntry>, ReadError> {
        let value = self.get(&IdEntry::key(id))?;
        value.map(|value| IdEntry::decode(&value).ok_or_else(|| unreadable("i", id).into())).transpose()
    }

    /// Takes a frame that is new to the whole index.
    pub(super) fn take(&mut self, position: Position, frame: &Frame<'_>) -> Result<(), ReadError> {
        self.note_and(position, frame, true)?;
        self.post(position, frame)
    }

    /// Takes the frame of a record whose id the caller has looked up: neither the index nor these changes know it.
    pub(super) fn take_unknown(&mut self, position: Position, record: &log::StoredRecord<'_>) -> Result<(), ReadError> {
        *self.counts.of(record.kind) += 1;
        let entry = self.put_entry(position, frame_length(&Frame::Record(*record)), record);
        let digest = self.file(position, record, &entry)?;
        self.add_element(&record.id, &entry, &digest);
        Ok(())
    }

    /// Takes a frame that is new to the `i` entries, while nothing from before it is filed yet.
    pub(super) fn note(&mut self, position: Position, frame: &Frame<'_>) -> Result<(), ReadError> {
        self.note_and(position, frame, false)
    }

    /// Files what the frame at `position` says of an id, if its `i` entry goes by this frame.
    pub(super) fn post(&mut self, position: Position, frame: &Frame<'_>) -> Result<(), ReadError> {
        match frame {
            Frame::Record(record) => match self.id_entry(&record.id)? {
                Some(entry) if entry.position == position && !entry.erased => {
                    let digest = self.file(position, record, &entry)?;
                    self.set_element(&record.id, &entry, &digest)
                }
                _ => Ok(()),
            },
            // Either copy tells of the signatures.
            Frame::Erased { id, signatures, .. } => match self.id_entry(id)? {
                Some(entry) if entry.erased => self.set_element(id, &entry, signatures),
                _ => Ok(()),
            },
            Frame::Lost(lost) => match self.id_entry(&lost.id)? {
                Some(entry) if entry.position == lost.position => self.add_unread_element(&lost.id, &entry),
                _ => Ok(()),
            },
            Frame::Stamp { .. }
            | Frame::Close { .. }
            | Frame::Ceiling { .. }
            | Frame::HomeDropped { .. }
            | Frame::Hint(_)
            | Frame::HintDone { .. }
            | Frame::Seal { .. }
            | Frame::Offsets { .. } => Ok(()),
            #[cfg(feature = "next")]
            Frame::Version { .. } => Ok(()),
        }
    }

    fn note_and(&mut self, position: Position, frame: &Frame<'_>, filed: bool) -> Result<(), ReadError> {
        let length = frame_length(frame);
        match frame {
            Frame::Record(record) => self.note_record(position, length, record, filed),
            Frame::Stamp { id, stamp, .. } => self.note_stamp(id, *stamp, filed),
            Frame::Erased { id, home, stamp, .. } => self.note_erased(position, length, (*id, *home, *stamp), filed),
            Frame::Close { .. } | Frame::Ceiling { .. } | Frame::Seal { .. } | Frame::Offsets { .. } => Ok(()),
            #[cfg(feature = "next")]
            Frame::Version { .. } => Ok(()),
            Frame::HomeDropped { home, .. } => self.note_home_dropped(position, frame, *home),
            Frame::Hint(record) => self.note_hint(position, length, record),
            Frame::HintDone { home, id, .. } => self.note_hint_done(position, length, (*home, id)),
            Frame::Lost(lost) => self.note_lost(lost),
        }
    }

    /// A damaged frame of which only this is known. What can be read of the id counts more.
    fn note_lost(&mut self, lost: &Lost) -> Result<(), ReadError> {
        let Lost { home, stamp, position, length, kind, id } = *lost;
        if self.id_entry(&id)?.is_none() {
            match kind {
                Some(kind) => *self.counts.of(kind) += 1,
                None => self.counts.erased += 1,
            }
            let erased = kind.is_none();
            let kind = kind.unwrap_or(RecordKind::Opaque);
            let entry = IdEntry { position, length, home, stamp, kind, erased };
            self.batch.put(IdEntry::key(&id), entry.encode());
        }
        Ok(())
    }

    /// A record that is new, or the same one again: the later frame is the one that counts.
    fn note_record(
        &mut self,
        position: Position,
        length: u32,
        record: &log::StoredRecord<'_>,
        filed: bool,
    ) -> Result<(), ReadError> {
        match self.id_entry(&record.id)? {
            Some(old) if old.position == position => return Ok(()),
            Some(old) if old.erased => {
                self.garbage_at(position, length, 1);
                return Ok(());
            }
            Some(old) => {
                self.garbage_at(old.position, old.length, 0);
                self.batch.put(superseded_key(&record.id, old.position), Vec::new());
                let again = StoredRecord::new(record, record.stamp).filter(|_| filed);
                let key = again.and_then(|again| Filing::of(&again).posting_key(old.position));
                key.into_iter().for_each(|key| self.batch.delete(key));
                if filed && old.stamp != record.stamp {
                    self.take_element(&record.id, &old)?;
                }
            }
            None => *self.counts.of(record.kind) += 1,
        }
        self.put_entry(position, length, record);
        Ok(())
    }

    /// Names `position` as the place of the record.
    fn put_entry(&mut self, position: Position, length: u32, record: &log::StoredRecord<'_>) -> IdEntry {
        let log::StoredRecord { home, stamp, kind, .. } = *record;
        let entry = IdEntry { position, length, home, stamp, kind, erased: false };
        self.batch.put(IdEntry::key(&record.id), entry.encode());
        entry
    }

    /// A stamp only falls; that of an erased record stays.
    fn note_stamp(&mut self, id: &RecordId, stamp: Stamp, filed: bool) -> Result<(), ReadError> {
        let Some(old) = self.id_entry(id)?.filter(|old| stamp < old.stamp && !old.erased) else { return Ok(()) };
        let entry = IdEntry { stamp, ..old };
        self.batch.put(IdEntry::key(id), entry.encode());
        if !filed {
            return Ok(());
        }
        let posting = Posting { position: entry.position, length: entry.length, stamp };
        self.take_element(id, &old)?;
        match read_posting(self.log, &posting) {
            Ok(record) => {
                let key = Filing::of(&record).posting_key(entry.position);
                key.into_iter().for_each(|key| self.batch.put(key, posting.value()));
                self.add_element(id, &entry, &digest_of(Some(&record)));
            }
            Err(ReadError::Log(log::ReadError::Damaged(_)) | ReadError::Archive(_)) => {
                self.restamp_unread(&posting)?;
                self.add_element(id, &entry, &UNREADABLE);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn note_erased(
        &mut self,
        position: Position,
        length: u32,
        (id, home, stamp): (RecordId, Home, Stamp),
        filed: bool,
    ) -> Result<(), ReadError> {
        let old = self.id_entry(&id)?;
        match old {
            Some(old) if old.erased => return Ok(()),
            Some(old) => {
                if filed {
                    self.take_back(&old)?;
                }
                if filed && old.stamp != stamp {
                    self.take_element(&id, &old)?;
                }
                self.garbage_at(old.position, old.length, 1);
                let count = self.counts.of(old.kind);
                *count = count.saturating_sub(1);
            }
            None => {}
        }
        self.erase_superseded(&id)?;
        self.erase_hint(home, &id)?;
        self.counts.erased += 1;
        let kind = old.map_or(RecordKind::Opaque, |old| old.kind);
        let entry = IdEntry { position, length, home, stamp, kind, erased: true };
        self.batch.put(IdEntry::key(&id), entry.encode());
        Ok(())
    }

    /// Every other frame of an erased id is an erased body too; its bytes were counted when it was superseded.
    fn erase_superseded(&mut self, id: &RecordId) -> Result<(), ReadError> {
        for key in self.entries(&superseded(id), &|_| true)?.into_keys() {
            if let Some(position) = superseded_position(&key) {
                self.garbage.entry(position.segment).or_default().erased += 1;
                self.rewrote = true;
            }
            self.batch.delete(key);
        }
        Ok(())
    }

    /// The entries under `prefix` whose keys are `wanted`, as these changes leave them.
    pub(super) fn entries(
        &self,
        prefix: &[u8],
        wanted: &dyn Fn(&[u8]) -> bool,
    ) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, ReadError> {
        let mut found = BTreeMap::new();
        self.index.scan(prefix, &[], &mut |key, value| {
            if wanted(key) {
                found.insert(key.to_vec(), value.to_vec());
            }
            ControlFlow::Continue(())
        })?;
        for (key, value) in self.batch.changes_under(prefix).filter(|(key, _)| wanted(key)) {
            match value {
                Some(value) => found.insert(key.to_vec(), value.to_vec()),
                None => found.remove(key),
            };
        }
        Ok(found)
    }

    /// The index below these changes.
    pub(super) fn index(&self) -> &dyn Index {
        self.index
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        match self.batch.change(key) {
            Some(change) => Ok(change.map(<[u8]>::to_vec)),
            None => Ok(self.index.get(key)?),
        }
    }

    /// Counts the frame of a record, or of an id that was erased, as garbage.
    pub(super) fn garbage_at(&mut self, position: Position, length: u32, erased: u32) {
        self.rewrote = true;
        self.count_garbage(position, length, erased);
    }

    /// Counts a frame as garbage.
    pub(super) fn count_garbage(&mut self, position: Position, length: u32, erased: u32) {
        let garbage = self.garbage.entry(position.segment).or_default();
        garbage.bytes += u64::from(length);
        garbage.erased += erased;
    }
}

/// The length of a whole frame in bytes.
pub(super) fn frame_length(frame: &Frame<'_>) -> u32 {
    u32::try_from(frame.length()).unwrap_or(u32::MAX)
}

/// The index points to `position`, where `what` it should be.
pub(super) fn disagrees(what: &str, position: Position) -> IndexError {
    IndexError::Disagrees(format!("{what} at {position}, where an entry points"))
}

/// The entry for `of` in table `table` cannot be decoded.
pub(super) fn unreadable(table: &str, of: &dyn std::fmt::Display) -> IndexError {
    IndexError::Disagrees(format!("the {table} entry of {of} cannot be read"))
}
