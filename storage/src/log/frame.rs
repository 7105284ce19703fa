//! Frames: the typed entries of the log.
//!
//! Encoding appends to a buffer and decoding borrows from one: nothing here allocates. A frame is decoded only after its
//! CRC was found right, so what is wrong after that is a release that is too old, never the disk.

use super::bytes::{array, narrow, u16_at, u32_at, u64_at, wide};
use super::position::Position;
use model::{AgentId, Home, RecordId, Stamp, Timestamp};
use std::cmp::Ordering;

/// The length of a frame's header in bytes.
pub const FRAME_HEADER: usize = 24;
/// Record kind and id, which stand before the archive.
const RECORD_PREFIX: usize = 1 + RecordId::LENGTH;
/// Where the bytes begin that the CRC covers, after the length and the CRC itself.
const COVERED_AT: usize = 8;
/// The length of an `erased` payload: id, hash of the signatures, key, time.
const ERASED_PAYLOAD: usize = 32 + 32 + 32 + 8;
/// One pair of an offsets table: `at` and offset.
pub(super) const PAIR: usize = 8;
/// The type of the frame that the next version brings.
#[cfg(feature = "next")]
const VERSION: u8 = 12;
/// The length of a `lost` payload: segment, `at`, length, kind, id.
const LOST_PAYLOAD: usize = 4 + 4 + 4 + RECORD_PREFIX;
/// The types that are of no home: ceiling, seal, offsets, version. They state 256.
const WITHOUT_HOME: [u8; 4] = [4, 9, 10, 12];

/// The version of the formats that brought a type, which a frame of it states; `None` of types that this release does not
/// know.
fn version_of(number: u8) -> Option<u8> {
    match number {
        1..=11 => Some(1),
        #[cfg(feature = "next")]
        VERSION => Some(2),
        _ => None,
    }
}

/// What kind of body a record frame's archive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKind {
    /// A [`model::record::SignedAssertion`].
    Assertion,
    /// A [`model::record::SignedVote`].
    Vote,
    /// A [`model::record::SignedAlias`].
    Alias,
    /// A [`model::record::SignedOpaque`]: of a kind that the release which wrote it did not know.
    Opaque,
}

impl RecordKind {
    /// The number that stands for it in a frame, and between nodes.
    pub fn number(self) -> u8 {
        match self {
            Self::Assertion => 1,
            Self::Vote => 2,
            Self::Alias => 3,
            Self::Opaque => 255,
        }
    }

    /// The kind of this number.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Assertion, Self::Vote, Self::Alias, Self::Opaque].into_iter().find(|kind| kind.number() == number)
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

/// A record or an erasure whose frame is damaged: what is known of it all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The partition it lives in.
    pub home: Home,
    /// Its stamp.
    pub stamp: Stamp,
    /// Where the damaged frame was.
    pub position: Position,
    /// The length that it had, header included.
    pub length: u32,
    /// What the record was; `None` if the frame was the erasure of one.
    pub kind: Option<RecordKind>,
    /// Its name.
    pub id: RecordId,
}

/// What a `lost` frame states as the kind of an erasure.
const LOST_ERASURE: u8 = 0;

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
    /// A frame is damaged. Compaction leaves it in the place of that frame; an erasure of what cannot be read writes it
    /// first.
    Lost(Lost),
    /// From here on the log may hold what this version of the formats brought.
    #[cfg(feature = "next")]
    Version {
        /// When.
        now: Stamp,
        /// Which.
        version: u16,
    },
}

/// Why a frame with a right CRC cannot be read: a later release wrote it. Run that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It is of a version of the formats that this node does not speak.
    #[error("it is of version {0} of the formats: run a release that speaks version {0}")]
    Version(u8),
    /// Its type is none of those that its version has.
    #[error("frame type {0} is unknown to this release; upgrade the node")]
    Type(u8),
    /// Its payload is not of the form that its type has.
    #[error("the payload of a frame of type {0} has a form unknown to this release; upgrade the node")]
    Payload(u8),
}

