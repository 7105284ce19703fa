//! Homes that moved away: they go out of index and log in steps, whenever they are cut short, and nothing else goes.

use super::super::dropped::STEP;
use super::super::{Appended, Appender, Incoming, Lookup, Merged, Reader, Role, Source, StoreError};
use super::crashes::{every_call_fails, go_on};
use super::erasure::log_holds;
use super::merges::drop_home;
use super::world::{CLAIMS, Expected, RECORDS, START_MS, World, agent, record, records, settle};
use crate::disk::{Crash, Fault};
use crate::index::Engine;
use crate::index::entry::{IdEntry, Table};
use model::set::SetSum;
use model::{Home, Stamp, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// The numbers of the records of the home of the record number 0.
fn of_first_home() -> Vec<usize> {
    (0..RECORDS).filter(|n| record(*n).home() == record(0).home()).collect()
}

/// All entries but those that say how the index came about, and those of ids that were erased: what an erased record was,
/// nobody knows who never saw its body.
fn entries(reader: &Reader) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut entries = BTreeMap::new();
    let scanned = reader.shared.with_index(|index| {
        index.scan(&[], &[], &mut |key, value| {
            let is_erased =
                Table::of(key) == Some(Table::Id) && IdEntry::decode(value).is_some_and(|entry| entry.erased);
            if Table::of(key) != Some(Table::Meta) && !is_erased {
                entries.insert(key.to_vec(), value.to_vec());
            }
            ControlFlow::Continue(())
        })?;
        Ok(())
    });
    scanned.unwrap();
    entries
}

fn held(world: &World, n: usize) -> bool {
    log_holds(&world.disk, &record(n).envelope().signatures()[0].0)
}

fn compact_all(appender: &mut Appender) {
    while appender.maintenance().compact().unwrap().is_some() {}
}

#[test]
fn a_dropped_home_leaves_the_index_and_the_log_and_a_rebuild_agrees() {
    for engine in Engine::ALL {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::on(*engine, dir.path());
        world.settings.garbage_percent_max = 0;
        let (mut appender, reader, _) = world.open();
        let mut expected = Expected::default();
        for n in 0..RECORDS {
            expected.note(&[n], &appender.append(vec![record(n)], world.wall_ms).unwrap());
        }
        let home = record(0).home();
        let hint = Incoming { record: record(4), stamp: Stamp::ZERO, role: Role::Hint, source: Source::Other };
        appender.merge(vec![hint], world.wall_ms).unwrap();
        expected.hints.insert(4, (Stamp::ZERO, 0));
        appender.erase(record(8).id(), agent(0), Timestamp::from_ms(1).unwrap()).unwrap();
        expected.erase(8);
        drop_home(&mut appender, &reader, 0, &mut expected);
        expected.check(&reader);
        settle(&mut appender.maintenance());
        expected.check(&reader);
        assert!(!reader.holds_records(home).unwrap());
        appender.roll().unwrap();
        compact_all(&mut appender);
        expected.check(&reader);
        for n in (0..RECORDS).filter(|n| !expected.erased.contains(n)) {
            assert_eq!(held(&world, n), expected.kept.contains_key(&n) || n == 4, "{engine}: {n}");
        }
        let before = entries(&reader);
        appender.seal().unwrap();
        drop(reader);
        for engine in [*engine, Engine::Memory] {
            let (appender, reader, _) = World { engine, ..world.clone() }.open();
            settle(&mut appender.maintenance());
            expected.check(&reader);
            assert!(entries(&reader) == before, "{engine}");
            assert!(reader.verify(&mut |_| {}).unwrap().is_sound());
        }
    }
}

