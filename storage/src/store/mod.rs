//! The store: the claim log and the index over it, as one.
//!
//! What it answers is what the log says; the index only finds it. It never reads a clock, never spawns a thread and never
//! trusts an index that might be wrong.
//!
//! [`Store::open`] gives two halves: one [`Appender`], which writes, and any number of [`Reader`]s. [`Maintenance`] is what
//! a third thread does meanwhile: rebuilding and checking the index, compacting the log, scrubbing it.
//!
//! Invariants: what [`Appender::append`] acknowledged is in the log, synced, and found by every reader from then on; what
//! was erased is found by none, ever again; the index can be deleted at any time and costs a rebuild, never a record.

mod append;
mod change;
mod check;
mod check_entries;
mod close;
mod copies;
mod dropped;
mod elements;
mod erase;
mod error;
mod filing;
mod hint_entries;
mod hints;
mod maintain;
mod merge;
mod moment;
mod note;
mod open;
mod plan;
mod questions;
mod raise_version;
mod read;
mod rebuild;
mod set;
mod shared;
mod stamper;
mod summary;
mod sums;
mod verify;

#[cfg(test)]
mod tests;

pub use crate::index::entry::Question;
pub use append::{Appended, Appender};
pub use error::{AppendError, EraseError, Progress, ReadError, StoreError};
pub use hints::{HINT_PAGE_BYTES_MAX, HINTS_SCANNED_MAX, Hint, Hints};
pub use maintain::{Maintenance, Scrubbed};
pub use merge::{Incoming, Merged, Role, Source};
pub use questions::Selector;
pub use read::{Claims, Exported, Lookup, Reader};
pub use set::Element;
pub use shared::State;
pub use stamper::{StampError, Stamper};
pub use summary::Counts;
pub use verify::{Fault, Verified};

use crate::disk::Disk;
use crate::index::{Engine, IndexError};
use crate::log::{self, Recovery};
use model::set::SetKey;
use model::{AgentId, Home, RecordId, Stamp, Timestamp};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where [`Store::open`] is; it holds nothing.
#[derive(Debug)]
pub struct Store;

/// Everything that opening a store takes.
#[derive(Debug)]
pub struct Setup {
    /// The disk of the log. The index engines do their own I/O.
    pub disk: Arc<dyn Disk>,
    /// The folder of the log, on `disk`.
    pub wal_dir: PathBuf,
    /// The folder below which the index is, on the real disk; not touched with [`Engine::Memory`].
    pub db_dir: PathBuf,
    /// The index engine. Another one than the last time means a rebuild.
    pub engine: Engine,
    /// The settings.
    pub settings: Settings,
    /// The id of the store, random, if one is begun; otherwise not used.
    pub store_id_seed: [u8; 16],
    /// The secret under which the sums of the homes' sets are made: that of the cluster, unknown to clients. Another one
    /// than the last time means a rebuild.
    pub set_key: SetKey,
    /// The time now, in milliseconds since the Unix epoch.
    pub wall_ms: u64,
}

/// How a store is tuned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Of the log.
    pub log: log::Settings,
    /// Of the index engine.
    pub index: crate::index::Settings,
    /// How many frames of log opening reads before it returns and leaves the rest of a rebuild or a check to
    /// [`Maintenance::step`]. Default 20,000, a second or two; [`u64::MAX`] to always finish.
    pub open_frames_max: u64,
    /// `clock_offset_max` in milliseconds; see [`model::clock`]. Default 10,000.
    pub clock_offset_ms_max: u64,
    /// A sealed segment is compacted when so many percent of it are garbage, or when it holds an erased body. Default 50.
    pub garbage_percent_max: u8,
}

impl Settings {
    /// The defaults, with these of the log.
    pub fn with_log(log: log::Settings) -> Self {
        Self {
            log,
            index: crate::index::Settings::default(),
            open_frames_max: 20_000,
            clock_offset_ms_max: model::clock::OFFSET_MS_MAX,
            garbage_percent_max: 50,
        }
    }
}

/// What opening found and did.
#[derive(Debug)]
pub struct OpenReport {
    /// What the log says.
    pub recovery: Recovery,
    /// Why the index was set aside and is rebuilt, if it was.
    pub rebuilt: Option<RebuildReason>,
    /// What the store can do now.
    pub state: State,
    /// Whether the index is still being compared with the log, after an unclean stop; [`Maintenance::step`] goes on.
    pub checking: bool,
}

/// Why the index could not be used as it was.
#[derive(Debug)]
pub enum RebuildReason {
    /// There was none: the first start, a deleted folder, or an engine that keeps none.
    NoIndex,
    /// Another engine wrote it.
    OtherEngine {
        /// Which.
        was: Engine,
    },
    /// It is of another store.
    OtherStore,
    /// Another release wrote it.
    OtherFormat,
    /// Its sums were made under another key.
    OtherSetKey,
    /// Its files are not those of the last clean stop.
    Changed,
    /// It reflects more than the log holds.
    AheadOfLog,
    /// It did not open, or failed while it was read.
    Failed(IndexError),
    /// It does not say what the log says.
    Disagrees,
    /// The process ended while an engine opened what a crash had left.
    EndedTheProcess,
}

impl fmt::Display for RebuildReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoIndex => f.write_str("there was none"),
            Self::OtherEngine { was } => write!(f, "it was written by {was}"),
            Self::OtherStore => f.write_str("it is of another store"),
            Self::OtherFormat => f.write_str("another release wrote it"),
            Self::OtherSetKey => f.write_str("its sums were made under another key"),
            Self::Changed => f.write_str("its files are not those of the last clean stop"),
            Self::AheadOfLog => f.write_str("it reflects more than the log holds"),
            Self::Failed(error) => write!(f, "{error}"),
            Self::Disagrees => f.write_str("it does not say what the log says"),
            Self::EndedTheProcess => f.write_str("the process ended while it was opened the last time"),
        }
    }
}

/// What is left of an erased record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    /// Its id.
    pub id: RecordId,
    /// Its home.
    pub home: Home,
    /// Its stamp.
    pub stamp: Stamp,
    /// BLAKE3 of its signatures.
    pub signatures: [u8; 32],
    /// The key that ordered the erasure.
    pub eraser: AgentId,
    /// When.
    pub at: Timestamp,
}
