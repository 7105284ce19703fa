//! Opening and closing: whether the index is fit to be used, and the note that says so the next time.
//!
//! The index is derived and never trusted blindly. After a clean stop its folder must hold, byte for byte, what the note
//! lists. After any other it is opened with panics caught, brought up to the end of the log, and compared with it. In
//! every other case it is set aside and rebuilt. No path here can lose a record: the log is opened first, and alone.

use super::append::Appender;
use super::change::unreadable;
use super::check::Check;
use super::dropped::{Dropped, Drops};
use super::error::{ReadError, StoreError};
use super::note::{Condition, Note};
use super::rebuild::STEP_FRAMES;
use super::shared::{Place, Shared, State, Writer};
use super::summary::{Summary, about, only_the_key_differs};
use super::{OpenReport, Reader, RebuildReason, Setup, Store};
use crate::index::entry::Table;
use crate::index::entry::set::sum_home;
use crate::index::{Index, IndexError, folder};
use crate::log::{DamageKind, Log, Position, Recovery};
use model::clock::Clock;
use model::set::SetSum;
use model::{Home, Stamp};
use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

impl Store {
    /// Opens the store in its two folders, or makes one there.
    ///
    /// Returns when reads and writes are possible, or when `open_frames_max` frames were read to get there; then the
    /// rest is for [`super::Maintenance::step`], and until that is done writes and queries are refused.
    ///
    /// # Errors
    ///
    /// [`StoreError`]. An index that does not open is no error: it is set aside and rebuilt.
    pub fn open(setup: Setup) -> Result<(Appender, Reader, OpenReport), StoreError> {
        let Setup { disk, wal_dir, db_dir, engine, settings, store_id_seed, set_key, wall_ms } = setup;
        let (log, recovery) = Log::open(Arc::clone(&disk), &wal_dir, settings.log, store_id_seed)?;
        #[cfg(feature = "planted")]
        let recovery = match planted::is(planted::Bug::CeilingForgotten) {
            true => Recovery { ceiling: Stamp::ZERO, ..recovery },
            false => recovery,
        };
        let clock = Clock::restore(recovery.ceiling, recovery.greatest_stamp, settings.clock_offset_ms_max);
        let last = clock.last().max(Stamp::new(wall_ms, 0).unwrap_or(Stamp::ZERO));
        let place = Place { disk, wal_dir, db_dir, engine, settings, set_key };
        let shared = Arc::new(Shared::new(place, log.reader(), log.compactor(), last, clock));
        let rebuilt = shared.ready_the_index(&recovery)?;
        if let Some(reason) = rebuilt.as_ref().filter(|reason| !matches!(reason, RebuildReason::NoIndex)) {
            tracing::warn!(%reason, state = ?shared.state(), "the index was set aside and is rebuilt from the log");
        }
        let checking = shared.checking();
        let report = OpenReport { recovery, rebuilt, state: shared.state(), checking };
        let reader = Reader::new(Arc::clone(&shared));
        Ok((Appender::new(log, shared), reader, report))
    }
}

/// What is to be done about the index that is there.
enum Plan {
    /// It may be opened.
    Keep {
        /// The number of its folder.
        number: u32,
        /// Whether its files are exactly those of the last clean stop.
        trusted: bool,
    },
    /// It may not.
    Rebuild(RebuildReason),
}

impl Shared {
    /// Puts a fit index in use, within the limits of the settings. Returns why it was rebuilt, if it was.
    fn ready_the_index(&self, recovery: &Recovery) -> Result<Option<RebuildReason>, StoreError> {
        let mut writer = self.writer();
        let mut reason = match self.plan()? {
            Plan::Keep { number, trusted } => self.open_kept(&mut writer, number, trusted, recovery)?,
            Plan::Rebuild(reason) => Some(reason),
        };
        let mut budget = self.place.settings.open_frames_max;
        if reason.is_none() && !self.work_off(&mut writer, &mut budget)? {
            reason = Some(RebuildReason::Disagrees);
        }
        if reason.is_some() {
            self.start_over(&mut writer)?;
            self.work_off(&mut writer, &mut budget)?;
        } else {
            self.mark(writer.number, Condition::Open)?;
        }
        Ok(reason)
    }

