//! Records from elsewhere, and records kept for others: whatever comes in whatever order ends in the same sets, and
//! nothing acknowledged is lost.

use super::super::{Appender, EraseError, Incoming, Merged, Reader, Role, Source, StoreError};
use super::crashes::{every_call_fails, go_on};
use super::expected::check_sets;
use super::records::{RECORDS, VARIANTS, variant};
use super::world::{Expected, START_MS, World, agent, record, settle};
use crate::disk::{Crash, Fault};
use crate::index::Engine;
use model::{Home, Stamp, Timestamp};
use proptest::prelude::*;

/// Number, variant, stamp and role of a record that comes in.
type Entry = (usize, usize, Stamp, Role);

fn at(ms: u64) -> Stamp {
    Stamp::new(START_MS + ms, 0).unwrap()
}

fn incoming(entries: &[Entry]) -> Vec<Incoming> {
    let one = |(n, v, stamp, role): &Entry| Incoming {
        record: variant(*n, *v),
        stamp: *stamp,
        role: *role,
        source: Source::Owner { settled: None },
    };
    entries.iter().map(one).collect()
}

fn entry() -> impl Strategy<Value = Entry> {
    let role = prop_oneof![2 => Just(Role::Owned), 1 => Just(Role::Hint)];
    (0..RECORDS, 0..VARIANTS, 0..5_000_u64, 0..3_u16, role)
        .prop_map(|(n, v, ms, counter, role)| (n, v, Stamp::new(START_MS - 3_000 + ms, counter).unwrap(), role))
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize, usize),
    Merge(Vec<Entry>),
    Discharge(Vec<usize>),
    DropHome(usize),
    Maintain,
    Erase(usize),
    Compact,
    Roll,
    Restart,
    Crash(Crash),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..RECORDS, 1..4_usize).prop_map(|(first, count)| Step::Append(first, count)),
        8 => prop::collection::vec(entry(), 1..8).prop_map(Step::Merge),
        3 => prop::collection::vec(0..RECORDS, 1..8).prop_map(Step::Discharge),
        2 => (0..RECORDS).prop_map(Step::DropHome),
        4 => Just(Step::Maintain),
        1 => (0..RECORDS).prop_map(Step::Erase),
        2 => Just(Step::Compact),
        1 => Just(Step::Roll),
        1 => Just(Step::Restart),
        1 => prop_oneof![
            Just(Crash::KeepAll),
            Just(Crash::DropUnsynced),
            any::<u64>().prop_map(Crash::Torn)
        ].prop_map(Step::Crash),
    ]
}

