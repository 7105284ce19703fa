//! Comparing the index with the log after an unclean stop.
//!
//! Both ways: every record in the log has its entries, here; and every entry points to what it says, and the sums of the
//! sets are those of their elements, in [`super::check_entries`]. It repairs nothing: one disagreement is reason enough to
//! rebuild. In steps, each of which keeps writes out while it runs.

use super::change::{disagrees, frame_length, unreadable};
use super::dropped::{Dropped, dropped_in};
use super::elements::digest_of;
use super::error::ReadError;
use super::filing::Filing;
use super::hint_entries::hint_entry;
use super::shared::{Shared, Writer};
use super::summary::{Counts, Garbage, superseded_key};
use crate::index::entry::hint::{HintEntry, hint_home_key, hint_home_value};
use crate::index::entry::set::ElementEntry;
use crate::index::entry::{IdEntry, Posting, agent_key, predicate_key};
use crate::index::{Index, IndexError};
use crate::log::{self, Frame, Item, LogReader, Position};
use crate::stored::StoredRecord;
use model::set::{Leaf, SetKey};
use model::{Home, RecordId};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// How many frames or entries one step compares: some milliseconds.
pub(super) const STEP: usize = 256;

/// How far the comparison is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Check {
    /// Every frame before it has its entries.
    Log(Position, Tally),
    /// And every entry before this key points to what it says.
    Index(Vec<u8>),
    /// And the sums of all homes before the one with this number are those of their elements.
    Sums(u16),
}

/// What the frames seen so far come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    counts: Counts,
    /// The segments with bodies of erased records.
    erased_in: BTreeSet<u32>,
    /// Some frames cannot be read, so that the counts cannot be told.
    is_damaged: bool,
    /// [`Writer::rewrites`] at the beginning: what was seen before such a change may have been counted otherwise.
    rewrites: u64,
    /// [`Writer::discharges`] at the beginning; hints come and go too often to begin again for each.
    discharges: u64,
}

impl Check {
    /// From the beginning.
    pub(super) fn new(writer: &Writer) -> Self {
        let Writer { rewrites, discharges, .. } = *writer;
        Self::Log(Position::START, Tally { rewrites, discharges, ..Tally::default() })
    }
}

impl Shared {
    /// Takes one step of the check, if one is due. Returns how much it compared, 0 when none is due any more.
    pub(super) fn check_on(&self, writer: &mut Writer) -> Result<u64, ReadError> {
        let Some(check) = writer.check.take() else { return Ok(0) };
        let compared = self.compare(writer, check);
        if let Ok((_, next)) = &compared {
            writer.check.clone_from(next);
        }
        self.publish_check(writer);
        let (compared, _) = compared?;
        Ok(compared.max(1))
    }

    /// Compares everything; for `verify`. `progress` is told how much was compared so far.
    pub(super) fn check_all(&self, progress: &mut dyn FnMut(u64)) -> Result<(), ReadError> {
        let mut check = Some(Check::new(&self.writer()));
        let mut compared = 0;
        while let Some(now) = check {
            let (more, next) = self.compare(&self.writer(), now)?;
            compared += more;
            check = next;
            progress(compared);
        }
        Ok(())
    }

    /// One step; the writer is held, so nothing changes meanwhile.
    fn compare(&self, writer: &Writer, check: Check) -> Result<(u64, Option<Check>), ReadError> {
        self.with_index(|index| {
            let comparison = Comparison { index, log: &self.log, set_key: &self.place.set_key };
            match check {
                Check::Index(from) => comparison.index_step(&from),
                Check::Sums(number) => comparison.sum_step(number, |home| self.sums().total(home)),
                Check::Log(from, tally) => comparison.log_step(from, tally, writer),
            }
        })
    }
}

/// An index and the log that it should reflect.
pub(super) struct Comparison<'a> {
    pub(super) index: &'a dyn Index,
    pub(super) log: &'a LogReader,
    pub(super) set_key: &'a SetKey,
}

