//! A survey of one segment: what recovery must know of it before it may go on.
//!
//! Reads all of the segment and changes nothing.

use super::batch::BatchHeader;
use super::bytes::narrow;
use super::error::LogError;
use super::frame::{Frame, FrameError, SealReason};
use super::manifest::{Entry, Sealed};
use super::position::Position;
use super::report::{Damage, DamageKind};
use super::segment::SEGMENT_HEADER;
use super::shared::{Segment, failed};
use super::walk::{Found, Piece, pieces};
use model::Stamp;

/// What a segment holds.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// The number of the first batch that is whole.
    pub(super) first: Option<u64>,
    /// The last batch that is whole and where it begins.
    pub(super) last: Option<(u32, BatchHeader)>,
    /// Where that ends.
    pub(super) end: u32,
    /// How many batches are whole.
    pub(super) batches: u64,
    /// How many frames are.
    pub(super) frames: u64,
    /// The version of the formats that the frames were raised to.
    pub(super) version: u16,
    /// The highest ceiling.
    pub(super) ceiling: Stamp,
    /// The greatest stamp of a record.
    pub(super) greatest_stamp: Stamp,
    /// The seal that the last whole batch ends with.
    pub(super) seal: Option<SealReason>,
    /// What is damaged before the tail.
    pub(super) damages: Vec<Damage>,
    /// What is not zero behind the last whole batch: from, where frames may be expected, to.
    pub(super) tail: Option<(u32, u32, u32)>,
}

impl Survey {
    /// Surveys `segment`, which is to hold no frame of a later version of the formats than `version_max`.
    pub(super) fn of(segment: &Segment, version_max: u16) -> Result<Self, LogError> {
        let mut survey = Self { end: SEGMENT_HEADER, ..Self::default() };
        let mut walk = segment.walk();
        loop {
            match walk.step().map_err(failed("read a segment"))? {
                Found::End => return Ok(survey),
                Found::Batch { at, header, frames_at } => {
                    survey.first = survey.first.or(Some(header.number));
                    survey.last = Some((at, header));
                    survey.end = walk.end();
                    survey.batches += 1;
                    survey.seal = None;
                    survey.take(segment, walk.bytes(), frames_at, version_max)?;
                }
                Found::Broken { from, .. } => {
                    survey.end = walk.end();
                    survey.take(segment, walk.bytes(), from, version_max)?;
                }
                Found::Missing { at } => survey.damage(segment, DamageKind::BatchesMissing, at, at),
                Found::Padding { from, to } => survey.damage(segment, DamageKind::Padding, from, to),
                Found::Tail { from, frames_at, to } => survey.tail = Some((from, frames_at, to)),
            }
        }
    }

    fn take(&mut self, segment: &Segment, bytes: &[u8], base: u32, version_max: u16) -> Result<(), LogError> {
        let mut outcome = Ok(());
        pieces(bytes, base, segment.is_compacted(), &mut |piece| match piece {
            Piece::Bad(from, to) => self.damage(segment, DamageKind::Frames, from, to),
            Piece::Frame(offset, checked) => match checked.decode() {
                Ok(_) if u16::from(checked.header.version) > version_max => {
                    let at = Position { segment: segment.number(), at: checked.header.at };
                    outcome = Err(LogError::Upgrade { at, source: FrameError::Version(checked.header.version) });
                }
                Ok(frame) => {
                    if frame.marks_loss_at(Position { segment: segment.number(), at: checked.header.at }) {
                        let to = offset.saturating_add(narrow(checked.bytes.len()));
                        self.damage(segment, DamageKind::Frames, offset, to);
                    }
                    self.count(&frame);
                }
                Err(source) => {
                    let at = Position { segment: segment.number(), at: checked.header.at };
                    outcome = Err(LogError::Upgrade { at, source });
                }
            },
        });
        outcome
    }

    fn count(&mut self, frame: &Frame<'_>) {
        self.frames += 1;
        if let Frame::Ceiling { ceiling } = frame {
            self.ceiling = self.ceiling.max(*ceiling);
        }
        #[cfg(feature = "next")]
        if let Frame::Version { version, .. } = frame {
            self.version = self.version.max(*version);
        }
        self.seal = if let Frame::Seal { reason, .. } = frame { Some(*reason) } else { None };
        self.greatest_stamp = self.greatest_stamp.max(frame.record_stamp().unwrap_or(Stamp::ZERO));
    }

    fn damage(&mut self, segment: &Segment, kind: DamageKind, from: u32, to: u32) {
        self.damages.push(Damage::new(kind, segment, from, to));
    }

    /// The manifest's entry for `segment` as a sealed one of `length` bytes.
    pub(super) fn sealed_entry(&self, segment: &Segment, length: u32) -> Entry {
        let before = segment.first.unwrap_or(1).saturating_sub(1);
        let last = self.last.map(|(at, header)| (at, header.number, header.crc(segment.owner)));
        let (last_at, last, chain) = last.unwrap_or((SEGMENT_HEADER, before, 0));
        let first = segment.first.or(self.first).unwrap_or(last);
        Entry { generation: segment.generation, first, sealed: Some(Sealed { length, last_at, last, chain }) }
    }

    /// The number of the batch that comes next.
    pub(super) fn next_number(&self, segment: &Segment) -> u64 {
        let last = self.last.map(|(_, header)| header.number.saturating_add(1));
        last.or(segment.first).unwrap_or(1)
    }
}
