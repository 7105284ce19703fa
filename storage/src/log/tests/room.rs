//! Segments are as long as they were made, and a damaged end without room behind it loses nothing.

use super::*;
use crate::disk::Fault;

#[test]
fn no_batch_is_longer_than_its_segment() {
    let disk = MemoryDisk::new();
    let settings = Settings { batch_bytes_max: 1 << 20, ..SMALL };
    let (mut log, _) = Log::open(Arc::new(disk.clone()), Path::new(DIR), settings, STORE).unwrap();
    let mut expected = BTreeMap::new();
    for start in [0, 1, 200] {
        let numbers = start..(start * 7 + 1).min(start + 300);
        expected.extend(numbers.clone().zip(append(&mut log, numbers).unwrap()));
    }
    check_all(&log, &expected);
    for name in disk.list(Path::new(DIR)).unwrap().iter().filter(|name| name.ends_with(".log")) {
        let length = disk.file_length(&Path::new(DIR).join(name)).unwrap();
        assert!(length <= u64::from(SMALL.segment_bytes_max), "{name} is {length} bytes long");
    }
}

/// A log whose only segment is full of acknowledged batches; the middle frame of the last one, of three, is damaged, and
/// the two others do not fit behind it. Returns where each record was, and which one was hit.
fn damaged_without_room() -> (MemoryDisk, BTreeMap<u64, Position>, u64) {
    let no_room = |disk: &MemoryDisk| open(&disk.fork()).unwrap().1.end.segment == 2;
    (0..200).map(damaged_at_the_end).find(|(disk, ..)| no_room(disk)).unwrap()
}

/// A log with one segment that the records from `first` on fill; the middle frame of its last batch is damaged.
fn damaged_at_the_end(first: u64) -> (MemoryDisk, BTreeMap<u64, Position>, u64) {
    let disk = MemoryDisk::new();
    let (mut log, _) = open(&disk).unwrap();
    let mut expected = BTreeMap::new();
    let mut full = disk.fork();
    for start in (first..).step_by(3) {
        let positions = append(&mut log, start..start + 3).unwrap();
        if log.end().segment > 1 {
            break;
        }
        expected.extend((start..start + 3).zip(positions));
        full = disk.fork();
    }
    full.crash(Crash::KeepAll);
    let hit = first + expected.len() as u64 - 2;
    full.flip(&Path::new(DIR).join("0000000001-0000.log"), usize::try_from(expected[&hit].at).unwrap() + 40, 1);
    (full, expected, hit)
}

#[test]
fn a_crash_at_any_call_while_a_damaged_end_without_room_is_mended_loses_nothing() {
    let (original, expected, hit) = damaged_without_room();
    let was: BTreeMap<Position, u64> = expected.iter().map(|(n, at)| (*at, *n)).collect();
    for call in 1.. {
        let disk = original.fork();
        disk.fail_at(call, Fault::ForEver);
        let opened = open(&disk).map(|(log, recovery)| (log.end().segment, recovery.salvaged));
        if let Ok(found) = &opened {
            assert_eq!(*found, (2, 2));
        }
        disk.heal();
        for crash in [Crash::KeepAll, Crash::DropUnsynced, Crash::Torn(call)] {
            let disk = disk.fork();
            disk.crash(crash);
            let (mut log, _) = open(&disk).unwrap();
            append(&mut log, 900..903).unwrap();
            let (found, _) = scan(&log);
            for n in expected.keys().filter(|n| **n != hit) {
                assert!(found.contains_key(n), "{n} is lost after {crash:?} at call {call}");
            }
            for (n, at) in found.iter().flat_map(|(n, places)| places.iter().map(move |at| (n, at))) {
                assert!(was.get(at).is_none_or(|old| old == n), "{at} was used twice, at call {call}");
            }
        }
        if opened.is_ok() {
            assert!(call > 12);
            break;
        }
    }
}

#[test]
fn a_segment_that_was_left_without_a_seal_is_sound_and_can_be_compacted() {
    let (disk, mut expected, hit) = damaged_without_room();
    for _ in 0..2 {
        let (log, _) = open(&disk).unwrap();
        expected = scan(&log).0.into_iter().map(|(n, places)| (n, places[0])).collect();
        assert!(!expected.contains_key(&hit));
        log.reader().verify(&mut |item| assert!(!matches!(item, Item::Damage(_)), "{item:?}")).unwrap();
    }
    let (log, _) = open(&disk).unwrap();
    log.compactor().compact(1, Stamp::ZERO, &mut |_, _| true).unwrap();
    check_all(&log, &expected);
    drop(log);
    check_all(&open(&disk).unwrap().0, &expected);
}
