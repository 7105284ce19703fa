//! Opening a log: finding its segments, and mending the end of the last one.
//!
//! Nothing that was acknowledged is dropped, and nothing is cut before a copy of it is durable in `damaged/`. Only the
//! open segment is read; what is wrong in sealed ones is found by scrubbing.
//!
//! What is cut from the end is replaced by zeros, and the log goes on behind it: a position never names two frames.
//! Frames that are whole among what is cut are appended again before it is cut, in one batch or in a new segment, so a
//! crash in the middle leaves one or the other. Source for rewriting what is kept: Rebello et al., "Can applications recover from fsync failures?",
//! USENIX ATC 2020.

use super::Settings;
use super::batch::Owner;
use super::bytes::{align, wide};
use super::error::LogError;
use super::frame::{Frame, SealReason};
use super::manifest::{Entry, Manifest, ManifestError};
use super::position::Position;
use super::report::{Damage, DamageKind, Recovery};
use super::segment::{HeaderError, SEGMENT_HEADER, SegmentHeader, file_name, parse_name};
use super::shared::{DAMAGED, Segment, Shared, copy_aside, failed};
use super::survey::Survey;
use super::walk::{Piece, pieces};
use super::writer::{Active, Log, RESERVE};
use crate::disk::{Disk, DiskFile};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The name of the file whose lock keeps other processes out.
const LOCK: &str = "LOCK";
/// How the names of unfinished files end.
const UNFINISHED: &str = ".tmp";

/// See [`Log::open`].
pub(super) fn open(
    disk: Arc<dyn Disk>,
    dir: &Path,
    settings: Settings,
    new_store_id: [u8; 16],
) -> Result<(Log, Recovery), LogError> {
    settings.check()?;
    disk.make_dirs(dir).and_then(|()| disk.make_dirs(&dir.join(DAMAGED))).map_err(failed("make the log's folder"))?;
    let lock = match disk.lock(&dir.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(LogError::Locked),
        other => other.map_err(failed("lock the log"))?,
    };
    let mut opening = Opening::begin(disk.as_ref(), dir, new_store_id, settings.version_max)?;
    let mut segments = opening.find_segments()?;
    let open = opening.mend(&mut segments)?;
    opening.store_manifest()?;
    let Opening { manifest, recovery, .. } = opening;
    let table = segments.into_iter().map(|segment| (segment.number(), segment)).collect();
    let shared = Arc::new(Shared::new(Arc::clone(&disk), dir.to_owned(), settings, manifest, table, lock));
    let mut log = Log {
        shared,
        active: open.active,
        next_number: open.next_number,
        ceiling: recovery.ceiling,
        greatest_stamp: recovery.greatest_stamp,
        stopped: false,
        buffer: Vec::new(),
    };
    let recovery = finish(&mut log, recovery, open.cut)?;
    Ok((log, recovery))
}

/// The end of the log, as far as it was mended.
struct OpenEnd {
    active: Option<Active>,
    next_number: u64,
    cut: Option<Cut>,
}

/// What is to be cut from the end of a segment.
struct Cut {
    segment: Arc<Segment>,
    from: u32,
    /// Where the first frame may be expected.
    frames_at: u32,
    bytes: Vec<u8>,
}

/// Appends again what is whole among what is cut, cuts it, and sees to it that a segment is open.
fn finish(log: &mut Log, mut recovery: Recovery, cut: Option<Cut>) -> Result<Recovery, LogError> {
    if let Some(Cut { segment, from, frames_at, bytes }) = cut {
        let frames = salvage(&segment, frames_at, bytes.get(wide(frames_at - from)..).unwrap_or_default())?;
        recovery.salvaged = u64::try_from(frames.len()).unwrap_or(u64::MAX);
        if log.fits_in_one_batch(&frames) {
            log.append(&frames)?;
            let zeros = vec![0; bytes.len()];
            let cut = segment.file.write_all_at(&zeros, u64::from(from)).and_then(|()| segment.file.sync_data());
            cut.map_err(failed("cut the damaged end of the log"))?;
        } else {
            go_on_in_a_new_segment(log, &frames)?;
        }
    }
    if log.active.is_none() {
        match log.prepared().and_then(|prepared| log.begin_segment(prepared)) {
            Ok(()) | Err(LogError::DiskFull(_)) => {}
            Err(error) => return Err(error),
        }
    }
    recovery.ceiling = log.ceiling;
    recovery.greatest_stamp = log.greatest_stamp;
    recovery.end = log.end();
    Ok(recovery)
}

