//! Walking through a segment, batch by batch, past whatever is damaged.
//!
//! The one reader of segments: recovery, scans, verification and compaction all walk. It never decides what to do about
//! damage, never writes, and never takes a byte for a frame unless the frame's CRC, and in a segment that was not
//! compacted its own offset, say so.
//!
//! A batch is in order if it states the number after that of the batch before it and the place where that one ended.
//! What lies between two batches in order is no part of the log. Where a batch is not in order, batches between are lost,
//! and the frames among their remains are looked for one by one.

use super::batch::{BATCH_HEADER, BATCH_MAGIC, BatchHeader, Owner};
use super::bytes::{align, is_zero, narrow, wide};
use super::frame::{CheckedFrame, FRAME_HEADER, Frame, FrameHeader};
use super::segment::SEGMENT_HEADER;
use crate::disk::DiskFile;
use std::io;

/// How much is read at once when looking for the next batch, in bytes; a multiple of 8.
const SEARCH_BYTES: u32 = 64 * 1024;

/// What a walk comes across next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A whole batch; [`Walk::bytes`] are its frames, which begin at `frames_at`.
    Batch { at: u32, header: BatchHeader, frames_at: u32 },
    /// A stretch where one or more batches are damaged, although later ones are there; [`Walk::bytes`] is all of it, but
    /// for the header of a batch of which only frames are damaged.
    Broken { from: u32, to: u32 },
    /// Batches are missing, without a trace, before this offset.
    Missing { at: u32 },
    /// Bytes between batches that should be zero.
    Padding { from: u32, to: u32 },
    /// Bytes after the last whole batch that are none; [`Walk::bytes`] is what lies from `frames_at` on, where the first
    /// frame may be expected. Comes last.
    Tail { from: u32, frames_at: u32, to: u32 },
    /// Nothing more.
    End,
}

/// A walk through one segment.
#[derive(Debug)]
pub(super) struct Walk<'f> {
    file: &'f dyn DiskFile,
    owner: Owner,
    compacted: bool,
    /// Nothing is read from here on.
    limit: u32,
    /// Where the last batch ended.
    end: u32,
    /// The number that the next batch must have, or in a compacted segment at least have.
    number: Option<u64>,
    /// A batch that was found, behind something that was reported.
    pending: Option<(u32, BatchHeader)>,
    /// Batches that end before are not read.
    skip_to: u32,
    bytes: Vec<u8>,
}

impl<'f> Walk<'f> {
    /// A walk from the first batch to `limit`; `first` is the number of the first batch, if it is known.
    pub(super) fn new(file: &'f dyn DiskFile, owner: Owner, compacted: bool, first: Option<u64>, limit: u32) -> Self {
        let end = SEGMENT_HEADER;
        Self { file, owner, compacted, limit, end, number: first, pending: None, skip_to: 0, bytes: Vec::new() }
    }

    /// Reads only the headers of batches that end at or before `offset`.
    pub(super) fn skipping_to(self, offset: u32) -> Self {
        Self { skip_to: if self.compacted { 0 } else { offset }, ..self }
    }

    /// Reads nothing from `offset` on.
    pub(super) fn until(self, offset: u32) -> Self {
        Self { limit: if self.compacted { self.limit } else { self.limit.min(offset) }, ..self }
    }

    /// The same walk, gone on from where a batch ended; `number` is what the next one must have.
    pub(super) fn resumed(self, end: u32, number: Option<u64>) -> Self {
        Self { end, number, ..self }
    }

    /// Where the last batch ended.
    pub(super) fn end(&self) -> u32 {
        self.end
    }

    /// The number that the next batch must have, if it is known.
    pub(super) fn next_number(&self) -> Option<u64> {
        self.number
    }

    /// The bytes of what was found last.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Goes on to the next thing.
    pub(super) fn step(&mut self) -> io::Result<Found> {
        loop {
            let found = match self.pending.take() {
                Some((at, header)) => self.take(at, header)?,
                None => self.find()?,
            };
            if let Some(found) = found {
                return Ok(found);
            }
        }
    }

