//! From frames to the entries of hints: a part of [`Changes`].
//!
//! A hint is no record of this store: nothing here touches an `i` entry, a posting or a set. Invariants: of each id there
//! is at most one hint, and its `h` entry names its last frame; of every earlier or delivered one that is still in the
//! log there is a `superseded` entry, so that erasing the id reaches its body; no hint outlives an erasure of its id.

use super::change::{Changes, unreadable};
use super::error::ReadError;
use super::filing::Filing;
use super::summary::{Retired, superseded_key};
use crate::index::entry::hint::{HintEntry, hint_home_key, hint_home_value, topic_of};
use crate::log::{self, Position};
use crate::stored::StoredRecord;
use model::{Home, RecordId};

/// The entry of a hint whose frame is at `position`.
pub(super) fn hint_entry(position: Position, length: u32, record: &log::StoredRecord<'_>) -> HintEntry {
    let stored = StoredRecord::new(record, record.stamp);
    let prefix = stored.and_then(|stored| Filing::of(&stored).prefix());
    let topic = prefix.map(|prefix| topic_of(&prefix)).unwrap_or_default();
    HintEntry { position, length, stamp: record.stamp, topic }
}

impl Changes<'_> {
    /// A hint that is new, or another one in the place of an earlier.
    pub(super) fn note_hint(
        &mut self,
        position: Position,
        length: u32,
        record: &log::StoredRecord<'_>,
    ) -> Result<(), ReadError> {
        let (home, id) = (record.home, &record.id);
        if self.id_entry(id)?.is_some_and(|entry| entry.erased) {
            self.count_garbage(position, length, 1);
            return Ok(());
        }
        match self.hint(home, id)? {
            Some(old) if old.position == position => return Ok(()),
            Some(old) => self.retire(home, id, &old),
            None => self.counts.hints += 1,
        }
        self.batch.put(HintEntry::key(home, id), hint_entry(position, length, record).encode());
        self.batch.put(hint_home_key(id), hint_home_value(home));
        Ok(())
    }

    /// Every owner has it.
    pub(super) fn note_hint_done(
        &mut self,
        position: Position,
        length: u32,
        (home, id): (Home, &RecordId),
    ) -> Result<(), ReadError> {
        if let Some(old) = self.hint(home, id)?.filter(|old| old.position < position) {
            self.retire(home, id, &old);
            self.forget(home, id);
            self.count_garbage(position, length, 0);
        }
        Ok(())
    }

    /// The id was erased, and with it its hint.
    pub(super) fn erase_hint(&mut self, home: Home, id: &RecordId) -> Result<(), ReadError> {
        if let Some(old) = self.hint(home, id)? {
            self.count_garbage(old.position, old.length, 1);
            self.forget(home, id);
        }
        Ok(())
    }

    /// A frame of a hint is not needed any more, until its id is erased: then it has to go.
    fn retire(&mut self, home: Home, id: &RecordId, old: &HintEntry) {
        let HintEntry { position, length, stamp, .. } = *old;
        self.count_garbage(position, length, 0);
        self.batch.put(superseded_key(id, position), Retired { home, stamp, length }.encode());
    }

    fn forget(&mut self, home: Home, id: &RecordId) {
        self.discharged = true;
        self.counts.hints = self.counts.hints.saturating_sub(1);
        self.batch.delete(HintEntry::key(home, id));
        self.batch.delete(hint_home_key(id));
    }

    fn hint(&self, home: Home, id: &RecordId) -> Result<Option<HintEntry>, ReadError> {
        let value = self.get(&HintEntry::key(home, id))?;
        value.map(|value| HintEntry::decode(&value).ok_or_else(|| unreadable("h", id).into())).transpose()
    }
}
