//! Compaction: rewriting a sealed segment without what is no longer needed.
//!
//! The new generation is complete and durable before the manifest names it, and the old one is there until then, so a
//! crash at any step leaves one of them whole. Frames are copied as they are: their positions, their CRCs and their
//! order never change. Appends and reads go on meanwhile.

use super::batch::{BATCH_HEADER, BatchHeader, Owner};
use super::bytes::{align, narrow, u32_at, wide};
use super::error::{LogError, ReadError};
use super::frame::{Frame, Lost, PAIR, SealReason};
use super::manifest::{Entry, Sealed};
use super::position::Position;
use super::report::{Damage, DamageKind};
use super::segment::{SEGMENT_HEADER, SegmentHeader, file_name};
use super::shared::{Segment, Shared, failed};
use super::spare::CHUNK;
use super::walk::{Found, Piece, pieces};
use crate::disk::DiskFile;
use model::Stamp;
use std::io;
use std::sync::{Arc, PoisonError};

/// The name under which a new generation is written.
const COMPACTING: &str = "compact.tmp";

/// Compacts the sealed segments of a log, one at a time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Compactor {
    pub(super) shared: Arc<Shared>,
}

/// What a compaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// How many frames were kept, seals and tables not counted.
    pub frames_kept: u64,
    /// How many were dropped because the caller said so.
    pub frames_dropped: u64,
    /// The length of the old file in bytes.
    pub bytes_before: u64,
    /// The length of the new one.
    pub bytes_after: u64,
    /// What was damaged in the old one, and is not in the new one: copied to `damaged/`, unless a body was erased.
    pub damages: Vec<Damage>,
}

/// What a store knows of the frames of a segment that is compacted.
pub trait Knowledge {
    /// Whether a frame is needed; asked for all but seals and tables.
    fn needs(&mut self, position: Position, frame: &Frame<'_>) -> bool;

    /// What damaged frames lay from `from` up to `to`, as far as it is known: each stays known as lost.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from telling; the segment is not compacted then.
    fn lost(&mut self, from: Position, to: Position) -> io::Result<Vec<Lost>>;

    /// Whether a body in the segment was erased: then nothing damaged is copied aside, and copies from before go, for
    /// nobody can tell what they hold.
    fn erases(&self) -> bool;
}

/// A caller that knows only what it needs.
struct Needs<'k>(&'k mut dyn FnMut(Position, &Frame<'_>) -> bool);

impl Knowledge for Needs<'_> {
    fn needs(&mut self, position: Position, frame: &Frame<'_>) -> bool {
        (self.0)(position, frame)
    }

    fn lost(&mut self, _: Position, _: Position) -> io::Result<Vec<Lost>> {
        Ok(Vec::new())
    }

    fn erases(&self) -> bool {
        false
    }
}

impl Compactor {
    /// Whether `damaged/` holds a copy of bytes of a segment, whichever its generation was.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub fn has_copies(&self, segment: u32) -> io::Result<bool> {
        Ok(!self.shared.copies(segment)?.is_empty())
    }

    /// Rewrites a sealed segment with the frames for which `keep` says true; it is asked for all but seals and tables.
    ///
    /// As [`Compactor::compact_knowing`], by a caller that does not know what damaged frames were.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn compact(
        &self,
        segment: u32,
        now: Stamp,
        keep: &mut dyn FnMut(Position, &Frame<'_>) -> bool,
    ) -> Result<Compacted, LogError> {
        self.compact_knowing(segment, now, &mut Needs(keep))
    }

