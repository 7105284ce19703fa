//! What must hold of a log, whatever its files hold when it is opened.
//!
//! Nothing panics; a folder is refused only for what an operator can act on; every frame that is served stands, CRC and
//! all, in a segment; scanning, stopping and going on, verifying and reading by position agree; what was served before an
//! append, a compaction, a crash and a restart is served after them, and so is what was appended.

mod folder;
mod forge;

use folder::{DIR, Plan, SETTINGS, STORE};
use model::{Home, RecordId, Stamp};
use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use storage::disk::{Crash, MemoryDisk};
use storage::log::{Frame, Item, Log, LogError, LogReader, Position, ReadError, RecordKind, Recovery, StoredRecord};

/// How many reads at places of the fuzzer's choice are tried.
const READS_MAX: usize = 32;
/// How many steps a scan or a scrub of so small a log may take.
const STEPS_MAX: usize = 10_000;
/// How many frames a scan that stops takes at once.
const STOP_AFTER: usize = 3;
/// How the name of a segment's file ends that was not compacted.
const FIRST_GENERATION: &str = "-0000.log";

/// The files of a folder by name; that of a segment begins with its number.
type Files = BTreeMap<String, Vec<u8>>;
/// Frames as they were encoded, by position; a forged compacted segment may name one position twice.
type Served = BTreeMap<Position, Vec<Vec<u8>>>;

/// Panics if the log that `bytes` describe breaks a rule.
pub(crate) fn check(bytes: &[u8]) {
    let plan = Plan::of(bytes);
    let disk = plan.disk();
    let (mut log, recovery) = match open(&disk) {
        Ok(opened) => opened,
        Err(error) => return check_refusal(&error),
    };
    drop(recovery.to_string());
    let served = served(&log, &disk);
    check_ways(&log.reader(), &disk, &served);
    check_reads(&log.reader(), &disk, plan.places());

    let record = record();
    let Ok(positions) = log.append(&[record]) else { panic!("a log that opened takes no record") };
    let [at] = positions[..] else { panic!("one record has one position") };
    assert!(!served.contains_key(&at), "{at} names two frames");
    if plan.compacts() && is_in_order(&log.reader()) {
        for number in log.sealed_segments() {
            log.compactor().compact(number, Stamp::ZERO, &mut |_, _| true).map_or_else(check_compaction, drop);
        }
        check_kept(&served, &self::served(&log, &disk));
    }
    drop(log);

    disk.crash(Crash::DropUnsynced);
    let (log, _) = open(&disk).unwrap_or_else(|error| panic!("a log that was open does not open again: {error}"));
    let length = u32::try_from(record.length()).unwrap_or(u32::MAX);
    let read = log.reader().read(at, length).unwrap_or_else(|error| panic!("what was appended is lost: {error}"));
    assert_eq!(read.frame(), record);
    check_kept(&served, &self::served(&log, &disk));
}

fn open(disk: &MemoryDisk) -> Result<(Log, Recovery), LogError> {
    Log::open(Arc::new(disk.clone()), Path::new(DIR), SETTINGS, STORE)
}

/// What is appended to every log.
fn record() -> Frame<'static> {
    let (home, stamp, id) = (Home::of_bytes(b"appended"), Stamp::from_bits(9), RecordId([9; 32]));
    Frame::Record(StoredRecord { home, stamp, kind: RecordKind::Vote, id, archive: b"appended later" })
}

fn encoded(at: Position, frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(frame.length());
    frame.encode(at.at, &mut bytes);
    bytes
}

/// A newer release, another store, or a folder in which no segment can be told: nothing else keeps a log from opening.
fn check_refusal(error: &LogError) {
    let unreadable = matches!(error, LogError::Io { source, .. } if source.kind() == io::ErrorKind::InvalidData);
    let later = matches!(error, LogError::Upgrade { .. } | LogError::Version { .. } | LogError::Later { .. });
    let other = later || matches!(error, LogError::ForeignSegment { .. });
    assert!(unreadable || other, "refused: {error:?}");
}

/// Compaction may find that a newer release wrote a frame, or that the segment is missing.
fn check_compaction(error: LogError) {
    assert!(matches!(error, LogError::Upgrade { .. } | LogError::NotSealed(_)), "not compacted: {error:?}");
}

/// What a scan serves, up to where a newer release's frame ends it, each frame checked against the files.
fn served(log: &Log, disk: &MemoryDisk) -> Served {
    let (files, mut served) = (folder::read(disk), Served::new());
    let scanned = log.reader().scan(Position::START, &mut |item| {
        keep(&files, &item, &mut served);
        ControlFlow::Continue(())
    });
    assert!(scanned.is_ok() || matches!(scanned, Err(ReadError::Upgrade { .. })), "not scanned: {scanned:?}");
    served
}

