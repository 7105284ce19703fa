//! Homes that moved away: what was held of them as an owner goes out of the index, a bounded step at a time.
//!
//! From the `home dropped` frame on, whatever lies before it is no record of this store any more, whether or not the steps
//! got to it: reads by id, sets and writes go by [`Dropped::before`]. What is appended later is new, under a frame of its
//! own, and stays. It never takes out a hint, which is a duty of its own, nor an erased id, which is final: that keeps its
//! `i` entry and its element, so that no sum of a home changes when it comes back.
//!
//! How far the steps are is nowhere but in the index: a rebuild begins them anew and ends with the same entries.

use super::append::Appender;
use super::change::{Changes, frame_length, unreadable};
use super::elements::element_of;
use super::error::{AppendError, ReadError};
use super::filing::Filing;
use super::read::{Reader, id_entry_in};
use super::set::{Element, scan};
use super::shared::{Needs, Shared, Writer};
use super::summary::{Retired, Summary, meta_key, superseded_key};
use crate::index::entry::{IdEntry, Posting, Question, agent_key, claims_on, predicate_key};
use crate::index::{Batch, Index, IndexError};
use crate::log::{self, Frame, LogReader, Position};
use crate::stored::StoredRecord;
use model::set::SetSum;
use model::{AgentId, Home, RecordId, Stamp};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// How many elements of a dropped home one step goes over: a few milliseconds, during which no record is appended.
pub(super) const STEP: usize = if cfg!(test) { 3 } else { 64 };

/// What the log says of a home that moved away, and how far the index reflects it: the entry `m` `dropped` home, 56 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dropped {
    /// Of what lies before it, only erased ids are in the index.
    pub(super) out: Position,
    /// What lies before it is to go: the last `home dropped` frame. Equal to `out` once it is gone.
    pub(super) before: Position,
    /// The last element that the steps went over, if `before` lies after `out`.
    after: (Stamp, RecordId),
}

impl Dropped {
    /// No frame says that the home moved away.
    pub(super) const NONE: Self =
        Self { out: Position::START, before: Position::START, after: (Stamp::ZERO, RecordId([0; RecordId::LENGTH])) };

    /// Whether there is still something to be taken out.
    pub(super) fn is_going(&self) -> bool {
        self.before > self.out
    }

    /// Whether what an `i` entry names is no record of this store any more.
    pub(super) fn takes(&self, entry: &IdEntry) -> bool {
        !entry.erased && entry.position < self.before
    }

    /// The prefix of their keys.
    fn prefix() -> Vec<u8> {
        meta_key(b"dropped")
    }

    /// The key for a home.
    pub(super) fn key(home: Home) -> Vec<u8> {
        let mut key = Self::prefix();
        key.extend(home.number().to_be_bytes());
        key
    }

    /// The value: `out` (8), `before` (8), the stamp (8) and the id (32) of the last element gone over.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut value = self.out.to_bits().to_le_bytes().to_vec();
        value.extend(self.before.to_bits().to_le_bytes());
        value.extend(self.after.0.to_bits().to_le_bytes());
        value.extend(self.after.1.0);
        value
    }

    /// The inverse of [`Dropped::encode`].
    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let (numbers, id) = value.split_at_checked(24)?;
        let mut numbers = numbers.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let mut number = || numbers.next();
        let (out, before) = (Position::from_bits(number()?), Position::from_bits(number()?));
        Some(Self { out, before, after: (Stamp::from_bits(number()?), RecordId(id.try_into().ok()?)) })
    }

    /// What an index says of all homes.
    pub(super) fn all(index: &dyn Index) -> Result<Drops, IndexError> {
        let (mut all, mut broken) = (BTreeMap::new(), None);
        let prefix = Self::prefix();
        index.scan(&prefix, &[], &mut |key, value| {
            let number = key.strip_prefix(prefix.as_slice()).and_then(|number| number.try_into().ok());
            let home = number.and_then(|number| Home::from_number(u16::from_be_bytes(number)));
            match home.zip(Self::decode(value)) {
                Some((home, dropped)) => {
                    all.insert(home, dropped);
                    ControlFlow::Continue(())
                }
                None => {
                    broken = Some(unreadable("m", &key.escape_ascii()));
                    ControlFlow::Break(())
                }
            }
        })?;
        broken.map_or(Ok(all), Err)
    }
}

