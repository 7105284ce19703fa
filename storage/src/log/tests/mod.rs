//! The rules of the log, on a disk that is as unkind as one may be.

mod compaction;
mod crash;
mod damage;
mod faults;
mod format;
mod full;
mod room;
mod versions;

use super::*;
use crate::disk::{Crash, Disk, MemoryDisk};
use model::{Home, RecordId, Stamp};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// Where the log is.
const DIR: &str = "/wal";
const STORE: [u8; 16] = [7; 16];
/// Segments so short that a few appends fill one.
const SMALL: Settings = Settings { segment_bytes_max: 2048, batch_bytes_max: 700, version_max: FIRST_VERSION };

fn open(disk: &MemoryDisk) -> Result<(Log, Recovery), LogError> {
    Log::open(Arc::new(disk.clone()), Path::new(DIR), SMALL, STORE)
}

/// The archive of the record number `n`: its length and bytes depend on it.
fn archive(n: u64) -> Vec<u8> {
    let length = usize::try_from(n * 37 % 190).unwrap();
    (0..length).map(|at| u8::try_from((n * 31 + at as u64 * 7) % 251).unwrap()).collect()
}

fn id(n: u64) -> RecordId {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    RecordId(bytes)
}

fn record(n: u64, archive: &[u8]) -> Frame<'_> {
    let stamp = Stamp::from_bits(1000 + n);
    Frame::Record(StoredRecord { home: Home::of_bytes(b"x"), stamp, kind: RecordKind::Assertion, id: id(n), archive })
}

/// Appends the records `numbers` in one call.
fn append(log: &mut Log, numbers: std::ops::Range<u64>) -> Result<Vec<Position>, LogError> {
    let archives: Vec<Vec<u8>> = numbers.clone().map(archive).collect();
    let frames: Vec<Frame<'_>> = numbers.zip(&archives).map(|(n, archive)| record(n, archive)).collect();
    log.append(&frames)
}

fn length(n: u64) -> u32 {
    u32::try_from(record(n, &archive(n)).length()).unwrap()
}

/// Whether `frame` is the record `n`, and none of its bits is wrong.
fn is_record(frame: &Frame<'_>, n: u64) -> bool {
    *frame == record(n, &archive(n))
}

