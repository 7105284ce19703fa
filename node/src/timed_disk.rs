//! A disk that measures: every `fdatasync` that goes through it is timed. It changes nothing else.

use crate::clock::Clock;
use prometheus::Histogram;
use std::io;
use std::path::Path;
use std::sync::Arc;
use storage::disk::{Disk, DiskFile, DiskLock};

/// Passes everything on to another disk and times the syncs of its files.
#[derive(Debug)]
pub(crate) struct TimedDisk {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    sync_seconds: Histogram,
}

impl TimedDisk {
    pub(crate) fn new(disk: Arc<dyn Disk>, clock: Arc<dyn Clock>, sync_seconds: Histogram) -> Self {
        Self { disk, clock, sync_seconds }
    }

    fn timed(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        let (clock, sync_seconds) = (Arc::clone(&self.clock), self.sync_seconds.clone());
        Box::new(TimedFile { file, clock, sync_seconds })
    }
}

impl Disk for TimedDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.disk.open(path).map(|file| self.timed(file))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.disk.create(path).map(|file| self.timed(file))
    }

    fn create_private(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.disk.create_private(path).map(|file| self.timed(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn make_dirs(&self, dir: &Path) -> io::Result<()> {
        self.disk.make_dirs(dir)
    }

    fn file_length(&self, path: &Path) -> io::Result<u64> {
        self.disk.file_length(path)
    }

    fn used_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.disk.used_bytes(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.disk.free_bytes(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<DiskLock> {
        self.disk.lock(path)
    }
}

#[derive(Debug)]
struct TimedFile {
    file: Box<dyn DiskFile>,
    clock: Arc<dyn Clock>,
    sync_seconds: Histogram,
}

impl DiskFile for TimedFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.file.set_length(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        let begun = self.clock.monotonic();
        let synced = self.file.sync_data();
        self.sync_seconds.observe((self.clock.monotonic().saturating_sub(begun)).as_secs_f64());
        synced
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}
