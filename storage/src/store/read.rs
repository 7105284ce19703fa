//! Reading: by id, by question, by target, and everything.
//!
//! A reader never changes anything and never waits for a sync. A record is served only from a frame whose checksum holds
//! and which is what the index said it is.

use super::Erasure;
use super::change::{disagrees, unreadable};
use super::error::ReadError;
use super::filing::read_posting;
use super::shared::{Needs, Shared, State};
use super::summary::Counts;
use crate::index::entry::{IdEntry, Posting, Question, claims_on, votes_on};
use crate::index::{Index, IndexError};
use crate::log::{self, Damage, Frame, Item, Position};
use crate::stored::StoredRecord;
use model::record::{Predicate, Subject};
use model::{RecordId, Stamp};
use std::ops::ControlFlow;
use std::sync::Arc;

/// How often a read that met a change under its feet is begun again before it is an error.
const ATTEMPTS: usize = 8;

/// What is known of an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The record.
    Found(StoredRecord),
    /// It was erased.
    Erased(Erasure),
    /// Nothing.
    Absent,
    /// It is known, and its frame is damaged: fetch it from a replica, or append it again.
    Damaged(Position),
}

/// The records that answer a question, in log order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// Those that can be read.
    pub records: Vec<StoredRecord>,
    /// Where those are that cannot.
    pub damaged: Vec<Position>,
}

/// What [`Reader::export`] went over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// How many records were visited.
    pub records: u64,
    /// What of the log could not be read.
    pub damages: Vec<Damage>,
    /// Where the next export may go on: just behind the last record visited, or at the end of the log.
    pub next: Position,
}

/// Reads a store. Cheap to clone; any number of threads.
#[derive(Debug, Clone)]
pub struct Reader {
    pub(super) shared: Arc<Shared>,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// What is known of `id`. Goes on during most of a rebuild.
    ///
    /// # Errors
    ///
    /// [`ReadError::Rebuilding`] while a rebuild does not know all ids yet, and the others but [`ReadError::TooMany`] and
    /// [`ReadError::TooLarge`].
    pub fn get(&self, id: &RecordId) -> Result<Lookup, ReadError> {
        self.shared.lookup(id)
    }

    /// The claims on one question with a stamp at or before `as_of`, in log order. Claims after it are not read. They are
    /// held in memory together: at most `max`, whose frames have at most `bytes_max` bytes. Both are known from the index
    /// before the first claim is read.
    ///
    /// # Errors
    ///
    /// [`ReadError::TooMany`] or [`ReadError::TooLarge`] beyond that; [`ReadError::Rebuilding`], and the others.
    pub fn claims(
        &self,
        subject: &Subject,
        predicate: &Predicate,
        as_of: Stamp,
        max: usize,
        bytes_max: u64,
    ) -> Result<Claims, ReadError> {
        let question = Question { subject: subject.clone(), predicate: predicate.clone() };
        let about = |record: &StoredRecord| {
            record.assertion().is_some_and(|signed| {
                signed.assertion.subject.as_str() == subject.as_str()
                    && signed.assertion.predicate.as_str() == predicate.as_str()
            })
        };
        self.all(&claims_on(&question), as_of, (max, bytes_max), about)
    }

    /// The votes on `target` with a stamp at or before `as_of`, in log order. The target need not be known.
    ///
    /// # Errors
    ///
    /// As [`Reader::claims`].
    pub fn votes(&self, target: &RecordId, as_of: Stamp, max: usize, bytes_max: u64) -> Result<Claims, ReadError> {
        let on_it =
            |record: &StoredRecord| record.vote().is_some_and(|signed| RecordId::from(&signed.vote.target) == *target);
        self.all(&votes_on(target), as_of, (max, bytes_max), on_it)
    }

    /// How many records there are.
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// What the store can do now.
    pub fn state(&self) -> State {
        self.shared.state()
    }

    /// Whether the index is still being compared with the log after an unclean stop. Until that is done, a query may miss
    /// a claim that a damaged index lost, and [`Reader::get`] may not know its id; nothing wrong is served.
    pub fn checking(&self) -> bool {
        self.shared.checking()
    }

    /// Up to where the index reflects the log.
    pub fn applied(&self) -> Position {
        self.shared.applied()
    }

    /// The id of the store.
    pub fn store_id(&self) -> [u8; 16] {
        self.shared.log.store_id()
    }

    /// The last stamp given.
    pub fn last_stamp(&self) -> Stamp {
        self.shared.stamp()
    }

