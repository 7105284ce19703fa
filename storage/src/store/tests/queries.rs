//! Writing and reading, with nothing going wrong.

use super::super::{AppendError, Appended, Claims, Lookup, ReadError, Reader, RebuildReason, Selector, State};
use super::world::{CLAIMS, Expected, RECORDS, START_MS, World, agent, question, record, records, settle};
use crate::disk::{Crash, Disk, Fault};
use crate::index::conformance::copy_folder;
use crate::index::{Engine, IndexError};
use crate::log::Position;
use model::{RecordId, Stamp, Timestamp};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[test]
fn what_is_appended_is_found_by_every_way_of_reading() {
    for engine in Engine::ALL {
        let dir = tempfile::tempdir().unwrap();
        let world = World::on(*engine, dir.path());
        let (mut appender, reader, report) = world.open();
        assert!(report.recovery.created && report.state == State::Ready);
        let mut expected = Expected::default();
        expected.check(&reader);
        for first in (0..RECORDS).step_by(7) {
            let numbers: Vec<usize> = (first..RECORDS.min(first + 7)).collect();
            let answers = appender.append(records(first..RECORDS.min(first + 7)), world.wall_ms).unwrap();
            expected.note(&numbers, &answers);
            expected.check(&reader);
        }
        let verified = reader.verify(&mut |_| {}).unwrap();
        assert!(verified.is_sound() && verified.records == RECORDS as u64, "{engine}: {verified:?}");
        appender.seal().unwrap();
        assert!(matches!(reader.get(&record(0).id()), Err(ReadError::Closed)));
        drop(reader);
        let (_appender, reader, report) = world.open();
        assert_eq!(report.rebuilt.is_some(), *engine == Engine::Memory, "{engine}: {:?}", report.rebuilt);
        assert!(!report.checking && report.recovery.clean);
        expected.check(&reader);
    }
}

#[test]
fn a_known_record_is_not_written_again() {
    let world = World::new();
    let (mut appender, reader, _) = world.open();
    let answers = appender.append(vec![record(0), record(1), record(0)], world.wall_ms).unwrap();
    let [Appended::Created { stamp }, Appended::Created { stamp: next }, Appended::Exists { stamp: same }] =
        answers[..]
    else {
        panic!("{answers:?}")
    };
    assert!(stamp < next && stamp == same);
    let end = reader.applied();
    let syncs = world.disk.syncs();
    let answers = appender.append(records(0..2), world.wall_ms + 5_000).unwrap();
    assert_eq!(answers, [Appended::Exists { stamp }, Appended::Exists { stamp: next }]);
    assert_eq!((reader.applied(), world.disk.syncs()), (end, syncs));
    assert_eq!(reader.counts().records(), 2);
}

#[test]
fn stamps_rise_over_restarts_whatever_the_wall_clock_says() {
    let mut world = World::new();
    let mut last = Stamp::ZERO;
    for n in 0..6 {
        let (mut appender, _, _) = world.open();
        let answers = appender.append(vec![record(n)], world.wall_ms).unwrap();
        let [Appended::Created { stamp }] = answers[..] else { panic!("{answers:?}") };
        assert!(stamp > last);
        last = stamp;
        world.wall_ms -= 1_000;
        drop(appender);
    }
}

#[test]
fn a_question_with_more_claims_than_the_caller_takes_is_an_error() {
    let world = World::new();
    let (mut appender, reader, _) = world.open();
    appender.append(records(0..CLAIMS), world.wall_ms).unwrap();
    let asked = question(0);
    let found = reader.claims(&asked.subject, &asked.predicate, Stamp::MAX, 5, u64::MAX).unwrap();
    assert_eq!(found.records.len(), 5);
    let refused = reader.claims(&asked.subject, &asked.predicate, Stamp::MAX, 4, u64::MAX);
    assert!(matches!(refused, Err(ReadError::TooMany(4))));
}

#[test]
fn records_with_more_bytes_than_the_caller_takes_are_an_error() {
    let world = World::new();
    let (mut appender, reader, _) = world.open();
    appender.append(records(0..RECORDS), world.wall_ms).unwrap();
    let (asked, target) = (question(0), record(0).id());
    let ask = |bytes_max| reader.claims(&asked.subject, &asked.predicate, Stamp::MAX, 99, bytes_max);
    let votes = |bytes_max| reader.votes(&target, Stamp::MAX, 99, bytes_max);
    let asks: [&dyn Fn(u64) -> Result<Claims, ReadError>; 2] = [&ask, &votes];
    for ask in asks {
        let all = ask(u64::MAX).unwrap();
        assert!(all.records.len() > 1);
        let enough = (0..).find(|bytes_max| ask(*bytes_max).is_ok()).unwrap();
        assert_eq!(ask(enough).unwrap(), all);
        assert!(matches!(ask(enough - 1), Err(ReadError::TooLarge(limit)) if limit == enough - 1));
    }
}

