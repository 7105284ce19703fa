//! The format is frozen: a log that the first release wrote is read for ever.

use super::*;
use crate::disk::StdDisk;
use model::{AgentId, Timestamp};
use std::fs;
use std::path::PathBuf;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/log-v1")
}

/// A log with a frame of every type, a compacted segment, a sealed one and an open one.
fn write_example(disk: Arc<dyn Disk>, dir: &Path) {
    let settings = Settings { segment_bytes_max: 1024, batch_bytes_max: 700, version_max: FIRST_VERSION };
    let (mut log, _) = Log::open(disk, dir, settings, STORE).unwrap();
    let (home, now) = (Home::of_bytes(b"x"), Stamp::from_bits(77));
    let stored = StoredRecord { home, stamp: now, kind: RecordKind::Vote, id: id(300), archive: b"an archive" };
    let erased_at = Timestamp::from_ms(12).unwrap();
    log.append(&[
        Frame::Ceiling { ceiling: Stamp::from_bits(5000) },
        Frame::Stamp { home, stamp: now, id: id(300) },
        Frame::Close { home, closed: now },
        Frame::HomeDropped { home, now, epoch: 3 },
        Frame::Erased { home, stamp: now, id: id(301), signatures: [1; 32], eraser: AgentId([2; 32]), erased_at },
        Frame::Hint(stored),
        Frame::HintDone { home, now, id: id(300) },
        Frame::Record(StoredRecord { kind: RecordKind::Opaque, ..stored }),
    ])
    .unwrap();
    for n in 0..12 {
        append(&mut log, n..n + 1).unwrap();
    }
    let position = Position { segment: 1, at: 96 };
    let lost = Lost { home, stamp: now, position, length: 128, kind: Some(RecordKind::Vote), id: id(302) };
    log.append(&[Frame::Lost(lost), Frame::Lost(Lost { kind: None, ..lost })]).unwrap();
    log.compactor().compact(1, now, &mut |_, frame| !matches!(frame, Frame::HintDone { .. })).unwrap();
    log.seal(now).unwrap();
}

/// The whole log in words.
fn describe(log: &Log) -> String {
    let mut text = String::new();
    let visit = &mut |item: Item<'_>| {
        match item {
            Item::Frame(at, frame) => text.push_str(&format!("{at} {frame:?}\n")),
            Item::Damage(damage) => text.push_str(&format!("{damage}\n")),
        }
        ControlFlow::Continue(())
    };
    log.reader().scan(Position::START, visit).unwrap();
    text
}

#[test]
fn the_first_release_s_log_is_read_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let (log, recovery) = Log::open(Arc::new(StdDisk), folder.path(), SMALL, [0; 16]).unwrap();
    assert!(recovery.clean && !recovery.created && recovery.damages.is_empty(), "{recovery}");
    expect_test::expect_file![fixture().join("contents.txt")].assert_eq(&describe(&log));
}

#[test]
fn this_release_writes_the_same_bytes_as_the_first() {
    let folder = tempfile::tempdir().unwrap();
    write_example(Arc::new(StdDisk), folder.path());
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::create_dir_all(fixture()).unwrap();
    }
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.retain(|name| name != "LOCK" && name != "damaged");
    assert_eq!(names.len(), 5, "{names:?}");
    for name in names {
        let written = fs::read(folder.path().join(&name)).unwrap();
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(fixture().join(&name), &written).unwrap();
        }
        assert_eq!(fs::read(fixture().join(&name)).unwrap(), written, "{name:?}");
    }
}

#[test]
fn an_unknown_frame_or_segment_asks_for_an_upgrade() {
    let disk = MemoryDisk::new();
    let (mut log, _) = open(&disk).unwrap();
    append(&mut log, 0..1).unwrap();
    drop(log);
    let path = Path::new(DIR).join("0000000001-0000.log");
    let file = disk.open(&path).unwrap();
    let mut bytes = [0; 64];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes[8] = 2;
    let crc = crc32c::crc32c(&bytes[..60]);
    bytes[60..].copy_from_slice(&crc.to_le_bytes());
    file.write_all_at(&bytes, 0).unwrap();
    assert!(matches!(open(&disk), Err(LogError::Version { version: 2, .. })));
}

/// How many batches and records the measurement appends.
const MEASURED: u64 = 300;

#[test]
#[ignore = "a measurement: run it in release with --nocapture"]
#[expect(clippy::disallowed_methods, reason = "a measurement needs a clock")]
fn append_throughput() {
    let body = vec![7; 900];
    for per_sync in [1_u64, 20, 200, 2000] {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, _) = Log::open(Arc::new(StdDisk), folder.path(), Settings::default(), STORE).unwrap();
        let frames: Vec<_> = (0..per_sync).map(|n| record(n, &body)).collect();
        let begun = std::time::Instant::now();
        for _ in 0..MEASURED {
            log.append(&frames).unwrap();
        }
        let seconds = begun.elapsed().as_secs_f64();
        let records = (MEASURED * per_sync) as f64;
        println!(
            "{per_sync} records of 957 B a sync: {:.0} records/s, {:.0} syncs/s",
            records / seconds,
            300.0 / seconds
        );
    }
}