#[test]
fn a_drop_goes_on_after_a_crash_between_any_two_steps() {
    let crashes = [Crash::KeepAll, Crash::DropUnsynced, Crash::Torn(5)];
    for (steps, engine) in
        (0..of_first_home().len().div_ceil(STEP) + 2).flat_map(|n| Engine::ALL.iter().map(move |e| (n, *e)))
    {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::on(engine, dir.path());
        let mut expected = Expected::default();
        {
            let (mut appender, reader, _) = world.open();
            for n in 0..RECORDS {
                expected.note(&[n], &appender.append(vec![record(n)], world.wall_ms).unwrap());
            }
            drop_home(&mut appender, &reader, 0, &mut expected);
            for step in 0..steps {
                let more = appender.maintenance().step().unwrap();
                assert_eq!(more, step * STEP <= of_first_home().len(), "{step}: a step goes over so many and no more");
            }
            expected.check(&reader);
        }
        world.disk.crash(crashes[steps % 3]);
        // Next to no work at the start: what is left goes on in the background.
        world.settings.open_frames_max = if steps % 2 == 0 { u64::MAX } else { 1 };
        let (appender, reader, _) = world.open();
        settle(&mut appender.maintenance());
        expected.check(&reader);
        reader.shared.check_all(&mut |_| {}).unwrap();
    }
}

#[test]
fn what_comes_back_while_its_home_is_being_dropped_is_new_and_stays() {
    for steps in 0..of_first_home().len().div_ceil(STEP) + 1 {
        let world = World::new().filled(0..RECORDS);
        let (mut appender, reader, _) = world.open();
        let mut expected = Expected::of(0..RECORDS, &reader);
        drop_home(&mut appender, &reader, 0, &mut expected);
        (0..steps).for_each(|_| assert!(appender.maintenance().step().is_ok()));
        let back = of_first_home();
        let later = Stamp::new(START_MS + 5, 0).unwrap();
        let incoming = |n: &usize| Incoming {
            record: record(*n),
            stamp: later,
            role: Role::Owned,
            source: Source::Owner { settled: None },
        };
        let merged = appender.merge(back.iter().step_by(2).map(incoming).collect(), world.wall_ms + 9).unwrap();
        assert!(
            merged.iter().all(|merged| *merged == Merged::Created { stamp: later }),
            "after {steps} steps: {merged:?}"
        );
        for n in back.iter().step_by(2) {
            expected.kept.insert(*n, later);
            expected.gone.remove(n);
        }
        expected.check(&reader);
        reader.shared.check_all(&mut |_| {}).unwrap();
        settle(&mut appender.maintenance());
        expected.check(&reader);
        drop((appender, reader));
        world.disk.crash(Crash::DropUnsynced);
        let (_appender, reader, _) = world.open();
        expected.check(&reader);
    }
}

#[test]
fn a_home_of_which_something_came_since_and_the_global_one_are_not_dropped() {
    let world = World::new().filled(0..RECORDS - 1);
    let (mut appender, reader, _) = world.open();
    let expected = Expected::found(&reader);
    let (end, home) = (reader.applied(), record(0).home());
    assert!(!appender.drop_home(home, 1, SetSum::ZERO).unwrap());
    assert!(!appender.drop_home(Home::GLOBAL, 1, reader.root(Home::GLOBAL, Stamp::MAX).unwrap()).unwrap());
    let nothing = Home::of_bytes(b"nothing is here");
    assert!(appender.drop_home(nothing, 1, SetSum::ZERO).unwrap());
    assert_eq!(reader.applied(), end, "nothing was written");
    expected.check(&reader);
}

#[test]
fn an_erasure_reaches_the_body_of_a_dropped_record() {
    for steps in 0..4 {
        let world = World::new().filled(0..RECORDS);
        let (mut appender, reader, _) = world.open();
        let mut expected = Expected::of(0..RECORDS, &reader);
        drop_home(&mut appender, &reader, 0, &mut expected);
        (0..steps).for_each(|_| assert!(appender.maintenance().step().is_ok()));
        let digest = model::canonical::signatures_digest(record(0).envelope().signatures());
        let erasure = appender.erase(record(0).id(), agent(0), Timestamp::from_ms(1).unwrap()).unwrap();
        assert_eq!((erasure.home, erasure.signatures), (record(0).home(), digest));
        expected.erase(0);
        settle(&mut appender.maintenance());
        compact_all(&mut appender);
        expected.check(&reader);
        assert!(!held(&world, 0));
        assert_eq!(appender.append(records(0..1), world.wall_ms).unwrap(), [Appended::Erased]);
        drop((appender, reader));
        world.disk.crash(Crash::DropUnsynced);
        let (_appender, reader, _) = world.open();
        expected.check(&reader);
        assert!(matches!(reader.get(&record(0).id()).unwrap(), Lookup::Erased(_)));
    }
}