impl Frame<'_> {
    /// Its length in the log in bytes, header included: the length that [`super::LogReader::read`] takes.
    pub fn length(&self) -> usize {
        FRAME_HEADER + self.payload_length()
    }

    /// The stamp in its header, if that is one of a record; not a ceiling, a closed time or a time of writing.
    pub fn record_stamp(&self) -> Option<Stamp> {
        match self {
            Self::Record(record) | Self::Hint(record) => Some(record.stamp),
            Self::Stamp { stamp, .. } | Self::Erased { stamp, .. } | Self::Lost(Lost { stamp, .. }) => Some(*stamp),
            Self::Close { .. }
            | Self::Ceiling { .. }
            | Self::HomeDropped { .. }
            | Self::HintDone { .. }
            | Self::Seal { .. }
            | Self::Offsets { .. } => None,
            #[cfg(feature = "next")]
            Self::Version { .. } => None,
        }
    }

    /// Whether this stands in the place of a damaged frame, at `position`.
    pub(super) fn marks_loss_at(&self, position: Position) -> bool {
        matches!(self, Self::Lost(lost) if lost.position == position)
    }

    fn payload_length(&self) -> usize {
        match self {
            Self::Record(record) | Self::Hint(record) => RECORD_PREFIX + record.archive.len(),
            Self::Stamp { .. } | Self::HintDone { .. } => RecordId::LENGTH,
            Self::Close { .. } | Self::Ceiling { .. } => 0,
            Self::HomeDropped { .. } => 8,
            Self::Erased { .. } => ERASED_PAYLOAD,
            Self::Seal { .. } => 1,
            Self::Offsets { pairs, .. } => pairs.len(),
            Self::Lost(_) => LOST_PAYLOAD,
            #[cfg(feature = "next")]
            Self::Version { .. } => 2,
        }
    }

    /// Type, home and stamp, as they stand in the header.
    fn header(&self) -> (u8, Home, Stamp) {
        match self {
            Self::Record(record) => (1, record.home, record.stamp),
            Self::Stamp { home, stamp, .. } => (2, *home, *stamp),
            Self::Close { home, closed } => (3, *home, *closed),
            Self::Ceiling { ceiling } => (4, Home::GLOBAL, *ceiling),
            Self::HomeDropped { home, now, .. } => (5, *home, *now),
            Self::Erased { home, stamp, .. } => (6, *home, *stamp),
            Self::Hint(record) => (7, record.home, record.stamp),
            Self::HintDone { home, now, .. } => (8, *home, *now),
            Self::Seal { now, .. } => (9, Home::GLOBAL, *now),
            Self::Offsets { now, .. } => (10, Home::GLOBAL, *now),
            Self::Lost(lost) => (11, lost.home, lost.stamp),
            #[cfg(feature = "next")]
            Self::Version { now, .. } => (VERSION, Home::GLOBAL, *now),
        }
    }

    /// Appends the frame to `buffer`; `at` is its offset in generation 0 of its segment.
    ///
    /// Cost: one copy of the payload and one CRC, about 0.1 ns a byte each.
    pub fn encode(&self, at: u32, buffer: &mut Vec<u8>) {
        let start = buffer.len();
        let (number, home, stamp) = self.header();
        buffer.extend_from_slice(&narrow(self.payload_length()).to_le_bytes());
        buffer.extend_from_slice(&[0; 4]);
        buffer.extend_from_slice(&[version_of(number).unwrap_or_default(), number]);
        buffer.extend_from_slice(&home.number().to_le_bytes());
        buffer.extend_from_slice(&at.to_le_bytes());
        buffer.extend_from_slice(&stamp.to_bits().to_le_bytes());
        self.encode_payload(buffer);
        let crc = crc32c::crc32c(buffer.get(start + COVERED_AT..).unwrap_or_default());
        if let Some(slot) = buffer.get_mut(start + 4..start + COVERED_AT) {
            slot.copy_from_slice(&crc.to_le_bytes());
        }
    }

    fn encode_payload(&self, buffer: &mut Vec<u8>) {
        match self {
            Self::Record(record) | Self::Hint(record) => {
                buffer.push(record.kind.number());
                buffer.extend_from_slice(record.id.as_ref());
                buffer.extend_from_slice(record.archive);
            }
            Self::Stamp { id, .. } | Self::HintDone { id, .. } => buffer.extend_from_slice(id.as_ref()),
            Self::Close { .. } | Self::Ceiling { .. } => {}
            Self::HomeDropped { epoch, .. } => buffer.extend_from_slice(&epoch.to_le_bytes()),
            Self::Erased { id, signatures, eraser, erased_at, .. } => {
                buffer.extend_from_slice(id.as_ref());
                buffer.extend_from_slice(signatures);
                buffer.extend_from_slice(eraser.as_ref());
                buffer.extend_from_slice(&erased_at.ms().to_le_bytes());
            }
            Self::Seal { reason, .. } => buffer.push(match reason {
                SealReason::Full => 0,
                SealReason::CleanStop => 1,
            }),
            Self::Offsets { pairs, .. } => buffer.extend_from_slice(pairs),
            Self::Lost(Lost { position, length, kind, id, .. }) => {
                buffer.extend_from_slice(&position.segment.to_le_bytes());
                buffer.extend_from_slice(&position.at.to_le_bytes());
                buffer.extend_from_slice(&length.to_le_bytes());
                buffer.push(kind.map_or(LOST_ERASURE, RecordKind::number));
                buffer.extend_from_slice(id.as_ref());
            }
            #[cfg(feature = "next")]
            Self::Version { version, .. } => buffer.extend_from_slice(&version.to_le_bytes()),
        }
    }
}

