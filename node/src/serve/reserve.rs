//! Room that is left on the disks of log and index, so that a full disk is met by refusing writes and by nothing else:
//! an index engine that runs out of room in the middle of a batch could not go on. It never frees anything.

use std::path::PathBuf;

/// How much must be free, and where.
#[derive(Debug)]
pub(super) struct Reserve {
    folders: Vec<PathBuf>,
    free_bytes_min: u64,
}

impl Reserve {
    /// At least `free_bytes_min` bytes on the disk of each folder.
    pub(super) fn new(folders: Vec<PathBuf>, free_bytes_min: u64) -> Self {
        Self { folders, free_bytes_min }
    }

    /// Whether less is free. What cannot be asked counts as enough: the write itself will tell. Cost: a system call each.
    pub(super) fn is_short(&self) -> bool {
        let free = |folder| rustix::fs::statvfs(folder).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        self.folders.iter().any(|folder| free(folder).is_ok_and(|free| free < self.free_bytes_min))
    }
}

#[test]
fn a_disk_is_short_when_less_is_free_than_must_be() {
    let folder = tempfile::tempdir().unwrap();
    let reserve = |bytes| Reserve::new(vec![folder.path().to_owned()], bytes);
    assert!(!reserve(1).is_short());
    assert!(reserve(u64::MAX).is_short());
    assert!(!Reserve::new(vec!["/nowhere/at/all".into()], u64::MAX).is_short());
}
