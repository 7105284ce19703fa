//! Reading the log: one frame by its position, or everything in order.
//!
//! Every frame is checked against its CRC every time it is read. A reader never waits for the writer, never sees what
//! is not durable, and never returns a frame that is not the one that was written there.

use super::bytes::{narrow, wide};
use super::error::ReadError;
use super::frame::{CheckedFrame, Frame};
use super::position::Position;
use super::report::{Damage, DamageKind};
use super::shared::{Segment, Shared};
use super::walk::{Found, Piece, Walk, pieces};
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Reads a log. Cheap to clone; any number of threads may read at once.
#[derive(Clone, Debug)]
pub struct LogReader {
    pub(super) shared: Arc<Shared>,
}

/// One thing that a scan comes across, in log order.
#[derive(Debug)]
pub enum Item<'a> {
    /// A frame; seals and offset tables too. Before a [`Frame::Lost`] in the place of a damaged frame comes a damage.
    Frame(Position, Frame<'a>),
    /// A stretch that is not what was written. Nothing in it is served.
    Damage(Damage),
}

/// A frame that was read, with the bytes it borrows from.
#[derive(Clone, Debug)]
pub struct OwnedFrame {
    position: Position,
    bytes: Vec<u8>,
}

impl OwnedFrame {
    /// Where it was read.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The frame. Cost: the decoding of a header; nothing is copied and no CRC computed.
    pub fn frame(&self) -> Frame<'_> {
        let decoded = CheckedFrame::trust(&self.bytes).and_then(|frame| frame.decode().ok());
        let Some(frame) = decoded else { unreachable!("it was decoded once when it was read") };
        frame
    }
}

impl LogReader {
    /// The store's id.
    pub fn store_id(&self) -> [u8; 16] {
        self.shared.store
    }

    /// Where the log ends: every frame at a position below is durable, every later one will lie at or above.
    pub fn end(&self) -> Position {
        self.shared.end()
    }

    /// Reads the frame at `position`; `length` is that of the whole frame, [`Frame::length`].
    ///
    /// Cost: one read of `length` bytes and its CRC; in a compacted segment one read of 2 KiB more.
    ///
    /// # Errors
    ///
    /// [`ReadError::Gone`] if compaction dropped it or nothing was ever there, [`ReadError::Damaged`] if what is there
    /// is not a frame of that length written at that position.
    pub fn read(&self, position: Position, length: u32) -> Result<OwnedFrame, ReadError> {
        let failed = |source| ReadError::Io { at: position, source };
        if position >= self.end() {
            return Err(ReadError::Gone(position));
        }
        let segment = self.shared.segment(position.segment).ok_or(ReadError::Damaged(position))?;
        if !segment.is_compacted() {
            return read_at(&segment, position, position.at, length);
        }
        let found = segment.offset_of(position.at).map_err(failed)?;
        match found {
            Some(offset) => read_at(&segment, position, offset, length),
            None => Err(ReadError::Gone(position)),
        }
    }

    /// Hands everything from `from` on to `visit`, in log order, up to the end at the time; returns where to go on.
    ///
    /// `visit` may break off. Memory: one batch, or one damaged stretch, at a time.
    ///
    /// # Errors
    ///
    /// [`ReadError::Io`] if the disk refuses, [`ReadError::Upgrade`] if a newer release wrote a frame.
    pub fn scan(
        &self,
        from: Position,
        visit: &mut dyn FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> Result<Position, ReadError> {
        let end = self.end();
        let segments = self.shared.segments_from(from.segment);
        for segment in segments.into_iter().filter(|segment| segment.number() <= end.segment) {
            let skip_to = if segment.number() == from.segment { from.at } else { 0 };
            let limit = if segment.number() == end.segment { end.at } else { u32::MAX };
            let mut walk = segment.walk().skipping_to(skip_to).until(limit);
            let mut stopped = None;
            let mut above = |item: Item<'_>| match item {
                Item::Frame(at, _) if at < from || at >= end => ControlFlow::Continue(()),
                Item::Frame(at, _) => {
                    let flow = visit(item);
                    stopped = flow.is_break().then_some(Position { at: at.at.saturating_add(1), ..at });
                    flow
                }
                Item::Damage(_) => visit(item),
            };
            loop {
                match visit_next(&segment, &mut walk, &mut above)? {
                    Next::Batch(ControlFlow::Continue(())) => {}
                    Next::Batch(ControlFlow::Break(())) => {
                        let here = Position { segment: segment.number(), at: walk.end() };
                        return Ok(stopped.unwrap_or(here));
                    }
                    Next::End => break,
                }
            }
        }
        Ok(end.max(from))
    }
}

