//! What the writer, the readers and the compactor of one log share.
//!
//! The table of segments changes only by putting in a segment that is complete on the disk; readers hold the old one as
//! long as they need it. Locks are held for a look or a swap, never across a sync, except that of the manifest.

use super::Settings;
use super::batch::Owner;
use super::bytes::narrow;
use super::error::LogError;
use super::manifest::Manifest;
use super::offsets::Offsets;
use super::position::Position;
use super::walk::Walk;
use crate::disk::{Disk, DiskFile, DiskLock};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

/// The folder inside the log's for what recovery and compaction could not keep.
pub(super) const DAMAGED: &str = "damaged";

/// A segment as readers see it.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) owner: Owner,
    pub(super) generation: u32,
    /// The number of its first batch, if it is known.
    pub(super) first: Option<u64>,
    pub(super) file: Box<dyn DiskFile>,
    /// Where its last durable batch ends.
    end: AtomicU32,
    /// Where a compacted segment keeps its frames; loaded by the first read.
    offsets: OnceLock<Offsets>,
    /// Where its last batch begins, if it is sealed: there a compacted one keeps its table.
    pub(super) last_at: u32,
}

impl Segment {
    pub(super) fn new(
        (owner, generation): (Owner, u32),
        first: Option<u64>,
        file: Box<dyn DiskFile>,
        end: u32,
        last_at: u32,
    ) -> Self {
        Self { owner, generation, first, file, end: AtomicU32::new(end), offsets: OnceLock::new(), last_at }
    }

    pub(super) fn number(&self) -> u32 {
        self.owner.segment
    }

    pub(super) fn is_compacted(&self) -> bool {
        self.generation > 0
    }

    /// Where its last durable batch ends.
    pub(super) fn end(&self) -> u32 {
        self.end.load(Ordering::Acquire)
    }

    /// Where it ends, as a part of a position: a compacted segment keeps those of generation 0.
    fn end_position(&self) -> u32 {
        if self.is_compacted() { u32::MAX } else { self.end() }
    }

    /// Called by the writer after a sync.
    pub(super) fn set_end(&self, end: u32) {
        self.end.store(end, Ordering::Release);
    }

    /// The offset of the frame that was at `at` before compaction; `None` if it was dropped.
    pub(super) fn offset_of(&self, at: u32) -> io::Result<Option<u32>> {
        let offsets = match self.offsets.get() {
            Some(offsets) => offsets,
            None => {
                let loaded = Offsets::load(self)?;
                self.offsets.get_or_init(|| loaded)
            }
        };
        offsets.find(self, at)
    }

    /// A walk through what is durable.
    pub(super) fn walk(&self) -> Walk<'_> {
        Walk::new(self.file.as_ref(), self.owner, self.is_compacted(), self.first, self.end())
    }
}

/// Whether the next segment is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spare {
    Absent,
    BeingMade,
    Ready,
}

/// The parts of a log.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) settings: Settings,
    pub(super) store: [u8; 16],
    table: RwLock<BTreeMap<u32, Arc<Segment>>>,
    manifest: Mutex<Manifest>,
    spare: Mutex<Spare>,
    /// One compaction at a time.
    pub(super) compacting: Mutex<()>,
    _lock: DiskLock,
}

impl Shared {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        settings: Settings,
        manifest: Manifest,
        table: BTreeMap<u32, Arc<Segment>>,
        lock: DiskLock,
    ) -> Self {
        Self {
            disk,
            dir,
            settings,
            store: manifest.store,
            table: RwLock::new(table),
            manifest: Mutex::new(manifest),
            spare: Mutex::new(Spare::Absent),
            compacting: Mutex::new(()),
            _lock: lock,
        }
    }

    pub(super) fn manifest(&self) -> MutexGuard<'_, Manifest> {
        self.manifest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the manifest, durably; on an error the change is forgotten, although a restart may find it.
    pub(super) fn switch(&self, change: impl FnOnce(&mut Manifest)) -> io::Result<()> {
        let mut current = self.manifest();
        let mut next = current.clone();
        change(&mut next);
        next.store(self.disk.as_ref(), &self.dir)?;
        *current = next;
        Ok(())
    }

    pub(super) fn spare(&self) -> MutexGuard<'_, Spare> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a segment in the table, in the place of another generation of it.
    pub(super) fn put(&self, segment: Arc<Segment>) {
        self.table.write().unwrap_or_else(PoisonError::into_inner).insert(segment.number(), segment);
    }

    pub(super) fn segment(&self, number: u32) -> Option<Arc<Segment>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    /// The segments from a number on.
    pub(super) fn segments_from(&self, number: u32) -> Vec<Arc<Segment>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).range(number..).map(|(_, it)| it.clone()).collect()
    }

    /// Where the log ends.
    pub(super) fn end(&self) -> Position {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let last = table.last_key_value();
        last.map_or(Position::START, |(number, segment)| Position { segment: *number, at: segment.end_position() })
    }

    /// The numbers of the segments that are sealed.
    pub(super) fn sealed(&self) -> Vec<u32> {
        let manifest = self.manifest();
        let sealed = manifest.segments.iter().filter(|(_, entry)| entry.sealed.is_some());
        sealed.map(|(number, _)| *number).collect()
    }

    /// Copies bytes of a segment to `damaged/`, durably, and returns the name of the copy.
    pub(super) fn copy_aside(&self, number: u32, generation: u32, from: u32, bytes: &[u8]) -> io::Result<String> {
        copy_aside(self.disk.as_ref(), &self.dir.join(DAMAGED), (number, generation, from), bytes)
    }

    /// Removes every copy in `damaged/` of bytes of a segment, whichever its generation was.
    pub(super) fn remove_copies(&self, number: u32) -> io::Result<()> {
        let dir = self.dir.join(DAMAGED);
        for name in self.copies(number)? {
            self.disk.remove(&dir.join(name))?;
        }
        self.disk.sync_dir(&dir)
    }

    /// The names of these copies.
    pub(super) fn copies(&self, number: u32) -> io::Result<Vec<String>> {
        let stem = format!("{number:010}-");
        let mut names = self.disk.list(&self.dir.join(DAMAGED))?;
        names.retain(|name| name.starts_with(&stem));
        Ok(names)
    }
}

/// Copies `bytes` to a file in `dir` that names segment, generation and offset; a copy that is there is kept.
pub(super) fn copy_aside(
    disk: &dyn Disk,
    dir: &Path,
    (number, generation, from): (u32, u32, u32),
    bytes: &[u8],
) -> io::Result<String> {
    let stem = format!("{number:010}-{generation:04}-{from:010}");
    let there = disk.list(dir)?;
    for copy in 0.. {
        let name = format!("{stem}-{copy}.bytes");
        let path = dir.join(&name);
        if !there.contains(&name) {
            let file = disk.create(&path)?;
            file.write_all_at(bytes, 0)?;
            file.sync_all()?;
            disk.sync_dir(dir)?;
            return Ok(name);
        }
        let file = disk.open(&path)?;
        let mut old = vec![0; bytes.len()];
        if narrow(bytes.len()) == u32::try_from(file.length()?).unwrap_or(u32::MAX) {
            file.read_exact_at(&mut old, 0)?;
            if old == bytes {
                return Ok(name);
            }
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Whether there is no room, which passes by itself.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// An error of an operation on which no acknowledgement depends.
pub(super) fn failed(what: &'static str) -> impl FnOnce(io::Error) -> LogError {
    move |source| if is_full(&source) { LogError::DiskFull(source) } else { LogError::Io { what, source } }
}