fn cases() -> u32 {
    std::env::var("STORE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(24)
}

fn merge(appender: &mut Appender, entries: &[Entry], wall_ms: u64, expected: &mut Expected) {
    let answers = appender.merge(incoming(entries), wall_ms).unwrap();
    expected.note_merge(entries, &answers);
}

fn discharge(appender: &mut Appender, numbers: &[usize], expected: &mut Expected) {
    let places = numbers.iter().map(|n| (record(*n).home(), record(*n).id())).collect();
    let before = expected.hints.len();
    let discharged = appender.discharge(places).unwrap();
    expected.hints.retain(|n, _| !numbers.contains(n));
    assert_eq!(discharged, (before - expected.hints.len()) as u64);
}

/// Drops the home of the record number `n`, which is refused if that is the global one.
pub(super) fn drop_home(appender: &mut Appender, reader: &Reader, n: usize, expected: &mut Expected) {
    let home = record(n).home();
    let held = reader.root(home, Stamp::MAX).unwrap();
    assert_eq!(appender.drop_home(home, 7, held).unwrap(), home != Home::GLOBAL);
    if home != Home::GLOBAL {
        expected.drop_home(home);
    }
}

fn erase(appender: &mut Appender, n: usize, expected: &mut Expected) {
    let known = expected.kept.contains_key(&n) || expected.hints.contains_key(&n) || expected.erased.contains(&n);
    match appender.erase(record(n).id(), agent(0), Timestamp::from_ms(5).unwrap()) {
        // Unknown, or a delivered hint whose body is still in the log.
        Ok(_) => expected.erase(n),
        Err(EraseError::NotFound) => assert!(!known, "{n} is known"),
        Err(error) => panic!("{n}: {error}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn whatever_is_merged_hinted_discharged_dropped_and_erased_the_store_is_the_map_it_should_be(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut world = World::new();
        let mut expected = Expected::default();
        let (mut appender, mut reader, _) = world.open();
        for step in steps {
            world.wall_ms += 7;
            match step {
                Step::Append(first, count) => {
                    let numbers: Vec<usize> = (first..RECORDS.min(first + count)).collect();
                    let answers = appender.append(numbers.iter().map(|n| record(*n)).collect(), world.wall_ms).unwrap();
                    expected.note(&numbers, &answers);
                }
                Step::Merge(entries) => merge(&mut appender, &entries, world.wall_ms, &mut expected),
                Step::Discharge(numbers) => discharge(&mut appender, &numbers, &mut expected),
                Step::DropHome(n) => drop_home(&mut appender, &reader, n, &mut expected),
                Step::Maintain => drop(appender.maintenance().step().unwrap()),
                Step::Erase(n) => erase(&mut appender, n, &mut expected),
                Step::Compact => drop(appender.maintenance().compact().unwrap()),
                Step::Roll => appender.roll().unwrap(),
                Step::Restart => {
                    appender.seal().unwrap();
                    drop(reader);
                    (appender, reader, _) = world.open();
                    expected.closed = reader.closed();
                }
                Step::Crash(crash) => {
                    drop((appender, reader));
                    world.disk.crash(crash);
                    (appender, reader, _) = world.open();
                    expected.closed = reader.closed();
                }
            }
            expected.check(&reader);
            prop_assert_eq!(reader.shared.check_all(&mut |_| {}).map_err(|error| error.to_string()), Ok(()));
        }
        settle(&mut appender.maintenance());
        expected.check(&reader);
    }

    #[test]
    fn the_order_in_which_records_come_does_not_matter(
        (one, other) in prop::collection::vec(entry(), 1..60)
            .prop_flat_map(|entries| (Just(entries.clone()), Just(entries).prop_shuffle())),
        chunks in (1..9_usize, 1..9_usize),
    ) {
        let merged = |entries: &[Entry], chunk: usize| {
            let world = World::new();
            let (mut appender, reader, _) = world.open();
            let mut expected = Expected::default();
            entries.chunks(chunk).for_each(|chunk| merge(&mut appender, chunk, world.wall_ms, &mut expected));
            expected.check(&reader);
            (reader, expected)
        };
        let ((one, expected), (other, same)) = (merged(&one, chunks.0), merged(&other, chunks.1));
        prop_assert_eq!(&expected, &same);
        check_sets(&other, &expected.elements(&one));
        prop_assert_eq!(one.homes().unwrap(), other.homes().unwrap());
    }
}

/// What fails is left, what is acknowledged is noted; a discharge or an erasure that failed may have happened.
fn run_script(world: &World, acknowledged: &mut Expected) -> Result<(), StoreError> {
    let (mut appender, _, _) = world.try_open()?;
    let mut maintenance = appender.maintenance();
    for round in 0..8 {
        let entry = |n: usize| {
            let role = if n.is_multiple_of(3) { Role::Owned } else { Role::Hint };
            ((round * 5 + n) % RECORDS, (round + n) % VARIANTS, at(40 - n as u64), role)
        };
        let entries: Vec<Entry> = (0..9).map(entry).collect();
        if let Ok(answers) = appender.merge(incoming(&entries), world.wall_ms) {
            acknowledged.note_merge(&entries, &answers);
        }
        let delivered: Vec<usize> = (round * 5..round * 5 + 4).collect();
        let places = delivered.iter().map(|n| (record(*n).home(), record(*n).id())).collect();
        acknowledged.hints.retain(|n, _| !delivered.contains(n));
        drop(appender.discharge(places));
        if appender.erase(record(round * 4).id(), agent(0), Timestamp::from_ms(5).unwrap()).is_ok() {
            acknowledged.erase(round * 4);
        }
        drop(appender.reserve(world.wall_ms + 700 * round as u64));
        go_on(&mut maintenance);
    }
    appender.seal()
}

#[test]
fn a_disk_that_fails_once_at_any_call_loses_nothing_merged_or_hinted() {
    every_call_fails(run_script, Fault::Once, |_| Crash::DropUnsynced);
}

#[test]
fn a_disk_that_fails_for_ever_from_any_call_on_loses_nothing_merged_or_hinted() {
    every_call_fails(run_script, Fault::ForEver, Crash::Torn);
}

#[test]
fn a_disk_that_returns_a_wrong_bit_at_any_read_loses_nothing_merged_or_hinted() {
    every_call_fails(run_script, Fault::FlipRead, |_| Crash::KeepAll);
}

#[test]
fn a_stamp_too_far_ahead_is_not_adopted() {
    let world = World::new();
    let (mut appender, reader, _) = world.open();
    let last = appender.clock().last();
    let ahead = at(world.settings.clock_offset_ms_max + 1);
    for role in [Role::Owned, Role::Hint] {
        let answers = appender.merge(incoming(&[(0, 0, ahead, role)]), world.wall_ms).unwrap();
        assert_eq!((answers, appender.clock().last()), (vec![Merged::Ahead], last));
    }
    Expected::default().check(&reader);
    let just_so = at(world.settings.clock_offset_ms_max);
    let answers = appender.merge(incoming(&[(0, 0, just_so, Role::Owned)]), world.wall_ms).unwrap();
    assert_eq!(answers, [Merged::Created { stamp: just_so }]);
    let appended = appender.append(vec![record(1)], world.wall_ms).unwrap();
    assert!(matches!(appended[..], [super::super::Appended::Created { stamp }] if stamp > just_so), "{appended:?}");
}

#[test]
fn a_known_record_costs_no_sync_and_a_lower_stamp_only_a_small_frame() {
    let world = World::new();
    let (mut appender, reader, _) = world.open();
    let entries: Vec<Entry> = (0..20).map(|n| (n, 0, at(n as u64), Role::Owned)).collect();
    appender.merge(incoming(&entries), world.wall_ms + 100).unwrap();
    let (end, syncs) = (reader.applied(), world.disk.syncs());
    appender.merge(incoming(&entries), world.wall_ms + 100).unwrap();
    assert_eq!((reader.applied(), world.disk.syncs()), (end, syncs));
    let answers = appender.merge(incoming(&[(19, 0, at(3), Role::Owned)]), world.wall_ms + 100).unwrap();
    assert_eq!(answers, [Merged::Exists { stamp: at(3) }]);
    assert_eq!(world.disk.syncs(), syncs + 1);
    assert!(reader.applied().at - end.at < 100, "{end} {}", reader.applied());
}

/// The body of a hint, as the log holds it.
fn held(world: &World, n: usize, v: usize) -> bool {
    super::erasure::log_holds(&world.disk, &variant(n, v).envelope().signatures()[0].0)
}

fn compact_all(appender: &mut Appender) {
    while appender.maintenance().compact().unwrap().is_some() {}
}

#[test]
fn delivered_hints_leave_the_log_and_others_do_not() {
    for engine in Engine::ALL {
        let dir = tempfile::tempdir().unwrap();
        let world = World::on(*engine, dir.path());
        let (mut appender, reader, _) = world.open();
        let mut expected = Expected::default();
        let entries: Vec<Entry> = (0..40).map(|n| (n, 0, at(n as u64), Role::Hint)).collect();
        entries.chunks(4).for_each(|chunk| merge(&mut appender, chunk, world.wall_ms, &mut expected));
        let delivered: Vec<usize> = (0..40).filter(|n| n % 8 != 0).collect();
        discharge(&mut appender, &delivered, &mut expected);
        expected.check(&reader);
        appender.roll().unwrap();
        compact_all(&mut appender);
        expected.check(&reader);
        for n in 0..40 {
            assert_eq!(held(&world, n, 0), expected.hints.contains_key(&n), "{engine}: {n}");
        }
        let left = |prefix: Vec<u8>| {
            let mut keys = 0;
            let mut count = |_: &[u8], _: &[u8]| {
                keys += 1;
                std::ops::ControlFlow::Continue(())
            };
            reader.shared.with_index(|index| Ok(index.scan(&prefix, &[], &mut count)?)).unwrap();
            keys
        };
        assert_eq!(left(super::super::summary::all_superseded()), 0, "{engine}: nothing is remembered of what is gone");
        appender.seal().unwrap();
        drop(reader);
        for engine in [*engine, Engine::Memory] {
            let (_appender, reader, _) = World { engine, ..world.clone() }.open();
            expected.check(&reader);
            assert!(reader.verify(&mut |_| {}).unwrap().is_sound());
        }
    }
}

#[test]
fn an_erasure_reaches_every_body_that_was_ever_kept_for_others() {
    let world = World::new();
    let (mut appender, reader, _) = world.open();
    let mut expected = Expected::default();
    // 0 and 1: delivered, or not; 2: superseded; 3: also the store's own.
    let (first, second) = ([(0, 0), (1, 0), (2, 0), (3, 0)], [(2, 1), (2, 2), (3, 1)]);
    let entry = |(n, v): (usize, usize)| (n, v, at(1), Role::Hint);
    merge(&mut appender, &first.map(entry), world.wall_ms, &mut expected);
    merge(&mut appender, &[(3, 2, at(1), Role::Owned)], world.wall_ms, &mut expected);
    discharge(&mut appender, &[0], &mut expected);
    for n in 20..40 {
        merge(&mut appender, &[(n, 0, at(2), Role::Owned)], world.wall_ms, &mut expected);
    }
    second.into_iter().for_each(|place| merge(&mut appender, &[entry(place)], world.wall_ms, &mut expected));
    expected.check(&reader);
    for n in 0..4 {
        erase(&mut appender, n, &mut expected);
        expected.check(&reader);
    }
    compact_all(&mut appender);
    expected.check(&reader);
    for (n, v) in (0..4).flat_map(|n| (0..VARIANTS).map(move |v| (n, v))) {
        assert!(!held(&world, n, v), "variant {v} of {n} is still in the log");
    }
    for role in [Role::Owned, Role::Hint] {
        let again: Vec<Entry> = (0..4).map(|n| (n, 0, at(0), role)).collect();
        assert_eq!(appender.merge(incoming(&again), world.wall_ms).unwrap(), [Merged::Erased; 4]);
    }
    drop((appender, reader));
    world.disk.crash(Crash::DropUnsynced);
    let (_appender, reader, _) = world.open();
    expected.check(&reader);
}

/// What comes ahead of the wall clock is found once the clock has passed it, and moves no time ahead of the wall clock.
#[test]
fn the_time_of_queries_covers_what_was_merged_and_stays_behind_the_wall_clock() {
    let world = World::new();
    let (mut appender, reader, _) = world.open();
    let now = |reader: &Reader, ms: u64| reader.now(START_MS + ms);
    let entries = [(0, 0, at(5), Role::Owned), (1, 0, at(10), Role::Owned), (2, 0, at(3_000), Role::Owned)];
    appender.merge(incoming(&entries), START_MS + 10).unwrap();
    let first = now(&reader, 10);
    assert!(first >= at(10) && first.ms() <= START_MS + 10, "{first}");
    assert!(now(&reader, 2_999) < at(3_000));
    assert!(now(&reader, 3_001) >= at(3_000), "without another write");
    let before = now(&reader, 3_001);
    drop((appender, reader));
    world.disk.crash(Crash::DropUnsynced);
    let (mut appender, reader, _) = world.open();
    assert!(now(&reader, 0) >= before);
    let appended = appender.append(vec![record(7)], START_MS).unwrap();
    assert!(matches!(appended[..], [super::super::Appended::Created { stamp }] if stamp > before));
}
