//! The claim log: the truth from which everything else is rebuilt.

mod error;
mod frame;
mod position;
mod report;

pub use error::{LogError, ReadError};
pub use frame::{FRAME_HEADER, Frame, FrameError, RecordKind, SealReason, StoredRecord};
pub use position::Position;
pub use report::{Damage, DamageKind, Recovery};

use crate::disk::Disk;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub segment_bytes_max: u32,
    pub batch_bytes_max: u32,
}

/// One thing a scan comes across, in log order.
#[derive(Debug)]
pub enum Item<'a> {
    Frame(Position, Frame<'a>),
    Damage(Damage),
}

/// A frame read by position. `frame()` decodes on the fly, no allocation.
#[derive(Debug)]
pub struct OwnedFrame {}
impl OwnedFrame {
    pub fn position(&self) -> Position {
        unimplemented!()
    }
    pub fn frame(&self) -> Frame<'_> {
        unimplemented!()
    }
}

#[derive(Debug)]
pub struct Log {}
impl Log {
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        settings: Settings,
        new_store_id: [u8; 16],
    ) -> Result<(Self, Recovery), LogError> {
        unimplemented!()
    }
    /// Durable on return. Positions in the order of `frames`.
    pub fn append(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Position>, LogError> {
        unimplemented!()
    }
    pub fn reader(&self) -> LogReader {
        unimplemented!()
    }
    pub fn compactor(&self) -> Compactor {
        unimplemented!()
    }
    pub fn end(&self) -> Position {
        unimplemented!()
    }
    /// Clean stop.
    pub fn seal(&mut self, now: model::Stamp) -> Result<(), LogError> {
        unimplemented!()
    }
    pub fn sealed_segments(&self) -> Vec<u32> {
        unimplemented!()
    }
    /// Some while no next segment is prepared: run it on a maintenance thread.
    pub fn wants_spare(&self) -> Option<SpareJob> {
        unimplemented!()
    }
}

#[derive(Debug)]
pub struct SpareJob {}
impl SpareJob {
    pub fn run(&self) -> Result<(), LogError> {
        unimplemented!()
    }
}

/// Clone, Send, Sync.
#[derive(Clone, Debug)]
pub struct LogReader {}
impl LogReader {
    /// `length` is that of the whole frame in bytes: `Frame::length()`.
    pub fn read(&self, position: Position, length: u32) -> Result<OwnedFrame, ReadError> {
        unimplemented!()
    }
    /// Everything from `from` on, up to the end at the time; returns where to go on.
    pub fn scan(
        &self,
        from: Position,
        visit: &mut dyn FnMut(Item<'_>) -> ControlFlow<()>,
    ) -> Result<Position, ReadError> {
        unimplemented!()
    }
    pub fn end(&self) -> Position {
        unimplemented!()
    }
    pub fn store_id(&self) -> [u8; 16] {
        unimplemented!()
    }
}

/// Clone, Send, Sync. Rewrites one sealed segment at a time, while appends and reads go on.
#[derive(Clone, Debug)]
pub struct Compactor {}
impl Compactor {
    /// `keep` is asked for every frame but seals and offset tables.
    pub fn compact(
        &self,
        segment: u32,
        now: model::Stamp,
        keep: &mut dyn FnMut(Position, &Frame<'_>) -> bool,
    ) -> Result<Compacted, LogError> {
        unimplemented!()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compacted {
    pub frames_kept: u64,
    pub frames_dropped: u64,
    pub bytes_before: u64,
    pub bytes_after: u64,
    pub damages: Vec<Damage>,
}
