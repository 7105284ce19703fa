//! Appending to the log.
//!
//! One batch is in flight at a time: one write and one sync each, so that only the last batch can ever be torn. Nothing
//! is acknowledged before its sync has returned. After a failed write or sync nothing is appended any more, because
//! what the disk holds is unknown; a full disk is no such failure.

use super::Settings;
use super::batch::{BATCH_HEADER, BatchHeader};
use super::bytes::{align, narrow, wide};
use super::compact::Compactor;
use super::error::LogError;
use super::frame::{Frame, SealReason};
use super::manifest::{Entry, Sealed};
use super::position::Position;
use super::reader::LogReader;
use super::recovery;
use super::report::Recovery;
use super::segment::{SEGMENT_HEADER, SegmentHeader, file_name};
use super::shared::{Segment, Shared, Spare, failed, is_full};
use super::spare::{NEXT, SPARE, SpareJob, prepare};
use crate::disk::{Disk, DiskFile};
use model::Stamp;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What a batch with a seal takes, aligned: 32 of header, 25 of frame.
pub(super) const SEAL_BYTES: u32 = 64;
/// What is kept free at the end of a segment: a clean stop, and the seal of the full segment.
pub(super) const RESERVE: u32 = 2 * SEAL_BYTES;

/// The writer of a log: one a log.
#[derive(Debug)]
pub struct Log {
    pub(super) shared: Arc<Shared>,
    /// The segment that takes appends; `None` if the disk was too full to begin it.
    pub(super) active: Option<Active>,
    /// The number of the next batch.
    pub(super) next_number: u64,
    /// The highest ceiling in the log.
    pub(super) ceiling: Stamp,
    /// The greatest stamp of a record in the log.
    pub(super) greatest_stamp: Stamp,
    /// A write or a sync failed.
    pub(super) stopped: bool,
    /// One batch, encoded; reused.
    pub(super) buffer: Vec<u8>,
}

/// The open segment as its writer sees it.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) segment: Arc<Segment>,
    /// Where the last batch ended.
    pub(super) end: u32,
    /// Where the next batch begins: behind what was cut, at a multiple of 8.
    pub(super) next: u32,
    /// The length of the file.
    pub(super) capacity: u32,
    /// The last batch and where it begins.
    pub(super) last: Option<(u32, BatchHeader)>,
    /// Whether the last batch is a seal.
    pub(super) is_sealed: bool,
}

impl Active {
    /// How many bytes of frames the next batch may hold so that it leaves the reserve; `None` if not even none.
    fn room(&self) -> Option<u32> {
        self.capacity.checked_sub(RESERVE + BATCH_HEADER + 7)?.checked_sub(self.next)
    }
}