/// What an index says of all homes that ever moved away.
pub(super) type Drops = BTreeMap<Home, Dropped>;

/// What an index says of a home.
pub(super) fn dropped_in(index: &dyn Index, home: Home) -> Result<Dropped, ReadError> {
    let Some(value) = index.get(&Dropped::key(home))? else { return Ok(Dropped::NONE) };
    Dropped::decode(&value).ok_or_else(|| unreadable("m dropped", &home).into())
}

impl Appender {
    /// Gives up what this store holds of a home as an owner, by the placement table of `epoch`: other nodes have all of it.
    ///
    /// Only if the set of the home has exactly the sum `held`, so that nothing goes that came after whoever decides this
    /// looked; and never of [`Home::GLOBAL`], which every node keeps. When this returns `true`, no record of the home that
    /// this store holds as its own is found by id, or is in the home's set, erased ids apart; the queries and the counts
    /// follow by and by, with [`super::Maintenance::step`], and then the bodies leave the log as other garbage does. Hints
    /// for the home's owners stay. A record of the home that comes later is new. Cost: one sync, unless nothing is held.
    ///
    /// # Errors
    ///
    /// As [`Appender::merge`]; the home may be dropped all the same.
    pub fn drop_home(&mut self, home: Home, epoch: u64, held: SetSum) -> Result<bool, AppendError> {
        let shared = Arc::clone(self.shared());
        let mut writer = shared.writer();
        shared.must_be_ready()?;
        if home == Home::GLOBAL || shared.root_held(home, Stamp::MAX).map_err(AppendError::Index)? != held {
            return Ok(false);
        }
        if shared.holds_records(home).map_err(AppendError::Index)? {
            let frame = Frame::HomeDropped { home, now: shared.stamp(), epoch };
            self.write(&mut writer, &[frame], &BTreeSet::new())?;
        }
        Ok(true)
    }
}

impl Reader {
    /// Whether this store holds a record of a home as its own, one that was not erased. Cost: one look, and one more for
    /// every erased id before the first other.
    ///
    /// # Errors
    ///
    /// As [`Reader::root`].
    pub fn holds_records(&self, home: Home) -> Result<bool, ReadError> {
        self.shared.holds_records(home)
    }
}

