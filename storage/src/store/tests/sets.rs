//! The homes' sets: kept by erasures, made anew when they were made under another key or by another release.

use super::super::summary::about;
use super::super::{Incoming, ReadError, Reader, RebuildReason, Role, Source};
use super::world::{Expected, RECORDS, World, agent, check_sets, record, records};
use crate::disk::Crash;
use crate::index::entry::{FORMAT, Table};
use crate::index::{Batch, Engine, IndexError};
use model::set::{SetKey, SetSum};
use model::{Home, Stamp, Timestamp};
use std::ops::ControlFlow;

fn homes(reader: &Reader) -> Vec<(Home, SetSum)> {
    reader.homes().unwrap()
}

#[test]
fn an_erasure_changes_no_root() {
    for engine in Engine::ALL {
        let dir = tempfile::tempdir().unwrap();
        let world = World::on(*engine, dir.path()).filled(0..RECORDS);
        let (mut appender, reader, _) = world.open();
        let before = homes(&reader);
        for n in 0..RECORDS / 2 {
            appender.erase(record(n).id(), agent(0), Timestamp::from_ms(1).unwrap()).unwrap();
            assert_eq!(homes(&reader), before, "{engine}");
        }
        while appender.maintenance().compact().unwrap().is_some() {}
        appender.seal().unwrap();
        drop(reader);
        for engine in [*engine, Engine::Memory] {
            let (_appender, reader, _) = World { engine, ..world.clone() }.open();
            assert_eq!(homes(&reader), before, "{engine}");
        }
    }
}

#[test]
fn sums_made_under_another_key_are_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::on(Engine::Sled, dir.path()).filled(0..RECORDS);
    let other = World { set_key: SetKey::new([4; 32]), ..world.clone() };
    let before = {
        let (appender, reader, report) = world.open();
        assert!(report.rebuilt.is_none());
        let before = homes(&reader);
        appender.seal().unwrap();
        before
    };
    let (appender, reader, report) = other.open();
    assert!(matches!(report.rebuilt, Some(RebuildReason::OtherSetKey)), "{:?}", report.rebuilt);
    let counts = |homes: &[(Home, SetSum)]| homes.iter().map(|(home, sum)| (*home, sum.count)).collect::<Vec<_>>();
    assert_ne!(homes(&reader), before);
    assert_eq!(counts(&homes(&reader)), counts(&before));
    appender.seal().unwrap();
    drop(reader);
    let (_appender, reader, report) = world.open();
    assert!(report.rebuilt.is_some());
    assert_eq!(homes(&reader), before);
}

#[test]
fn an_index_of_another_release_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::on(Engine::Sled, dir.path()).filled(0..RECORDS);
    let (appender, reader, _) = world.open();
    let (key, mut value) = about(Engine::Sled, reader.store_id(), &world.set_key);
    value[..2].copy_from_slice(&(FORMAT - 1).to_le_bytes());
    let mut batch = Batch::default();
    batch.put(key, value);
    reader.shared.with_index(|index| Ok(index.apply(batch)?)).unwrap();
    appender.seal().unwrap();
    drop(reader);
    let (_appender, reader, report) = world.open();
    assert!(matches!(report.rebuilt, Some(RebuildReason::OtherFormat)), "{:?}", report.rebuilt);
    Expected::of(0..RECORDS, &reader).check(&reader);
}

#[test]
fn roots_at_old_and_recent_fences_are_those_of_the_elements_also_after_a_restart() {
    let mut world = World::new();
    let mut expected = Expected::default();
    let (mut appender, mut reader, _) = world.open();
    for n in 0..RECORDS {
        world.wall_ms += [7, 900, 40_000, 0][n % 4];
        expected.note(&[n], &appender.append(records(n..n + 1), world.wall_ms).unwrap());
        if n % 10 == 9 {
            check_sets(&reader, &expected.elements(&reader));
        }
        if n == RECORDS / 2 {
            drop((appender, reader));
            world.disk.crash(Crash::DropUnsynced);
            (appender, reader, _) = world.open();
        }
    }
    let elements = expected.elements(&reader);
    for (home, element) in &elements {
        let below = elements.iter().filter(|(at, other)| at == home && other.stamp < element.stamp).count() as u64;
        let just_before = Stamp::from_bits(element.stamp.to_bits() - 1);
        assert_eq!(reader.root(*home, just_before).unwrap().count, below);
    }
    drop(appender);
}

/// Every so many entries are made wrong, so that the test is quick.
const STRIDE: usize = 4;

/// What a check finds is given up, so each wrong entry gets a store of its own.
#[test]
fn a_check_finds_every_wrong_entry_of_a_set_or_a_hint() {
    let world = World::new().filled(0..RECORDS);
    let (mut appender, reader, _) = world.open();
    let hint = |n: usize| Incoming {
        record: record(n),
        stamp: Stamp::from_bits(n as u64),
        role: Role::Hint,
        source: Source::Other,
    };
    appender.merge((0..20).map(hint).collect(), world.wall_ms).unwrap();
    appender.discharge(vec![(record(7).home(), record(7).id())]).unwrap();
    drop((appender, reader));
    let entries = |reader: &Reader| {
        let mut entries = Vec::new();
        for table in [Table::Element, Table::Sum, Table::Hint, Table::HintHome] {
            let scanned = reader.shared.with_index(|index| {
                index.scan(&table.prefix(), &[], &mut |key, value| {
                    entries.push((key.to_vec(), value.to_vec()));
                    ControlFlow::Continue(())
                })?;
                Ok(())
            });
            scanned.unwrap();
        }
        entries
    };
    let finds = |changes: &[(&[u8], Option<&[u8]>)]| {
        let (_appender, reader, _) = World { disk: world.disk.fork(), ..world.clone() }.open();
        let mut batch = Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => batch.put(key.to_vec(), value.to_vec()),
                None => batch.delete(key.to_vec()),
            }
        }
        reader.shared.with_index(|index| Ok(index.apply(batch)?)).unwrap();
        matches!(reader.shared.check_all(&mut |_| {}), Err(ReadError::Index(IndexError::Disagrees(_))))
    };
    let (_appender, reader, _) = World { disk: world.disk.fork(), ..world.clone() }.open();
    let entries = entries(&reader);
    assert!(entries.len() > RECORDS + 4 + 2 * 19 && !finds(&[]));
    for (key, value) in entries.iter().step_by(STRIDE) {
        let flipped = |bytes: &[u8], at: usize| {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 1;
            bytes
        };
        assert!(finds(&[(key, None)]), "{} is missing", key.escape_ascii());
        for at in [0, value.len() - 1] {
            assert!(finds(&[(key, Some(&flipped(value, at)))]), "byte {at} of {}", key.escape_ascii());
        }
        let elsewhere = flipped(key, key.len() - 1);
        assert!(finds(&[(&elsewhere, Some(value))]), "{} is there twice", key.escape_ascii());
        assert!(finds(&[(key, None), (&elsewhere, Some(value))]), "{} is elsewhere", key.escape_ascii());
    }
}
