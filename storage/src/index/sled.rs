//! The index on sled 0.34: one tree.
//!
//! sled keeps every key in memory, so a store of many millions of records wants fjall instead. It writes to disk on
//! [`Index::flush`] and each `sled_flush_ms`, never on each batch: what a crash loses is replayed from the log.

use super::guard::guarded;
use super::{Batch, Engine, Index, IndexError, Settings, Visit, scan_start};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// The file in sled's folder that it locks.
const FILE: &str = "db";

/// An index in a folder of sled's. When it has been dropped nothing writes there any more, and it can be opened again.
#[derive(Debug)]
pub(super) struct SledIndex {
    /// Dropped first.
    tree: ::sled::Db,
    _quiet: QuietWhenDropped,
}

/// Dropping this waits for the jobs that sled has under way when it is dropped: each keeps the file locked, and may write.
#[derive(Debug)]
struct QuietWhenDropped(PathBuf);

impl Drop for QuietWhenDropped {
    fn drop(&mut self) {
        // Without the file, or without locks, there is nobody to wait for.
        File::open(&self.0).and_then(|file| file.lock()).ok();
    }
}

impl SledIndex {
    /// Opens or makes the index in `folder`.
    pub(super) fn open(folder: &Path, settings: &Settings) -> Result<Self, IndexError> {
        let config = ::sled::Config::new()
            .path(folder)
            .cache_capacity(settings.cache_bytes)
            .segment_size(settings.sled_segment_bytes)
            .flush_every_ms(settings.sled_flush_ms);
        let tree = guarded(Engine::Sled, "open", || config.open().map_err(plain))?;
        Ok(Self { tree, _quiet: QuietWhenDropped(folder.join(FILE)) })
    }
}

/// sled's errors do not name their source, so an error of the disk is taken out of them.
fn plain(error: ::sled::Error) -> io::Error {
    if let ::sled::Error::Io(error) = error { error } else { io::Error::other(error) }
}

impl Index for SledIndex {
    fn apply(&self, batch: Batch) -> Result<(), IndexError> {
        let mut changes = ::sled::Batch::default();
        for (key, value) in batch {
            match value {
                Some(value) => changes.insert(key, value),
                None => changes.remove(key),
            }
        }
        guarded(Engine::Sled, "write", || self.tree.apply_batch(changes).map_err(plain))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        let value = guarded(Engine::Sled, "read", || self.tree.get(key).map_err(plain))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(&self, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), IndexError> {
        guarded(Engine::Sled, "scan", || {
            for entry in self.tree.range(scan_start(prefix, from)..) {
                let (key, value) = entry.map_err(plain)?;
                if !key.starts_with(prefix) || visit(&key, &value).is_break() {
                    break;
                }
            }
            Ok::<_, io::Error>(())
        })
    }

    fn flush(&self) -> Result<(), IndexError> {
        guarded(Engine::Sled, "flush", || self.tree.flush().map_err(plain)).map(|_bytes| ())
    }
}

#[test]
fn what_is_closed_can_be_opened_again_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { sled_flush_ms: Some(1), ..super::conformance::SMALL };
    for n in 0..60_u8 {
        let index = SledIndex::open(dir.path(), &settings).unwrap();
        let mut batch = Batch::default();
        (0..50_u8).for_each(|key| batch.put(vec![n, key], vec![key; 200]));
        index.apply(batch).unwrap();
    }
}
