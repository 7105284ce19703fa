//! Room that is left on the disks of log and index, so that a full disk is met by refusing writes and by nothing else:
//! an index engine that runs out of room in the middle of a batch could not go on. It never frees anything.

use std::path::PathBuf;
use std::sync::Arc;
use storage::disk::Disk;

/// How much must be free, and where.
#[derive(Debug)]
pub(super) struct Reserve {
    disk: Arc<dyn Disk>,
    folders: Vec<PathBuf>,
    free_bytes_min: u64,
}

impl Reserve {
    /// At least `free_bytes_min` bytes for each of the folders on `disk`.
    pub(super) fn new(disk: Arc<dyn Disk>, folders: Vec<PathBuf>, free_bytes_min: u64) -> Self {
        Self { disk, folders, free_bytes_min }
    }

    /// Whether less is free. What cannot be asked counts as enough: the write itself will tell. Cost: a system call each.
    pub(super) fn is_short(&self) -> bool {
        self.folders.iter().any(|folder| self.disk.free_bytes(folder).is_ok_and(|free| free < self.free_bytes_min))
    }
}

#[test]
fn a_disk_is_short_when_less_is_free_than_must_be() {
    let disk = storage::disk::MemoryDisk::new();
    disk.make_dirs("/wal".as_ref()).unwrap();
    disk.set_capacity(Some(100));
    let reserve = |folder: &str, bytes| Reserve::new(Arc::new(disk.clone()), vec![folder.into()], bytes);
    assert!(!reserve("/wal", 100).is_short());
    assert!(reserve("/wal", 101).is_short());
    assert!(!reserve("/nowhere/at/all", u64::MAX).is_short());
}