/// Everything a scan serves: the positions of each record, and the damage. Fails if a wrong record is served.
fn scan(log: &Log) -> (BTreeMap<u64, Vec<Position>>, Vec<Damage>) {
    let (mut records, mut damages) = (BTreeMap::<u64, Vec<Position>>::new(), Vec::new());
    let mut last = Position::START;
    log.reader()
        .scan(Position::START, &mut |item| {
            match item {
                Item::Damage(damage) => damages.push(damage),
                Item::Frame(at, frame) => {
                    assert!(at > last || matches!(frame, Frame::Offsets { .. } | Frame::Seal { .. }));
                    last = at;
                    if let Frame::Record(stored) = &frame {
                        let n = u64::from_le_bytes(stored.id.0[..8].try_into().unwrap());
                        assert!(is_record(&frame, n), "a wrong record at {at}");
                        records.entry(n).or_default().push(at);
                    }
                }
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    (records, damages)
}

/// Checks that every record of `expected` is read by its position, and that a scan finds it there.
fn check_all(log: &Log, expected: &BTreeMap<u64, Position>) {
    let (found, _) = scan(log);
    let reader = log.reader();
    for (n, at) in expected {
        assert!(found.get(n).is_some_and(|places| places.contains(at)), "record {n} at {at} is missing");
        assert!(is_record(&reader.read(*at, length(*n)).unwrap().frame(), *n));
    }
}

#[test]
fn what_was_appended_is_read_and_scanned_in_order() {
    let disk = MemoryDisk::new();
    let (mut log, recovery) = open(&disk).unwrap();
    assert!(recovery.created && recovery.clean && recovery.damages.is_empty());
    let mut expected = BTreeMap::new();
    for start in (0..60).step_by(3) {
        expected.extend((start..start + 3).zip(append(&mut log, start..start + 3).unwrap()));
    }
    assert!(log.sealed_segments().len() > 2);
    check_all(&log, &expected);
    let middle = expected[&30];
    let mut seen = Vec::new();
    let end = log.reader().scan(middle, &mut |item| {
        if let Item::Frame(at, Frame::Record(_)) = item {
            seen.push(at);
        }
        ControlFlow::Continue(())
    });
    assert_eq!(end.unwrap(), log.end());
    assert_eq!(seen, expected.range(30..).map(|(_, at)| *at).collect::<Vec<_>>());
}

#[test]
fn one_append_is_one_sync() {
    let disk = MemoryDisk::new();
    let settings = Settings { segment_bytes_max: 1 << 20, ..SMALL };
    let (mut log, _) = Log::open(Arc::new(disk.clone()), Path::new(DIR), settings, STORE).unwrap();
    let (calls, syncs) = (disk.calls(), disk.syncs());
    append(&mut log, 0..3).unwrap();
    assert_eq!((disk.calls() - calls, disk.syncs() - syncs), (2, 1));
}

#[test]
fn a_clean_stop_leaves_a_seal_and_the_segment_goes_on() {
    let disk = MemoryDisk::new();
    let (mut log, _) = open(&disk).unwrap();
    let mut expected = BTreeMap::new();
    for n in 0..12 {
        expected.extend((n..n + 1).zip(append(&mut log, n..n + 1).unwrap()));
        log.seal(Stamp::from_bits(5)).unwrap();
        log.seal(Stamp::from_bits(6)).unwrap();
        let end = log.end();
        drop(log);
        let (next, recovery) = open(&disk).unwrap();
        assert!(recovery.clean && recovery.damages.is_empty(), "{recovery}");
        assert_eq!((next.end(), recovery.end), (end, end));
        log = next;
    }
    check_all(&log, &expected);
}

#[test]
fn the_log_remembers_its_id_its_ceiling_and_its_greatest_stamp() {
    let disk = MemoryDisk::new();
    let (mut log, _) = open(&disk).unwrap();
    log.append(&[Frame::Ceiling { ceiling: Stamp::from_bits(9000) }]).unwrap();
    for n in 0..40 {
        append(&mut log, n..n + 1).unwrap();
    }
    drop(log);
    let (log, recovery) = Log::open(Arc::new(disk), Path::new(DIR), SMALL, [1; 16]).unwrap();
    assert_eq!((recovery.store, log.reader().store_id()), (STORE, STORE));
    assert_eq!((recovery.ceiling, recovery.greatest_stamp), (Stamp::from_bits(9000), Stamp::from_bits(1039)));
}

#[test]
fn a_log_is_open_in_one_place_only() {
    let disk = MemoryDisk::new();
    let (log, _) = open(&disk).unwrap();
    assert!(matches!(open(&disk), Err(LogError::Locked)));
    drop(log);
    open(&disk).unwrap();
}

#[test]
fn a_prepared_segment_is_adopted_and_the_append_path_writes_no_zeros() {
    let disk = MemoryDisk::new();
    let (mut log, _) = open(&disk).unwrap();
    assert!(log.wants_spare().is_none());
    let mut n = 0;
    let job = loop {
        append(&mut log, n..n + 1).unwrap();
        n += 1;
        if let Some(job) = log.wants_spare() {
            break job;
        }
    };
    assert!(log.wants_spare().is_none(), "it is offered once");
    job.run().unwrap();
    let used = disk.used();
    while log.end().segment == 1 {
        append(&mut log, n..n + 1).unwrap();
        n += 1;
    }
    assert!(disk.used() < used + 512, "no other segment was made");
    assert!(disk.list(Path::new(DIR)).unwrap().iter().all(|name| !name.ends_with(".tmp")));
}

#[test]
fn what_does_not_fit_in_a_segment_is_refused_and_nothing_is_written() {
    let disk = MemoryDisk::new();
    let (mut log, _) = open(&disk).unwrap();
    let long = vec![1; 4000];
    let end = log.end();
    assert!(matches!(log.append(&[record(1, b""), record(2, &long)]), Err(LogError::TooLarge { .. })));
    assert_eq!(log.end(), end);
    let longest = vec![1; SMALL.frame_bytes_max() - record(1, b"").length()];
    let positions = log.append(&[record(1, &longest), record(2, &longest)]).unwrap();
    assert_ne!(positions[0].segment, positions[1].segment);
}