impl Log {
    /// Opens the log in `dir`, recovering it if need be, or begins one with the id `new_store_id`.
    ///
    /// Holds an exclusive lock on the folder until this, its readers and its compactors are dropped. Cost: the open
    /// segment is read once, of the others the headers.
    ///
    /// # Errors
    ///
    /// [`LogError::Locked`] if another process has it; [`LogError::Upgrade`] or [`LogError::Version`] if a newer
    /// release wrote it; [`LogError::ForeignSegment`]; [`LogError::DiskFull`] if what must be cut cannot be copied
    /// aside; [`LogError::Io`]. Damage is no error: it is in the [`Recovery`].
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        settings: Settings,
        new_store_id: [u8; 16],
    ) -> Result<(Self, Recovery), LogError> {
        recovery::open(disk, dir, settings, new_store_id)
    }

    /// Appends `frames`, durably, and returns their positions in the same order.
    ///
    /// One batch and one sync, unless they are longer than [`Settings::batch_bytes_max`] together.
    ///
    /// # Errors
    ///
    /// [`LogError::TooLarge`]: nothing was written. [`LogError::DiskFull`]: nothing is acknowledged, and the log goes
    /// on. [`LogError::Stopped`]: nothing is acknowledged, some of it may be found after a restart, and every later
    /// append fails likewise.
    pub fn append(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Position>, LogError> {
        let limit = self.shared.settings.frame_bytes_max();
        let too_large = frames.iter().map(Frame::length).find(|length| *length > limit);
        if let Some(bytes) = too_large {
            return Err(LogError::TooLarge { bytes, bytes_max: limit });
        }
        let mut positions = Vec::with_capacity(frames.len());
        let mut rest = frames;
        while !rest.is_empty() {
            let (count, length) = self.first_batch(rest);
            let (batch, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            self.make_room(length)?;
            self.write_batch(batch, &mut positions)?;
            rest = later;
        }
        Ok(positions)
    }

    /// Marks a clean stop; the log may still be appended to.
    ///
    /// # Errors
    ///
    /// As [`Log::append`].
    pub fn seal(&mut self, now: Stamp) -> Result<(), LogError> {
        match &self.active {
            Some(active) if !active.is_sealed && !self.stopped => {
                self.write_batch(&[Frame::Seal { now, reason: SealReason::CleanStop }], &mut Vec::new())
            }
            Some(_) | None => self.check(),
        }
    }

    /// Seals the open segment before it is full and begins the next, so that it can be compacted.
    ///
    /// # Errors
    ///
    /// As [`Log::append`].
    pub fn roll_early(&mut self) -> Result<(), LogError> {
        self.check()?;
        if self.active.is_some() { self.roll() } else { Ok(()) }
    }

    /// The version of the formats that whoever opens the log must speak.
    pub fn version(&self) -> u16 {
        self.shared.manifest().version
    }

    /// Raises the version of the formats, durably: from then on no release opens the log that does not speak it. It is never
    /// lowered. Cost: one manifest, if it is raised.
    ///
    /// # Errors
    ///
    /// [`LogError::DiskFull`] or [`LogError::Io`]: it may be raised or not; asking again is harmless.
    pub fn raise(&self, version: u16) -> Result<(), LogError> {
        if version <= self.version() {
            return Ok(());
        }
        self.shared.switch(|manifest| manifest.version = version).map_err(failed("write the manifest"))
    }

    /// A reader of this log.
    pub fn reader(&self) -> LogReader {
        LogReader { shared: Arc::clone(&self.shared) }
    }

    /// A compactor of this log.
    pub fn compactor(&self) -> Compactor {
        Compactor { shared: Arc::clone(&self.shared) }
    }

    /// Where the log ends: the frames of the next append will lie above.
    pub fn end(&self) -> Position {
        self.shared.end()
    }

    /// The longest frame that it takes, in bytes, header included.
    pub fn frame_bytes_max(&self) -> usize {
        self.shared.settings.frame_bytes_max()
    }

    /// Whether a write or a sync failed, so that the node must stop.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// The numbers of the sealed segments, ascending: what can be compacted.
    pub fn sealed_segments(&self) -> Vec<u32> {
        self.shared.sealed()
    }

    /// The job of preparing the next segment, once the open one is half full; offered until somebody takes it.
    pub fn wants_spare(&self) -> Option<SpareJob> {
        let wanted = self.active.as_ref().is_some_and(|active| active.next > active.capacity / 2);
        wanted.then(|| SpareJob::take(&self.shared)).flatten()
    }

    fn check(&self) -> Result<(), LogError> {
        if self.stopped { Err(LogError::Stopped(None)) } else { Ok(()) }
    }

    /// How many of `frames` make the next batch, at least one, and their length in bytes: what fits in the open segment,
    /// or in a new one if the first of them does not.
    fn first_batch(&self, frames: &[Frame<'_>]) -> (usize, u32) {
        let (mut count, mut length) = (0, 0);
        let first = frames.first().map_or(0, Frame::length);
        let room = self.active.as_ref().and_then(Active::room).map(wide).filter(|room| first <= *room);
        let room = room.unwrap_or_else(|| self.shared.settings.frame_bytes_max());
        let limit = wide(self.shared.settings.batch_bytes_max).min(room);
        for frame in frames {
            if count > 0 && length + frame.length() > limit {
                break;
            }
            count += 1;
            length += frame.length();
        }
        (count, narrow(length))
    }

    /// Whether the open segment takes all of `frames` as one batch.
    pub(super) fn fits_in_one_batch(&self, frames: &[Frame<'_>]) -> bool {
        let length: usize = frames.iter().map(Frame::length).sum();
        let room = self.active.as_ref().and_then(Active::room);
        room.is_some_and(|room| length <= wide(room.min(self.shared.settings.batch_bytes_max)))
    }

    /// Sees to it that the open segment has room for a batch of `length` bytes; a new one has it for every batch.
    fn make_room(&mut self, length: u32) -> Result<(), LogError> {
        self.check()?;
        match &self.active {
            Some(active) if active.room().is_some_and(|room| length <= room) => Ok(()),
            Some(_) => self.roll(),
            None => {
                let prepared = self.prepared()?;
                self.begin_segment(prepared)
            }
        }
    }

    /// Seals the open segment and begins the next. What may meet a full disk comes first.
    fn roll(&mut self) -> Result<(), LogError> {
        let prepared = self.prepared()?;
        self.write_batch(&[Frame::Seal { now: self.greatest_stamp, reason: SealReason::Full }], &mut Vec::new())?;
        if let Some(active) = self.active.take() {
            self.finish_segment(active)?;
        }
        self.begin_segment(prepared)
    }

    /// Cuts a segment that takes no more appends to where its last batch ends.
    pub(super) fn finish_segment(&mut self, active: Active) -> Result<(), LogError> {
        let Active { segment, end, last, .. } = active;
        let cut = segment.file.set_length(u64::from(end)).and_then(|()| segment.file.sync_all());
        self.or_stop_hard(cut)?;
        let mut manifest = self.shared.manifest();
        if let Some((entry, (last_at, header))) = manifest.segments.get_mut(&segment.number()).zip(last) {
            let chain = header.crc(segment.owner);
            entry.sealed = Some(Sealed { length: end, last_at, last: header.number, chain });
        }
        manifest.ceiling = self.ceiling;
        manifest.greatest_stamp = self.greatest_stamp;
        Ok(())
    }

    /// The name of a file of zeros for the next segment.
    pub(super) fn prepared(&self) -> Result<&'static str, LogError> {
        let mut spare = self.shared.spare();
        if *spare == Spare::Ready {
            *spare = Spare::Absent;
            return Ok(SPARE);
        }
        drop(spare);
        let Shared { disk, dir, settings, .. } = self.shared.as_ref();
        prepare(disk.as_ref(), &dir.join(NEXT), settings.segment_bytes_max, settings.segment_bytes_max)
            .map_err(failed("prepare the next segment"))?;
        Ok(NEXT)
    }

    /// Makes the prepared file the open segment.
    pub(super) fn begin_segment(&mut self, prepared: &str) -> Result<(), LogError> {
        let last = self.shared.manifest().segments.last_key_value().map(|(number, _)| *number);
        let number = last.map_or(1, |number| number.saturating_add(1));
        let header = SegmentHeader { number, generation: 0, store: self.shared.store, ceiling: self.ceiling };
        let segment = self.adopt(prepared, &header);
        let segment = Arc::new(self.or_stop(segment)?);
        let stored = self.shared.switch(|manifest| {
            manifest.segments.insert(number, Entry { generation: 0, first: self.next_number, sealed: None });
        });
        self.or_stop(stored)?;
        self.shared.put(Arc::clone(&segment));
        self.active = Some(Active {
            segment,
            end: SEGMENT_HEADER,
            next: SEGMENT_HEADER,
            capacity: self.shared.settings.segment_bytes_max,
            last: None,
            is_sealed: false,
        });
        Ok(())
    }

    /// Gives the prepared file its header and its name.
    fn adopt(&self, prepared: &str, header: &SegmentHeader) -> io::Result<Segment> {
        let Shared { disk, dir, .. } = self.shared.as_ref();
        let (from, to) = (dir.join(prepared), dir.join(file_name(header.number, header.generation)));
        let file = disk.open(&from)?;
        file.write_all_at(&header.encode(), 0)?;
        file.sync_all()?;
        drop(file);
        disk.rename(&from, &to)?;
        disk.sync_dir(dir)?;
        let file = disk.open(&to)?;
        Ok(Segment::new((header.owner(), header.generation), Some(self.next_number), file, SEGMENT_HEADER, 0))
    }

    /// Writes one batch, which fits, and syncs it.
    fn write_batch(&mut self, frames: &[Frame<'_>], positions: &mut Vec<Position>) -> Result<(), LogError> {
        self.check()?;
        let Some(active) = &self.active else { return Err(LogError::Stopped(None)) };
        let segment = Arc::clone(&active.segment);
        let (at, frames_at) = (active.next, active.next + BATCH_HEADER);
        let header = self.encode(frames, frames_at, active.end, &segment, positions);
        #[cfg(feature = "planted")]
        if planted::is(planted::Bug::AckBeforeSync) {
            segment.file.sync_data().ok();
        }
        let written = segment.file.write_all_at(&self.buffer, u64::from(at));
        if let Err(error) = written {
            return Err(self.undo(error, &segment, at));
        }
        let synced = make_durable(segment.file.as_ref());
        self.or_stop_hard(synced)?;
        let end = frames_at + header.length;
        segment.set_end(end);
        self.next_number += 1;
        if let Some(active) = &mut self.active {
            active.end = end;
            active.next = align(end);
            active.last = Some((at, header));
            active.is_sealed = matches!(frames, [Frame::Seal { .. }]);
        }
        self.note(frames);
        Ok(())
    }

    /// Encodes a batch into the buffer.
    fn encode(
        &mut self,
        frames: &[Frame<'_>],
        frames_at: u32,
        previous_end: u32,
        segment: &Segment,
        positions: &mut Vec<Position>,
    ) -> BatchHeader {
        self.buffer.clear();
        self.buffer.resize(wide(BATCH_HEADER), 0);
        for frame in frames {
            let at = frames_at + narrow(self.buffer.len()) - BATCH_HEADER;
            positions.push(Position { segment: segment.number(), at });
            frame.encode(at, &mut self.buffer);
        }
        let (head, body) = self.buffer.split_at_mut_checked(wide(BATCH_HEADER)).unwrap_or_default();
        let header = BatchHeader {
            length: narrow(body.len()),
            frames_crc: crc32c::crc32c(body),
            previous_end,
            number: self.next_number,
            frames: narrow(frames.len()),
        };
        head.copy_from_slice(&header.encode(segment.owner));
        header
    }

    /// Keeps the highest ceiling and the greatest stamp.
    fn note(&mut self, frames: &[Frame<'_>]) {
        for frame in frames {
            if let Frame::Ceiling { ceiling } = frame {
                self.ceiling = self.ceiling.max(*ceiling);
            }
            self.greatest_stamp = self.greatest_stamp.max(frame.record_stamp().unwrap_or(Stamp::ZERO));
        }
    }

    /// After a failed write: on a full disk, puts zeros back over what was written; else stops.
    fn undo(&mut self, error: io::Error, segment: &Segment, at: u32) -> LogError {
        if !is_full(&error) {
            self.stopped = true;
            return LogError::Stopped(Some(error));
        }
        self.buffer.fill(0);
        let undone = segment.file.write_all_at(&self.buffer, u64::from(at)).and_then(|()| segment.file.sync_data());
        match undone {
            Ok(()) => LogError::DiskFull(error),
            Err(error) => {
                self.stopped = true;
                LogError::Stopped(Some(error))
            }
        }
    }

    /// Stops the log on an error, but not on a full disk.
    fn or_stop<T>(&mut self, result: io::Result<T>) -> Result<T, LogError> {
        match result {
            Err(error) if is_full(&error) => Err(LogError::DiskFull(error)),
            other => self.or_stop_hard(other),
        }
    }

    /// Stops the log on any error: of a sync that failed for want of room nobody knows what it did.
    pub(super) fn or_stop_hard<T>(&mut self, result: io::Result<T>) -> Result<T, LogError> {
        result.map_err(|error| {
            self.stopped = true;
            LogError::Stopped(Some(error))
        })
    }
}

/// Syncs a batch that was written.
fn make_durable(file: &dyn DiskFile) -> io::Result<()> {
    #[cfg(feature = "planted")]
    if planted::is(planted::Bug::AckBeforeSync) {
        return Ok(());
    }
    let synced = file.sync_data();
    #[cfg(feature = "planted")]
    if synced.is_err() && planted::is(planted::Bug::SyncTriedAgain) {
        return file.sync_data();
    }
    synced
}
