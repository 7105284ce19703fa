//! Frames: the typed entries of the log.
//!
//! Encoding appends to a buffer and decoding borrows from one: nothing here allocates. A frame is decoded only after its
//! CRC was found right, so what is wrong after that is a release that is too old, never the disk.

use model::{AgentId, Home, RecordId, Stamp, Timestamp};

/// The length of a frame's header in bytes.
pub const FRAME_HEADER: usize = 24;
/// The frame version that this release writes, and the only one it reads.
pub const FRAME_VERSION: u8 = 1;
/// Record kind and id, which stand before the archive.
const RECORD_PREFIX: usize = 1 + RecordId::LENGTH;
/// Where the parts of a header begin.
const VERSION_AT: usize = 8;

/// What kind of body a record frame's archive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKind {
    /// A [`model::record::SignedAssertion`].
    Assertion,
    /// A [`model::record::SignedVote`].
    Vote,
    /// A [`model::record::SignedOpaque`]: of a kind that the release which wrote it did not know.
    Opaque,
}

impl RecordKind {
    fn number(self) -> u8 {
        match self {
            Self::Assertion => 1,
            Self::Vote => 2,
            Self::Opaque => 255,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        [Self::Assertion, Self::Vote, Self::Opaque].into_iter().find(|kind| kind.number() == number)
    }
}

/// A record as the log keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredRecord<'a> {
    /// The partition it lives in.
    pub home: Home,
    /// When a node accepted it.
    pub stamp: Stamp,
    /// What the archive holds.
    pub kind: RecordKind,
    /// Its name.
    pub id: RecordId,
    /// The rkyv archive of the signed body. Not checked to be one.
    pub archive: &'a [u8],
}

/// Why a batch ends the log for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SealReason {
    /// The segment is full; nothing follows in it.
    Full,
    /// The node stopped in order; after a restart the segment goes on.
    CleanStop,
}

/// One entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A record.
    Record(StoredRecord<'a>),
    /// A record has a new stamp.
    Stamp {
        /// The record's home.
        home: Home,
        /// The new stamp.
        stamp: Stamp,
        /// The record.
        id: RecordId,
    },
    /// This owner closed a time: no stamp at or below it is admitted from anyone but an owner.
    Close {
        /// The home it was closed for.
        home: Home,
        /// The closed time.
        closed: Stamp,
    },
    /// The clock gives no stamp above this one before the next such frame.
    Ceiling {
        /// The highest stamp that may have been given.
        ceiling: Stamp,
    },
    /// The home moved away; its records may go.
    HomeDropped {
        /// The home.
        home: Home,
        /// When.
        now: Stamp,
        /// The epoch of the placement that moved it.
        epoch: u64,
    },
    /// A body was erased; the id is never admitted again.
    Erased {
        /// The record's home.
        home: Home,
        /// The record's stamp.
        stamp: Stamp,
        /// The record.
        id: RecordId,
        /// BLAKE3 of its signatures.
        signatures: [u8; 32],
        /// The key that erased it.
        eraser: AgentId,
        /// When it was erased.
        erased_at: Timestamp,
    },
    /// A record kept for an owner that was down.
    Hint(StoredRecord<'a>),
    /// A hint is delivered.
    HintDone {
        /// The record's home.
        home: Home,
        /// When.
        now: Stamp,
        /// The record.
        id: RecordId,
    },
    /// Everything before is complete.
    Seal {
        /// When.
        now: Stamp,
        /// Why.
        reason: SealReason,
    },
    /// Where a compacted segment keeps its frames.
    Offsets {
        /// When.
        now: Stamp,
        /// Pairs of `at` and offset, 4 bytes each, ascending.
        pairs: &'a [u8],
    },
}

/// Why a frame with a right CRC cannot be read: a newer release wrote it. Upgrade this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Its version is not [`FRAME_VERSION`].
    #[error("frame version {0} is unknown to this release; upgrade the node")]
    Version(u8),
    /// Its type is not one of the ten.
    #[error("frame type {0} is unknown to this release; upgrade the node")]
    Type(u8),
    /// Its payload is not of the form that its type has.
    #[error("the payload of a frame of type {0} has a form unknown to this release; upgrade the node")]
    Payload(u8),
}
