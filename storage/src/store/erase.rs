//! Erasing: the body of a record goes, its id stays taken for ever.
//!
//! Nothing here removes a byte: compaction does, once the index counts the body as erased.

use super::Erasure;
use super::append::Appender;
use super::elements::UNREADABLE;
use super::error::{AppendError, EraseError, ReadError};
use super::read::Lookup;
use super::shared::{Shared, Writer};
use super::summary::{Retired, superseded, superseded_position};
use crate::index::entry::IdEntry;
use crate::index::entry::hint::HintEntry;
use crate::log::{self, Frame, Lost, Position, RecordKind};
use crate::stored::StoredRecord;
use model::{AgentId, Home, RecordId, Stamp, Timestamp};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

/// What stays of a record.
struct Remains {
    home: Home,
    stamp: Stamp,
    signatures: [u8; 32],
    /// Where its body is, for a rebuild that cannot read it.
    lost: Option<Lost>,
}

impl Remains {
    fn of(record: &StoredRecord) -> Self {
        let (home, stamp, signatures) = (record.home(), record.stamp(), record.signatures_digest());
        Self { home, stamp, signatures, lost: None }
    }

    fn unread(lost: Lost) -> Self {
        Self { home: lost.home, stamp: lost.stamp, signatures: UNREADABLE, lost: Some(lost) }
    }
}

impl Appender {
    /// Erases the body of a record: an `erased` frame is durable and the body can no longer be found when this returns.
    /// It leaves the log when [`super::Maintenance::compact`] has rewritten its segment. Erasing again changes nothing and
    /// returns the first erasure. `eraser` is the key that ordered it, `at` when. The signatures digest of a record that
    /// is damaged is all zero. Whatever the log holds of
    /// hints of the id goes too, also where nothing else is known of it. Cost: two syncs; of a damaged record a look at the whole index besides.
    ///
    /// # Errors
    ///
    /// [`EraseError::NotFound`] for an id that is not known here, and the others.
    pub fn erase(&mut self, id: RecordId, eraser: AgentId, at: Timestamp) -> Result<Erasure, EraseError> {
        let shared = Arc::clone(self.shared());
        let mut writer = shared.writer();
        shared.must_be_ready()?;
        let Remains { home, stamp, signatures, lost } = match shared.lookup_left(&id).map_err(AppendError::Index)? {
            Lookup::Erased(erasure) => return Ok(erasure),
            Lookup::Absent => shared.remains_of_hint(&id)?,
            Lookup::Found(record) => Remains::of(&record),
            Lookup::Damaged(position) => match shared.id_entry_left(&id).map_err(AppendError::Index)? {
                Some(IdEntry { position, length, home, stamp, kind, erased: false }) => {
                    Remains::unread(Lost { home, stamp, position, length, kind: Some(kind), id })
                }
                _ => return Err(EraseError::Damaged(position)),
            },
        };
        let frame = Frame::Erased { home, stamp, id, signatures, eraser, erased_at: at };
        self.free_for_compaction(&mut writer, &id)?;
        let frames: Vec<_> = lost.map(Frame::Lost).into_iter().chain([frame]).collect();
        self.write(&mut writer, &frames, &BTreeSet::new())?;
        // Once more, in a batch of its own: a damaged frame must not bring the record back.
        self.write(&mut writer, &[frame], &BTreeSet::new())?;
        Ok(Erasure { id, home, stamp, signatures, eraser, at })
    }

    /// Ends the open segment if a body of the id is in it: only a sealed one can be rewritten without it.
    fn free_for_compaction(&mut self, writer: &mut Writer, id: &RecordId) -> Result<(), AppendError> {
        let open = self.open_segment();
        let places = self.shared().bodies_of(id).map_err(AppendError::Index)?;
        if places.iter().any(|position| position.segment == open) {
            self.end_segment(writer)?;
        }
        Ok(())
    }
}

impl Shared {
    /// What is known of an id, also if it was dropped with its home and is still in the index.
    fn lookup_left(&self, id: &RecordId) -> Result<Lookup, ReadError> {
        self.id_entry_left(id)?.map_or(Ok(Lookup::Absent), |entry| self.lookup_at(id, &entry))
    }

    /// Where the log holds bodies of `id`, as far as it is known: the record, its hint, and those not needed any more.
    fn bodies_of(&self, id: &RecordId) -> Result<Vec<Position>, ReadError> {
        let record = self.id_entry_left(id)?.map(|entry| entry.position);
        let hint = self.hint_of(id)?.map(|(_, entry)| entry.position);
        let superseded = self.superseded_of(id)?.into_iter().map(|(position, _)| position);
        Ok(record.into_iter().chain(hint).chain(superseded).collect())
    }

    /// The `superseded` entries of `id`: where the frame is, and what is known of it if it was a hint.
    fn superseded_of(&self, id: &RecordId) -> Result<Vec<(Position, Option<Retired>)>, ReadError> {
        self.with_index(|index| {
            let mut found = Vec::new();
            index.scan(&superseded(id), &[], &mut |key, value| {
                found.extend(superseded_position(key).map(|position| (position, Retired::decode(value))));
                ControlFlow::Continue(())
            })?;
            Ok(found)
        })
    }

    /// The record in a frame that is not needed any more; `None` if the frame is damaged or gone.
    fn read_retired(
        &self,
        id: &RecordId,
        position: Position,
        length: u32,
        stamp: Stamp,
    ) -> Result<Option<StoredRecord>, ReadError> {
        let owned = match self.log.read(position, length) {
            Err(log::ReadError::Damaged(_) | log::ReadError::Gone(_)) => return Ok(None),
            read => read?,
        };
        let (Frame::Hint(record) | Frame::Record(record)) = owned.frame() else { return Ok(None) };
        Ok(StoredRecord::new(&record, stamp).filter(|record| record.id() == *id))
    }

    /// What stays of a record that is only kept for others, or was, or that was dropped with its home, as long as the log
    /// holds its body.
    fn remains_of_hint(&self, id: &RecordId) -> Result<Remains, EraseError> {
        let hint = self.hint_of(id).map_err(AppendError::Index)?;
        let kept =
            hint.map(|(home, HintEntry { position, length, stamp, .. })| (position, Retired { home, stamp, length }));
        let superseded = self.superseded_of(id).map_err(AppendError::Index)?;
        let retired = superseded.into_iter().rev().find_map(|(position, retired)| Some((position, retired?)));
        let Some((position, Retired { home, stamp, length })) = kept.or(retired) else {
            return Err(EraseError::NotFound);
        };
        Ok(match self.read_retired(id, position, length, stamp).map_err(AppendError::Index)? {
            Some(record) => Remains::of(&record),
            None => {
                let is_there = matches!(self.log.read(position, length), Err(log::ReadError::Damaged(_)));
                let lost = Lost { home, stamp, position, length, kind: Some(RecordKind::Opaque), id: *id };
                Remains { lost: Some(lost).filter(|_| is_there), ..Remains::unread(lost) }
            }
        })
    }
}