    /// Finds the next batch and says what lies before it; `None` if the batch was skipped.
    fn find(&mut self) -> io::Result<Option<Found>> {
        let Search { header, nonzero } = self.search(self.end)?;
        let Some((at, header)) = header else {
            let Some((from, to)) = nonzero else { return Ok(Some(Found::End)) };
            let from = (from & !7).max(self.end);
            return self.tail(from, from, to).map(Some);
        };
        if !self.is_in_order(&header) {
            let (from, to) = (self.end, header.previous_end.clamp(self.end, at));
            self.load(from, to)?;
            self.pending = Some((at, header));
            return Ok(Some(if is_zero(&self.bytes) { Found::Missing { at } } else { Found::Broken { from, to } }));
        }
        let Some((from, to)) = nonzero else { return self.take(at, header) };
        self.pending = Some((at, header));
        Ok(Some(Found::Padding { from, to }))
    }

    fn is_in_order(&self, header: &BatchHeader) -> bool {
        let number = self
            .number
            .is_none_or(|number| if self.compacted { header.number >= number } else { header.number == number });
        number && header.previous_end == self.end
    }

    /// Reads the batch at `at`, which is in order; `None` if it was skipped.
    fn take(&mut self, at: u32, header: BatchHeader) -> io::Result<Option<Found>> {
        let frames_at = at.saturating_add(BATCH_HEADER);
        let end = frames_at.saturating_add(header.length);
        if end > self.skip_to {
            self.load(frames_at, end)?;
            if crc32c::crc32c(&self.bytes) != header.frames_crc {
                return self.take_broken(at, end, header).map(Some);
            }
        }
        self.end = end;
        self.number = Some(header.number.saturating_add(1));
        Ok((end > self.skip_to).then_some(Found::Batch { at, header, frames_at }))
    }

    /// A batch whose frames do not match its header: the last one may be torn, one before it is damaged.
    fn take_broken(&mut self, at: u32, end: u32, header: BatchHeader) -> io::Result<Found> {
        let Search { header: later, nonzero } = self.search(end)?;
        if later.is_none() {
            let to = nonzero.map_or(end, |(_, to)| to);
            return self.tail(at, at.saturating_add(BATCH_HEADER), to);
        }
        let frames_at = at.saturating_add(BATCH_HEADER);
        self.load(frames_at, end)?;
        self.end = end;
        self.number = Some(header.number.saturating_add(1));
        Ok(Found::Broken { from: frames_at, to: end })
    }

    fn tail(&mut self, from: u32, frames_at: u32, to: u32) -> io::Result<Found> {
        self.load(frames_at, to)?;
        self.end = self.limit;
        Ok(Found::Tail { from, frames_at, to })
    }

    fn load(&mut self, from: u32, to: u32) -> io::Result<()> {
        self.bytes.resize(wide(to.saturating_sub(from)), 0);
        self.file.read_exact_at(&mut self.bytes, u64::from(from))
    }

    /// Looks for the next header of this segment from `from` on, and for what is not zero before it.
    fn search(&self, from: u32) -> io::Result<Search> {
        let mut found = Search { header: None, nonzero: None };
        let mut chunk = Vec::new();
        let mut at = from;
        // The first read is short: mostly the next batch begins where the last one ended.
        let mut wanted = BATCH_HEADER + 8;
        while at < self.limit && found.header.is_none() {
            let next = (at & !7).saturating_add(wanted).min(self.limit);
            let to = next.saturating_add(BATCH_HEADER).min(self.limit);
            chunk.resize(wide(to - at), 0);
            self.file.read_exact_at(&mut chunk, u64::from(at))?;
            self.search_chunk(&chunk, at, next, &mut found);
            (at, wanted) = (next, SEARCH_BYTES);
        }
        Ok(found)
    }

    /// Searches `chunk`, which begins at `from`, for headers that begin before `next`.
    fn search_chunk(&self, chunk: &[u8], from: u32, next: u32, found: &mut Search) {
        let own = chunk.get(..wide(next - from)).unwrap_or_default();
        if is_zero(own) {
            return;
        }
        let headers = (align(from)..next).step_by(8).find_map(|at| {
            let bytes = chunk.get(wide(at - from)..).filter(|bytes| bytes.starts_with(&BATCH_MAGIC))?;
            BatchHeader::read(bytes, self.owner).filter(|header| self.fits(at, header)).map(|header| (at, header))
        });
        found.header = headers;
        let before = headers.map_or(own, |(at, _)| own.get(..wide(at - from)).unwrap_or_default());
        let place = |index: usize| from.saturating_add(narrow(index));
        if let Some(first) = before.iter().position(|byte| *byte != 0)
            && let Some(last) = before.iter().rposition(|byte| *byte != 0)
        {
            let first = found.nonzero.map_or(place(first), |(first, _)| first);
            found.nonzero = Some((first, place(last + 1)));
        }
    }