/// Appends `frames`, which do not fit behind the end that is to be cut, to a new segment, and then cuts that end.
///
/// A crash in between leaves the old segment with that end, whose frames are still read where they are.
fn go_on_in_a_new_segment(log: &mut Log, frames: &[Frame<'_>]) -> Result<(), LogError> {
    let left = log.active.take();
    match log.prepared().and_then(|prepared| log.begin_segment(prepared)) {
        // Nothing is lost by leaving the end as it is; the next start finds the same again.
        Err(LogError::DiskFull(_)) if frames.is_empty() => return Ok(()),
        begun => begun?,
    }
    log.append(frames)?;
    left.map_or(Ok(()), |left| log.finish_segment(left))
}

/// The whole frames in `bytes`, without seals.
fn salvage<'a>(segment: &Segment, from: u32, bytes: &'a [u8]) -> Result<Vec<Frame<'a>>, LogError> {
    let mut frames = Ok(Vec::new());
    pieces(bytes, from, segment.is_compacted(), &mut |piece| {
        let Piece::Frame(_, frame) = piece else { return };
        let at = Position { segment: segment.number(), at: frame.header.at };
        match (frame.decode(), &mut frames) {
            (Ok(Frame::Seal { .. } | Frame::Offsets { .. }), _) | (_, Err(_)) => {}
            (Ok(frame), Ok(frames)) => frames.push(frame),
            (Err(source), _) => frames = Err(LogError::Upgrade { at, source }),
        }
    });
    frames
}

/// A log that is being opened.
struct Opening<'d> {
    disk: &'d dyn Disk,
    dir: &'d Path,
    manifest: Manifest,
    /// As it is on the disk; `None` if it is not there.
    loaded: Option<Manifest>,
    /// The generations that are there, by segment.
    files: BTreeMap<u32, BTreeSet<u32>>,
    recovery: Recovery,
    version_max: u16,
}

impl<'d> Opening<'d> {
    /// Takes stock of the folder and reads the manifest, or begins a new one.
    ///
    /// Of a log of a later version than `version_max` nothing is touched.
    fn begin(disk: &'d dyn Disk, dir: &'d Path, new_store_id: [u8; 16], version_max: u16) -> Result<Self, LogError> {
        let loaded = match Manifest::load(disk, dir, version_max) {
            Err(error @ ManifestError::Version(_)) => return Err(error.into()),
            loaded => loaded,
        };
        let mut files: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for name in disk.list(dir).map_err(failed("list the log's folder"))? {
            if let Some((number, generation)) = parse_name(&name) {
                files.entry(number).or_default().insert(generation);
            } else if name.ends_with(UNFINISHED) {
                disk.remove(&dir.join(name)).map_err(failed("remove an unfinished file"))?;
            }
        }
        let created = matches!(loaded, Err(ManifestError::Missing)) && files.is_empty();
        let lost = matches!(loaded, Err(ManifestError::Missing | ManifestError::Damaged)) && !created;
        let manifest = match loaded {
            Err(ManifestError::Missing | ManifestError::Damaged) => {
                let store = store_of(disk, dir, &files)?.unwrap_or(new_store_id);
                Manifest::new(store)
            }
            other => other?,
        };
        if created {
            manifest.store(disk, dir).map_err(failed("write the manifest"))?;
        }
        let recovery = Recovery {
            store: manifest.store,
            created,
            clean: created,
            damages: Vec::new(),
            cut_bytes: 0,
            salvaged: 0,
            ceiling: manifest.ceiling,
            greatest_stamp: manifest.greatest_stamp,
            batches: 0,
            frames: 0,
            end: Position::START,
        };
        let loaded = (!lost).then(|| manifest.clone());
        let mut opening = Self { disk, dir, manifest, loaded, files, recovery, version_max };
        if lost {
            opening.damage(DamageKind::Manifest, (0, 0), 0, 0);
        }
        Ok(opening)
    }

    /// Writes the manifest if it changed. A full disk is no reason not to open: the next start finds the same again.
    fn store_manifest(&self) -> Result<(), LogError> {
        if self.loaded.as_ref() == Some(&self.manifest) {
            return Ok(());
        }
        match self.manifest.store(self.disk, self.dir).map_err(failed("write the manifest")) {
            Err(LogError::DiskFull(_)) => Ok(()),
            other => other,
        }
    }

    fn damage(&mut self, kind: DamageKind, (segment, generation): (u32, u32), from: u32, to: u32) {
        self.recovery.damages.push(Damage { kind, segment, generation, from, to, copy: None });
    }