    /// The time of a query made at `wall_ms`, milliseconds since the Unix epoch: everything stamped at or before it that
    /// this store has taken can be found now, and nothing that [`super::Appender::append`] stores later, not even after a
    /// restart, will be stamped so. Never before one returned earlier, nor before the stamp of an append that returned, nor
    /// before one of a merge that returned and was not ahead of the wall clock then. On an idle node it stands still about
    /// a second after the last stamp. An erasure takes from what is found under it; healing a damaged record adds to it.
    ///
    /// What [`super::Appender::merge`] stores later may be stamped at or before it: a record from elsewhere comes under the
    /// stamp it was given there, and a known one may get a smaller stamp. A [`super::Stamper`] stamps above every moment
    /// handed out before, but what it stamped is stored only later.
    pub fn now(&self, wall_ms: u64) -> Stamp {
        let mut clock = self.shared.clock();
        let now = self.shared.moment().now(wall_ms);
        clock.raise(now);
        now
    }

    /// Visits every record from `from` on that is neither erased nor superseded, in log order, until `visit` breaks. What
    /// is appended meanwhile may or may not be among them.
    ///
    /// # Errors
    ///
    /// [`ReadError::Rebuilding`] while a rebuild does not know all ids yet, also if it begins while this runs: nothing is
    /// left out silently. The others too; damage to the log is no error, it is reported in the answer.
    pub fn export(
        &self,
        from: Position,
        visit: &mut dyn FnMut(StoredRecord) -> ControlFlow<()>,
    ) -> Result<Exported, ReadError> {
        let (mut exported, mut failed) = (Exported::default(), None);
        // What lies behind has no entry yet: the next export finds it.
        let (generation, known) =
            self.shared.index_with(Needs::Ids, |_, generation| Ok((generation, self.shared.ids())))?;
        let next = self.shared.log.scan(from, &mut |item| {
            let record = match item {
                Item::Frame(position, _) if position >= known => return ControlFlow::Break(()),
                Item::Frame(position, Frame::Record(record)) => self.shared.live(position, &record, generation),
                Item::Frame(..) => Ok(None),
                Item::Damage(damage) => {
                    exported.damages.push(damage);
                    Ok(None)
                }
            };
            match record {
                Ok(None) => ControlFlow::Continue(()),
                Ok(Some(record)) => {
                    exported.records += 1;
                    visit(record)
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        exported.next = next.min(known.max(from));
        failed.map_or(Ok(exported), Err)
    }

    /// The postings under `prefix` up to `as_of`, each with its key: no more, and of no more bytes of log, than given.
    fn postings(
        &self,
        prefix: &[u8],
        as_of: Stamp,
        (max, bytes_max): (usize, u64),
    ) -> Result<Vec<(Vec<u8>, Posting)>, ReadError> {
        self.shared.index_with(Needs::Postings, |index, _| {
            let (mut found, mut bytes, mut failed) = (Vec::new(), 0, None);
            index.scan(prefix, &[], &mut |key, value| {
                match Posting::decode(key.get(prefix.len()..).unwrap_or_default(), value) {
                    None => failed = Some(unreadable("posting", &key.escape_ascii()).into()),
                    Some(posting) if posting.stamp > as_of => {}
                    Some(_) if found.len() == max => failed = Some(ReadError::TooMany(max)),
                    Some(posting) => {
                        bytes += u64::from(posting.length);
                        failed = (bytes > bytes_max).then_some(ReadError::TooLarge(bytes_max));
                        found.push((key.to_vec(), posting));
                    }
                }
                if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            failed.map_or(Ok(found), Err)
        })
    }

    /// The records filed under `prefix`; `fits` says whether a record belongs there. If one is moved or erased meanwhile,
    /// the question is asked again.
    fn all(
        &self,
        prefix: &[u8],
        as_of: Stamp,
        limits: (usize, u64),
        fits: impl Fn(&StoredRecord) -> bool,
    ) -> Result<Claims, ReadError> {
        let mut claims = Claims::default();
        for _ in 0..ATTEMPTS {
            let postings = self.postings(prefix, as_of, limits)?;
            claims = Claims::default();
            let mut changed = false;
            for (key, posting) in postings {
                match read_posting(&self.shared.log, &posting) {
                    Ok(record) if fits(&record) => claims.records.push(record),
                    Err(ReadError::Log(log::ReadError::Damaged(position))) => claims.damaged.push(position),
                    Ok(_) | Err(ReadError::Index(_)) => {
                        self.shared.must_be_gone(&key, &posting)?;
                        changed = true;
                    }
                    Err(error) => return Err(error),
                }
            }
            if !changed {
                break;
            }
        }
        Ok(claims)
    }
}

/// The `i` entry of `id` in an index.
pub(super) fn id_entry_in(index: &dyn Index, id: &RecordId) -> Result<Option<IdEntry>, ReadError> {
    let value = index.get(&IdEntry::key(id))?;
    value.map(|value| IdEntry::decode(&value).ok_or_else(|| unreadable("i", id).into())).transpose()
}

impl Shared {
    /// The `i` entry of `id`, unless it was dropped with its home.
    ///
    /// # Errors
    ///
    /// [`ReadError::Rebuilding`] unless it is known where every id is, and the others.
    pub(super) fn id_entry(&self, id: &RecordId) -> Result<Option<IdEntry>, ReadError> {
        Ok(self.id_entry_left(id)?.filter(|entry| !self.dropped(entry.home).takes(entry)))
    }

    /// The same, also of what was dropped and is still in the index.
    pub(super) fn id_entry_left(&self, id: &RecordId) -> Result<Option<IdEntry>, ReadError> {
        self.index_with(Needs::Ids, |index, _| id_entry_in(index, id))
    }

    pub(super) fn lookup(&self, id: &RecordId) -> Result<Lookup, ReadError> {
        match self.id_entry(id)? {
            None => Ok(Lookup::Absent),
            Some(entry) => self.lookup_at(id, &entry),
        }
    }

    /// What the log holds for an `i` entry. If the record was erased or written anew meanwhile, the newer entry counts.
    pub(super) fn lookup_at(&self, id: &RecordId, entry: &IdEntry) -> Result<Lookup, ReadError> {
        let mut entry = *entry;
        for _ in 0..ATTEMPTS {
            if let Some(found) = self.read_entry(id, &entry)? {
                return Ok(found);
            }
            match self.id_entry(id)? {
                Some(newer) if newer != entry => entry = newer,
                _ => break,
            }
        }
        let error = disagrees("something else is", entry.position);
        self.give_up(&error);
        Err(error.into())
    }

    /// `None` if the frame that the entry names is not there.
    fn read_entry(&self, id: &RecordId, entry: &IdEntry) -> Result<Option<Lookup>, ReadError> {
        let position = entry.position;
        let owned = match self.log.read(position, entry.length) {
            Err(log::ReadError::Gone(_)) => return Ok(None),
            Err(log::ReadError::Damaged(_)) => return self.lookup_damaged(id, entry).map(Some),
            read => read?,
        };
        let frame = owned.frame();
        if let Frame::Record(record) = frame
            && (record.id, entry.erased) == (*id, false)
        {
            let stored = StoredRecord::new(&record, entry.stamp).ok_or(ReadError::Archive(position))?;
            return Ok(Some(Lookup::Found(stored)));
        }
        if let Frame::Erased { home, stamp, id: erased, signatures, eraser, erased_at: at } = frame
            && (erased, entry.erased) == (*id, true)
        {
            return Ok(Some(Lookup::Erased(Erasure { id: erased, home, stamp, signatures, eraser, at })));
        }
        Ok(None)
    }

    /// The record in a frame, if its `i` entry in the index of this generation names this frame.
    fn live(
        &self,
        position: Position,
        record: &log::StoredRecord<'_>,
        generation: u64,
    ) -> Result<Option<StoredRecord>, ReadError> {
        let entry = self.index_with(Needs::Ids, |index, current| {
            if current == generation {
                id_entry_in(index, &record.id)
            } else {
                Err(ReadError::Rebuilding(self.progress()))
            }
        });
        match entry? {
            Some(entry) if entry.position == position && !entry.erased && !self.dropped(entry.home).takes(&entry) => {
                StoredRecord::new(record, entry.stamp).ok_or(ReadError::Archive(position)).map(Some)
            }
            _ => Ok(None),
        }
    }

    pub(super) fn must_have_postings(&self) -> Result<(), ReadError> {
        self.must_have(Needs::Postings)
    }

    /// A posting led nowhere: fine if it was taken back meanwhile, else the index is wrong.
    fn must_be_gone(&self, key: &[u8], posting: &Posting) -> Result<(), ReadError> {
        self.with_index(|index| match index.get(key)? {
            Some(value) if value == posting.value() => {
                let wrong = format!("{} points to {}, where something else is", key.escape_ascii(), posting.position);
                Err(IndexError::Disagrees(wrong).into())
            }
            _ => Ok(()),
        })
    }
}
