//! The claim log: the truth from which everything else is rebuilt.
//!
//! An append-only sequence of typed frames in segment files. It never interprets a record, never reads a clock, and
//! never serves a frame whose CRC is wrong. The formats are drawn in `docs/architecture.md`.
//!
//! Invariants:
//! - What [`Log::append`] returned for is found by every later open, whatever crashed, filled up or failed in between.
//! - One batch is in flight at a time, so only the last one can be torn; damage before it is damage and is reported.
//! - A position never changes and never names two frames.
//! - Nothing is cut before a copy of it is durable in `damaged/`.

mod batch;
mod bytes;
mod compact;
mod error;
mod frame;
mod manifest;
mod offsets;
mod position;
mod reader;
mod recovery;
mod report;
mod segment;
mod shared;
mod spare;
mod survey;
mod verify;
mod walk;
mod writer;

#[cfg(test)]
mod tests;

pub use compact::{Compacted, Compactor, Knowledge};
pub use error::{LogError, ReadError};
pub use frame::{FRAME_HEADER, Frame, FrameError, Lost, RecordKind, SealReason, StoredRecord};
pub use position::Position;
pub use reader::{Item, LogReader, OwnedFrame};
pub use report::{Damage, DamageKind, Recovery};
pub use spare::SpareJob;
pub use verify::{Progress, Scrubber};
pub use walk::frames_written;
pub use writer::Log;

use batch::BATCH_HEADER;
use segment::SEGMENT_HEADER;

/// The version of the formats of a log that was never raised; see [`Log::raise`].
pub const FIRST_VERSION: u16 = 1;
/// The longest segment that the format allows, in bytes: 1 GiB.
pub const SEGMENT_BYTES_LIMIT: u32 = 1 << 30;
/// The shortest segment that makes sense, in bytes.
pub const SEGMENT_BYTES_LEAST: u32 = 1024;

/// What can be tuned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The length of a segment in bytes, [`SEGMENT_BYTES_LEAST`] to [`SEGMENT_BYTES_LIMIT`]. Segments that exist keep
    /// theirs. Default 64 MiB.
    pub segment_bytes_max: u32,
    /// The longest batch in bytes; a longer append is several batches and several syncs. Default 8 MiB.
    pub batch_bytes_max: u32,
    /// The latest version of the formats that this node speaks: a log of a later one is not opened. Default [`FIRST_VERSION`].
    pub version_max: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self { segment_bytes_max: 64 << 20, batch_bytes_max: 8 << 20, version_max: FIRST_VERSION }
    }
}

impl Settings {
    fn check(&self) -> Result<(), LogError> {
        let lengths = SEGMENT_BYTES_LEAST..=SEGMENT_BYTES_LIMIT;
        if lengths.contains(&self.segment_bytes_max) && self.batch_bytes_max > 0 {
            return Ok(());
        }
        Err(LogError::Settings("segment_bytes_max is 1 KiB to 1 GiB, and batch_bytes_max more than 0"))
    }

    /// The longest frame that fits in a segment.
    fn frame_bytes_max(&self) -> usize {
        bytes::wide(self.segment_bytes_max.saturating_sub(SEGMENT_HEADER + BATCH_HEADER + writer::RESERVE + 8))
    }
}
