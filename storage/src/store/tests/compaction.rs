//! Compaction under load loses nothing, whenever it is cut short.

use super::super::{AppendError, Lookup};
use super::world::{Expected, RECORDS, World, agent, record};
use crate::disk::{Crash, Fault};
use model::Timestamp;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[test]
fn compaction_beside_appends_and_erasures_loses_nothing() {
    for round in 0..6 {
        let world = World::new();
        let (mut appender, reader, _) = world.open();
        let mut maintenance = appender.maintenance();
        let (mut expected, done) = (Expected::default(), AtomicBool::new(false));
        let compacted = thread::scope(|scope| {
            let compacting = scope.spawn(|| {
                let mut compacted = 0;
                while !done.load(Ordering::Relaxed) {
                    compacted += usize::from(maintenance.compact().unwrap().is_some());
                    thread::yield_now();
                }
                compacted
            });
            for n in 0..RECORDS {
                expected.note(&[n], &appender.append(vec![record(n)], world.wall_ms).unwrap());
                if n % 3 == 0 {
                    appender.erase(record(n / 2).id(), agent(0), Timestamp::from_ms(1).unwrap()).unwrap();
                    expected.kept.remove(&(n / 2));
                    expected.erased.insert(n / 2);
                }
                for m in 0..=n {
                    let found = reader.get(&record(m).id()).unwrap();
                    assert_eq!(matches!(found, Lookup::Erased(_)), expected.erased.contains(&m), "{m}");
                }
            }
            done.store(true, Ordering::Relaxed);
            compacting.join().unwrap()
        });
        assert!(compacted > 0, "nothing was compacted");
        expected.check(&reader);
        drop((appender, reader, maintenance));
        world.disk.crash(Crash::Torn(round));
        let (appender, reader, _) = world.open();
        expected.check(&reader);
        while appender.maintenance().compact().unwrap().is_some() {}
        expected.check(&reader);
    }
}

#[test]
fn a_crash_at_any_call_of_a_compaction_loses_nothing() {
    let world = World::new();
    let (mut appender, reader, _) = world.open();
    for n in 0..RECORDS {
        appender.append(vec![record(n)], world.wall_ms).unwrap();
    }
    for n in [3, 4, 20] {
        appender.erase(record(n).id(), agent(0), Timestamp::from_ms(1).unwrap()).unwrap();
    }
    let expected = Expected::found(&reader);
    drop((appender, reader));
    for call in 1.. {
        let disk = world.disk.fork();
        let attempt = World { disk, ..world.clone() };
        let (mut appender, _, _) = attempt.open();
        attempt.disk.fail_at(call, Fault::ForEver);
        let compacted = appender.maintenance().compact();
        if compacted.is_err() {
            let refused = appender.append(vec![record(0)], attempt.wall_ms);
            assert!(!matches!(refused, Err(AppendError::Clock(_))));
        }
        drop(appender);
        attempt.disk.crash(Crash::Torn(call));
        let (_appender, reader, _) = attempt.open();
        expected.check(&reader);
        if compacted.is_ok() {
            assert!(call > 5);
            break;
        }
    }
}
