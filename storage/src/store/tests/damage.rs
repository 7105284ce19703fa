//! A record whose frame is damaged stays known, can be healed and can be erased; an erasure outlives a damaged frame.

use super::super::{Appended, Incoming, Lookup, Merged, Reader, Role, Source, State};
use super::erasure::log_holds;
use super::records::signed_otherwise;
use super::world::{World, agent, key, record, records};
use crate::disk::{Crash, Disk, MemoryDisk};
use crate::index::Engine;
use crate::log::{Position, SEGMENT_BYTES_LEAST};
use model::record::Authors;
use model::{Body, Record, Stamp, Timestamp, acceptance};
use std::path::{Path, PathBuf};

/// When everything here is erased.
fn at() -> Timestamp {
    Timestamp::from_ms(9).unwrap()
}

/// Record 1 with three other valid signatures, ascending.
fn ascending() -> [Record; 3] {
    let mut records = [1, 2, 3].map(|nonce| signed_otherwise(&record(1), nonce));
    records.sort_by_key(signature);
    records
}

/// A record whose frame does not fit in the shortest segment.
fn long_record() -> Record {
    let Body::Assertion(mut assertion) = record(1).envelope().body().clone() else { panic!("it is a claim") };
    let mut agents: Vec<_> = (0..10).map(agent).collect();
    agents.sort();
    assertion.authors = Authors::new(agents).unwrap();
    acceptance::sign(Body::Assertion(assertion), &(0..10).map(key).collect::<Vec<_>>()).unwrap()
}

/// Where a record is, and the length of its frame.
fn place(reader: &Reader, n: usize) -> (Position, u32) {
    let entry = reader.shared.id_entry(&record(n).id()).unwrap().unwrap();
    (entry.position, entry.length)
}

fn segment_file(disk: &MemoryDisk, segment: u32) -> PathBuf {
    let stem = format!("{segment:010}-");
    let names = disk.list(Path::new("/wal")).unwrap();
    Path::new("/wal").join(names.iter().find(|name| name.starts_with(&stem)).unwrap())
}

/// Flips a byte of the frame of a record, near its end and behind its id.
fn damage(world: &World, reader: &Reader, n: usize) -> Position {
    let (position, length) = place(reader, n);
    let offset = usize::try_from(position.at + length - 9).unwrap();
    assert!(world.disk.flip(&segment_file(&world.disk, position.segment), offset, 4));
    position
}

/// How many records [`filled`] appends.
const FEW: usize = 24;

/// A store that holds the records below [`FEW`], the first of which are in a sealed segment.
fn filled(engine: Engine, dir: &Path) -> World {
    let world = World::on(engine, dir);
    let (mut appender, reader, _) = world.open();
    for n in 0..FEW {
        appender.append(vec![record(n)], world.wall_ms).unwrap();
    }
    assert!(place(&reader, FEW - 1).0.segment > 1);
    appender.seal().unwrap();
    world
}

fn signature(record: &Record) -> [u8; 64] {
    record.envelope().signatures()[0].0
}

#[test]
fn a_damaged_record_is_known_as_damaged_through_compactions_and_rebuilds_until_it_is_healed() {
    let dir = tempfile::tempdir().unwrap();
    let world = filled(Engine::Sled, dir.path());
    let (mut appender, reader, _) = world.open();
    let hit = damage(&world, &reader, 2);
    let check = |reader: &Reader| {
        for n in 0..FEW {
            let found = reader.get(&record(n).id()).unwrap();
            match n {
                1 => assert!(matches!(found, Lookup::Erased(_)), "{found:?}"),
                2 => assert_eq!(found, Lookup::Damaged(hit)),
                _ => assert!(matches!(found, Lookup::Found(_)), "{n}: {found:?}"),
            }
        }
        assert_eq!(reader.verify(&mut |_| {}).unwrap().index.map(|error| error.to_string()), None);
    };
    appender.erase(record(1).id(), agent(0), at()).unwrap();
    check(&reader);
    let compacted = appender.maintenance().compact().unwrap().unwrap();
    assert_eq!(compacted.damages.len(), 1);
    check(&reader);
    assert_eq!(reader.verify(&mut |_| {}).unwrap().damages.len(), 1, "it is still reported");
    drop((appender, reader));
    let rebuilt = World { engine: Engine::Memory, ..world.clone() };
    let (mut appender, reader, _) = rebuilt.open();
    check(&reader);
    appender.erase(record(3).id(), agent(0), at()).unwrap();
    while appender.maintenance().compact().unwrap().is_some() {}
    assert_eq!(reader.get(&record(2).id()).unwrap(), Lookup::Damaged(hit));
    drop((appender, reader));
    let (mut appender, reader, _) = rebuilt.open();
    assert_eq!(reader.get(&record(2).id()).unwrap(), Lookup::Damaged(hit));
    let answers = appender.append(vec![record(2)], world.wall_ms).unwrap();
    assert!(matches!(answers[..], [Appended::Exists { .. }]));
    appender.erase(record(4).id(), agent(0), at()).unwrap();
    while appender.maintenance().compact().unwrap().is_some() {}
    assert!(reader.verify(&mut |_| {}).unwrap().is_sound());
    drop((appender, reader));
    let (_appender, reader, _) = rebuilt.open();
    assert!(matches!(reader.get(&record(2).id()).unwrap(), Lookup::Found(_)));
}

