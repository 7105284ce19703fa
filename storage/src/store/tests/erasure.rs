//! What was erased is gone, everywhere and for ever; its id and stamp remain.

use super::super::{Appended, EraseError, Lookup};
use super::world::{Expected, RECORDS, World, agent, record, records};
use crate::disk::{Crash, Disk, MemoryDisk};
use crate::index::Engine;
use model::{Stamp, Timestamp};
use std::path::Path;

/// Whether any file of the log, or any copy of damaged bytes, holds these bytes.
pub(super) fn log_holds(disk: &MemoryDisk, bytes: &[u8]) -> bool {
    let files = |dir: &'static str| {
        let names = disk.list(Path::new(dir)).unwrap();
        names.into_iter().map(move |name| Path::new(dir).join(name))
    };
    files("/wal").chain(files("/wal/damaged")).any(|path| {
        let file = disk.open(&path).unwrap();
        let mut content = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
        file.read_exact_at(&mut content, 0).unwrap();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[test]
fn an_erased_body_is_gone_and_does_not_come_back() {
    for engine in Engine::ALL {
        let dir = tempfile::tempdir().unwrap();
        let world = World::on(*engine, dir.path());
        let (mut appender, reader, _) = world.open();
        let mut expected = Expected::default();
        for n in 0..20 {
            expected.note(&[n], &appender.append(vec![record(n)], world.wall_ms).unwrap());
        }
        let (early, late, at) = (2, 19, Timestamp::from_ms(9).unwrap());
        for n in [early, late] {
            let stamp = expected.kept.remove(&n).unwrap();
            let signature = record(n).envelope().signatures()[0].0;
            assert!(log_holds(&world.disk, &signature));
            let erasure = appender.erase(record(n).id(), agent(5), at).unwrap();
            assert_eq!(
                (erasure.stamp, erasure.eraser, erasure.at, erasure.home),
                (stamp, agent(5), at, record(n).home())
            );
            expected.erased.insert(n);
            expected.check(&reader);
            let again = appender.erase(record(n).id(), agent(6), Timestamp::from_ms(10).unwrap()).unwrap();
            assert_eq!(again, erasure);
            while appender.maintenance().compact().unwrap().is_some() {}
            assert!(!log_holds(&world.disk, &signature), "{engine}: {n} is still in the log");
            assert_eq!(reader.get(&record(n).id()).unwrap(), Lookup::Erased(erasure));
        }
        expected.note(&(0..20).collect::<Vec<_>>(), &appender.append(records(0..20), world.wall_ms).unwrap());
        expected.check(&reader);
        assert!(reader.verify(&mut |_| {}).unwrap().is_sound());
        appender.seal().unwrap();
        drop(reader);
        for other in Engine::ALL {
            let (mut appender, reader, _) = World { engine: *other, ..world.clone() }.open();
            expected.check(&reader);
            let answers = appender.append(vec![record(early), record(late)], world.wall_ms).unwrap();
            assert_eq!(answers, [Appended::Erased, Appended::Erased]);
            expected.check(&reader);
            appender.seal().unwrap();
        }
    }
}

#[test]
fn an_id_that_is_not_known_cannot_be_erased() {
    let world = World::new();
    let (mut appender, _, _) = world.open();
    let refused = appender.erase(record(0).id(), agent(0), Timestamp::from_ms(1).unwrap());
    assert!(matches!(refused, Err(EraseError::NotFound)));
    let answers = appender.append(records(0..1), world.wall_ms).unwrap();
    assert!(matches!(answers[..], [Appended::Created { .. }]));
}

#[test]
fn erasing_everything_leaves_no_question_and_no_vote() {
    let world = World::new();
    let (mut appender, reader, _) = world.open();
    let mut expected = Expected::default();
    expected.note(&(0..RECORDS).collect::<Vec<_>>(), &appender.append(records(0..RECORDS), world.wall_ms).unwrap());
    for n in (0..RECORDS).rev() {
        appender.erase(record(n).id(), agent(0), Timestamp::from_ms(1).unwrap()).unwrap();
        expected.kept.remove(&n);
        expected.erased.insert(n);
        expected.check(&reader);
    }
    assert_eq!(reader.verify(&mut |_| {}).unwrap().index.map(|error| error.to_string()), None);
    drop((appender, reader));
    world.disk.crash(Crash::DropUnsynced);
    let (appender, reader, _) = world.open();
    expected.check(&reader);
    while appender.maintenance().compact().unwrap().is_some() {}
    expected.check(&reader);
    let counted = reader.claims(
        &super::world::question(0).subject,
        &super::world::question(0).predicate,
        Stamp::MAX,
        9,
        u64::MAX,
    );
    assert!(counted.unwrap().records.is_empty());
}
