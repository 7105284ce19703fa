//! What the log found wrong, and what opening it found at all: values for programs, sentences for people.

use super::position::Position;
use super::shared::Segment;
use model::Stamp;
use std::fmt;

/// What is wrong with a stretch of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DamageKind {
    /// The manifest was missing or unreadable and was made anew from the segments.
    Manifest,
    /// A segment that the manifest names is not there.
    SegmentMissing,
    /// A segment's header is not what was written; its identity was taken from the manifest.
    SegmentHeader,
    /// Frames, or a whole batch, are not what was written. They are never served; those around them are.
    Frames,
    /// Batches are missing between two others, or between two segments.
    BatchesMissing,
    /// Bytes that are no part of a batch and should be zero. No frame is affected.
    Padding,
    /// The unsealed end of the log was torn or damaged. It was copied aside and cut.
    Tail,
}

/// A stretch of a segment that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What is wrong.
    pub kind: DamageKind,
    /// The segment's number.
    pub segment: u32,
    /// The segment's generation.
    pub generation: u32,
    /// The first byte, an offset in this generation's file.
    pub from: u32,
    /// Behind the last byte.
    pub to: u32,
    /// The file in `damaged/` with a copy of the bytes, if one was made.
    pub copy: Option<String>,
}

impl Damage {
    /// Damage to a stretch of `segment`, not copied anywhere.
    pub(super) fn new(kind: DamageKind, segment: &Segment, from: u32, to: u32) -> Self {
        Self { kind, segment: segment.number(), generation: segment.generation, from, to, copy: None }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            DamageKind::Manifest => "the manifest was missing or unreadable and was made anew",
            DamageKind::SegmentMissing => "the segment is missing",
            DamageKind::SegmentHeader => "the segment's header is damaged",
            DamageKind::Frames => "damaged, never served",
            DamageKind::BatchesMissing => "batches are missing here",
            DamageKind::Padding => "not zero, no frame affected",
            DamageKind::Tail => "the unsealed end was torn, and cut",
        };
        write!(f, "segment {}.{} bytes {}..{}: {what}", self.segment, self.generation, self.from, self.to)?;
        match &self.copy {
            Some(copy) => write!(f, "; copied to damaged/{copy}"),
            None => Ok(()),
        }
    }
}

/// What opening the log found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The store's id, as it was given when the log was begun.
    pub store: [u8; 16],
    /// Whether the log was begun just now.
    pub created: bool,
    /// Whether the log ended with a seal and nothing after it.
    pub clean: bool,
    /// What was found wrong, in log order.
    pub damages: Vec<Damage>,
    /// How many bytes were cut from the unsealed end.
    pub cut_bytes: u64,
    /// How many frames were saved from the bytes that were cut, and appended again at new positions.
    pub salvaged: u64,
    /// The highest ceiling of the clock in the log: no stamp of this node lies above it.
    pub ceiling: Stamp,
    /// The greatest stamp in any frame, ceilings and closed times left out.
    pub greatest_stamp: Stamp,
    /// How many batches the open segment held.
    pub batches: u64,
    /// How many frames the open segment held.
    pub frames: u64,
    /// Where the log ends now.
    pub end: Position,
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stop = match (self.created, self.clean) {
            (true, _) => "begun",
            (false, true) => "opened after a clean stop",
            (false, false) => "opened after a crash",
        };
        write!(
            f,
            "log {stop}, ends at {}, {} batches with {} frames in the open segment",
            self.end, self.batches, self.frames
        )?;
        if self.cut_bytes > 0 {
            write!(f, "; cut {} bytes, saved {} frames from them", self.cut_bytes, self.salvaged)?;
        }
        self.damages.iter().try_for_each(|damage| write!(f, "\n  {damage}"))
    }
}
