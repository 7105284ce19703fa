//! Where a compacted segment keeps its frames, by the offsets they once had.
//!
//! Memory holds every 256th pair; the rest is read from the segment's own table when it is needed. A wrong table never
//! makes a wrong answer: it is checked when it is read, and whoever looks up checks the frame. If the table is damaged, the
//! frames are walked instead.

use super::bytes::{narrow, u32_at, wide};
use super::frame::{CheckedFrame, Frame, PAIR};
use super::shared::Segment;
use super::walk::{Found, Piece, Walk, pieces};
use std::io;

/// How many pairs of the table one pair in memory stands for.
const STRIDE: usize = 256;

/// The table of one segment.
#[derive(Debug)]
pub(super) enum Offsets {
    /// The first `at` and the CRC of every [`STRIDE`] pairs, and where the pairs begin and how many they are.
    Sparse { every: Vec<(u32, u32)>, pairs_at: u32, count: usize },
    /// All pairs, ascending: the table in the file is damaged.
    Full(Vec<(u32, u32)>),
}

impl Offsets {
    /// Loads the table of `segment`, or makes it from the frames.
    pub(super) fn load(segment: &Segment) -> io::Result<Self> {
        match Self::from_table(segment)? {
            Some(offsets) => Ok(offsets),
            None => Self::from_frames(segment),
        }
    }

    fn from_table(segment: &Segment) -> io::Result<Option<Self>> {
        let walk = Walk::new(segment.file.as_ref(), segment.owner, true, None, segment.end());
        let mut walk = walk.resumed(segment.last_at, None);
        let mut found = walk.step()?;
        if matches!(found, Found::Missing { .. }) {
            found = walk.step()?;
        }
        let Found::Batch { frames_at, .. } = found else { return Ok(None) };
        let mut offsets = None;
        pieces(walk.bytes(), frames_at, true, &mut |piece| {
            if let Piece::Frame(at, frame) = piece
                && let Ok(Frame::Offsets { pairs, .. }) = frame.decode()
            {
                let pairs_at = at.saturating_add(narrow(frame.bytes.len() - pairs.len()));
                let every =
                    pairs.chunks(STRIDE * PAIR).filter_map(|chunk| Some((u32_at(chunk, 0)?, crc32c::crc32c(chunk))));
                let every = every.collect();
                offsets = Some(Self::Sparse { every, pairs_at, count: pairs.len() / PAIR });
            }
        });
        Ok(offsets)
    }

    /// Makes the table by walking through the segment.
    pub(super) fn from_frames(segment: &Segment) -> io::Result<Self> {
        let mut all = Vec::new();
        let mut walk = segment.walk();
        loop {
            let from = match walk.step()? {
                Found::End => break,
                Found::Padding { .. } | Found::Missing { .. } => continue,
                Found::Batch { frames_at, .. } => frames_at,
                Found::Broken { from, .. } | Found::Tail { frames_at: from, .. } => from,
            };
            pieces(walk.bytes(), from, true, &mut |piece| {
                if let Piece::Frame(offset, CheckedFrame { header, .. }) = piece {
                    all.push((header.at, offset));
                }
            });
        }
        all.sort_unstable();
        Ok(Self::Full(all))
    }

    /// The offset of the frame that was at `at`; `None` if it was dropped.
    pub(super) fn find(&self, segment: &Segment, at: u32) -> io::Result<Option<u32>> {
        let (every, pairs_at, count) = match self {
            Self::Full(all) => {
                let found = all.binary_search_by_key(&at, |(at, _)| *at).ok();
                return Ok(found.and_then(|index| all.get(index)).map(|(_, offset)| *offset));
            }
            Self::Sparse { every, pairs_at, count } => (every, *pairs_at, *count),
        };
        let Some(group) = every.partition_point(|(first, _)| *first <= at).checked_sub(1) else { return Ok(None) };
        let first = group * STRIDE;
        let mut pairs = vec![0; STRIDE.min(count.saturating_sub(first)) * PAIR];
        segment.file.read_exact_at(&mut pairs, u64::from(pairs_at) + u64::from(narrow(first * PAIR)))?;
        if every.get(group).is_none_or(|(_, crc)| *crc != crc32c::crc32c(&pairs)) {
            return Self::from_frames(segment)?.find(segment, at);
        }
        let found = pairs.chunks(PAIR).find(|pair| u32_at(pair, 0) == Some(at));
        Ok(found.and_then(|pair| u32_at(pair, 4)).filter(|offset| wide(*offset) < wide(segment.end())))
    }
}
