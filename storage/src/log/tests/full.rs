//! A full disk: nothing is acknowledged, nothing is lost, and the log goes on by itself.

use super::*;

/// Appends until the disk is full.
fn fill(log: &mut Log, next: &mut u64, expected: &mut BTreeMap<u64, Position>) {
    loop {
        let numbers = *next..*next + 2;
        *next += 2;
        match append(log, numbers.clone()) {
            Ok(positions) => expected.extend(numbers.zip(positions)),
            Err(LogError::DiskFull(_)) => return,
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_full_disk_refuses_and_recovers_at_every_capacity() {
    for capacity in (2200..9000).step_by(97) {
        let disk = MemoryDisk::new();
        let (mut log, mut expected, mut next) = (open(&disk).unwrap().0, BTreeMap::new(), 0);
        disk.set_capacity(Some(capacity));
        fill(&mut log, &mut next, &mut expected);
        fill(&mut log, &mut next, &mut expected);
        check_all(&log, &expected);
        disk.set_capacity(Some(capacity + 3000));
        fill(&mut log, &mut next, &mut expected);
        check_all(&log, &expected);

        disk.crash(Crash::Torn(capacity));
        let (mut log, recovery) = open(&disk).unwrap();
        assert_eq!(recovery.damages, [], "at {capacity}");
        check_all(&log, &expected);
        disk.set_capacity(None);
        expected.extend((next..next + 20).zip(append(&mut log, next..next + 20).unwrap()));
        check_all(&log, &expected);
    }
}

#[test]
fn a_spare_that_does_not_fit_takes_no_room_and_is_offered_again() {
    let disk = MemoryDisk::new();
    let (mut log, _) = open(&disk).unwrap();
    let mut n = 0;
    while log.wants_spare().is_none_or(|job| {
        disk.set_capacity(Some(disk.used() + 100));
        assert!(matches!(job.run(), Err(LogError::DiskFull(_))));
        false
    }) {
        append(&mut log, n..n + 1).unwrap();
        n += 1;
    }
    assert!(disk.list(Path::new(DIR)).unwrap().iter().all(|name| !name.ends_with(".tmp")));
    disk.set_capacity(None);
    log.wants_spare().unwrap().run().unwrap();
}

#[test]
fn a_batch_that_met_a_full_disk_leaves_no_trace() {
    // A file shorter than its segment, as a sparse copy leaves it: the write itself meets the full disk.
    let disk = MemoryDisk::new();
    let (mut log, _) = open(&disk).unwrap();
    let first = append(&mut log, 0..1).unwrap();
    let path = Path::new(DIR).join("0000000001-0000.log");
    disk.open(&path).unwrap().set_length(u64::from(log.end().at) + 100).unwrap();
    disk.set_capacity(Some(disk.used()));
    // Zeros cannot be written back either where there is no room, so the log stops rather than guess.
    assert!(matches!(append(&mut log, 1..4), Err(LogError::Stopped(_))));
    disk.crash(Crash::KeepAll);
    disk.set_capacity(None);
    let (log, _) = open(&disk).unwrap();
    check_all(&log, &BTreeMap::from([(0, first[0])]));
}