#[test]
fn a_time_handed_out_to_a_query_shows_the_same_records_for_ever() {
    let world = World::new();
    let (mut appender, reader, _) = world.open();
    let wall_ms = AtomicU64::new(world.wall_ms);
    let up_to = |reader: &Reader, as_of| -> Vec<RecordId> {
        let claims = |q| {
            let asked = question(q);
            reader.claims(&asked.subject, &asked.predicate, as_of, 99, u64::MAX).unwrap().records
        };
        (0..8).flat_map(claims).map(|record| record.id()).collect()
    };
    let (asking, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let seen = std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let mut seen: Vec<(Stamp, Vec<RecordId>)> = Vec::new();
            while !done.load(Ordering::SeqCst) {
                let now = reader.now(wall_ms.load(Ordering::SeqCst));
                let found = up_to(&reader, now);
                assert!(seen.last().is_none_or(|(before, _)| *before <= now));
                seen.push((now, found));
                asking.store(true, Ordering::SeqCst);
            }
            seen
        });
        while !asking.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        for n in 0..CLAIMS {
            let [Appended::Created { stamp }] = appender.append(vec![record(n)], world.wall_ms + n as u64).unwrap()[..]
            else {
                panic!("{n} is new")
            };
            assert!(reader.now(world.wall_ms) >= stamp, "what was acknowledged is seen");
            wall_ms.fetch_add(1, Ordering::SeqCst);
        }
        done.store(true, Ordering::SeqCst);
        asked.join().unwrap()
    });
    drop((appender, reader));
    world.disk.crash(Crash::DropUnsynced);
    let (mut appender, reader, _) = World { wall_ms: world.wall_ms - 9_000, ..world }.open();
    appender.append(vec![record(CLAIMS)], START_MS - 9_000).unwrap();
    for (as_of, found) in seen {
        assert_eq!(up_to(&reader, as_of), found, "as of {as_of}");
    }
}

#[test]
fn another_engine_is_a_rebuild_and_the_records_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::on(Engine::Sled, dir.path()).filled(0..RECORDS);
    for engine in [Engine::Fjall, Engine::Sled, Engine::Memory, Engine::Fjall] {
        let (appender, reader, report) = World { engine, ..world.clone() }.open();
        assert!(report.rebuilt.is_some(), "{engine}");
        Expected::of(0..RECORDS, &reader).check(&reader);
        appender.seal().unwrap();
        let folders = std::fs::read_dir(dir.path()).unwrap().count();
        assert!(folders <= 2, "an index and one set aside");
    }
}

#[test]
fn while_the_index_is_rebuilt_in_the_background_reads_by_id_go_on_and_writes_wait() {
    let mut world = World::new().filled(0..RECORDS);
    world.settings.open_frames_max = 0;
    let (mut appender, reader, report) = world.open();
    assert!(matches!(report.state, State::Rebuilding { .. }));
    assert!(matches!(appender.append(records(0..1), world.wall_ms), Err(AppendError::Rebuilding(_))));
    let at = Timestamp::from_ms(1).unwrap();
    appender.erase(record(0).id(), agent(0), at).unwrap_err();
    assert!(matches!(reader.get(&record(0).id()), Err(ReadError::Rebuilding(_))));
    let mut maintenance = appender.maintenance();
    assert!(maintenance.step().unwrap());
    assert!(matches!(reader.state(), State::Rebuilding { ids_known: true, .. }));
    Expected::of(0..RECORDS, &reader);
    let asked = question(0);
    let waits = reader.claims(&asked.subject, &asked.predicate, Stamp::MAX, 99, u64::MAX);
    assert!(
        matches!(waits, Err(ReadError::Rebuilding(progress)) if progress.done > 0 && progress.done < progress.total)
    );
    settle(&mut maintenance);
    assert_eq!(reader.state(), State::Ready);
    Expected::of(0..RECORDS, &reader).check(&reader);
    appender.append(records(0..1), world.wall_ms).unwrap();
}

#[test]
fn an_export_leaves_nothing_out_silently_when_the_index_is_given_up_or_replaced_meanwhile() {
    for rebuilt_at_once in [false, true] {
        let mut world = World::new().filled(0..RECORDS);
        let (appender, reader, _) = world.open();
        let mut visited = 0;
        let exported = reader.export(Position::START, &mut |_| {
            visited += 1;
            if visited == 5 {
                reader.shared.give_up(&IndexError::Disagrees("for the test".to_owned()));
                if rebuilt_at_once {
                    settle(&mut appender.maintenance());
                }
            }
            ControlFlow::Continue(())
        });
        assert!(matches!(exported, Err(ReadError::Rebuilding(_))), "{exported:?}");
        assert_eq!(visited, 5);
        settle(&mut appender.maintenance());
        Expected::of(0..RECORDS, &reader).check(&reader);
        drop((appender, reader));
        world.settings.open_frames_max = 0;
        let (_appender, reader, _) = world.open();
        let exported = reader.export(Position::START, &mut |_| ControlFlow::Continue(()));
        assert!(matches!(exported, Err(ReadError::Rebuilding(_))), "{exported:?}");
    }
}

