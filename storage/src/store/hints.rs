//! Reading hints: records kept for owners of their home, until each has confirmed them.
//!
//! A hint is found here and nowhere else: no query, no read by id and no set knows it.

use super::change::unreadable;
use super::error::ReadError;
use super::read::{Claims, Reader};
use super::shared::{Needs, Shared};
use crate::index::entry::hint::{HintEntry, Topic, hint, hint_home, hint_home_key, hints_for, topic_of};
use crate::index::entry::{Question, Table, claims_on, votes_on};
use crate::log::{self, Frame};
use crate::stored::StoredRecord;
use model::record::{Predicate, Subject};
use model::{Home, RecordId, Stamp};
use std::ops::ControlFlow;

/// The most hints of a home that one question goes over.
pub const HINTS_SCANNED_MAX: usize = 1 << 18;
/// The most bytes of frames that one page of hints holds, unless its first is longer.
pub const HINT_PAGE_BYTES_MAX: u64 = 4 << 20;

/// A record that is kept for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// For whose owners.
    pub home: Home,
    /// The record.
    pub record: StoredRecord,
}

/// A page of hints, in the order of home and id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hints {
    /// Those that can be read.
    pub hints: Vec<Hint>,
    /// Those whose frames are damaged: once every owner has the id, they can be discharged like any other.
    pub damaged: Vec<(Home, RecordId)>,
    /// Where the next page goes on; `None` if this is the last.
    pub next: Option<(Home, RecordId)>,
}

impl Reader {
    /// The hints behind `after`, of all homes: at most `limit`, of at most [`HINT_PAGE_BYTES_MAX`] bytes unless the first
    /// is longer. What is discharged meanwhile may or may not be among them. Goes on during most of a rebuild. Cost: a read
    /// of the log each.
    ///
    /// # Errors
    ///
    /// [`ReadError::Rebuilding`] and the others but [`ReadError::TooMany`] and [`ReadError::TooLarge`].
    pub fn hints(&self, after: Option<(Home, RecordId)>, limit: usize) -> Result<Hints, ReadError> {
        self.hints_under(&Table::Hint.prefix(), after, limit)
    }