    /// Opens one generation of every segment and removes the others.
    fn find_segments(&mut self) -> Result<Vec<Arc<Segment>>, LogError> {
        let numbers: BTreeSet<u32> = self.manifest.segments.keys().chain(self.files.keys()).copied().collect();
        let mut segments = Vec::new();
        let mut removed = false;
        for number in numbers {
            let entry = self.manifest.segments.get(&number).copied();
            let there = self.files.get(&number).cloned().unwrap_or_default();
            let listed = entry.map(|entry| entry.generation).filter(|listed| there.contains(listed));
            let Some(generation) = listed.or(there.last().copied()) else {
                self.damage(DamageKind::SegmentMissing, (number, 0), 0, 0);
                continue;
            };
            if listed.is_none() {
                self.manifest.segments.remove(&number);
            }
            for other in there.iter().filter(|other| **other != generation) {
                let path = self.dir.join(file_name(number, *other));
                self.disk.remove(&path).map_err(failed("remove a superseded segment"))?;
                removed = true;
            }
            segments.push(Arc::new(self.open_segment(number, generation)?));
        }
        if removed {
            self.disk.sync_dir(self.dir).map_err(failed("sync the log's folder"))?;
        }
        Ok(segments)
    }

    fn open_segment(&mut self, number: u32, generation: u32) -> Result<Segment, LogError> {
        let name = file_name(number, generation);
        let file = self.disk.open(&self.dir.join(&name)).map_err(failed("open a segment"))?;
        let length = u32::try_from(file.length().map_err(failed("open a segment"))?).unwrap_or(u32::MAX);
        match read_header(file.as_ref())? {
            Err(HeaderError::Version(version)) => {
                return Err(LogError::Version { what: name, version: version.into() });
            }
            Ok(header) if header.store != self.manifest.store => return Err(LogError::ForeignSegment { file: name }),
            Ok(header) if (header.number, header.generation) == (number, generation) => {
                self.recovery.ceiling = self.recovery.ceiling.max(header.ceiling);
            }
            Ok(_) | Err(HeaderError::Damaged) => {
                self.damage(DamageKind::SegmentHeader, (number, generation), 0, SEGMENT_HEADER);
            }
        }
        let entry = self.manifest.segments.get(&number);
        let sealed = entry.and_then(|entry| entry.sealed);
        if let Some(sealed) = sealed.filter(|sealed| sealed.length != length) {
            self.damage(DamageKind::Frames, (number, generation), length.min(sealed.length), length.max(sealed.length));
        }
        let owner = Owner { store: self.manifest.store, segment: number };
        let first = self.manifest.segments.get(&number).map(|entry| entry.first);
        Ok(Segment::new((owner, generation), first, file, length, sealed.map_or(0, |sealed| sealed.last_at)))
    }

    /// Surveys the segments of which the manifest does not know that they are sealed, and mends the last.
    fn mend(&mut self, segments: &mut [Arc<Segment>]) -> Result<OpenEnd, LogError> {
        let mut next_number = 1;
        let mut before = 0;
        let last = segments.last().map(|segment| segment.number());
        for segment in segments {
            let number = segment.number();
            let follows = number == before + 1;
            before = number;
            if let Some(sealed) = self.manifest.segments.get(&number).and_then(|entry| entry.sealed) {
                next_number = sealed.last.saturating_add(1);
                continue;
            }
            let survey = survey(segment, follows.then_some(next_number), self.version_max)?;
            self.manifest.version = self.manifest.version.max(survey.version);
            self.recovery.ceiling = self.recovery.ceiling.max(survey.ceiling);
            self.recovery.greatest_stamp = self.recovery.greatest_stamp.max(survey.greatest_stamp);
            next_number = survey.next_number(segment);
            let is_open = last == Some(number) && segment.generation == 0 && survey.seal != Some(SealReason::Full);
            if is_open {
                return self.mend_end(segment, survey);
            }
            self.recovery.damages.extend(survey.damages.iter().cloned());
            let entry = survey.sealed_entry(segment, segment.end());
            self.manifest.segments.insert(number, entry);
        }
        self.manifest.ceiling = self.recovery.ceiling;
        self.manifest.greatest_stamp = self.recovery.greatest_stamp;
        Ok(OpenEnd { active: None, next_number, cut: None })
    }