#[test]
fn no_answer_comes_from_an_index_that_was_replaced_and_is_not_complete() {
    let world = World::new().filled(0..RECORDS);
    let (_appender, reader, _) = world.open();
    reader.shared.give_up(&IndexError::Disagrees("for the test".to_owned()));
    let mut writer = reader.shared.writer();
    let asked = question(0);
    for begun in [false, true] {
        if begun {
            reader.shared.start_over(&mut writer).unwrap();
        }
        assert!(matches!(reader.get(&record(0).id()), Err(ReadError::Rebuilding(_))));
        let claims = reader.claims(&asked.subject, &asked.predicate, Stamp::MAX, 99, u64::MAX);
        assert!(matches!(claims, Err(ReadError::Rebuilding(_))));
        assert!(matches!(reader.questions(&Selector::All, None, 9), Err(ReadError::Rebuilding(_))));
    }
}

#[test]
fn a_note_on_the_index_that_cannot_be_read_is_a_rebuild() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::on(Engine::Sled, dir.path()).filled(0..RECORDS);
    let mut unread = false;
    for call in 1.. {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(dir.path(), copy.path());
        let world = World { disk: world.disk.fork(), db_dir: copy.path().to_path_buf(), ..world.clone() };
        world.disk.fail_at(call, Fault::Once);
        if let Ok((_appender, reader, report)) = world.try_open() {
            Expected::of(0..RECORDS, &reader);
            if matches!(report.rebuilt, Some(RebuildReason::NoIndex)) {
                unread = true;
                break;
            }
        }
        if world.disk.calls() < call {
            break;
        }
    }
    assert!(unread);
}

#[test]
fn a_reader_knows_whether_the_index_is_still_being_checked() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::on(Engine::Sled, dir.path());
    let (mut appender, reader, report) = world.open();
    assert!(!report.checking && !reader.checking());
    appender.append(records(0..RECORDS), world.wall_ms).unwrap();
    drop((appender, reader));
    world.settings.open_frames_max = 0;
    let (appender, reader, report) = world.open();
    assert!(report.checking && reader.checking());
    settle(&mut appender.maintenance());
    assert!(!reader.checking());
}

#[test]
fn a_rebuild_that_was_interrupted_goes_on_where_it_was() {
    for engine in [Engine::Sled, Engine::Fjall] {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::on(engine, dir.path()).filled(0..RECORDS);
        std::fs::remove_dir_all(dir.path()).unwrap();
        world.settings.open_frames_max = 0;
        let (appender, _, report) = world.open();
        assert!(report.rebuilt.is_some());
        appender.maintenance().step().unwrap();
        appender.seal().unwrap();
        let (appender, reader, report) = world.open();
        assert!(report.rebuilt.is_none() && matches!(report.state, State::Rebuilding { .. }), "{engine}: {report:?}");
        settle(&mut appender.maintenance());
        Expected::of(0..RECORDS, &reader).check(&reader);
        assert!(reader.verify(&mut |_| {}).unwrap().is_sound());
    }
}

#[test]
fn a_record_lost_to_the_disk_is_reported_and_healed_by_sending_it_again() {
    let world = World::new();
    let (mut appender, reader, _) = world.open();
    let mut expected = Expected::default();
    expected.note(&[0, 1, 2], &appender.append(records(0..3), world.wall_ms).unwrap());
    let first = world.disk.list(Path::new("/wal")).unwrap().into_iter().find(|name| name.ends_with(".log")).unwrap();
    assert!(world.disk.flip(&Path::new("/wal").join(first), 300, 1));
    assert!(matches!(reader.get(&record(0).id()).unwrap(), Lookup::Damaged(_)));
    let asked = question(0);
    let found = reader.claims(&asked.subject, &asked.predicate, Stamp::MAX, 9, u64::MAX).unwrap();
    assert_eq!((found.records.len(), found.damaged.len()), (0, 1));
    let verified = reader.verify(&mut |_| {}).unwrap();
    assert!(!verified.is_sound() && verified.index.is_none(), "{verified:?}");
    expected.note(&[0], &appender.append(records(0..1), world.wall_ms).unwrap());
    expected.check(&reader);
}

#[test]
fn the_time_of_an_idle_store_goes_on_and_stays_a_moment() {
    let mut world = World::new().filled(0..1);
    let (mut appender, reader, _) = world.open();
    let start_ms = world.wall_ms;
    let hour_ms = 3_600_000;
    for (n, hour) in (1..4).enumerate() {
        let wall_ms = start_ms + hour * hour_ms;
        appender.keep_time(wall_ms).unwrap();
        let now = reader.now(wall_ms);
        assert!(now.ms() + 1 >= wall_ms, "{now} at {wall_ms}");
        let syncs = world.disk.syncs();
        appender.keep_time(wall_ms + 1_000).unwrap();
        assert_eq!(world.disk.syncs(), syncs, "once a minute is enough");
        let Appended::Created { stamp } = appender.append(vec![record(n + 1)], wall_ms).unwrap()[0] else {
            panic!("it is new");
        };
        assert!(stamp > now);
    }
    drop((appender, reader));
    world.wall_ms = start_ms;
    let (_, reader, _) = world.open();
    assert!(reader.last_stamp().ms() >= start_ms + 3 * hour_ms);
}