    /// Rewrites a sealed segment with the frames that are needed, and with a `lost` frame for each damaged one that is
    /// known.
    ///
    /// `now` goes into the frames that compaction writes itself. Cost: the segment is read and what is kept of it is
    /// written and synced. Memory: 8 bytes a kept frame and one batch.
    ///
    /// # Errors
    ///
    /// [`LogError::NotSealed`], [`LogError::DiskFull`], [`LogError::Upgrade`] or [`LogError::Io`]; the old generation
    /// is still there and in use.
    pub fn compact_knowing(&self, segment: u32, now: Stamp, known: &mut dyn Knowledge) -> Result<Compacted, LogError> {
        let shared = self.shared.as_ref();
        let _one_at_a_time = shared.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = shared.manifest().segments.get(&segment).copied();
        let old = shared.segment(segment);
        let Some((entry, sealed, old)) = entry.zip(old).and_then(|(entry, old)| Some((entry, entry.sealed?, old)))
        else {
            return Err(LogError::NotSealed(segment));
        };
        let generation = entry.generation.saturating_add(1);
        let written = self.write(&old, generation, (sealed.last, now), known);
        if written.is_err() {
            // It takes room on a disk that may be full. If this fails too, the next start removes it.
            drop(shared.disk.remove(&shared.dir.join(COMPACTING)));
        }
        let written = written?;
        let (new, entry) = self.publish(&old, entry, generation, &written)?;
        let switched = shared.switch(|manifest| {
            manifest.segments.insert(segment, entry);
        });
        switched.map_err(failed("write the manifest"))?;
        shared.put(Arc::new(new));
        let old_path = shared.dir.join(file_name(segment, old.generation));
        let removed = shared.disk.remove(&old_path).and_then(|()| shared.disk.sync_dir(&shared.dir));
        removed.map_err(failed("remove a superseded segment"))?;
        if known.erases() {
            shared.remove_copies(segment).map_err(failed("remove copies of damaged bytes"))?;
        }
        Ok(Compacted {
            frames_kept: written.kept,
            frames_dropped: written.dropped,
            bytes_before: u64::from(old.end()),
            bytes_after: u64::from(written.end),
            damages: written.damages,
        })
    }

    /// Writes the new generation under a temporary name and syncs it.
    fn write(
        &self,
        old: &Segment,
        generation: u32,
        (last_number, now): (u64, Stamp),
        known: &mut dyn Knowledge,
    ) -> Result<Rewrite, LogError> {
        let shared = self.shared.as_ref();
        let path = shared.dir.join(COMPACTING);
        let file = shared.disk.create(&path).map_err(failed("write a compacted segment"))?;
        let ceiling = shared.manifest().ceiling;
        let header = SegmentHeader { number: old.number(), generation, store: shared.store, ceiling };
        file.write_all_at(&header.encode(), 0).map_err(failed("write a compacted segment"))?;
        let mut rewrite = Rewrite::new(file, old.owner, shared.settings.batch_bytes_max.min(CHUNK));
        let mut walk = old.walk();
        loop {
            let (from, number) = match walk.step().map_err(failed("read a segment"))? {
                Found::End => break,
                Found::Missing { .. } => continue,
                Found::Padding { from, to } => {
                    rewrite.damages.push(Damage::new(DamageKind::Padding, old, from, to));
                    continue;
                }
                Found::Batch { header, frames_at, .. } => (frames_at, Some(header.number)),
                Found::Broken { from, .. } | Found::Tail { frames_at: from, .. } => (from, None),
            };
            self.copy_frames(old, walk.bytes(), from, &mut rewrite, known)?;
            // The last batch carries the last number, and the old segment need not have ended with a batch of its own.
            if let Some(number) = number.filter(|number| *number < last_number) {
                rewrite.flush_if_long(number).map_err(failed("write a compacted segment"))?;
            }
        }
        rewrite.mark_lost(old, u32::MAX, known)?;
        rewrite.close(last_number, now).map_err(failed("write a compacted segment"))?;
        Ok(rewrite)
    }

