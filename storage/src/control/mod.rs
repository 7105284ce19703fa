//! The control plane's log on disk: this node's vote, its entries, and a snapshot. Consensus stands on it.
//!
//! It never loses what it acknowledged, and never goes on if it might have: a node that forgot its vote can help to elect
//! two leaders. It knows nothing of consensus: votes, ids and entries are bytes.
//!
//! - A folder with `LOG`, `SNAPSHOT` and `LOCK`. Each call is one write and one sync into zeros that are there already, and
//!   durable when it returns. After a failed one every other is refused: open the log anew.
//! - Opening reads everything and writes it into a new file, so that what was recovered is durable whatever a page cache
//!   claimed, and a torn end is gone. So does a call that finds the file full; the garbage is then left out.
//! - Entries and snapshot are also in memory: the caller purges what a snapshot holds.

mod contents;
mod error;
mod file;
mod frame;
mod recovery;
mod snapshot;

#[cfg(test)]
mod tests;

pub use error::ControlLogError;
pub use snapshot::Snapshot;

use crate::disk::{Disk, DiskLock};
use contents::Contents;
use file::LogFile;
use frame::Frame;
use recovery::LOG;
use std::io;
use std::ops::RangeBounds;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longest entry, vote or id, in bytes.
pub const ENTRY_BYTES_MAX: usize = 4 << 20;
/// The longest snapshot, in bytes, with what is known about it.
pub const SNAPSHOT_BYTES_MAX: usize = 64 << 20;
/// How much can be written before the log is rewritten, at least: so much garbage it holds at most, or as much again as is
/// not garbage.
pub const ROOM_BYTES_MIN: usize = 256 << 10;

/// What opening did beside reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// How many bytes of a write that never ended were cut off. None of it was acknowledged.
    pub torn_bytes: u64,
}

/// The log, open.
#[derive(Debug)]
pub struct ControlLog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    file: LogFile,
    contents: Contents,
    snapshot: Option<Snapshot>,
    stopped: bool,
    _lock: DiskLock,
}