#[test]
fn a_damaged_record_can_be_erased_and_no_byte_of_it_stays() {
    for rebuild_between in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let world = filled(Engine::Sled, dir.path());
        let (appender, reader, _) = world.open();
        let hit = damage(&world, &reader, 2);
        let secret = signature(&record(2));
        assert!(log_holds(&world.disk, &secret[..20]) || log_holds(&world.disk, &secret[40..]));
        let damaged = |reader: &Reader| assert_eq!(reader.get(&record(2).id()).unwrap(), Lookup::Damaged(hit));
        damaged(&reader);
        appender.seal().unwrap();
        drop(reader);
        let (mut appender, reader, _) = world.open();
        damaged(&reader);
        let erasure = appender.erase(record(2).id(), agent(5), at()).unwrap();
        assert_eq!((erasure.signatures, erasure.home), ([0; 32], record(2).home()));
        assert_eq!(reader.get(&record(2).id()).unwrap(), Lookup::Erased(erasure));
        assert_eq!(reader.verify(&mut |_| {}).unwrap().index.map(|error| error.to_string()), None);
        let copy = Path::new("/wal/damaged/0000000001-0000-0000000064-0.bytes");
        world.disk.create(copy).unwrap().write_all_at(&secret, 0).unwrap();
        let (appender, reader) = if rebuild_between {
            drop((appender, reader));
            let (appender, reader, _) = World { engine: Engine::Memory, ..world.clone() }.open();
            (appender, reader)
        } else {
            (appender, reader)
        };
        while appender.maintenance().compact().unwrap().is_some() {}
        for part in secret.chunks(16) {
            assert!(!log_holds(&world.disk, part), "rebuilt: {rebuild_between}");
        }
        assert_eq!(reader.get(&record(2).id()).unwrap(), Lookup::Erased(erasure));
        assert!(reader.verify(&mut |_| {}).unwrap().is_sound());
    }
}

#[test]
fn every_frame_of_an_erased_id_leaves_the_log_and_no_rebuild_comes_of_it() {
    for engine in [Engine::Sled, Engine::Fjall] {
        let dir = tempfile::tempdir().unwrap();
        let world = World::on(engine, dir.path());
        let (mut appender, reader, _) = world.open();
        let [smallest, middle, first] = ascending();
        appender.append(vec![first.clone()], world.wall_ms).unwrap();
        appender.append(records(5..17), world.wall_ms).unwrap();
        appender.append(vec![middle.clone()], world.wall_ms).unwrap();
        appender.append(records(17..30), world.wall_ms).unwrap();
        appender.append(vec![smallest.clone()], world.wall_ms).unwrap();
        let all = [&first, &middle, &smallest].map(signature);
        assert!(all.iter().all(|signature| log_holds(&world.disk, signature)));
        appender.erase(first.id(), agent(0), at()).unwrap();
        drop((appender, reader));
        world.disk.crash(Crash::KeepAll);
        let (appender, reader, report) = world.open();
        assert!(report.rebuilt.is_none(), "{engine}: {:?}", report.rebuilt);
        assert_eq!(reader.verify(&mut |_| {}).unwrap().index.map(|error| error.to_string()), None);
        while appender.maintenance().compact().unwrap().is_some() {}
        assert!(all.iter().all(|signature| !log_holds(&world.disk, signature)), "{engine}");
        drop((appender, reader));
        world.disk.crash(Crash::KeepAll);
        let (_appender, reader, report) = world.open();
        assert!(report.rebuilt.is_none(), "{engine}: {:?}", report.rebuilt);
        assert!(matches!(reader.get(&first.id()).unwrap(), Lookup::Erased(_)));
    }
}