/// Checks that every other way to read serves what a scan served.
fn check_ways(reader: &LogReader, disk: &MemoryDisk, served: &Served) {
    let files = folder::read(disk);
    if let Some(stopping) = stop_by_stop(reader, &files) {
        assert_eq!(stopping, *served);
        for bytes_max in [u64::MAX, 1] {
            assert_eq!(scrubbed(reader, &files, bytes_max), *served);
        }
    }
    for (at, frames) in served {
        for frame in frames {
            match reader.read(*at, u32::try_from(frame.len()).unwrap_or(u32::MAX)) {
                Ok(read) => assert!(frames.contains(&encoded(*at, &read.frame())), "{at} is read as another frame"),
                // A table that is forged, CRC and all, may hide a frame; it can never show a wrong one.
                Err(error) => assert!(is_compacted(&files, *at), "{at} was scanned and cannot be read: {error}"),
            }
        }
    }
}

/// Whether positions ascend. In a compacted segment that is forged they may not, and compacting it again hides frames.
fn is_in_order(reader: &LogReader) -> bool {
    let (mut last, mut ascend) = (Position::START, true);
    let scanned = reader.scan(Position::START, &mut |item| {
        if let Item::Frame(at, frame) = item
            && !matches!(frame, Frame::Seal { .. } | Frame::Offsets { .. })
        {
            ascend &= last < at;
            last = at;
        }
        ControlFlow::Continue(())
    });
    scanned.is_ok() && ascend
}

/// Scans to the third frame, from there to the third after it, and so on; `None` if a newer release wrote a frame.
fn stop_by_stop(reader: &LogReader, files: &Files) -> Option<Served> {
    let (mut served, mut from) = (Served::new(), Position::START);
    for _ in 0..STEPS_MAX {
        let (mut frames, mut stopped) = (0, false);
        let scanned = reader.scan(from, &mut |item| {
            keep(files, &item, &mut served);
            frames += usize::from(matches!(item, Item::Frame(..)));
            // A forged compacted segment may name one position twice, and the next scan begins behind both.
            stopped = frames >= STOP_AFTER && matches!(item, Item::Frame(at, _) if !is_compacted(files, at));
            if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match scanned {
            Ok(next) if stopped => from = next,
            Ok(_) => return Some(served),
            Err(_) => return None,
        }
    }
    panic!("a scan does not come to an end");
}

/// Verifies the log in steps of `bytes_max`.
fn scrubbed(reader: &LogReader, files: &Files, bytes_max: u64) -> Served {
    let (mut served, mut scrubber) = (Served::new(), reader.scrubber());
    for _ in 0..STEPS_MAX {
        match scrubber.step(bytes_max, &mut |item| keep(files, &item, &mut served)) {
            Ok(progress) if progress.complete => return served,
            Ok(_) => {}
            Err(error) => panic!("scanned, but not verified: {error}"),
        }
    }
    panic!("a scrub does not come to an end");
}

/// Checks what was come across, and keeps it if its position is its own: that of a seal or a table may be another's.
fn keep(files: &Files, item: &Item<'_>, served: &mut Served) {
    let Item::Frame(at, frame) = item else { return };
    let bytes = encoded(*at, frame);
    check_stands(files, *at, &bytes);
    if !matches!(frame, Frame::Seal { .. } | Frame::Offsets { .. }) {
        served.entry(*at).or_default().push(bytes);
    }
}

/// Checks that a frame stands in the file of its segment as it was encoded, CRC included.
fn check_stands(files: &Files, at: Position, frame: &[u8]) {
    let Some((name, file)) = file_of(files, at) else { panic!("{at} is in no file") };
    let stands = if name.ends_with(FIRST_GENERATION) {
        let from = usize::try_from(at.at).unwrap_or(usize::MAX);
        file.get(from..).is_some_and(|rest| rest.starts_with(frame))
    } else {
        // The first eight bytes are compared first, as a number: a sanitizer makes other comparisons dear.
        let head = frame.first_chunk::<8>();
        file.windows(frame.len()).any(|window| window.first_chunk() == head && window == frame)
    };
    assert!(stands, "the frame served at {at} does not stand there");
}

/// The file of a segment: the first whose name does not sort before its number.
fn file_of(files: &Files, at: Position) -> Option<(&String, &Vec<u8>)> {
    let number = format!("{:010}-", at.segment);
    files.range(number.clone()..).next().filter(|(name, _)| name.starts_with(&number))
}

fn is_compacted(files: &Files, at: Position) -> bool {
    file_of(files, at).is_some_and(|(name, _)| !name.ends_with(FIRST_GENERATION))
}

/// Reads at places of the fuzzer's choice: whatever is served stands there.
fn check_reads(reader: &LogReader, disk: &MemoryDisk, places: impl Iterator<Item = (Position, u32)>) {
    let files = folder::read(disk);
    for (at, length) in places.take(READS_MAX) {
        if let Ok(read) = reader.read(at, length) {
            let bytes = encoded(at, &read.frame());
            assert_eq!((read.position(), bytes.len()), (at, usize::try_from(length).unwrap_or(usize::MAX)));
            check_stands(&files, at, &bytes);
        }
    }
}

/// Checks that everything in `earlier` is in `later`.
fn check_kept(earlier: &Served, later: &Served) {
    for (at, frames) in earlier {
        assert_eq!(later.get(at), Some(frames), "what was served at {at} before");
    }
}
