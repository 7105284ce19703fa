//! What appender, readers and maintenance share: the log's reader, the index in use, and how far it is.
//!
//! Locks are taken in one order: the writer's, then the index's, then the sums', then the published state's, then the
//! clock's, then the moment's; none of them is held while a caller's code runs. An index that fails is given up here, at once, and nobody calls it again.

use super::Settings;
use super::check::Check;
use super::error::{Progress, ReadError};
use super::moment::Moment;
use super::note::{Condition, Note};
use super::summary::{Counts, Summary};
use super::sums::Sums;
use crate::disk::Disk;
use crate::index::{Engine, Index, IndexError};
use crate::log::{Compactor, LogReader, Position};
use model::Stamp;
use model::clock::Clock;
use model::set::SetKey;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Where the store is, and what it was told.
#[derive(Debug)]
pub(super) struct Place {
    /// The disk of the log.
    pub(super) disk: Arc<dyn Disk>,
    /// The log's folder, which also holds the note.
    pub(super) wal_dir: PathBuf,
    /// The folder below which the index is.
    pub(super) db_dir: PathBuf,
    /// The engine of the index.
    pub(super) engine: Engine,
    /// The settings.
    pub(super) settings: Settings,
    /// Under which the sums of the homes' sets are made.
    pub(super) set_key: SetKey,
}

/// What only one thread at a time may do: change the index.
#[derive(Debug)]
pub(super) struct Writer {
    /// What the index says of itself.
    pub(super) summary: Summary,
    /// The number of its folder.
    pub(super) number: u32,
    /// What is still to be compared with the log, after an unclean stop.
    pub(super) check: Option<Check>,
    /// How often a record in the log was made superfluous by what was written after it.
    pub(super) rewrites: u64,
    /// How often a hint was.
    pub(super) discharges: u64,
}

/// What the store can do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Everything.
    Ready,
    /// The index is being rebuilt. Writes and queries wait; reads by id do not once `ids_known`.
    Rebuilding {
        /// Whether it is known again where every id is.
        ids_known: bool,
        /// How far it is.
        progress: Progress,
    },
    /// Nothing any more.
    Closed,
}

/// What a call needs of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing: the caller sees for itself how far it is.
    Nothing,
    /// Where every id is.
    Ids,
    /// Everything.
    Postings,
}

/// The index in use.
#[derive(Debug)]
enum Slot {
    Open(Box<dyn Index>),
    Broken,
    Closed,
}

#[derive(Debug, Clone, Copy)]
struct Published {
    state: State,
    counts: Counts,
    ids: Position,
    applied: Position,
    stamp: Stamp,
    checking: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) place: Place,
    pub(super) log: LogReader,
    pub(super) compactor: Compactor,
    writer: Mutex<Writer>,
    slot: RwLock<Slot>,
    /// An engine found no room on its disk; changed by those who hold the writer, but set by anybody.
    no_room: AtomicBool,
    /// Counts the indexes that were put in use; changes with the slot.
    generation: AtomicU64,
    /// Changed by those who hold the writer, in step with the index.
    sums: Mutex<Sums>,
    published: RwLock<Published>,
    /// Gives every stamp of this node; its ceiling is durable.
    pub(super) clock: Arc<Mutex<Clock>>,
    moment: Mutex<Moment>,
    /// The closed time, as bits; changed by those who hold the writer.
    pub(super) closed: AtomicU64,
}

impl Shared {
    /// With no index yet: it counts as broken until [`Shared::put`]. `stamp` is the time now.
    pub(super) fn new(place: Place, log: LogReader, compactor: Compactor, stamp: Stamp, clock: Clock) -> Self {
        let moment = Moment::new(clock.ceiling());
        let closed = AtomicU64::new(clock.ceiling().to_bits());
        let progress = Progress { done: 0, total: 0 };
        let published = Published {
            state: State::Rebuilding { ids_known: false, progress },
            counts: Counts::default(),
            ids: Position::START,
            applied: Position::START,
            stamp,
            checking: false,
        };
        Self {
            place,
            log,
            compactor,
            writer: Mutex::new(Writer { summary: Summary::EMPTY, number: 0, check: None, rewrites: 0, discharges: 0 }),
            slot: RwLock::new(Slot::Broken),
            no_room: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            sums: Mutex::default(),
            published: RwLock::new(published),
            clock: Arc::new(Mutex::new(clock)),
            moment: Mutex::new(moment),
            closed,
        }
    }