#[test]
fn any_byte_of_one_copy_of_an_erasure_may_be_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let world = filled(Engine::Sled, dir.path());
    let (mut appender, reader, _) = world.open();
    let erasure = appender.erase(record(FEW - 1).id(), agent(0), at()).unwrap();
    let (first, length) = place(&reader, FEW - 1);
    let end = reader.applied();
    let second = end.at - length;
    assert!(second > first.at + length && first.segment == end.segment);
    for at in (first.at..first.at + length).chain(second..end.at) {
        let disk = world.disk.fork();
        disk.crash(Crash::KeepAll);
        assert!(disk.flip(&segment_file(&disk, first.segment), usize::try_from(at).unwrap(), 16));
        let (mut appender, reader, _) = World { disk, engine: Engine::Memory, ..world.clone() }.open();
        assert_eq!(reader.get(&record(FEW - 1).id()).unwrap(), Lookup::Erased(erasure), "{at}");
        assert_eq!(appender.append(vec![record(FEW - 1)], world.wall_ms).unwrap(), [Appended::Erased]);
    }
    // Nor does it matter to a store that is open, or to one that compacts what is damaged.
    assert!(world.disk.flip(&segment_file(&world.disk, first.segment), usize::try_from(first.at).unwrap() + 30, 16));
    assert_eq!(reader.get(&record(FEW - 1).id()).unwrap(), Lookup::Erased(erasure));
    appender.append(vec![record(FEW)], world.wall_ms).unwrap();
    appender.erase(record(FEW).id(), agent(0), at()).unwrap();
    while appender.maintenance().compact().unwrap().is_some() {}
    assert_eq!(reader.get(&record(FEW - 1).id()).unwrap(), Lookup::Erased(erasure));
    drop((appender, reader));
    let (_appender, reader, _) = World { engine: Engine::Memory, ..world }.open();
    assert_eq!(reader.get(&record(FEW - 1).id()).unwrap(), Lookup::Erased(erasure));
}

#[test]
fn the_scrubber_finds_which_records_cannot_be_read_until_they_are_healed_also_in_a_compacted_segment() {
    for is_compacted in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let world = filled(Engine::Memory, dir.path());
        let (mut appender, reader, _) = world.open();
        if is_compacted {
            appender.erase(record(1).id(), agent(0), at()).unwrap();
            while appender.maintenance().compact().unwrap().is_some() {}
        }
        let (id, home) = (record(2).id(), record(2).home());
        let (position, length) = place(&reader, 2);
        if is_compacted {
            let file = segment_file(&world.disk, position.segment);
            let bytes = world.disk.open(&file).unwrap();
            let mut content = vec![0; usize::try_from(bytes.length().unwrap()).unwrap()];
            bytes.read_exact_at(&mut content, 0).unwrap();
            let at = content.windows(32).position(|window| window == id.0).unwrap();
            assert!(world.disk.flip(&file, at, 4));
        } else {
            damage(&world, &reader, 2);
        }
        assert!(matches!(reader.get(&id).unwrap(), Lookup::Damaged(_)), "{length} bytes at {position}");
        let mut maintenance = appender.maintenance();
        let damages = maintenance.scrub(u64::MAX).unwrap().damages;
        let unreadable =
            || damages.iter().flat_map(|damage| maintenance.unreadable_in(damage).unwrap()).collect::<Vec<_>>();
        assert_eq!(unreadable(), [(home, id)], "compacted: {is_compacted}");
        appender.append(vec![record(2)], world.wall_ms).unwrap();
        assert_eq!(unreadable(), []);
        assert!(matches!(reader.get(&id).unwrap(), Lookup::Found(_)));
        assert_eq!(reader.verify(&mut |_| {}).unwrap().damages.len(), damages.len());
        while maintenance.compact().unwrap().is_some() {}
        assert_eq!(reader.verify(&mut |_| {}).unwrap().damages.len(), damages.len(), "nobody asked for it");
        damages.iter().for_each(|damage| maintenance.mend(damage));
        while maintenance.compact().unwrap().is_some() {}
        assert!(reader.verify(&mut |_| {}).unwrap().is_sound());
        for n in (0..FEW).filter(|n| *n != 1) {
            assert!(matches!(reader.get(&record(n).id()).unwrap(), Lookup::Found(_)), "{n}");
        }
    }
}

