//! Bringing the index up to the end of the log: after a crash, and from nothing.
//!
//! In steps, so that a rebuild may run while reads by id go on. It never writes to the log. A long rebuild reads the log
//! twice: first every id gets its entry, and from then on reads by id are exact; then the rest is filed.

use super::change::Changes;
use super::error::{ReadError, StoreError};
use super::note::Condition;
use super::shared::{Shared, Writer};
use super::summary::{Summary, about};
use crate::index::{Index, folder};
use crate::log::{Frame, Item, Position};
use std::ops::ControlFlow;

/// How many frames one step reads: some 20 ms of work.
pub(super) const STEP_FRAMES: u64 = 512;
/// Up to this many bytes of log are read once instead of twice: ids would not be known much sooner.
const ONE_PASS_BYTES_MAX: u64 = if cfg!(test) { 4 << 10 } else { 8 << 20 };

/// Which entries a pass over the log writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Only the `i` entries.
    Ids,
    /// All others.
    Postings,
    /// All.
    All,
}

/// What one step did.
struct Ran {
    frames: u64,
    summary: Summary,
    rewrote: bool,
    discharged: bool,
}

impl Shared {
    /// Begins a new, empty index, under a new number; what was there is set aside.
    pub(super) fn start_over(&self, writer: &mut Writer) -> Result<(), StoreError> {
        let place = &self.place;
        let failed = |doing| move |source| StoreError::Folder { doing, source };
        writer.check = None;
        self.publish_check(writer);
        writer.summary = Summary::EMPTY;
        if place.engine.has_folder() {
            let number = folder::set_aside_all(&place.db_dir).map_err(failed("set the index folder aside"))?;
            let note = self.note(number, Condition::Open);
            note.write(&*place.disk, &place.wal_dir).map_err(failed("note which folder holds the index"))?;
            writer.number = number;
        }
        let path = folder::folder(&place.db_dir, writer.number);
        let unusable = |source| StoreError::NewIndex { folder: path.display().to_string(), source };
        let index = place.engine.open(&path, &place.settings.index).map_err(unusable)?;
        let mut batch = crate::index::Batch::default();
        let (key, value) = about(place.engine, self.log.store_id(), &place.set_key);
        batch.put(key, value);
        batch.put(Summary::key(), Summary::EMPTY.encode());
        index.apply(batch).map_err(unusable)?;
        self.sums().clear();
        self.put(index);
        self.publish(&writer.summary);
        Ok(())
    }

    /// Takes one step towards the end of the log; returns how many frames it read, 0 at the end.
    pub(super) fn catch_up(&self, writer: &mut Writer) -> Result<u64, StoreError> {
        let end = self.log.end();
        if writer.summary.postings >= end {
            self.publish(&writer.summary);
            return Ok(0);
        }
        let pass = self.next_pass(&writer.summary, end);
        let before = writer.summary;
        let ran = self.with_index(|index| self.run(index, pass, before, end))?;
        writer.summary = ran.summary;
        writer.rewrites += u64::from(ran.rewrote);
        writer.discharges += u64::from(ran.discharged);
        self.publish(&ran.summary);
        if ran.summary.postings >= end {
            tracing::info!(records = ran.summary.counts.records(), %end, "the index reflects the whole log");
        }
        Ok(ran.frames)
    }

    /// [`Shared::catch_up`] for the last frames before a stop; `false` when there is nothing more to do.
    pub(super) fn step_to_the_end(&self) -> Result<bool, StoreError> {
        match self.catch_up(&mut self.writer()) {
            Ok(frames) => Ok(frames > 0),
            Err(StoreError::Read(ReadError::Index(_) | ReadError::Rebuilding(_) | ReadError::Closed)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes up what an append left in the log although it failed. If that fails too, it is for maintenance.
    pub(super) fn catch_up_behind(&self, writer: &mut Writer) {
        loop {
            match self.catch_up(writer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the index stays behind the log for now");
                    self.publish(&writer.summary);
                    return;
                }
            }
        }
    }

    fn next_pass(&self, summary: &Summary, end: Position) -> Pass {
        let fresh = summary.postings == Position::START;
        match (summary.ids >= end, summary.ids > summary.postings) {
            (true, true) => Pass::Postings,
            (false, true) => Pass::Ids,
            (_, false) if fresh && self.bytes_before(end) > ONE_PASS_BYTES_MAX => Pass::Ids,
            (_, false) => Pass::All,
        }
    }

    /// Reads up to [`STEP_FRAMES`] frames and applies what they change, with how far it came, in one batch.
    fn run(&self, index: &dyn Index, pass: Pass, mut summary: Summary, end: Position) -> Result<Ran, ReadError> {
        let mut changes = Changes::new(index, &self.log, summary.counts, self.place.set_key);
        let take = |changes: &mut Changes<'_>, position, frame: &Frame<'_>| match pass {
            Pass::Ids => changes.note(position, frame),
            Pass::Postings => changes.post(position, frame),
            Pass::All => changes.take(position, frame),
        };
        let from = if pass == Pass::Postings { summary.postings } else { summary.ids };
        let (mut frames, mut failed) = (0, None);
        let mut next = self.log.scan(from, &mut |item| {
            match item {
                #[cfg(feature = "planted")]
                Item::Frame(_, Frame::Hint(_)) if planted::is(planted::Bug::HintDroppedAtRestart) => frames += 1,
                Item::Frame(position, frame) => {
                    frames += 1;
                    failed = take(&mut changes, position, &frame).err();
                }
                Item::Damage(damage) => tracing::error!(%damage, "the log is damaged; what was there is not indexed"),
            }
            if failed.is_some() || frames == STEP_FRAMES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        if frames < STEP_FRAMES {
            next = next.max(end);
        }
        if pass != Pass::Postings {
            summary.ids = next;
        }
        if pass != Pass::Ids {
            summary.postings = next;
        }
        summary.counts = changes.counts;
        let (rewrote, discharged) = (changes.rewrote, changes.discharged);
        let (mut batch, set) = changes.into_batch(&mut self.sums())?;
        batch.put(Summary::key(), summary.encode());
        index.apply(batch)?;
        self.sums().land(set);
        Ok(Ran { frames: frames.max(1), summary, rewrote, discharged })
    }
}