impl Changes<'_> {
    /// The home moved away.
    pub(super) fn note_home_dropped(
        &mut self,
        position: Position,
        frame: &Frame<'_>,
        home: Home,
    ) -> Result<(), ReadError> {
        let old = match self.get(&Dropped::key(home))? {
            Some(value) => Dropped::decode(&value).ok_or_else(|| unreadable("m dropped", &home))?,
            None => Dropped::NONE,
        };
        if home == Home::GLOBAL || position <= old.before {
            return Ok(());
        }
        if old.before != Position::START {
            // The later frame says all that the earlier one said.
            self.count_garbage(old.before, frame_length(frame), 0);
        }
        self.put_dropped(home, Dropped { out: old.out, before: position, ..Dropped::NONE });
        self.rewrote = true;
        Ok(())
    }

    fn put_dropped(&mut self, home: Home, dropped: Dropped) {
        self.batch.put(Dropped::key(home), dropped.encode());
        self.set.drop_home(home, dropped);
    }

    /// Takes those of the elements out that lie before `before`, and all that is filed of them.
    fn take_out(&mut self, home: Home, elements: &[Element], before: Position) -> Result<(), ReadError> {
        let (mut later, mut unread) = (BTreeMap::new(), BTreeSet::new());
        for element in elements {
            let Some(entry) = self.id_entry(&element.id)? else { continue };
            if entry.erased || entry.position >= before {
                continue;
            }
            let IdEntry { position, length, stamp, kind, .. } = entry;
            match read_before(self.log, &entry)? {
                Some(record) => self.unfile(&Filing::of(&record), &entry, before, &mut later)?,
                None => drop(unread.insert(position)),
            }
            self.batch.delete(IdEntry::key(&element.id));
            self.drop_element(&element.id, (home, element.stamp), element_of(element));
            let count = self.counts.of(kind);
            *count = count.saturating_sub(1);
            self.garbage_at(position, length, 0);
            // Its body is in the log until that segment is compacted, and an erasure has to reach it.
            self.batch.put(superseded_key(&element.id, position), Retired { home, stamp, length }.encode());
        }
        if unread.is_empty() { Ok(()) } else { self.take_back_unread(&unread) }
    }

    /// Takes back what a record is filed under. A question and its speakers go with the first claim on it: no other claim
    /// from before the drop needs them, and `later` knows those of which there are claims behind it.
    fn unfile(
        &mut self,
        filing: &Filing,
        entry: &IdEntry,
        before: Position,
        later: &mut BTreeMap<Question, Option<BTreeSet<AgentId>>>,
    ) -> Result<(), ReadError> {
        filing.posting_key(entry.position).into_iter().for_each(|key| self.batch.delete(key));
        let Filing::Claim(question, authors) = filing else { return Ok(()) };
        if !later.contains_key(question) {
            later.insert(question.clone(), self.speakers_from(question, before)?);
        }
        let speakers = later.get(question).and_then(Option::as_ref);
        if speakers.is_none() {
            self.batch.delete(predicate_key(question));
        }
        let silent = authors.iter().filter(|author| speakers.is_none_or(|speakers| !speakers.contains(author)));
        silent.for_each(|author| self.batch.delete(agent_key(author, question)));
        Ok(())
    }

    /// Who made the claims on `question` that lie at or behind `from`; `None` if there are none.
    fn speakers_from(&self, question: &Question, from: Position) -> Result<Option<BTreeSet<AgentId>>, ReadError> {
        let (prefix, mut postings, mut broken) = (claims_on(question), Vec::new(), None);
        self.index().scan(&prefix, &Posting::claim_key(question, from), &mut |key, value| match Posting::decode(
            key.get(prefix.len()..).unwrap_or_default(),
            value,
        ) {
            Some(posting) => {
                postings.push(posting);
                ControlFlow::Continue(())
            }
            None => {
                broken = Some(unreadable("q", &key.escape_ascii()));
                ControlFlow::Break(())
            }
        })?;
        if let Some(broken) = broken {
            return Err(broken.into());
        }
        if postings.is_empty() {
            return Ok(None);
        }
        self.speakers_of(&postings).map(|speakers| Some(speakers.into_iter().collect()))
    }
}

/// The record that an `i` entry names; `None` if its frame is damaged, or its archive is not well-formed.
fn read_before(log: &LogReader, entry: &IdEntry) -> Result<Option<StoredRecord>, ReadError> {
    let owned = match log.read(entry.position, entry.length) {
        // A `lost` frame may tell of a body that compaction dropped since.
        Err(log::ReadError::Damaged(_) | log::ReadError::Gone(_)) => return Ok(None),
        read => read?,
    };
    let Frame::Record(record) = owned.frame() else { return Ok(None) };
    Ok(StoredRecord::new(&record, entry.stamp))
}

impl Shared {
    /// What the log says of a home that moved away.
    pub(super) fn dropped(&self, home: Home) -> Dropped {
        self.sums().dropped(home)
    }

    /// Takes one step of the drops that are under way. Returns how much it went over, 0 when none is.
    pub(super) fn drop_on(&self, writer: &mut Writer) -> Result<u64, ReadError> {
        let Some((home, dropped)) = self.sums().going() else { return Ok(0) };
        let (summary, rewrote) = self.with_index(|index| {
            let (stamp, id) = dropped.after;
            let page = page(index, home, Some((stamp, id)), Stamp::MAX, STEP)?;
            let mut changes = Changes::new(index, &self.log, writer.summary.counts, self.place.set_key);
            changes.take_out(home, &page, dropped.before)?;
            let last = page.last().filter(|_| page.len() == STEP);
            let next = last.map(|last| Dropped { after: (last.stamp, last.id), ..dropped });
            changes.put_dropped(home, next.unwrap_or(Dropped { out: dropped.before, ..dropped }));
            let summary = Summary { counts: changes.counts, ..writer.summary };
            let rewrote = changes.rewrote;
            let (mut batch, set): (Batch, _) = changes.into_batch(&mut self.sums())?;
            batch.put(Summary::key(), summary.encode());
            index.apply(batch)?;
            self.sums().land(set);
            Ok((summary, rewrote))
        })?;
        writer.summary = summary;
        writer.rewrites += u64::from(rewrote);
        self.publish(&summary);
        Ok(STEP as u64)
    }

