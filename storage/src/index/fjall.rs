//! The index on fjall 3: one keyspace.
//!
//! Its memory stays within the cache setting. It writes to the operating system with each batch and to disk on
//! [`Index::flush`], never in between: what a crash loses is replayed from the log.

use super::guard::guarded;
use super::{Batch, Engine, Index, IndexError, Settings, Visit, scan_start};
use ::fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::fmt;
use std::path::Path;

/// The least that fjall gets for entries not yet in a table, in bytes.
const MEMTABLE_BYTES_MIN: u64 = 1 << 20;
/// The most that it gets for them, in bytes: fjall's own default.
const MEMTABLE_BYTES_MAX: u64 = 64 << 20;
/// The most that its journals may hold before it makes tables of them, in bytes: the least it takes.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;
/// Threads that make tables and merge them.
const WORKERS: usize = 2;
/// The name of the only keyspace.
const KEYSPACE: &str = "entries";

/// An index in a folder of fjall's.
pub(super) struct FjallIndex {
    entries: Keyspace,
    /// Dropped last, since it stops fjall's threads and unlocks the folder.
    database: Database,
}

impl FjallIndex {
    /// Opens or makes the index in `folder`.
    pub(super) fn open(folder: &Path, settings: &Settings) -> Result<Self, IndexError> {
        // Up to three memtables live at a time: one being filled, the others being written out.
        let memtable = (settings.cache_bytes / 8).clamp(MEMTABLE_BYTES_MIN, MEMTABLE_BYTES_MAX);
        let cache = settings.cache_bytes.saturating_sub(memtable * 3).max(MEMTABLE_BYTES_MIN);
        guarded(Engine::Fjall, "open", || {
            let database = Database::builder(folder)
                .cache_size(cache)
                .max_journaling_size(JOURNAL_BYTES_MAX)
                .worker_threads(WORKERS)
                .open()?;
            let options = || KeyspaceCreateOptions::default().max_memtable_size(memtable);
            let entries = database.keyspace(KEYSPACE, options)?;
            Ok::<_, ::fjall::Error>(Self { entries, database })
        })
    }
}

impl fmt::Debug for FjallIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FjallIndex").finish_non_exhaustive()
    }
}

impl Index for FjallIndex {
    fn apply(&self, batch: Batch) -> Result<(), IndexError> {
        guarded(Engine::Fjall, "write", || {
            let mut changes = self.database.batch();
            for (key, value) in batch {
                match value {
                    Some(value) => changes.insert(&self.entries, key, value),
                    None => changes.remove(&self.entries, key),
                }
            }
            changes.commit()
        })
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        let value = guarded(Engine::Fjall, "read", || self.entries.get(key))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(&self, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), IndexError> {
        guarded(Engine::Fjall, "scan", || {
            for entry in self.entries.range(scan_start(prefix, from)..) {
                let (key, value) = entry.into_inner()?;
                if !key.starts_with(prefix) || visit(&key, &value).is_break() {
                    break;
                }
            }
            Ok::<_, ::fjall::Error>(())
        })
    }

    fn flush(&self) -> Result<(), IndexError> {
        guarded(Engine::Fjall, "flush", || self.database.persist(PersistMode::SyncAll))
    }
}