/// A frame's header, before anything was checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHeader {
    payload: u32,
    crc: u32,
    pub(super) version: u8,
    number: u8,
    home: u16,
    /// The offset in generation 0.
    pub(super) at: u32,
    stamp: Stamp,
}

impl FrameHeader {
    /// Reads the header at the start of `bytes`; `None` if they are too few.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let [version, number] = array(bytes, 8)?;
        Some(Self {
            payload: u32_at(bytes, 0)?,
            crc: u32_at(bytes, 4)?,
            version,
            number,
            home: u16_at(bytes, 10)?,
            at: u32_at(bytes, 12)?,
            stamp: Stamp::from_bits(u64_at(bytes, 16)?),
        })
    }

    /// The length of the whole frame that it announces.
    pub(super) fn length(&self) -> usize {
        FRAME_HEADER.saturating_add(wide(self.payload))
    }

    /// Whether this release could have written it; says nothing of the payload.
    pub(super) fn is_plausible(&self) -> bool {
        version_of(self.number) == Some(self.version) && Home::from_number(self.home).is_some()
    }
}

/// A frame whose CRC is right, not decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheckedFrame<'a> {
    /// Its header.
    pub(super) header: FrameHeader,
    /// Header and payload.
    pub(super) bytes: &'a [u8],
}

impl<'a> CheckedFrame<'a> {
    /// The frame at the start of `bytes`, which may go on after it; `None` if it is not whole or its CRC is wrong.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let header = FrameHeader::read(bytes)?;
        let bytes = bytes.get(..header.length())?;
        (crc32c::crc32c(bytes.get(COVERED_AT..)?) == header.crc).then_some(Self { header, bytes })
    }

    /// The frame that `bytes` are, whose CRC was found right before; `None` if they are too few for a header.
    pub(super) fn trust(bytes: &'a [u8]) -> Option<Self> {
        FrameHeader::read(bytes).map(|header| Self { header, bytes })
    }

    /// The frame in its own type.
    pub(super) fn decode(self) -> Result<Frame<'a>, FrameError> {
        let FrameHeader { version, number, stamp, .. } = self.header;
        match version.cmp(&version_of(number).unwrap_or(1)) {
            Ordering::Greater => return Err(FrameError::Version(version)),
            Ordering::Equal if version_of(number).is_some() => {}
            Ordering::Equal | Ordering::Less => return Err(FrameError::Type(number)),
        }
        let home = Home::from_number(self.header.home).ok_or(FrameError::Payload(number))?;
        let payload = self.bytes.get(FRAME_HEADER..).unwrap_or_default();
        decode_payload(number, home, stamp, payload).ok_or(FrameError::Payload(number))
    }
}

