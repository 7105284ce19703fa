//! The index on sled 0.34: one tree.
//!
//! sled keeps every key in memory, so a store of many millions of records wants fjall instead. It writes to disk on
//! [`Index::flush`] and every half second, never on each batch: what a crash loses is replayed from the log.

use super::guard::guarded;
use super::{Batch, Engine, Index, IndexError, Settings, Visit, scan_start};
use std::io;
use std::path::Path;

/// An index in a folder of sled's.
#[derive(Debug)]
pub(super) struct SledIndex {
    /// Dropped last of the two would do as well: either keeps the folder locked.
    tree: ::sled::Db,
}

impl SledIndex {
    /// Opens or makes the index in `folder`.
    pub(super) fn open(folder: &Path, settings: &Settings) -> Result<Self, IndexError> {
        let config = ::sled::Config::new()
            .path(folder)
            .cache_capacity(settings.cache_bytes)
            .segment_size(settings.sled_segment_bytes);
        let tree = guarded(Engine::Sled, "open", || config.open().map_err(plain))?;
        Ok(Self { tree })
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