    /// Whether there is a record of a home that was neither dropped nor erased.
    fn holds_records(&self, home: Home) -> Result<bool, ReadError> {
        let (mut after, mut limit) = (None, 1);
        loop {
            let page = self.elements_held(home, after, Stamp::MAX, limit)?;
            match page.last() {
                _ if page.iter().any(|element| !element.erased) => return Ok(true),
                Some(last) if page.len() == limit => (after, limit) = (Some((last.stamp, last.id)), STEP),
                _ => return Ok(false),
            }
        }
    }

    /// The elements of a home behind `after` up to `until`, those left out that were dropped: at most `limit`.
    pub(super) fn elements_held(
        &self,
        home: Home,
        mut after: Option<(Stamp, RecordId)>,
        until: Stamp,
        limit: usize,
    ) -> Result<Vec<Element>, ReadError> {
        let mut held = Vec::new();
        if limit == 0 {
            return Ok(held);
        }
        self.index_with(Needs::Postings, |index, _| {
            let dropped = self.dropped(home);
            loop {
                let wanted = limit - held.len();
                let mut found = page(index, home, after, until, wanted)?;
                let is_last = found.len() < wanted;
                after = found.last().map(|last| (last.stamp, last.id));
                if dropped.is_going() {
                    let mut kept = Vec::with_capacity(found.len());
                    for element in found {
                        if element.erased
                            || !id_entry_in(index, &element.id)?.is_some_and(|entry| dropped.takes(&entry))
                        {
                            kept.push(element);
                        }
                    }
                    found = kept;
                }
                held.extend(found);
                if is_last || held.len() == limit {
                    return Ok(std::mem::take(&mut held));
                }
            }
        })
    }

    /// The sum of the elements of a home up to `until`, those left out that were dropped. The writer is held, so that
    /// memory and index agree. Cost: while a drop is under way, a look at every element.
    pub(super) fn root_held(&self, home: Home, until: Stamp) -> Result<SetSum, ReadError> {
        if !self.dropped(home).is_going() {
            return self.index_with(Needs::Postings, |index, _| self.root_in(index, home, until));
        }
        let mut sum = SetSum::ZERO;
        for element in self.elements_held(home, None, until, usize::MAX)? {
            sum.add(&self.place.set_key, element.leaf);
        }
        Ok(sum)
    }
}

/// The elements of a home behind `after` up to `until`, as the index has them: at most `limit`.
fn page(
    index: &dyn Index,
    home: Home,
    after: Option<(Stamp, RecordId)>,
    until: Stamp,
    limit: usize,
) -> Result<Vec<Element>, ReadError> {
    let from = after.map(|(stamp, id)| {
        let mut key = crate::index::entry::set::ElementEntry::key(home, stamp, &id);
        key.push(0);
        key
    });
    let mut found = Vec::new();
    scan(index, home, &from.unwrap_or_default(), until, &mut |element| {
        found.push(element);
        if found.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}

#[test]
fn what_the_index_says_of_a_dropped_home_reads_back() {
    let (out, before) = (Position { segment: 1, at: 2 }, Position { segment: 3, at: u32::MAX });
    let dropped = Dropped { out, before, after: (Stamp::MAX, RecordId([7; 32])) };
    assert_eq!(Dropped::decode(&dropped.encode()), Some(dropped));
    assert_eq!(Dropped::decode(&dropped.encode()[1..]), None);
    assert!(dropped.is_going() && !Dropped::NONE.is_going());
}