/// Turns a bit in the frame of the hint of a record, near its end.
fn damage_hint(world: &World, reader: &Reader, n: usize) {
    let (_, entry) = reader.shared.hint_of(&record(n).id()).unwrap().unwrap();
    let offset = usize::try_from(entry.position.at + entry.length - 9).unwrap();
    assert!(world.disk.flip(&segment_file(&world.disk, entry.position.segment), offset, 4));
}

#[test]
fn a_damaged_hint_is_told_of_and_can_be_healed_delivered_and_erased() {
    for compact_first in [false, true] {
        let world = World::new();
        let (mut appender, reader, _) = world.open();
        let hint = |n: usize| Incoming {
            record: record(n),
            stamp: Stamp::from_bits(1 + n as u64),
            role: Role::Hint,
            source: Source::Other,
        };
        appender.merge((0..6).map(hint).collect(), world.wall_ms).unwrap();
        (1..5).for_each(|n| damage_hint(&world, &reader, n));
        if compact_first {
            // A body in the same segment has to go, and what is damaged there is not kept.
            appender.erase(record(0).id(), agent(0), at()).unwrap();
            while appender.maintenance().compact().unwrap().is_some() {}
        }
        let places = |range: std::ops::Range<usize>| {
            let mut places: Vec<_> = range.map(|n| (record(n).home(), record(n).id())).collect();
            places.sort_unstable();
            places
        };
        let page = reader.hints(None, 99).unwrap();
        assert_eq!((page.damaged, page.next), (places(1..5), None));
        assert_eq!(page.hints.len(), if compact_first { 1 } else { 2 });
        assert_eq!(reader.hint(&record(1).id()).unwrap(), None);
        assert_eq!(reader.counts().hints, if compact_first { 5 } else { 6 });
        let healed = appender.merge(vec![hint(1)], world.wall_ms).unwrap();
        assert_eq!(healed, [Merged::Exists { stamp: Stamp::from_bits(2) }]);
        assert!(reader.hint(&record(1).id()).unwrap().is_some());
        assert_eq!(appender.discharge(places(2..4)).unwrap(), 2);
        let erasure = appender.erase(record(4).id(), agent(0), at()).unwrap();
        assert_eq!((erasure.signatures, erasure.stamp, erasure.home), ([0; 32], Stamp::from_bits(5), record(4).home()));
        assert!(reader.hints(None, 99).unwrap().damaged.is_empty());
        reader.shared.check_all(&mut |_| {}).unwrap();
        while appender.maintenance().compact().unwrap().is_some() {}
        for part in signature(&record(4)).chunks(16) {
            assert!(!log_holds(&world.disk, part));
        }
        let before = (reader.counts(), reader.homes().unwrap(), reader.hints(None, 99).unwrap());
        drop((appender, reader));
        let (_appender, reader, _) = world.open();
        assert_eq!((reader.counts(), reader.homes().unwrap(), reader.hints(None, 99).unwrap()), before);
        reader.shared.check_all(&mut |_| {}).unwrap();
    }
}

/// In segments so short that a rebuild reads the log once: a `lost` frame there tells of a body that is gone.
#[test]
fn an_erased_body_that_was_damaged_and_compacted_is_no_stumbling_block_for_a_rebuild_in_one_pass() {
    let mut world = World::new();
    world.settings.log.segment_bytes_max = SEGMENT_BYTES_LEAST;
    let (mut appender, reader, _) = world.open();
    appender.append(records(1..3), world.wall_ms).unwrap();
    damage(&world, &reader, 2);
    appender.erase(record(2).id(), agent(0), at()).unwrap();
    while appender.maintenance().compact().unwrap().is_some() {}
    drop((appender, reader));
    let (_appender, reader, report) = world.open();
    assert_eq!(report.state, State::Ready);
    assert!(matches!(reader.get(&record(2).id()).unwrap(), Lookup::Erased(_)));
}

#[test]
fn a_record_too_large_for_a_segment_does_not_fail_its_neighbours() {
    let mut world = World::new();
    world.settings.log.segment_bytes_max = SEGMENT_BYTES_LEAST;
    let (mut appender, reader, _) = world.open();
    let long = long_record();
    let answers = appender.append(vec![record(0), long.clone(), record(1)], world.wall_ms).unwrap();
    assert!(matches!(answers[..], [Appended::Created { .. }, Appended::TooLarge, Appended::Created { .. }]));
    assert_eq!(reader.get(&long.id()).unwrap(), Lookup::Absent);
}
