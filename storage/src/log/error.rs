//! What can go wrong with the log, and what to do then.

use super::frame::FrameError;
use super::position::Position;
use std::io;

/// Why the log could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// There is no room. Nothing of it was acknowledged; the log goes on by itself when there is room again.
    #[error("the disk is full: free some space, the log goes on by itself")]
    DiskFull(#[source] io::Error),
    /// A write or a sync failed, now or before, so what the disk holds is unknown. Stop the node and look at the disk.
    #[error("the log stopped after a failed write or sync: stop the node and check the disk")]
    Stopped(#[source] Option<io::Error>),
    /// One frame is longer than a segment. Refuse it.
    #[error("a frame of {bytes} bytes does not fit in a segment, which takes {bytes_max}")]
    TooLarge {
        /// Its length in bytes.
        bytes: usize,
        /// The longest that fits.
        bytes_max: usize,
    },
    /// Another process has the log open. Stop it first.
    #[error("another process has the log open: stop it first")]
    Locked,
    /// A newer release wrote something that this one cannot read. Upgrade the node.
    #[error("cannot read {at}")]
    Upgrade {
        /// Where it is.
        at: Position,
        /// What it is.
        #[source]
        source: FrameError,
    },
    /// The log was raised to a version of the formats that this node does not speak. Run a release that speaks it.
    #[error(
        "the log is of version {version}, which this release does not speak: run a release that speaks version {version}"
    )]
    Later {
        /// Its version.
        version: u16,
    },
    /// The segment has a version that this release does not know. Upgrade the node.
    #[error("{what} has version {version}, which this release does not know: upgrade the node")]
    Version {
        /// The file.
        what: String,
        /// Its version.
        version: u32,
    },
    /// The segments belong to different stores. Put back the folder as it was.
    #[error("{file} belongs to another store: put back the folder as it was")]
    ForeignSegment {
        /// The file.
        file: String,
    },
    /// The settings contradict the format.
    #[error("{0}")]
    Settings(&'static str),
    /// The segment is not there, or not sealed, so that it cannot be compacted.
    #[error("segment {0} is not a sealed segment")]
    NotSealed(u32),
    /// The disk refused an operation on which no acknowledgement depends. Check the disk and try again.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
}

/// Why a frame could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// What is there is not what was written. Fetch the record from a replica.
    #[error("the frame at {0} is damaged: fetch it from a replica")]
    Damaged(Position),
    /// Compaction dropped it, or nothing was ever there.
    #[error("there is no frame at {0}")]
    Gone(Position),
    /// A newer release wrote it. Upgrade the node.
    #[error("cannot read the frame at {at}")]
    Upgrade {
        /// Where it is.
        at: Position,
        /// What it is.
        #[source]
        source: FrameError,
    },
    /// The disk refused. Try again; then check the disk.
    #[error("cannot read the log at {at}")]
    Io {
        /// Where.
        at: Position,
        /// What the disk said.
        #[source]
        source: io::Error,
    },
}
