//! What can go wrong with the store, and what to do then.

use crate::index::IndexError;
use crate::log::{self, LogError, Position};
use model::clock::ClockError;
use std::fmt;
use std::io;

/// How far a rebuild of the index is, in bytes of log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read so far; the log is read twice.
    pub done: u64,
    /// Bytes to read in all.
    pub total: u64,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.done.saturating_mul(100).checked_div(self.total).unwrap_or(0);
        write!(f, "{} %", percent.min(100))
    }
}

/// Why the store could not be opened, closed or maintained.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The log: see there.
    #[error("the claim log")]
    Log(#[from] LogError),
    /// The log could not be read to build the index. Check the disk and try again.
    #[error("cannot read the log to build the index")]
    Read(#[from] ReadError),
    /// An engine cannot make a new index in an empty folder. Check the folder's disk.
    #[error("cannot make a new index in {folder}")]
    NewIndex {
        /// The folder.
        folder: String,
        /// What the engine said.
        #[source]
        source: IndexError,
    },
    /// The index folder or the note on it could not be read or written. Check the disk and the rights on the folder.
    #[error("cannot {doing}")]
    Folder {
        /// What was tried.
        doing: &'static str,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
}

/// Why records were not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The log did not take them; see there whether to wait or to stop. None of them was acknowledged.
    #[error("the claim log did not take the records")]
    Log(#[from] LogError),
    /// The index is being rebuilt; writes wait for it. Try again later.
    #[error("the index is being rebuilt, {0} done; try again later")]
    Rebuilding(Progress),
    /// The index failed. The records may be in the log; they become visible when it is rebuilt. Try again later.
    #[error("the index failed; it is being rebuilt, try again later")]
    Index(#[source] ReadError),
    /// The clock gives no stamp. Put it right.
    #[error("the clock gives no stamp")]
    Clock(#[from] ClockError),
    /// A record cannot be archived: there is no memory for it. Try again.
    #[error("a record cannot be archived")]
    Archive(#[source] rkyv::rancor::Error),
}

/// Why a body was not erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// No record of this id is known here. Ask the other nodes.
    #[error("no record of this id is known")]
    NotFound,
    /// It was erased, and both copies of its erasure are damaged, so that it cannot be told who erased it and when.
    #[error("the erasure at {0} is damaged: the record stays erased")]
    Damaged(Position),
    /// It could not be logged or indexed.
    #[error("the erasure was not stored")]
    Append(#[from] AppendError),
}

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The index is being rebuilt. Try again later.
    #[error("the index is being rebuilt, {0} done; try again later")]
    Rebuilding(Progress),
    /// The store was closed. The node is stopping.
    #[error("the store is closed")]
    Closed,
    /// The index failed or disagrees with the log; it is set aside and rebuilt. Try again later.
    #[error("the index failed; it is being rebuilt, try again later")]
    Index(#[from] IndexError),
    /// The log cannot be read there. Fetch the record from a replica, or check the disk.
    #[error("the log cannot be read")]
    Log(#[from] log::ReadError),
    /// The archive in a sound frame is not well-formed: a release with a fault wrote it. Report it.
    #[error("the record at {0} is not well-formed")]
    Archive(Position),
    /// There are more than the caller can take. Narrow the question.
    #[error("more than {0} records answer this")]
    TooMany(usize),
    /// What answers has more bytes than the caller can take. Narrow the question.
    #[error("more than {0} bytes of records answer this")]
    TooLarge(u64),
}
