//! The next segment's file, prepared before it is needed.
//!
//! A new segment is filled with zeros to its full length and synced, so that appending never changes a file's length
//! and a full disk is met here rather than in the middle of a batch. Until it is adopted the file is no segment.

use super::error::LogError;
use super::segment::SEGMENT_HEADER;
use super::shared::{Shared, Spare, failed};
use crate::disk::Disk;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The name of a file that a maintenance thread prepares.
pub(super) const SPARE: &str = "spare.tmp";
/// The name of a file that an append prepares because there is no spare.
pub(super) const NEXT: &str = "next.tmp";
/// How much may be written beside the appends before it is synced, in bytes: a sync of a whole segment holds up theirs.
pub(super) const CHUNK: u32 = 1 << 20;

/// The preparing of the next segment, to be run outside the append path.
#[derive(Debug)]
pub struct SpareJob {
    shared: Arc<Shared>,
    /// Whether there is a spare now, which outlives the job.
    finished: AtomicBool,
}

impl SpareJob {
    /// A job, if nobody has it and there is no spare.
    pub(super) fn take(shared: &Arc<Shared>) -> Option<Self> {
        let mut spare = shared.spare();
        if *spare != Spare::Absent {
            return None;
        }
        *spare = Spare::BeingMade;
        Some(Self { shared: Arc::clone(shared), finished: AtomicBool::new(false) })
    }

    /// Writes and syncs the file. Without it the next roll does the same itself.
    ///
    /// # Errors
    ///
    /// [`LogError::DiskFull`] or [`LogError::Io`]; the log is none the worse and offers the job again.
    pub fn run(&self) -> Result<(), LogError> {
        let Shared { disk, dir, settings, .. } = self.shared.as_ref();
        let made = prepare(disk.as_ref(), &dir.join(SPARE), settings.segment_bytes_max, CHUNK);
        if made.is_ok() {
            self.finished.store(true, Ordering::Relaxed);
            *self.shared.spare() = Spare::Ready;
        }
        made.map_err(failed("prepare the next segment"))
    }
}

impl Drop for SpareJob {
    fn drop(&mut self) {
        if !*self.finished.get_mut() {
            *self.shared.spare() = Spare::Absent;
        }
    }
}

/// Makes a file of `length` zeros, durably but for its directory entry, with a sync whenever `synced_every` bytes were written;
/// none is left behind if that fails.
pub(super) fn prepare(disk: &dyn Disk, path: &Path, length: u32, synced_every: u32) -> io::Result<()> {
    let made = zero_filled(disk, path, length, synced_every);
    if made.is_err() {
        // If this fails too, the next start removes it.
        drop(disk.remove(path));
    }
    made
}

fn zero_filled(disk: &dyn Disk, path: &Path, length: u32, synced_every: u32) -> io::Result<()> {
    let file = disk.create(path)?;
    let zeros = vec![0; super::bytes::wide(CHUNK.min(length))];
    let (mut at, mut synced) = (0, 0);
    while at < length {
        let wanted = CHUNK.min(length - at);
        file.write_all_at(zeros.get(..super::bytes::wide(wanted)).unwrap_or(&zeros), u64::from(at))?;
        at += wanted;
        if at < length && at - synced >= synced_every {
            file.sync_data()?;
            synced = at;
        }
    }
    debug_assert!(length >= SEGMENT_HEADER, "settings are checked when the log is opened");
    file.sync_all()
}