impl ControlLog {
    /// Opens the log in `dir`, or makes one if there is none. Cost: reads and writes all of it.
    ///
    /// # Errors
    ///
    /// [`ControlLogError::Damaged`], [`ControlLogError::Missing`] or [`ControlLogError::Version`] if the node must not go on
    /// with it; [`ControlLogError::Locked`]; or what the disk says.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<(Self, Recovered), ControlLogError> {
        disk.make_dirs(dir).map_err(ControlLogError::write)?;
        let lock = match disk.lock(&dir.join("LOCK")) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(ControlLogError::Locked),
            lock => lock.map_err(ControlLogError::io("lock the control log"))?,
        };
        let snapshot = Snapshot::read(disk.as_ref(), dir)?;
        let found = file::read(disk.as_ref(), dir)?;
        if found.is_none() && snapshot.is_some() {
            return Err(ControlLogError::Missing(LOG));
        }
        let (contents, generation, torn_bytes) =
            found.map_or_else(Default::default, |found| (found.contents, found.head.generation, found.torn_bytes));
        let held = snapshot.as_ref().map(|snapshot| snapshot.index);
        if contents.purged.as_ref().is_some_and(|(upto, _)| held.is_none_or(|held| held < *upto)) {
            return Err(ControlLogError::Missing("SNAPSHOT"));
        }
        let file = LogFile::write(disk.as_ref(), dir, &contents, generation + 1).map_err(ControlLogError::write)?;
        let log = Self { disk, dir: dir.to_owned(), file, contents, snapshot, stopped: false, _lock: lock };
        Ok((log, Recovered { torn_bytes }))
    }

    /// Keeps the vote in place of the one before. Durable on return.
    ///
    /// # Errors
    ///
    /// [`ControlLogError`]; then it is unknown whether the vote is kept, and the log has stopped.
    pub fn save_vote(&mut self, vote: Vec<u8>) -> Result<(), ControlLogError> {
        self.write(vec![Frame::Vote(vote)])
    }

    /// Keeps how far entries are known to be committed. Durable on return.
    ///
    /// # Errors
    ///
    /// As [`ControlLog::save_vote`].
    pub fn save_committed(&mut self, id: Vec<u8>) -> Result<(), ControlLogError> {
        self.write(vec![Frame::Committed(id)])
    }

    /// Appends entries, each following the one before. Durable on return. A failed append may keep some of them.
    ///
    /// # Errors
    ///
    /// [`ControlLogError::Gap`] if one does not follow; otherwise as [`ControlLog::save_vote`].
    pub fn append(&mut self, entries: impl IntoIterator<Item = (u64, Vec<u8>)>) -> Result<(), ControlLogError> {
        let frames: Vec<Frame> = entries.into_iter().map(|(index, entry)| Frame::Entry(index, entry)).collect();
        let mut last = self.contents.last_index();
        for frame in &frames {
            if let Frame::Entry(index, _) = frame {
                self.contents.check_follows(last, *index)?;
                last = Some(*index);
            }
        }
        if frames.is_empty() { Ok(()) } else { self.write(frames) }
    }

    /// Drops the entries from `from` on. Durable on return.
    ///
    /// # Errors
    ///
    /// As [`ControlLog::save_vote`].
    pub fn truncate(&mut self, from: u64) -> Result<(), ControlLogError> {
        self.write(vec![Frame::Truncate(from)])
    }

    /// Drops the entries up to `upto`, which a saved snapshot holds, and keeps the id of that one. Durable on return.
    ///
    /// # Errors
    ///
    /// As [`ControlLog::save_vote`].
    pub fn purge(&mut self, upto: u64, id: Vec<u8>) -> Result<(), ControlLogError> {
        self.write(vec![Frame::Purge(upto, id)])
    }

    /// Keeps a snapshot in place of the one before. Durable on return. One that holds less than the one before is not
    /// kept: entries that only that one holds may be purged.
    ///
    /// # Errors
    ///
    /// As [`ControlLog::save_vote`].
    pub fn save_snapshot(&mut self, snapshot: Snapshot) -> Result<(), ControlLogError> {
        check_length(snapshot.length(), SNAPSHOT_BYTES_MAX)?;
        self.guard()?;
        if self.snapshot.as_ref().is_some_and(|kept| kept.index > snapshot.index) {
            return Ok(());
        }
        let saved = snapshot.write(self.disk.as_ref(), &self.dir);
        self.settle(saved)?;
        self.snapshot = Some(snapshot);
        Ok(())
    }

    /// The vote.
    pub fn vote(&self) -> Option<&[u8]> {
        self.contents.vote.as_deref()
    }

    /// How far entries are known to be committed.
    pub fn committed(&self) -> Option<&[u8]> {
        self.contents.committed.as_deref()
    }

    /// The last entry that was purged: its index and its id.
    pub fn purged(&self) -> Option<(u64, &[u8])> {
        self.contents.purged.as_ref().map(|(upto, id)| (*upto, id.as_slice()))
    }

    /// The newest snapshot.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// The entries of a range, by index.
    pub fn entries(&self, range: impl RangeBounds<u64>) -> impl DoubleEndedIterator<Item = (u64, &[u8])> {
        self.contents.entries.range(range).map(|(index, entry)| (*index, entry.as_slice()))
    }

    /// Whether a write failed, so that every call is refused until the log is opened anew.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Writes frames that make sense, durably.
    fn write(&mut self, frames: Vec<Frame>) -> Result<(), ControlLogError> {
        self.guard()?;
        let bytes = self.encode(&frames)?;
        let written = if self.file.fits(bytes.len()) {
            self.file.extend(&bytes, frames.len())
        } else {
            let mut contents = self.contents.clone();
            frames.iter().cloned().try_for_each(|frame| contents.apply(frame))?;
            self.rewrite(&contents)
        };
        self.settle(written)?;
        frames.into_iter().try_for_each(|frame| self.contents.apply(frame))
    }

    fn encode(&self, frames: &[Frame]) -> Result<Vec<u8>, ControlLogError> {
        let mut bytes = Vec::new();
        for (place, frame) in self.file.places().zip(frames) {
            check_length(frame.length(), ENTRY_BYTES_MAX)?;
            frame.write(place, &mut bytes);
        }
        Ok(bytes)
    }

    fn rewrite(&mut self, contents: &Contents) -> io::Result<()> {
        self.file = LogFile::write(self.disk.as_ref(), &self.dir, contents, self.file.generation + 1)?;
        Ok(())
    }

    fn guard(&self) -> Result<(), ControlLogError> {
        if self.stopped { Err(ControlLogError::Stopped(None)) } else { Ok(()) }
    }

    fn settle(&mut self, result: io::Result<()>) -> Result<(), ControlLogError> {
        self.stopped |= result.is_err();
        result.map_err(ControlLogError::write)
    }
}

fn check_length(bytes: usize, bytes_max: usize) -> Result<(), ControlLogError> {
    if bytes > bytes_max { Err(ControlLogError::TooLarge { bytes, bytes_max }) } else { Ok(()) }
}