#[test]
fn the_frame_of_an_earlier_drop_leaves_the_log_and_the_last_stays() {
    let mut world = World::new();
    world.settings.garbage_percent_max = 0;
    let (mut appender, reader, _) = world.open();
    let mut expected = Expected::default();
    for round in 0..4 {
        for n in of_first_home() {
            expected.note(&[n], &appender.append(vec![record(n)], world.wall_ms).unwrap());
        }
        drop_home(&mut appender, &reader, 0, &mut expected);
        settle(&mut appender.maintenance());
        appender.roll().unwrap();
        compact_all(&mut appender);
        expected.check(&reader);
        assert!(!held(&world, 0), "round {round}");
    }
    let mut drops = 0;
    reader
        .shared
        .log
        .scan(crate::log::Position::START, &mut |item| {
            drops += usize::from(matches!(item, crate::log::Item::Frame(_, crate::log::Frame::HomeDropped { .. })));
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(drops, 1);
    drop((appender, reader));
    let (_appender, reader, _) = world.open();
    expected.check(&reader);
}

/// What fails is left, what is acknowledged is noted; a drop that failed may have happened.
fn run_script(world: &World, acknowledged: &mut Expected) -> Result<(), StoreError> {
    let (mut appender, reader, _) = world.try_open()?;
    let mut maintenance = appender.maintenance();
    for round in 0..6 {
        let numbers: Vec<usize> = (round * 3..CLAIMS).step_by(3).take(10).collect();
        // A call that fails may have brought them back.
        acknowledged.gone.retain(|n| !numbers.contains(n));
        let answers = appender.append(numbers.iter().map(|n| record(*n)).collect(), world.wall_ms).unwrap_or_default();
        for (n, answer) in numbers.iter().zip(answers) {
            let (Appended::Created { stamp } | Appended::Exists { stamp }) = answer else { panic!("{n}: {answer:?}") };
            acknowledged.kept.insert(*n, stamp);
        }
        go_on(&mut maintenance);
        let home = record(round % 4).home();
        let mut after = acknowledged.clone();
        after.drop_home(home);
        if let Ok(held) = reader.root(home, Stamp::MAX) {
            match appender.drop_home(home, round as u64, held) {
                Ok(true) => *acknowledged = after,
                Ok(false) => {}
                Err(_) => *acknowledged = Expected { gone: acknowledged.gone.clone(), ..after },
            }
        }
        go_on(&mut maintenance);
    }
    appender.seal()
}

#[test]
fn a_disk_that_fails_once_at_any_call_of_a_drop_loses_nothing_and_brings_nothing_back() {
    every_call_fails(run_script, Fault::Once, |_| Crash::DropUnsynced);
}

#[test]
fn a_disk_that_fails_for_ever_from_any_call_of_a_drop_loses_nothing_and_brings_nothing_back() {
    every_call_fails(run_script, Fault::ForEver, Crash::Torn);
}

/// A drop that cannot be read is one that did not happen: what it took comes back, and is handed over again.
#[test]
fn a_disk_that_returns_a_wrong_bit_at_any_read_of_a_drop_loses_nothing() {
    let script = |world: &World, acknowledged: &mut Expected| {
        let ran = run_script(world, acknowledged);
        acknowledged.gone = BTreeSet::new();
        ran
    };
    every_call_fails(script, Fault::FlipRead, |_| Crash::KeepAll);
}