    fn plan(&self) -> Result<Plan, StoreError> {
        let place = &self.place;
        if !place.engine.has_folder() {
            return Ok(Plan::Rebuild(RebuildReason::NoIndex));
        }
        let note = Note::read(&*place.disk, &place.wal_dir).unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "the note on the index cannot be read; the index is rebuilt from the log");
            None
        });
        let Some(note) = note else { return Ok(Plan::Rebuild(RebuildReason::NoIndex)) };
        if note.store != self.log.store_id() {
            return Ok(Plan::Rebuild(RebuildReason::OtherStore));
        }
        if note.engine != place.engine {
            return Ok(Plan::Rebuild(RebuildReason::OtherEngine { was: note.engine }));
        }
        let path = folder::folder(&place.db_dir, note.number);
        let number = note.number;
        let (now, trusted) = match note.condition {
            Condition::Trying => return Ok(Plan::Rebuild(RebuildReason::EndedTheProcess)),
            Condition::Open if path.is_dir() => (Condition::Trying, false),
            Condition::Open => return Ok(Plan::Rebuild(RebuildReason::NoIndex)),
            Condition::Clean(noted) => match folder::contents(&path) {
                Ok(found) if found == noted => (Condition::Open, true),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(Plan::Rebuild(RebuildReason::NoIndex));
                }
                Ok(_) | Err(_) => return Ok(Plan::Rebuild(RebuildReason::Changed)),
            },
        };
        self.mark(number, now)?;
        Ok(Plan::Keep { number, trusted })
    }

    /// Notes, durably, how the index folder with this number is left.
    fn mark(&self, number: u32, condition: Condition) -> Result<(), StoreError> {
        let place = &self.place;
        let noted = self.note(number, condition).write(&*place.disk, &place.wal_dir);
        noted.map_err(|source| StoreError::Folder { doing: "note how the index folder is left", source })
    }

    /// Opens the index that is there; returns why it cannot be used, if it cannot.
    fn open_kept(
        &self,
        writer: &mut Writer,
        number: u32,
        trusted: bool,
        recovery: &Recovery,
    ) -> Result<Option<RebuildReason>, StoreError> {
        let path = folder::folder(&self.place.db_dir, number);
        let index = match self.place.engine.open(&path, &self.place.settings.index) {
            Ok(index) => index,
            Err(error) => return Ok(Some(RebuildReason::Failed(error))),
        };
        let summary = match self.summary_of(index.as_ref()) {
            Ok(Ok(summary)) => summary,
            Ok(Err(reason)) => return Ok(Some(reason)),
            Err(ReadError::Index(error)) => return Ok(Some(RebuildReason::Failed(error))),
            Err(error) => return Err(error.into()),
        };
        if summary.ids > known_until(recovery) || summary.postings > summary.ids {
            return Ok(Some(RebuildReason::AheadOfLog));
        }
        match totals_of(index.as_ref()) {
            Ok((totals, dropped)) => self.sums().load(totals, dropped, recovery.greatest_stamp),
            Err(error) => return Ok(Some(RebuildReason::Failed(error))),
        }
        writer.number = number;
        writer.summary = summary;
        writer.check = (!trusted).then(|| Check::new(writer));
        self.publish_check(writer);
        self.put(index);
        self.publish(&summary);
        Ok(None)
    }

    /// What the index says of itself; or why it is not one for this store.
    fn summary_of(&self, index: &dyn Index) -> Result<Result<Summary, RebuildReason>, ReadError> {
        let (key, wanted) = about(self.place.engine, self.log.store_id(), &self.place.set_key);
        let found = index.get(&key)?.unwrap_or_default();
        if only_the_key_differs(&found, &wanted) {
            return Ok(Err(RebuildReason::OtherSetKey));
        }
        if found != wanted {
            return Ok(Err(RebuildReason::OtherFormat));
        }
        let summary = index.get(&Summary::key())?.as_deref().and_then(Summary::decode);
        Ok(summary.ok_or(RebuildReason::OtherFormat))
    }

    /// Catches up and checks until both are done or the budget is used up. Returns `false` if the index proved unfit.
    fn work_off(&self, writer: &mut Writer, budget: &mut u64) -> Result<bool, StoreError> {
        while *budget > 0 {
            let frames = match self.step(writer) {
                Ok(frames) => frames,
                Err(StoreError::Read(ReadError::Index(_))) => return Ok(false),
                Err(error) => return Err(error),
            };
            if frames == 0 {
                break;
            }
            *budget = budget.saturating_sub(frames.max(STEP_FRAMES));
        }
        Ok(true)
    }

    /// One step of what is left to be done to the index, most urgent first; returns 0 when nothing is.
    pub(super) fn step(&self, writer: &mut Writer) -> Result<u64, StoreError> {
        if self.state() == State::Closed {
            return Ok(0);
        }
        if !self.has_index() {
            self.start_over(writer)?;
        }
        if self.lacks_room() && !self.try_again(writer)? {
            return Ok(0);
        }
        match self.catch_up(writer)? {
            0 => match self.check_on(writer)? {
                0 => self.drop_on(writer).map_err(StoreError::from),
                compared => Ok(compared),
            },
            frames => Ok(frames),
        }
    }

    /// After an engine found no room: goes on where it stopped if there is room now, or gives it up if it does not take
    /// it. Returns `false` while there is none.
    fn try_again(&self, writer: &mut Writer) -> Result<bool, StoreError> {
        if self.place.engine.has_folder() && !folder::has_room(&self.place.db_dir) {
            return Ok(false);
        }
        self.room_found();
        // Whether the batch that met the end of the disk was applied, only the index knows.
        let summary = self.with_index(|index| {
            index.flush()?;
            let lost = |reason| IndexError::Disagrees(format!("it does not know any more how far it is: {reason}"));
            let summary = self.summary_of(index)?.map_err(lost)?;
            let (totals, dropped) = totals_of(index)?;
            self.sums().load(totals, dropped, Stamp::ZERO);
            Ok(summary)
        });
        match summary {
            Ok(summary) => writer.summary = summary,
            Err(ReadError::Index(error)) if error.is_no_room() => {
                self.room_found();
                self.give_up(&error);
                self.start_over(writer)?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// Closes the index so that the next start can trust it. Cost: reads the whole folder.
    pub(super) fn close_index(&self) -> Result<(), StoreError> {
        let writer = self.writer();
        let Some(index) = self.close() else { return Ok(()) };
        let place = &self.place;
        let closed = index.flush();
        drop(index);
        if let Err(error) = closed {
            tracing::error!(error = &error as &dyn std::error::Error, "the index is rebuilt at the next start");
            return Ok(());
        }
        if !place.engine.has_folder() || writer.check.is_some() {
            return Ok(());
        }
        let failed = |doing| move |source| StoreError::Folder { doing, source };
        let path = folder::folder(&place.db_dir, writer.number);
        let contents = folder::contents(&path).map_err(failed("read the index folder"))?;
        self.mark(writer.number, Condition::Clean(contents))
    }
}

/// The sums of the homes' sets that an index holds, and which homes were dropped.
fn totals_of(index: &dyn Index) -> Result<(BTreeMap<Home, SetSum>, Drops), IndexError> {
    let (mut totals, mut broken) = (BTreeMap::new(), None);
    index.scan(&Table::Sum.prefix(), &[], &mut |key, value| match sum_home(key).zip(SetSum::from_bytes(value)) {
        Some((home, sum)) => {
            totals.insert(home, sum);
            ControlFlow::Continue(())
        }
        None => {
            broken = Some(unreadable("t", &key.escape_ascii()));
            ControlFlow::Break(())
        }
    })?;
    broken.map_or(Ok((totals, Dropped::all(index)?)), Err)
}

/// Up to where the log is still what an index may have seen: what was cut and written anew elsewhere comes after.
fn known_until(recovery: &Recovery) -> Position {
    let cut = recovery.damages.iter().filter(|damage| damage.kind == DamageKind::Tail);
    let cut = cut.map(|damage| Position { segment: damage.segment, at: damage.from }).min();
    cut.map_or(recovery.end, |cut| cut.min(recovery.end))
}