    /// Takes over the frames of one batch or of what remains of some.
    fn copy_frames(
        &self,
        old: &Segment,
        bytes: &[u8],
        base: u32,
        rewrite: &mut Rewrite,
        known: &mut dyn Knowledge,
    ) -> Result<(), LogError> {
        let mut outcome = Ok(());
        pieces(bytes, base, old.is_compacted(), &mut |piece| match piece {
            Piece::Bad(from, to) if outcome.is_ok() => {
                let content = bytes.get(wide(from - base)..wide(to - base)).unwrap_or_default();
                outcome = self.set_aside(old, from, content, rewrite, known.erases());
                rewrite.bad.get_or_insert((from, to)).1 = to;
            }
            Piece::Bad(..) => {}
            Piece::Frame(_, checked) => {
                let at = Position { segment: old.number(), at: checked.header.at };
                if let Err(error) = rewrite.mark_lost(old, at.at, known) {
                    outcome = Err(error);
                }
                match checked.decode() {
                    Err(source) => outcome = Err(LogError::Upgrade { at, source }),
                    Ok(Frame::Offsets { .. }) => {}
                    Ok(Frame::Seal { reason, .. }) => rewrite.seal = (at.at, reason),
                    Ok(frame) if known.needs(at, &frame) => rewrite.take(at.at, checked.bytes),
                    Ok(_) => rewrite.dropped += 1,
                }
                rewrite.last_read = at.at;
            }
        });
        outcome?;
        if old.is_compacted() { Ok(()) } else { rewrite.mark_lost(old, u32::MAX, known) }
    }

    /// Takes note of damaged bytes, and copies them aside unless a body in the segment was erased.
    fn set_aside(
        &self,
        old: &Segment,
        from: u32,
        bad: &[u8],
        rewrite: &mut Rewrite,
        erases: bool,
    ) -> Result<(), LogError> {
        let mut damage = Damage::new(DamageKind::Frames, old, from, from.saturating_add(narrow(bad.len())));
        if !erases {
            let copied = self.shared.copy_aside(old.number(), old.generation, from, bad);
            damage.copy = Some(copied.map_err(failed("copy damaged bytes aside"))?);
        }
        rewrite.damages.push(damage);
        Ok(())
    }

    /// Gives the new generation its name and opens it.
    fn publish(
        &self,
        old: &Segment,
        entry: Entry,
        generation: u32,
        written: &Rewrite,
    ) -> Result<(Segment, Entry), LogError> {
        let shared = self.shared.as_ref();
        let path = shared.dir.join(file_name(old.number(), generation));
        let renamed = shared.disk.rename(&shared.dir.join(COMPACTING), &path);
        let opened = renamed.and_then(|()| shared.disk.sync_dir(&shared.dir)).and_then(|()| shared.disk.open(&path));
        let file = opened.map_err(failed("publish a compacted segment"))?;
        let (last_at, header) = written.last;
        let chain = header.crc(old.owner);
        let sealed = Sealed { length: written.end, last_at, last: header.number, chain };
        let segment = Segment::new((old.owner, generation), Some(entry.first), file, written.end, last_at);
        Ok((segment, Entry { generation, first: entry.first, sealed: Some(sealed) }))
    }
}

/// A new generation that is being written.
struct Rewrite {
    file: Box<dyn DiskFile>,
    owner: Owner,
    batch_bytes_max: u32,
    /// The header's place, and the frames of the batch that is being filled.
    buffer: Vec<u8>,
    frames: u32,
    /// Where the last batch ended.
    end: u32,
    /// How many bytes before that were written since the last sync.
    unsynced: u32,
    /// The pairs of all frames so far.
    pairs: Vec<u8>,
    /// The old seal: its `at` and its reason.
    seal: (u32, SealReason),
    last: (u32, BatchHeader),
    /// The `at` of the last frame that was read from the old segment.
    last_read: u32,
    /// Damaged bytes of the old segment, of which it was not asked yet what they were.
    bad: Option<(u32, u32)>,
    kept: u64,
    dropped: u64,
    damages: Vec<Damage>,
}

impl Rewrite {
    fn new(file: Box<dyn DiskFile>, owner: Owner, batch_bytes_max: u32) -> Self {
        let none = BatchHeader { length: 0, frames_crc: 0, previous_end: 0, number: 0, frames: 0 };
        Self {
            file,
            owner,
            batch_bytes_max,
            buffer: vec![0; wide(BATCH_HEADER)],
            frames: 0,
            end: SEGMENT_HEADER,
            unsynced: 0,
            pairs: Vec::new(),
            seal: (0, SealReason::Full),
            last: (SEGMENT_HEADER, none),
            last_read: 0,
            bad: None,
            kept: 0,
            dropped: 0,
            damages: Vec::new(),
        }
    }

