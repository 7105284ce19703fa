//! Re-reading the log, to find damage before somebody needs what is damaged.
//!
//! Checks every CRC, the chain of batches in each segment and the chain of segments through the manifest. It never
//! checks ids or signatures, which is the caller's work for the frames it is handed, and it repairs nothing.

use super::error::ReadError;
use super::manifest::{Entry, Sealed};
use super::position::Position;
use super::reader::{Item, LogReader, Next, visit_next};
use super::report::{Damage, DamageKind};
use super::segment::{SEGMENT_HEADER, SegmentHeader};
use super::shared::Segment;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

/// How far a scrubber is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes this step read.
    pub bytes: u64,
    /// Where the next step goes on, an offset in the file of the segment's present generation.
    pub next: Position,
    /// Whether the whole log was read; the next step begins again.
    pub complete: bool,
}

/// Re-reads a log step by step, so that the caller can keep to a rate.
#[derive(Debug)]
pub struct Scrubber {
    reader: LogReader,
    /// The segment that comes next.
    segment: u32,
    /// Where to go on in it: generation, offset, the number of the next batch.
    within: Option<(u32, u32, Option<u64>)>,
    /// The number of the last batch of the segment before.
    last_number: Option<u64>,
}

impl LogReader {
    /// Reads everything that is durable and hands frames and damage to `visit`, in log order.
    ///
    /// # Errors
    ///
    /// As [`LogReader::scan`]. Damage is no error.
    pub fn verify(&self, visit: &mut dyn FnMut(Item<'_>)) -> Result<(), ReadError> {
        let mut scrubber = self.scrubber();
        while !scrubber.step(u64::MAX, visit)?.complete {}
        Ok(())
    }

    /// A scrubber that begins at the beginning.
    pub fn scrubber(&self) -> Scrubber {
        Scrubber { reader: self.clone(), segment: 0, within: None, last_number: None }
    }
}

impl Scrubber {
    /// Reads about `bytes_max` bytes, at least one batch, and hands what it finds to `visit`.
    ///
    /// # Errors
    ///
    /// As [`LogReader::scan`]; the next step tries the same place again.
    pub fn step(&mut self, bytes_max: u64, visit: &mut dyn FnMut(Item<'_>)) -> Result<Progress, ReadError> {
        let mut bytes = 0;
        let shared = Arc::clone(&self.reader.shared);
        for segment in shared.segments_from(self.segment) {
            let entry = shared.manifest().segments.get(&segment.number()).copied();
            bytes += self.step_segment(&segment, entry, bytes_max.saturating_sub(bytes), visit)?;
            if let Some((_, at, _)) = self.within {
                return Ok(Progress { bytes, next: Position { segment: self.segment, at }, complete: false });
            }
            if bytes >= bytes_max && shared.end().segment >= self.segment {
                return Ok(Progress { bytes, next: Position { segment: self.segment, at: 0 }, complete: false });
            }
        }
        *self = self.reader.scrubber();
        Ok(Progress { bytes, next: Position::START, complete: true })
    }

    /// Reads on in one segment and returns how many bytes were read.
    fn step_segment(
        &mut self,
        segment: &Segment,
        entry: Option<Entry>,
        bytes_max: u64,
        visit: &mut dyn FnMut(Item<'_>),
    ) -> Result<u64, ReadError> {
        // A segment that was compacted since the last step begins again.
        let resumed = self.within.filter(|(generation, ..)| *generation == segment.generation);
        let mut walk = segment.walk();
        if let Some((_, at, number)) = resumed {
            walk = walk.resumed(at, number);
        } else {
            self.check_start(segment, visit)?;
        }
        let from = walk.end();
        let mut hand_on = |item: Item<'_>| {
            visit(item);
            ControlFlow::Continue(())
        };
        loop {
            if let Next::End = visit_next(segment, &mut walk, &mut hand_on)? {
                break;
            }
            let read = u64::from(walk.end().saturating_sub(from));
            if read >= bytes_max && walk.end() < segment.end() {
                self.segment = segment.number();
                self.within = Some((segment.generation, walk.end(), walk.next_number()));
                return Ok(read);
            }
        }
        let last = walk.next_number().map(|next| next.saturating_sub(1));
        if let Some(sealed) = entry.filter(|entry| entry.generation == segment.generation).and_then(|it| it.sealed) {
            check_end(segment, sealed, last, visit)?;
        }
        self.last_number = last;
        self.segment = segment.number().saturating_add(1);
        self.within = None;
        Ok(u64::from(walk.end().saturating_sub(from)))
    }

    /// Checks the header of a segment and that its batches follow those of the one before.
    fn check_start(&self, segment: &Segment, visit: &mut dyn FnMut(Item<'_>)) -> Result<(), ReadError> {
        let mut bytes = [0; 64];
        let at = Position { segment: segment.number(), at: 0 };
        match segment.file.read_exact_at(&mut bytes, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            other => other.map_err(|source| ReadError::Io { at, source })?,
        }
        let identity = |header: SegmentHeader| (header.owner(), header.generation);
        if SegmentHeader::read(&bytes).map(identity) != Ok((segment.owner, segment.generation)) {
            visit(Item::Damage(Damage::new(DamageKind::SegmentHeader, segment, 0, SEGMENT_HEADER)));
        }
        let follows =
            self.last_number.zip(segment.first).is_none_or(|(last, first)| last.checked_add(1) == Some(first));
        if !follows {
            visit(Item::Damage(Damage::new(DamageKind::BatchesMissing, segment, 0, 0)));
        }
        Ok(())
    }
}

/// Checks that a sealed segment ends as the manifest says.
fn check_end(
    segment: &Segment,
    sealed: Sealed,
    last: Option<u64>,
    visit: &mut dyn FnMut(Item<'_>),
) -> Result<(), ReadError> {
    let place = Position { segment: segment.number(), at: sealed.last_at };
    let mut bytes = [0; 4];
    match segment.file.read_exact_at(&mut bytes, u64::from(sealed.last_at) + 28) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
        other => other.map_err(|source| ReadError::Io { at: place, source })?,
    }
    let chained = u32::from_le_bytes(bytes) == sealed.chain && last == Some(sealed.last);
    if !chained || segment.end() != sealed.length {
        let from = sealed.last_at.min(segment.end());
        visit(Item::Damage(Damage::new(DamageKind::BatchesMissing, segment, from, sealed.length.max(from))));
    }
    Ok(())
}