fn decode_payload(number: u8, home: Home, stamp: Stamp, payload: &[u8]) -> Option<Frame<'_>> {
    let id = || array(payload, 0).map(RecordId);
    let is = |length: usize| (payload.len() == length).then_some(());
    if WITHOUT_HOME.contains(&number) && home != Home::GLOBAL {
        return None;
    }
    Some(match number {
        1 => Frame::Record(decode_record(home, stamp, payload)?),
        2 => is(RecordId::LENGTH).and_then(|()| Some(Frame::Stamp { home, stamp, id: id()? }))?,
        3 => is(0).map(|()| Frame::Close { home, closed: stamp })?,
        4 => is(0).map(|()| Frame::Ceiling { ceiling: stamp })?,
        5 => is(8).and_then(|()| Some(Frame::HomeDropped { home, now: stamp, epoch: u64_at(payload, 0)? }))?,
        6 => is(ERASED_PAYLOAD).and_then(|()| {
            Some(Frame::Erased {
                home,
                stamp,
                id: id()?,
                signatures: array(payload, 32)?,
                eraser: AgentId(array(payload, 64)?),
                erased_at: Timestamp::from_ms(u64_at(payload, 96)?)?,
            })
        })?,
        7 => Frame::Hint(decode_record(home, stamp, payload)?),
        8 => is(RecordId::LENGTH).and_then(|()| Some(Frame::HintDone { home, now: stamp, id: id()? }))?,
        9 => Frame::Seal {
            now: stamp,
            reason: match payload {
                [0] => SealReason::Full,
                [1] => SealReason::CleanStop,
                _ => return None,
            },
        },
        10 => payload.len().is_multiple_of(PAIR).then_some(Frame::Offsets { now: stamp, pairs: payload })?,
        11 => is(LOST_PAYLOAD).and_then(|()| {
            let position = Position { segment: u32_at(payload, 0)?, at: u32_at(payload, 4)? };
            let [kind] = array(payload, 12)?;
            let id = RecordId(array(payload, 13)?);
            let kind = if kind == LOST_ERASURE { None } else { Some(RecordKind::from_number(kind)?) };
            Some(Frame::Lost(Lost { home, stamp, position, length: u32_at(payload, 8)?, kind, id }))
        })?,
        #[cfg(feature = "next")]
        VERSION => is(2).and_then(|()| Some(Frame::Version { now: stamp, version: u16_at(payload, 0)? }))?,
        _ => return None,
    })
}