/// Reads and checks the frame of `position`, which now is at `offset`.
fn read_at(segment: &Segment, position: Position, offset: u32, length: u32) -> Result<OwnedFrame, ReadError> {
    let end = u64::from(offset) + u64::from(length);
    if end > u64::from(segment.end()) {
        return Err(ReadError::Damaged(position));
    }
    let mut bytes = vec![0; wide(length)];
    match segment.file.read_exact_at(&mut bytes, u64::from(offset)) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(ReadError::Damaged(position)),
        other => other.map_err(|source| ReadError::Io { at: position, source })?,
    }
    let whole = CheckedFrame::read(&bytes).filter(|frame| frame.header.at == position.at);
    let frame = whole.filter(|frame| frame.bytes.len() == bytes.len()).ok_or(ReadError::Damaged(position))?;
    let decoded = frame.decode().map_err(|source| ReadError::Upgrade { at: position, source })?;
    if decoded.marks_loss_at(position) {
        return Err(ReadError::Damaged(position));
    }
    Ok(OwnedFrame { position, bytes })
}

/// What a step of a walk came to.
pub(super) enum Next {
    /// Something was visited.
    Batch(ControlFlow<()>),
    /// The segment is at its end.
    End,
}

/// Takes one step of `walk` through `segment` and hands what it finds to `visit`.
pub(super) fn visit_next(
    segment: &Segment,
    walk: &mut Walk<'_>,
    visit: &mut dyn FnMut(Item<'_>) -> ControlFlow<()>,
) -> Result<Next, ReadError> {
    let place = |at| Position { segment: segment.number(), at };
    let found = walk.step().map_err(|source| ReadError::Io { at: place(walk.end()), source })?;
    let base = match found {
        Found::End => return Ok(Next::End),
        Found::Missing { at } => {
            let damage = Damage::new(DamageKind::BatchesMissing, segment, at, at);
            return Ok(Next::Batch(visit(Item::Damage(damage))));
        }
        Found::Padding { from, to } => {
            let damage = Damage::new(DamageKind::Padding, segment, from, to);
            return Ok(Next::Batch(visit(Item::Damage(damage))));
        }
        Found::Batch { frames_at, .. } => frames_at,
        Found::Broken { from, .. } | Found::Tail { frames_at: from, .. } => from,
    };
    let mut outcome = Ok(ControlFlow::Continue(()));
    pieces(walk.bytes(), base, segment.is_compacted(), &mut |piece| {
        if !matches!(outcome, Ok(ControlFlow::Continue(()))) {
            return;
        }
        outcome = match piece {
            Piece::Bad(from, to) => Ok(visit(Item::Damage(Damage::new(DamageKind::Frames, segment, from, to)))),
            Piece::Frame(offset, frame) => {
                let at = place(frame.header.at);
                let to = offset.saturating_add(narrow(frame.bytes.len()));
                let decoded = frame.decode().map_err(|source| ReadError::Upgrade { at, source });
                decoded.map(|frame| {
                    if frame.marks_loss_at(at) {
                        let damage = Damage::new(DamageKind::Frames, segment, offset, to);
                        if visit(Item::Damage(damage)).is_break() {
                            return ControlFlow::Break(());
                        }
                    }
                    visit(Item::Frame(at, frame))
                })
            }
        };
    });
    outcome.map(Next::Batch)
}
