//! The index on fjall 3: one keyspace.
//!
//! Its memory stays within the cache setting. It writes to the operating system with each batch and to disk on
//! [`Index::flush`], never in between: what a crash loses is replayed from the log.

use super::guard::guarded;
use super::{Batch, Engine, Index, IndexError, Settings, Visit, scan_start};
use ::fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// The least that fjall gets for entries not yet in a table, in bytes.
const MEMTABLE_BYTES_MIN: u64 = 1 << 20;
/// The most that it gets for them, in bytes: fjall's own default.
const MEMTABLE_BYTES_MAX: u64 = 64 << 20;
/// The most that its journals may hold before it makes tables of them, in bytes: the least it takes.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;
/// Threads that make tables and merge them. With more than one, fjall 3.1 keeps the first for making tables, and while
/// merges wait it takes them from the queue and puts them back without a pause: a core's worth of work for nothing.
const WORKERS: usize = 1;
/// The name of the only keyspace.
const KEYSPACE: &str = "entries";

/// An index in a folder of fjall's.
///
/// A panic in fjall may leave a lock poisoned on which its own drop panics too, and two panics at a time end the process.
/// So no handle is dropped while a panic unwinds, nor after one: what panicked once is left alone until the process ends.
pub(super) struct FjallIndex {
    /// `None` until it is open, and once it is closed.
    entries: Option<Keyspace>,
    /// `None` once it is closed.
    database: Option<Database>,
    has_panicked: AtomicBool,
}

impl FjallIndex {
    /// Opens or makes the index in `folder`.
    pub(super) fn open(folder: &Path, settings: &Settings) -> Result<Self, IndexError> {
        // Up to three memtables live at a time: one being filled, the others being written out.
        let memtable = (settings.cache_bytes / 8).clamp(MEMTABLE_BYTES_MIN, MEMTABLE_BYTES_MAX);
        let cache = settings.cache_bytes.saturating_sub(memtable * 3).max(MEMTABLE_BYTES_MIN);
        let database = guarded(Engine::Fjall, "open", || {
            Database::builder(folder)
                .cache_size(cache)
                .max_journaling_size(JOURNAL_BYTES_MAX)
                .worker_threads(WORKERS)
                .open()
        })?;
        let mut index = Self { entries: None, database: Some(database), has_panicked: AtomicBool::new(false) };
        let options = || KeyspaceCreateOptions::default().max_memtable_size(memtable);
        index.entries = Some(index.call("open", || index.database()?.keyspace(KEYSPACE, options))?);
        Ok(index)
    }

    /// Runs `call` guarded, and remembers if it panicked.
    fn call<T>(&self, doing: &'static str, call: impl FnOnce() -> ::fjall::Result<T>) -> Result<T, IndexError> {
        let result = guarded(Engine::Fjall, doing, call);
        if matches!(result, Err(IndexError::Panicked { .. })) {
            self.has_panicked.store(true, Ordering::Relaxed);
        }
        result
    }

    fn entries(&self) -> ::fjall::Result<&Keyspace> {
        self.entries.as_ref().ok_or(::fjall::Error::Poisoned)
    }

    fn database(&self) -> ::fjall::Result<&Database> {
        self.database.as_ref().ok_or(::fjall::Error::Poisoned)
    }
}

impl Drop for FjallIndex {
    /// The keyspace goes before the database, which stops fjall's threads and unlocks the folder.
    fn drop(&mut self) {
        let (entries, database) = (self.entries.take(), self.database.take());
        if self.has_panicked.load(Ordering::Relaxed) {
            std::mem::forget((entries, database));
            return;
        }
        let closed = guarded(Engine::Fjall, "close", || {
            drop(entries);
            drop(database);
            Ok::<_, ::fjall::Error>(())
        });
        if let Err(error) = closed {
            tracing::warn!(error = &error as &dyn std::error::Error, "the index is not closed in order");
        }
    }
}

impl fmt::Debug for FjallIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FjallIndex").finish_non_exhaustive()
    }
}

impl Index for FjallIndex {
    fn apply(&self, batch: Batch) -> Result<(), IndexError> {
        self.call("write", || {
            let (database, entries) = (self.database()?, self.entries()?);
            let mut changes = database.batch();
            for (key, value) in batch {
                match value {
                    Some(value) => changes.insert(entries, key, value),
                    None => changes.remove(entries, key),
                }
            }
            changes.commit()
        })
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        let value = self.call("read", || self.entries()?.get(key))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(&self, prefix: &[u8], from: &[u8], visit: &mut Visit<'_>) -> Result<(), IndexError> {
        self.call("scan", || {
            for entry in self.entries()?.range(scan_start(prefix, from)..) {
                let (key, value) = entry.into_inner()?;
                if !key.starts_with(prefix) || visit(&key, &value).is_break() {
                    break;
                }
            }
            Ok::<_, ::fjall::Error>(())
        })
    }

    fn flush(&self) -> Result<(), IndexError> {
        self.call("flush", || self.database()?.persist(PersistMode::SyncAll))
    }
}