fn decode_record(home: Home, stamp: Stamp, payload: &[u8]) -> Option<StoredRecord<'_>> {
    let (&kind, rest) = payload.split_first()?;
    let (id, archive) = rest.split_first_chunk()?;
    Some(StoredRecord { home, stamp, kind: RecordKind::from_number(kind)?, id: RecordId(*id), archive })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One frame of each type.
    fn all() -> Vec<Frame<'static>> {
        let home = Home::of_bytes(b"Tesla_Inc");
        let stamp = Stamp::new(1_785_000_000_000, 7).unwrap();
        let id = RecordId([7; 32]);
        let record = StoredRecord { home, stamp, kind: RecordKind::Assertion, id, archive: b"archive" };
        vec![
            Frame::Record(record),
            Frame::Record(StoredRecord { kind: RecordKind::Opaque, archive: b"", ..record }),
            Frame::Record(StoredRecord { kind: RecordKind::Alias, ..record }),
            Frame::Stamp { home, stamp, id },
            Frame::Close { home, closed: stamp },
            Frame::Ceiling { ceiling: stamp },
            Frame::HomeDropped { home, now: stamp, epoch: 3 },
            Frame::Erased {
                home,
                stamp,
                id,
                signatures: [1; 32],
                eraser: AgentId([2; 32]),
                erased_at: Timestamp::from_ms(5).unwrap(),
            },
            Frame::Hint(StoredRecord { kind: RecordKind::Vote, ..record }),
            Frame::HintDone { home, now: stamp, id },
            Frame::Seal { now: stamp, reason: SealReason::Full },
            Frame::Seal { now: stamp, reason: SealReason::CleanStop },
            Frame::Offsets { now: stamp, pairs: &[1; 16] },
            Frame::Lost(Lost {
                home,
                stamp,
                position: Position { segment: 3, at: 96 },
                length: 400,
                kind: Some(RecordKind::Vote),
                id,
            }),
            Frame::Lost(Lost { home, stamp, position: Position::START, length: 128, kind: None, id }),
            #[cfg(feature = "next")]
            Frame::Version { now: stamp, version: 2 },
        ]
    }

    #[test]
    fn a_frame_of_every_type_reads_back() {
        for frame in all() {
            let mut bytes = Vec::new();
            frame.encode(96, &mut bytes);
            assert_eq!(bytes.len(), frame.length());
            bytes.extend_from_slice(b"what follows");
            let read = CheckedFrame::read(&bytes).unwrap();
            assert_eq!((read.header.at, read.decode()), (96, Ok(frame)));
        }
    }

    #[test]
    fn no_flipped_bit_and_no_cut_goes_unnoticed() {
        for frame in all() {
            let mut bytes = Vec::new();
            frame.encode(96, &mut bytes);
            for cut in 0..bytes.len() {
                assert!(CheckedFrame::read(&bytes[..cut]).is_none());
            }
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(CheckedFrame::read(&bytes).is_none(), "{frame:?} bit {bit}");
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn a_type_without_a_home_that_states_one_asks_for_an_upgrade() {
        for frame in all() {
            let mut bytes = Vec::new();
            frame.encode(96, &mut bytes);
            bytes[10..12].copy_from_slice(&7_u16.to_le_bytes());
            let crc = crc32c::crc32c(&bytes[8..]);
            bytes[4..8].copy_from_slice(&crc.to_le_bytes());
            let (number, home) = (bytes[9], frame.header().1);
            let refused = CheckedFrame::read(&bytes).unwrap().decode().is_err();
            assert_eq!(refused, home == Home::GLOBAL, "type {number}");
        }
    }

    #[test]
    fn what_a_newer_release_wrote_asks_for_an_upgrade() {
        let changed = |at: usize, value: u8| {
            let mut bytes = Vec::new();
            Frame::HomeDropped { home: Home::GLOBAL, now: Stamp::ZERO, epoch: 3 }.encode(96, &mut bytes);
            bytes[at] = value;
            let crc = crc32c::crc32c(&bytes[8..]);
            bytes[4..8].copy_from_slice(&crc.to_le_bytes());
            CheckedFrame::read(&bytes).unwrap().decode().map(|_| ())
        };
        assert_eq!(changed(8, 2), Err(FrameError::Version(2)));
        assert_eq!(changed(8, 0), Err(FrameError::Type(5)));
        assert_eq!(changed(9, 12), Err(FrameError::Type(12)));
        assert_eq!(changed(9, 0), Err(FrameError::Type(0)));
        assert_eq!(changed(9, 1), Err(FrameError::Payload(1)));
        assert_eq!(changed(11, 2), Err(FrameError::Payload(5)));
    }
}