    /// Copies aside what is damaged in the open segment and makes durable what is kept.
    fn mend_end(&mut self, segment: &Arc<Segment>, mut survey: Survey) -> Result<OpenEnd, LogError> {
        let capacity = segment.end();
        let next_number = survey.next_number(segment);
        self.recovery.batches = survey.batches;
        self.recovery.frames = survey.frames;
        self.recovery.clean = self.recovery.created || survey.seal.is_some() && survey.tail.is_none();
        for mut damage in std::mem::take(&mut survey.damages) {
            let bytes = read(segment, damage.from, damage.to)?;
            if !bytes.is_empty() {
                damage.copy = Some(self.copy_aside(segment, damage.from, &bytes)?);
            }
            self.recovery.damages.push(damage);
        }
        let mut next = align(survey.end);
        let cut = match survey.tail.take() {
            None => None,
            Some((from, frames_at, to)) => {
                let bytes = read(segment, from, to)?;
                let copy = Some(self.copy_aside(segment, from, &bytes)?);
                let mut damage = Damage::new(DamageKind::Tail, segment, from, to);
                damage.copy = copy;
                self.recovery.damages.push(damage);
                self.recovery.cut_bytes = u64::from(to - from);
                next = align(to);
                Some(Cut { segment: Arc::clone(segment), from, frames_at, bytes })
            }
        };
        if survey.seal.is_none() {
            rewrite_last(segment, &survey).map_err(failed("make the end of the log durable"))?;
        }
        let capacity = match cut {
            Some(_) => capacity,
            None => extend(segment.file.as_ref(), capacity, next).map_err(failed("extend the open segment"))?,
        };
        segment.set_end(survey.end);
        let number = segment.number();
        let first = segment.first.or(survey.first).unwrap_or(next_number);
        let entry = Entry { generation: segment.generation, first, sealed: None };
        self.manifest.segments.insert(number, entry);
        let active = Active {
            segment: Arc::clone(segment),
            end: survey.end,
            next,
            capacity,
            last: survey.last,
            is_sealed: survey.seal.is_some() && cut.is_none(),
        };
        Ok(OpenEnd { active: Some(active), next_number, cut })
    }

    fn copy_aside(&self, segment: &Segment, from: u32, bytes: &[u8]) -> Result<String, LogError> {
        let place = (segment.number(), segment.generation, from);
        copy_aside(self.disk, &self.dir.join(DAMAGED), place, bytes).map_err(failed("copy damaged bytes aside"))
    }
}

fn read(segment: &Segment, from: u32, to: u32) -> Result<Vec<u8>, LogError> {
    let mut bytes = vec![0; wide(to.saturating_sub(from))];
    segment.file.read_exact_at(&mut bytes, u64::from(from)).map_err(failed("read a segment"))?;
    Ok(bytes)
}

/// Surveys a segment that nobody else has yet; `first` is the number that its first batch must have, if known.
fn survey(segment: &mut Arc<Segment>, first: Option<u64>, version_max: u16) -> Result<Survey, LogError> {
    if let Some(own) = Arc::get_mut(segment) {
        own.first = own.first.or(first);
    }
    let survey = Survey::of(segment, version_max)?;
    if let Some(own) = Arc::get_mut(segment) {
        own.first = own.first.or(survey.first);
        own.last_at = survey.last.map_or(0, |(at, _)| at);
    }
    Ok(survey)
}

/// The store's id, from the first header that can be read.
fn store_of(disk: &dyn Disk, dir: &Path, files: &BTreeMap<u32, BTreeSet<u32>>) -> Result<Option<[u8; 16]>, LogError> {
    for (number, generations) in files {
        for generation in generations {
            let file = disk.open(&dir.join(file_name(*number, *generation))).map_err(failed("open a segment"))?;
            if let Ok(header) = read_header(file.as_ref())? {
                return Ok(Some(header.store));
            }
        }
    }
    let unreadable =
        || LogError::Io { what: "read the header of any segment", source: io::ErrorKind::InvalidData.into() };
    if files.is_empty() { Ok(None) } else { Err(unreadable()) }
}

fn read_header(file: &dyn DiskFile) -> Result<Result<SegmentHeader, HeaderError>, LogError> {
    let mut bytes = [0; 64];
    match file.read_exact_at(&mut bytes, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Err(HeaderError::Damaged)),
        other => other.map_err(failed("read the header of a segment"))?,
    }
    Ok(SegmentHeader::read(&bytes))
}

/// Writes the last whole batch once more and syncs it: the page cache may hold what the disk does not.
fn rewrite_last(segment: &Segment, survey: &Survey) -> io::Result<()> {
    #[cfg(feature = "planted")]
    if planted::is(planted::Bug::UnsealedTailTrusted) {
        return Ok(());
    }
    let from = survey.last.map_or(0, |(at, _)| at);
    let mut bytes = vec![0; wide(survey.end.saturating_sub(from))];
    if u64::from(survey.end) <= segment.file.length()? {
        segment.file.read_exact_at(&mut bytes, u64::from(from))?;
        segment.file.write_all_at(&bytes, u64::from(from))?;
    }
    segment.file.sync_data()
}

/// Sees to it that the open segment is long enough for its seals, and returns its length.
fn extend(file: &dyn DiskFile, length: u32, next: u32) -> io::Result<u32> {
    let needed = next.saturating_add(RESERVE);
    if needed > length {
        file.set_length(u64::from(needed))?;
        file.sync_all()?;
    }
    Ok(length.max(needed))
}