    /// [`Reader::hints`] for the owners of one home.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn hinted(&self, home: Home, after: Option<RecordId>, limit: usize) -> Result<Hints, ReadError> {
        self.hints_under(&hints_for(home), after.map(|id| (home, id)), limit)
    }

    /// The record with this id that is kept for others, if there is one that can be read.
    ///
    /// # Errors
    ///
    /// As [`Reader::hints`].
    pub fn hint(&self, id: &RecordId) -> Result<Option<StoredRecord>, ReadError> {
        match self.shared.hint_of(id)? {
            Some((_, entry)) => self.shared.read_hint(id, &entry),
            None => Ok(None),
        }
    }

    /// The claims on one question that are kept for others, with a stamp at or before `as_of`, in the order of their ids:
    /// what a read that asks every holder needs beside [`Reader::claims`]. Limits as there.
    ///
    /// # Errors
    ///
    /// As there, and [`ReadError::TooMany`] if the home has more than [`HINTS_SCANNED_MAX`] hints.
    pub fn hint_claims(
        &self,
        subject: &Subject,
        predicate: &Predicate,
        as_of: Stamp,
        max: usize,
        bytes_max: u64,
    ) -> Result<Claims, ReadError> {
        let question = Question { subject: subject.clone(), predicate: predicate.clone() };
        let topic = topic_of(&claims_on(&question));
        self.hints_about(Home::of(subject), topic, as_of, (max, bytes_max), |record| {
            record.assertion().is_some_and(|signed| {
                signed.assertion.subject.as_str() == subject.as_str()
                    && signed.assertion.predicate.as_str() == predicate.as_str()
            })
        })
    }

    /// The votes on `target`, which lies in `home`, that are kept for others. As [`Reader::hint_claims`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn hint_votes(
        &self,
        home: Home,
        target: &RecordId,
        as_of: Stamp,
        max: usize,
        bytes_max: u64,
    ) -> Result<Claims, ReadError> {
        let topic = topic_of(&votes_on(target));
        self.hints_about(home, topic, as_of, (max, bytes_max), |record| {
            record.vote().is_some_and(|signed| RecordId::from(&signed.vote.target) == *target)
        })
    }

    fn hints_under(&self, prefix: &[u8], after: Option<(Home, RecordId)>, limit: usize) -> Result<Hints, ReadError> {
        let from = after.map(|(home, id)| {
            let mut key = HintEntry::key(home, &id);
            key.push(0);
            key
        });
        let (mut entries, mut bytes, mut more) = (Vec::new(), 0, false);
        self.shared.scan_hints(prefix, &from.unwrap_or_default(), &mut |place, entry| {
            let first = entries.is_empty();
            bytes += u64::from(entry.length);
            more = entries.len() == limit || (!first && bytes > HINT_PAGE_BYTES_MAX);
            if more {
                return ControlFlow::Break(());
            }
            entries.push((place, entry));
            ControlFlow::Continue(())
        })?;
        let next = entries.last().map(|(place, _)| *place).filter(|_| more);
        let mut page = Hints { next, ..Hints::default() };
        for ((home, id), entry) in entries {
            match self.shared.read_hint(&id, &entry)? {
                Some(record) => page.hints.push(Hint { home, record }),
                // Delivered meanwhile, and compacted away.
                None if self.shared.hint_entry(home, &id)? != Some(entry) => {}
                None => page.damaged.push((home, id)),
            }
        }
        Ok(page)
    }

    /// The hints of a home on one topic; `fits` says whether a record is what was asked for.
    fn hints_about(
        &self,
        home: Home,
        topic: Topic,
        as_of: Stamp,
        (max, bytes_max): (usize, u64),
        fits: impl Fn(&StoredRecord) -> bool,
    ) -> Result<Claims, ReadError> {
        let (mut entries, mut scanned, mut bytes, mut refused) = (Vec::new(), 0, 0, None);
        self.shared.scan_hints(&hints_for(home), &[], &mut |(_, id), entry| {
            scanned += 1;
            if scanned > HINTS_SCANNED_MAX {
                refused = Some(ReadError::TooMany(HINTS_SCANNED_MAX));
            } else if entry.topic == topic && entry.stamp <= as_of {
                bytes += u64::from(entry.length);
                refused = match (entries.len() == max, bytes > bytes_max) {
                    (true, _) => Some(ReadError::TooMany(max)),
                    (false, true) => Some(ReadError::TooLarge(bytes_max)),
                    (false, false) => None,
                };
                entries.push((id, entry));
            }
            if refused.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if let Some(refused) = refused {
            return Err(refused);
        }
        let mut claims = Claims::default();
        for (id, entry) in entries {
            match self.shared.read_hint(&id, &entry)? {
                Some(record) if fits(&record) => claims.records.push(record),
                Some(_) => {}
                None if self.shared.hint_entry(home, &id)? != Some(entry) => {}
                None => claims.damaged.push(entry.position),
            }
        }
        Ok(claims)
    }
}

impl Shared {
    /// The entry of the hint of `id` for the owners of `home`.
    pub(super) fn hint_entry(&self, home: Home, id: &RecordId) -> Result<Option<HintEntry>, ReadError> {
        self.index_with(Needs::Ids, |index, _| {
            let value = index.get(&HintEntry::key(home, id))?;
            value.map(|value| HintEntry::decode(&value).ok_or_else(|| unreadable("h", id).into())).transpose()
        })
    }

    /// The hint of `id`, whatever its home.
    pub(super) fn hint_of(&self, id: &RecordId) -> Result<Option<(Home, HintEntry)>, ReadError> {
        let home = self.index_with(Needs::Ids, |index, _| {
            let key = hint_home_key(id);
            let value = index.get(&key)?;
            value.map(|value| hint_home(&key, &value).ok_or_else(|| ReadError::from(unreadable("j", id)))).transpose()
        })?;
        let Some((_, home)) = home else { return Ok(None) };
        Ok(self.hint_entry(home, id)?.map(|entry| (home, entry)))
    }

    /// The record of a hint; `None` if its frame is damaged or gone.
    ///
    /// # Errors
    ///
    /// [`ReadError::Log`] if the disk refuses.
    pub(super) fn read_hint(&self, id: &RecordId, entry: &HintEntry) -> Result<Option<StoredRecord>, ReadError> {
        let owned = match self.log.read(entry.position, entry.length) {
            Err(log::ReadError::Damaged(_) | log::ReadError::Gone(_)) => return Ok(None),
            read => read?,
        };
        let Frame::Hint(record) = owned.frame() else { return Ok(None) };
        Ok(StoredRecord::new(&record, entry.stamp).filter(|record| record.id() == *id))
    }

    /// Visits hints in the order of home and id. `visit` must not come back here.
    fn scan_hints(
        &self,
        prefix: &[u8],
        from: &[u8],
        visit: &mut dyn FnMut((Home, RecordId), HintEntry) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        self.index_with(Needs::Ids, |index, _| {
            let mut broken = None;
            index.scan(prefix, from, &mut |key, value| match hint(key).zip(HintEntry::decode(value)) {
                Some((place, entry)) => visit(place, entry),
                None => {
                    broken = Some(unreadable("h", &key.escape_ascii()));
                    ControlFlow::Break(())
                }
            })?;
            broken.map_or(Ok(()), |broken| Err(broken.into()))
        })
    }
}