    /// The right to change the index.
    pub(super) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sums of the homes' sets, as the index has them.
    pub(super) fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clock that gives the stamps.
    pub(super) fn clock(&self) -> MutexGuard<'_, Clock> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which times are moments.
    pub(super) fn moment(&self) -> MutexGuard<'_, Moment> {
        self.moment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on the index; it must not come back here. If it finds the index broken, nobody uses it again.
    pub(super) fn with_index<T>(&self, work: impl FnOnce(&dyn Index) -> Result<T, ReadError>) -> Result<T, ReadError> {
        self.index_with(Needs::Nothing, |index, _| work(index))
    }

    /// [`Shared::with_index`], if the index has what is needed, which is seen together with the index itself. `work` is
    /// also told the index's number in the order of those that were in use.
    pub(super) fn index_with<T>(
        &self,
        needs: Needs,
        work: impl FnOnce(&dyn Index, u64) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        let generation = self.generation.load(Ordering::Relaxed);
        let result = match &*slot {
            Slot::Open(index) => self.must_have(needs).and_then(|()| work(index.as_ref(), generation)),
            Slot::Broken => Err(ReadError::Rebuilding(self.progress())),
            Slot::Closed => Err(ReadError::Closed),
        };
        drop(slot);
        match &result {
            Err(ReadError::Index(error)) if error.is_no_room() => self.fall_behind(error),
            Err(ReadError::Index(error)) => self.give_up_on(error, Some(generation)),
            _ => {}
        }
        result
    }

    /// An engine found no room on its disk. What the index holds is still true, so reads by id go on with it: what they
    /// do not find was never acknowledged. A rebuild now would find no room either.
    fn fall_behind(&self, error: &IndexError) {
        if !self.no_room.swap(true, Ordering::Relaxed) {
            let error = error as &dyn std::error::Error;
            tracing::error!(error, "there is no room for the index; writes and queries wait until there is");
        }
        let mut published = self.published.write().unwrap_or_else(PoisonError::into_inner);
        if published.state == State::Ready {
            let progress = Progress { done: self.total(), total: self.total() };
            published.state = State::Rebuilding { ids_known: true, progress };
        }
    }

    /// Whether an engine found no room on its disk and nobody looked since.
    pub(super) fn lacks_room(&self) -> bool {
        self.no_room.load(Ordering::Relaxed)
    }

    /// There is room again.
    pub(super) fn room_found(&self) {
        self.no_room.store(false, Ordering::Relaxed);
    }

    /// Whether the index has what is needed.
    pub(super) fn must_have(&self, needs: Needs) -> Result<(), ReadError> {
        match (self.state(), needs) {
            (State::Ready, _) | (_, Needs::Nothing) | (State::Rebuilding { ids_known: true, .. }, Needs::Ids) => Ok(()),
            (State::Rebuilding { progress, .. }, Needs::Ids | Needs::Postings) => Err(ReadError::Rebuilding(progress)),
            (State::Closed, Needs::Ids | Needs::Postings) => Err(ReadError::Closed),
        }
    }

    /// Whether an index is in use.
    pub(super) fn has_index(&self) -> bool {
        matches!(&*self.slot.read().unwrap_or_else(PoisonError::into_inner), Slot::Open(_))
    }

    /// Puts an index in use.
    pub(super) fn put(&self, index: Box<dyn Index>) {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        self.generation.fetch_add(1, Ordering::Relaxed);
        *slot = Slot::Open(index);
    }

    /// Takes the index out of use for good; waits for those who use it at the moment.
    pub(super) fn close(&self) -> Option<Box<dyn Index>> {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        self.published.write().unwrap_or_else(PoisonError::into_inner).state = State::Closed;
        match std::mem::replace(&mut *slot, Slot::Closed) {
            Slot::Open(index) => Some(index),
            Slot::Broken | Slot::Closed => None,
        }
    }

    /// Gives a broken index up; the next step of maintenance begins a new one.
    pub(super) fn give_up(&self, error: &IndexError) {
        self.give_up_on(error, None);
    }

