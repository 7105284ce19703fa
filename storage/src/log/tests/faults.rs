//! A disk that fails at the n-th call, for every n of a scripted workload.

use super::*;
use crate::disk::Fault;

/// Does a bit of everything; every record that was acknowledged goes into `expected`.
fn work(disk: &MemoryDisk, expected: &mut BTreeMap<u64, Position>) -> Result<(), LogError> {
    let (mut log, _) = open(disk)?;
    for n in 0..36 {
        expected.extend((2 * n..2 * n + 2).zip(append(&mut log, 2 * n..2 * n + 2)?));
        if n == 14 {
            if let Some(job) = log.wants_spare() {
                job.run()?;
            }
            let reader = log.reader();
            for (n, at) in expected.iter() {
                assert!(is_record(&reader.read(*at, length(*n)).map_err(LogError::from)?.frame(), *n));
            }
        }
        if n == 20 {
            log.compactor().compact(1, Stamp::ZERO, &mut |_, _| true)?;
        }
        if n == 26 {
            log.seal(Stamp::ZERO)?;
            drop(log);
            log = open(disk)?.0;
        }
    }
    log.reader().verify(&mut |_| ()).map_err(LogError::from)
}

/// Runs the work with `fault` at every call in turn, then cuts the power and checks what is left.
fn check_every_call(fault: Fault, crash: fn(u64) -> Crash) {
    let calls = {
        let disk = MemoryDisk::new();
        work(&disk, &mut BTreeMap::new()).unwrap();
        disk.calls()
    };
    assert!(calls > 100);
    for call in 1..=calls {
        let disk = MemoryDisk::new();
        disk.fail_at(call, fault);
        let mut expected = BTreeMap::new();
        let done = work(&disk, &mut expected);
        if fault == Fault::ForEver {
            assert!(done.is_err(), "call {call}");
        }
        disk.crash(crash(call));
        let (mut log, recovery) = open(&disk).unwrap();
        check_all(&log, &expected);
        assert!(recovery.damages.iter().all(|damage| damage.kind == DamageKind::Tail), "call {call}: {recovery}");
        expected.extend((900..905).zip(append(&mut log, 900..905).unwrap()));
        check_all(&log, &expected);
    }
}

#[test]
fn a_call_that_fails_once_loses_nothing_acknowledged() {
    check_every_call(Fault::Once, Crash::Torn);
}

#[test]
fn a_disk_that_dies_loses_nothing_acknowledged() {
    check_every_call(Fault::ForEver, |_| Crash::DropUnsynced);
    check_every_call(Fault::ForEver, Crash::Torn);
}

#[test]
fn a_process_that_dies_at_any_call_loses_nothing_acknowledged() {
    check_every_call(Fault::ForEver, |_| Crash::KeepAll);
}

#[test]
fn a_bit_that_flips_on_the_way_never_becomes_a_wrong_record() {
    let calls = {
        let disk = MemoryDisk::new();
        work(&disk, &mut BTreeMap::new()).unwrap();
        disk.calls()
    };
    for call in 1..=calls {
        let disk = MemoryDisk::new();
        disk.fail_at(call, Fault::FlipRead);
        let mut expected = BTreeMap::new();
        // Wrong records fail inside; what cannot be read is an error.
        drop(work(&disk, &mut expected));
        disk.crash(Crash::DropUnsynced);
        let (log, _) = open(&disk).unwrap();
        scan(&log);
    }
}

#[test]
fn after_a_failed_sync_nothing_is_appended_any_more() {
    let disk = MemoryDisk::new();
    let (mut log, _) = open(&disk).unwrap();
    let kept = append(&mut log, 0..1).unwrap();
    disk.fail_at(2, Fault::Once);
    assert!(matches!(append(&mut log, 1..2), Err(LogError::Stopped(Some(_)))));
    assert!(log.is_stopped());
    for _ in 0..2 {
        assert!(matches!(append(&mut log, 2..3), Err(LogError::Stopped(None))));
        assert!(matches!(log.seal(Stamp::ZERO), Err(LogError::Stopped(None))));
    }
    check_all(&log, &BTreeMap::from([(0, kept[0])]));
    let (records, _) = scan(&log);
    assert_eq!(records.len(), 1, "what is not durable is not served");
}