    fn fits(&self, at: u32, header: &BatchHeader) -> bool {
        let end = u64::from(at) + u64::from(BATCH_HEADER) + u64::from(header.length);
        end <= u64::from(self.limit) && header.previous_end <= at
    }
}

/// What a search found.
struct Search {
    header: Option<(u32, BatchHeader)>,
    /// From the first to behind the last byte before it that is not zero.
    nonzero: Option<(u32, u32)>,
}

/// A part of a batch or of its remains.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    /// A frame whose CRC is right, and its offset.
    Frame(u32, CheckedFrame<'a>),
    /// Bytes that are none, from and to.
    Bad(u32, u32),
}

/// Takes the frames out of `bytes`, which begin at the offset `base`, and hands what is between them to `visit` too.
///
/// Where a frame is damaged, its header is believed if that leads to something believable; else every next byte is
/// tried. In a compacted segment, where a frame does not prove its offset, headers are believed only where a frame is
/// expected, and positions must ascend. Zeros are not reported.
pub(super) fn pieces<'a>(bytes: &'a [u8], base: u32, compacted: bool, visit: &mut dyn FnMut(Piece<'a>)) {
    let mut offset = 0;
    let mut bad_from = None;
    let mut expected = true;
    let mut last_at = 0;
    let report = |from: &mut Option<usize>, to: usize, visit: &mut dyn FnMut(Piece<'a>)| {
        if let Some(start) = from.take()
            && !is_zero(bytes.get(start..to).unwrap_or_default())
        {
            visit(Piece::Bad(base.saturating_add(narrow(start)), base.saturating_add(narrow(to))));
        }
    };
    while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
        let at = base.saturating_add(narrow(offset));
        let fits = |header: &FrameHeader| if compacted { header.at >= last_at } else { header.at == at };
        let header = FrameHeader::read(rest).filter(fits);
        let trusted = header.filter(|header| expected || header.is_plausible());
        if let Some(frame) = trusted.and_then(|_| CheckedFrame::read(rest)) {
            report(&mut bad_from, offset, visit);
            offset += frame.bytes.len();
            (expected, last_at) = (true, frame.header.at);
            visit(Piece::Frame(at, frame));
            continue;
        }
        bad_from.get_or_insert(offset);
        let believed = header.filter(|_| expected || !compacted);
        let believed = believed.filter(|header| is_believable(rest, at, header, compacted));
        expected = believed.is_some();
        offset += believed.map_or(1, |header| header.length());
    }
    report(&mut bad_from, bytes.len(), visit);
}

/// Hands the whole frames among `bytes`, which were written at offset `at` of a segment that was never
/// compacted, to `visit`. Whether they are part of a log is not looked at: for whoever watches what a log writes.
pub fn frames_written(bytes: &[u8], at: u32, visit: &mut dyn FnMut(Frame<'_>)) {
    pieces(bytes, at, false, &mut |piece| {
        if let Piece::Frame(_, frame) = piece
            && let Ok(frame) = frame.decode()
        {
            visit(frame);
        }
    });
}

/// Whether the header at the start of `rest` leads to the end, to another plausible header or to another batch.
fn is_believable(rest: &[u8], at: u32, header: &FrameHeader, compacted: bool) -> bool {
    let length = header.length();
    let Some(next) = rest.get(length..).filter(|_| header.is_plausible() && length >= FRAME_HEADER) else {
        return false;
    };
    let next_at = at.saturating_add(narrow(length));
    let padding = wide(align(next_at) - next_at);
    let batch = next.get(padding..).is_some_and(|bytes| bytes.starts_with(&BATCH_MAGIC));
    let frame = FrameHeader::read(next);
    let fits = |frame: &FrameHeader| if compacted { frame.at > header.at } else { frame.at == next_at };
    let frame = frame.is_some_and(|frame| frame.is_plausible() && fits(&frame));
    next.is_empty() || batch || frame
}