    /// The same, unless another index than number `only` is in use by now.
    fn give_up_on(&self, error: &IndexError, only: Option<u64>) {
        let mut slot = self.slot.write().unwrap_or_else(PoisonError::into_inner);
        let replaced = only.is_some_and(|only| only != self.generation.load(Ordering::Relaxed));
        if replaced || matches!(*slot, Slot::Closed) {
            return;
        }
        tracing::error!(error = error as &dyn std::error::Error, "the index is given up and rebuilt from the log");
        if let Slot::Open(index) = std::mem::replace(&mut *slot, Slot::Broken) {
            abandon(index);
        }
        let progress = Progress { done: 0, total: self.total() };
        let mut published = self.published.write().unwrap_or_else(PoisonError::into_inner);
        published.state = State::Rebuilding { ids_known: false, progress };
    }

    /// Tells readers how far the index is; the writer is held.
    pub(super) fn publish(&self, summary: &Summary) {
        let end = self.log.end();
        let done = self.bytes_before(summary.ids) + self.bytes_before(summary.postings);
        let state = if summary.postings >= end {
            State::Ready
        } else {
            let progress = Progress { done, total: self.total() };
            State::Rebuilding { ids_known: summary.ids >= end, progress }
        };
        let slot = self.slot.read().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*slot, Slot::Open(_)) {
            return; // given up or closed meanwhile, which has told them
        }
        let mut published = self.published.write().unwrap_or_else(PoisonError::into_inner);
        // Without room the ids that are not known are those of records that were not acknowledged.
        let exact = matches!(published.state, State::Ready | State::Rebuilding { ids_known: true, .. });
        published.state = match state {
            State::Rebuilding { progress, .. } if exact && self.lacks_room() => {
                State::Rebuilding { ids_known: true, progress }
            }
            State::Ready | State::Rebuilding { .. } | State::Closed => state,
        };
        published.counts = summary.counts;
        published.ids = summary.ids;
        published.applied = summary.postings;
        if state == State::Ready {
            self.moment().land();
        }
    }

    /// Notes the last stamp given.
    pub(super) fn publish_stamp(&self, stamp: Stamp) {
        self.published.write().unwrap_or_else(PoisonError::into_inner).stamp = stamp;
    }

    /// What the store can do now.
    pub(super) fn state(&self) -> State {
        self.published().state
    }

    /// How many records there are.
    pub(super) fn counts(&self) -> Counts {
        self.published().counts
    }

    /// How far the index reflects the log.
    pub(super) fn applied(&self) -> Position {
        self.published().applied
    }

    /// How far the index knows where ids are.
    pub(super) fn ids(&self) -> Position {
        self.published().ids
    }

    /// Tells readers whether the index is still to be compared with the log.
    pub(super) fn publish_check(&self, writer: &Writer) {
        self.published.write().unwrap_or_else(PoisonError::into_inner).checking = writer.check.is_some();
    }

    /// Whether the index is still to be compared with the log.
    pub(super) fn checking(&self) -> bool {
        self.published().checking
    }

    /// The last stamp given.
    pub(super) fn stamp(&self) -> Stamp {
        self.published().stamp
    }

    /// How far a rebuild is.
    pub(super) fn progress(&self) -> Progress {
        match self.state() {
            State::Rebuilding { progress, .. } => progress,
            State::Ready | State::Closed => Progress { done: self.total(), total: self.total() },
        }
    }

    /// What is to be noted of the folder with this number.
    pub(super) fn note(&self, number: u32, condition: Condition) -> Note {
        Note { engine: self.place.engine, store: self.log.store_id(), number, condition }
    }

    fn published(&self) -> Published {
        *self.published.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// About how many bytes a rebuild reads: the log, twice.
    fn total(&self) -> u64 {
        self.bytes_before(self.log.end()) * 2
    }

    /// About how many bytes of log lie before `position`.
    pub(super) fn bytes_before(&self, position: Position) -> u64 {
        let whole = u64::from(position.segment.saturating_sub(1));
        whole * u64::from(self.place.settings.log.segment_bytes_max) + u64::from(position.at)
    }
}

/// Leaves a broken engine alone instead of asking it to clean up: it may hang or write on what it does not understand.
/// Its memory is lost until the process ends; its folder is never opened again.
fn abandon(index: Box<dyn Index>) {
    std::mem::forget(index);
}