    /// Where the next frame goes.
    fn offset(&self) -> u32 {
        align(self.end).saturating_add(narrow(self.buffer.len()))
    }

    /// Puts a `lost` frame in the place of each known frame among the damaged bytes that were read last; `next` is the
    /// `at` of the frame that follows.
    fn mark_lost(&mut self, old: &Segment, next: u32, known: &mut dyn Knowledge) -> Result<(), LogError> {
        let Some((from, to)) = self.bad.take() else { return Ok(()) };
        let place = |at| Position { segment: old.number(), at };
        // In a compacted segment offsets are no positions, but positions ascend there too.
        let after = self.last_read.saturating_add(1);
        let (from, to) = if old.is_compacted() { (after, next) } else { (from, to) };
        let mut lost = known.lost(place(from), place(to)).map_err(failed("tell what was damaged"))?;
        lost.sort_unstable_by_key(|lost| lost.position);
        for lost in lost {
            let mut frame = Vec::new();
            Frame::Lost(lost).encode(lost.position.at, &mut frame);
            self.take(lost.position.at, &frame);
        }
        Ok(())
    }

    fn take(&mut self, at: u32, frame: &[u8]) {
        let offset = self.offset();
        self.pairs.extend_from_slice(&at.to_le_bytes());
        self.pairs.extend_from_slice(&offset.to_le_bytes());
        self.buffer.extend_from_slice(frame);
        self.frames += 1;
        self.kept += 1;
    }

    /// Writes the batch if it is long enough, and syncs now and then; `number` is that of the last old batch in it.
    fn flush_if_long(&mut self, number: u64) -> io::Result<()> {
        let is_long = self.frames > 0 && narrow(self.buffer.len()) >= self.batch_bytes_max;
        if !is_long {
            return Ok(());
        }
        self.unsynced = self.unsynced.saturating_add(narrow(self.buffer.len()));
        self.flush(number)?;
        if self.unsynced >= CHUNK {
            self.unsynced = 0;
            self.file.sync_data()?;
        }
        Ok(())
    }

    fn flush(&mut self, number: u64) -> io::Result<()> {
        let at = align(self.end);
        let (head, body) = self.buffer.split_at_mut_checked(wide(BATCH_HEADER)).unwrap_or_default();
        let header = BatchHeader {
            length: narrow(body.len()),
            frames_crc: crc32c::crc32c(body),
            previous_end: self.end,
            number,
            frames: self.frames,
        };
        head.copy_from_slice(&header.encode(self.owner));
        self.file.write_all_at(&self.buffer, u64::from(at))?;
        self.last = (at, header);
        self.end = at.saturating_add(narrow(self.buffer.len()));
        self.buffer.truncate(wide(BATCH_HEADER));
        self.frames = 0;
        Ok(())
    }

    /// Writes what is left, the table and the seal as the last batch, with the number of the old last, and syncs all.
    fn close(&mut self, last_number: u64, now: Stamp) -> io::Result<()> {
        let (seal_at, reason) = self.seal;
        let pairs = std::mem::take(&mut self.pairs);
        // The old segment need not have ended with a seal; positions ascend all the same.
        let last_at = pairs.last_chunk::<PAIR>().and_then(|pair| u32_at(pair, 0)).unwrap_or_default();
        let seal_at = seal_at.max(last_at);
        Frame::Offsets { now, pairs: &pairs }.encode(seal_at, &mut self.buffer);
        Frame::Seal { now, reason }.encode(seal_at, &mut self.buffer);
        self.frames += 2;
        self.flush(last_number)?;
        self.file.sync_all()
    }
}

impl From<ReadError> for LogError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Upgrade { at, source } => Self::Upgrade { at, source },
            ReadError::Io { source, .. } => Self::Io { what: "read the log", source },
            ReadError::Damaged(_) | ReadError::Gone(_) => {
                Self::Io { what: "read the log", source: io::ErrorKind::InvalidData.into() }
            }
        }
    }
}
