//! Compaction: positions keep working, and a crash at any step leaves one whole generation.

use super::*;
use crate::disk::Fault;

/// A log with a few sealed segments.
fn filled(disk: &MemoryDisk) -> (Log, BTreeMap<u64, Position>) {
    let (mut log, _) = open(disk).unwrap();
    let mut expected = BTreeMap::new();
    for n in 0..30 {
        expected.extend((2 * n..2 * n + 2).zip(append(&mut log, 2 * n..2 * n + 2).unwrap()));
    }
    (log, expected)
}

fn drop_even(_: Position, frame: &Frame<'_>) -> bool {
    !matches!(frame, Frame::Record(record) if record.id.0[0] % 2 == 0)
}

#[test]
fn old_positions_find_what_was_kept_and_only_that() {
    let disk = MemoryDisk::new();
    let (log, expected) = filled(&disk);
    let before = disk.used();
    for segment in log.sealed_segments() {
        let done = log.compactor().compact(segment, Stamp::from_bits(8), &mut drop_even).unwrap();
        assert!(done.bytes_after < done.bytes_before && done.frames_dropped > 0 && done.damages.is_empty());
        // A second time there is nothing to drop, and the third generation reads like the second.
        let again = log.compactor().compact(segment, Stamp::from_bits(9), &mut drop_even).unwrap();
        assert_eq!((again.frames_kept, again.frames_dropped), (done.frames_kept, 0));
    }
    assert!(disk.used() < before);
    let open_segment = log.end().segment;
    drop(log);
    let (log, recovery) = open(&disk).unwrap();
    assert_eq!(recovery.damages, []);
    let (kept, dropped): (BTreeMap<_, _>, BTreeMap<_, _>) =
        expected.into_iter().partition(|(n, at)| n % 2 == 1 || at.segment == open_segment);
    check_all(&log, &kept);
    for (n, at) in dropped {
        assert!(matches!(log.reader().read(at, length(n)), Err(ReadError::Gone(_))));
    }
    log.reader().verify(&mut |item| assert!(!matches!(item, Item::Damage(_)), "{item:?}")).unwrap();
}

#[test]
fn a_reader_that_is_in_the_old_generation_reads_on() {
    let disk = MemoryDisk::new();
    let (log, expected) = filled(&disk);
    let mut seen = 0;
    log.reader()
        .scan(Position::START, &mut |item| {
            if seen == 0 {
                log.compactor().compact(1, Stamp::ZERO, &mut |_, _| false).unwrap();
            }
            seen += usize::from(matches!(item, Item::Frame(_, Frame::Record(_))));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(seen, expected.len());
}

#[test]
fn a_failure_at_any_step_leaves_every_kept_record_readable() {
    for fault in [Fault::Once, Fault::ForEver] {
        for call in 1.. {
            let disk = MemoryDisk::new();
            let (log, mut expected) = filled(&disk);
            disk.fail_at(call, fault);
            let done = log.compactor().compact(2, Stamp::ZERO, &mut drop_even);
            disk.heal();
            expected.retain(|n, at| n % 2 == 1 || at.segment != 2);
            check_all(&log, &expected);
            for crash in [Crash::KeepAll, Crash::DropUnsynced, Crash::Torn(call)] {
                let disk = disk.fork();
                disk.crash(crash);
                let (log, recovery) = open(&disk).unwrap();
                assert_eq!(recovery.damages, [], "call {call}");
                check_all(&log, &expected);
                log.compactor().compact(2, Stamp::ZERO, &mut drop_even).unwrap();
                check_all(&log, &expected);
            }
            if done.is_ok() {
                assert!(call > 8);
                break;
            }
        }
    }
}

#[test]
fn damaged_frames_are_copied_aside_and_reported() {
    let disk = MemoryDisk::new();
    let (log, mut expected) = filled(&disk);
    let (n, hit) = expected.iter().find(|(_, at)| at.segment == 2).map(|(n, at)| (*n, *at)).unwrap();
    disk.flip(&Path::new(DIR).join("0000000002-0000.log"), usize::try_from(hit.at).unwrap() + 40, 1);
    let done = log.compactor().compact(2, Stamp::ZERO, &mut |_, _| true).unwrap();
    let [damage] = done.damages.as_slice() else { panic!("{:?}", done.damages) };
    assert_eq!((damage.from, damage.to), (hit.at, hit.at + length(n)));
    assert!(disk.list(&Path::new(DIR).join("damaged")).unwrap().contains(damage.copy.as_ref().unwrap()));
    expected.remove(&n);
    check_all(&log, &expected);
}

#[test]
fn the_open_segment_is_not_compacted() {
    let disk = MemoryDisk::new();
    let (log, _) = filled(&disk);
    for segment in [0, log.end().segment, 999] {
        let done = log.compactor().compact(segment, Stamp::ZERO, &mut |_, _| true);
        assert!(matches!(done, Err(LogError::NotSealed(_))));
    }
}

#[test]
fn a_scrubber_sees_everything_whatever_its_steps() {
    let disk = MemoryDisk::new();
    let (log, expected) = filled(&disk);
    log.compactor().compact(1, Stamp::ZERO, &mut |_, _| true).unwrap();
    for bytes_max in [1, 100, 1000, 5000, u64::MAX] {
        let (mut seen, mut scrubber) = (Vec::new(), log.reader().scrubber());
        let mut visit = |item: Item<'_>| match item {
            Item::Frame(_, Frame::Record(record)) => seen.push(record.id),
            Item::Frame(..) => {}
            Item::Damage(damage) => panic!("{damage}"),
        };
        let mut steps = 1;
        while !scrubber.step(bytes_max, &mut visit).unwrap().complete {
            steps += 1;
            assert!(steps < 500);
        }
        assert_eq!(seen, expected.keys().map(|n| id(*n)).collect::<Vec<_>>());
    }
}

#[test]
fn appends_and_reads_go_on_during_compaction() {
    let disk = MemoryDisk::new();
    let (mut log, mut expected) = filled(&disk);
    let compactor = log.compactor();
    let mut next = 100;
    let mut keep = |_: Position, _: &Frame<'_>| {
        expected.extend((next..next + 1).zip(append(&mut log, next..next + 1).unwrap()));
        next += 1;
        true
    };
    compactor.compact(1, Stamp::ZERO, &mut keep).unwrap();
    check_all(&log, &expected);
    drop((log, compactor));
    let (log, recovery) = open(&disk).unwrap();
    assert_eq!(recovery.damages, []);
    check_all(&log, &expected);
}