impl Comparison<'_> {
    fn log_step(&self, from: Position, mut tally: Tally, writer: &Writer) -> Result<(u64, Option<Check>), ReadError> {
        let (mut compared, mut failed) = (0, None);
        let next = self.log.scan(from, &mut |item| {
            match item {
                Item::Frame(position, frame) => {
                    compared += 1;
                    failed = self.frame(position, &frame, &mut tally).err();
                }
                Item::Damage(_) => tally.is_damaged = true,
            }
            if failed.is_some() || compared == STEP { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let compared_in_all = compared as u64;
        match failed {
            Some(error) => Err(error),
            None if compared == STEP => Ok((compared_in_all, Some(Check::Log(next, tally)))),
            None if tally.rewrites != writer.rewrites => Ok((compared_in_all, Some(Check::new(writer)))),
            None => {
                let mut counts = writer.summary.counts;
                if tally.discharges != writer.discharges {
                    counts.hints = tally.counts.hints;
                }
                self.tally_fits(&tally, counts)?;
                Ok((compared_in_all, Some(Check::Index(Vec::new()))))
            }
        }
    }

    /// Whether the index counted as the log counts, and knows which segments have to be compacted.
    fn tally_fits(&self, tally: &Tally, counts: Counts) -> Result<(), ReadError> {
        if !tally.is_damaged && tally.counts != counts {
            let (found, noted) = (tally.counts, counts);
            return Err(IndexError::Disagrees(format!("the log holds {found:?}, the index counts {noted:?}")).into());
        }
        for segment in &tally.erased_in {
            let garbage = self.index.get(&Garbage::key(*segment))?.as_deref().and_then(Garbage::decode);
            if garbage.is_none_or(|garbage| garbage.erased == 0) {
                let unknown = format!("segment {segment} holds an erased body that the index does not know of");
                return Err(IndexError::Disagrees(unknown).into());
            }
        }
        Ok(())
    }

    /// Whether the entries of one frame are there.
    fn frame(&self, position: Position, frame: &Frame<'_>, tally: &mut Tally) -> Result<(), ReadError> {
        match frame {
            Frame::Record(record) => self.record(position, frame, record, tally),
            Frame::Erased { id, signatures, .. } => match self.id_entry(id)? {
                Some(entry) if entry.erased => {
                    tally.counts.erased += u64::from(entry.position == position);
                    self.has_element(id, &entry, Some(signatures))
                }
                _ => Err(missing("erased i", position).into()),
            },
            Frame::Lost(lost) => match self.id_entry(&lost.id)? {
                Some(entry) => self.has_element(&lost.id, &entry, None),
                None if lost.position < self.dropped(lost.home)?.before => Ok(()),
                None => Err(missing("i", lost.position).into()),
            },
            Frame::Stamp { id, stamp, .. } => match self.id_entry(id)? {
                // A record that came later knows nothing of a frame before it.
                Some(entry) if entry.position < position && entry.stamp > *stamp => {
                    Err(missing("lower i", position).into())
                }
                _ => Ok(()),
            },
            Frame::HomeDropped { home, .. } if self.dropped(*home)?.before < position && *home != Home::GLOBAL => {
                Err(missing("m dropped", position).into())
            }
            Frame::HomeDropped { .. }
            | Frame::Close { .. }
            | Frame::Ceiling { .. }
            | Frame::Seal { .. }
            | Frame::Offsets { .. } => Ok(()),
            #[cfg(feature = "next")]
            Frame::Version { .. } => Ok(()),
            Frame::Hint(record) => self.hint(position, frame, record, tally),
            Frame::HintDone { home, id, .. } => match self.hint_entry(*home, id)? {
                Some(entry) if entry.position < position => {
                    Err(disagrees("a delivered hint is", entry.position).into())
                }
                _ => Ok(()),
            },
        }
    }

    /// Whether the entries of a hint are there, or it is known that it is not needed any more.
    fn hint(
        &self,
        position: Position,
        frame: &Frame<'_>,
        record: &log::StoredRecord<'_>,
        tally: &mut Tally,
    ) -> Result<(), ReadError> {
        let id = &record.id;
        if self.id_entry(id)?.is_some_and(|entry| entry.erased) {
            tally.erased_in.insert(position.segment);
            return Ok(());
        }
        match self.hint_entry(record.home, id)? {
            Some(entry) if entry.position == position => {
                tally.counts.hints += 1;
                let fits = entry == hint_entry(position, frame_length(frame), record)
                    && self.index.get(&hint_home_key(id))? == Some(hint_home_value(record.home));
                if fits { Ok(()) } else { Err(missing("h or j", position).into()) }
            }
            _ if self.index.get(&superseded_key(id, position))?.is_some() => Ok(()),
            _ => Err(missing("h", position).into()),
        }
    }

    /// Whether the entries of a record are there.
    fn record(
        &self,
        position: Position,
        frame: &Frame<'_>,
        record: &log::StoredRecord<'_>,
        tally: &mut Tally,
    ) -> Result<(), ReadError> {
        match self.id_entry(&record.id)? {
            None if position < self.dropped(record.home)?.before => Ok(()),
            None => Err(missing("i", position).into()),
            Some(entry) if entry.erased => {
                tally.erased_in.insert(position.segment);
                Ok(())
            }
            Some(entry) if entry.position > position => Ok(()),
            Some(entry) if entry.position < position => Err(missing("newer i", position).into()),
            Some(entry)
                if (entry.length, entry.home, entry.kind) != (frame_length(frame), record.home, record.kind)
                    || entry.stamp > record.stamp =>
            {
                Err(disagrees("another frame is", position).into())
            }
            Some(entry) => {
                *tally.counts.of(record.kind) += 1;
                // A record whose archive is not well-formed has no other entries but its element.
                let stored = StoredRecord::new(record, entry.stamp);
                self.has_element(&record.id, &entry, Some(&digest_of(stored.as_ref())))?;
                stored.map_or(Ok(()), |stored| self.filed(&stored, &entry))
            }
        }
    }

    /// Whether the element of an id is there, with these signatures if they are known.
    fn has_element(&self, id: &RecordId, entry: &IdEntry, signatures: Option<&[u8; 32]>) -> Result<(), ReadError> {
        let key = ElementEntry::key(entry.home, entry.stamp, id);
        let found = self.index.get(&key)?.as_deref().and_then(ElementEntry::decode);
        let fits = found.is_some_and(|found| {
            let leaf = signatures.map_or(found.leaf, |signatures| Leaf::of(id, entry.stamp, signatures));
            found == ElementEntry { leaf, erased: entry.erased }
        });
        if fits { Ok(()) } else { Err(missing("s", entry.position).into()) }
    }

    /// Whether a record is filed under everything it should be.
    fn filed(&self, record: &StoredRecord, entry: &IdEntry) -> Result<(), ReadError> {
        let filing = Filing::of(record);
        let posting = Posting { position: entry.position, length: entry.length, stamp: entry.stamp };
        if let Some(key) = filing.posting_key(entry.position)
            && self.index.get(&key)? != Some(posting.value())
        {
            return Err(missing("posting", entry.position).into());
        }
        // Of what is being dropped, the question and its speakers go first.
        let is_leaving = self.dropped(entry.home)?.takes(entry);
        if let Filing::Claim(question, authors) = filing
            && !is_leaving
        {
            let by_agent = authors.iter().map(|author| agent_key(author, &question));
            for key in by_agent.chain([predicate_key(&question)]) {
                if self.index.get(&key)?.is_none() {
                    return Err(missing("p or a", entry.position).into());
                }
            }
        }
        Ok(())
    }

    pub(super) fn hint_entry(&self, home: Home, id: &RecordId) -> Result<Option<HintEntry>, ReadError> {
        let value = self.index.get(&HintEntry::key(home, id))?;
        value.map(|value| HintEntry::decode(&value).ok_or_else(|| unreadable("h", id).into())).transpose()
    }

    pub(super) fn dropped(&self, home: Home) -> Result<Dropped, ReadError> {
        dropped_in(self.index, home)
    }

    pub(super) fn id_entry(&self, id: &RecordId) -> Result<Option<IdEntry>, ReadError> {
        let value = self.index.get(&IdEntry::key(id))?;
        value.map(|value| IdEntry::decode(&value).ok_or_else(|| unreadable("i", id).into())).transpose()
    }
}

fn missing(what: &str, position: Position) -> IndexError {
    IndexError::Disagrees(format!("the {what} entry of the frame at {position} is missing"))
}
