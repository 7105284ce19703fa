//! Crashes, failing disks and full disks: nothing acknowledged is lost, nothing wrong is served.

use super::super::{AppendError, Appender, Lookup, Maintenance, Reader, State, StoreError};
use super::world::{Expected, RECORDS, World, agent, record, records, settle};
use crate::disk::{Crash, Fault};
use crate::log::LogError;
use model::Timestamp;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Append(usize, usize),
    Erase(usize),
    Compact,
    Restart,
    Crash(Crash),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..RECORDS, 1..8usize).prop_map(|(first, count)| Step::Append(first, count)),
        2 => (0..RECORDS).prop_map(Step::Erase),
        2 => Just(Step::Compact),
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn whatever_happens_the_store_is_the_map_it_should_be(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::new();
        let mut expected = Expected::default();
        let (mut appender, mut reader, _) = world.open();
        for step in steps {
            world.wall_ms += 7;
            match step {
                Step::Append(first, count) => {
                    let numbers: Vec<usize> = (first..RECORDS.min(first + count)).collect();
                    let answers = appender.append(records(first..RECORDS.min(first + count)), world.wall_ms).unwrap();
                    expected.note(&numbers, &answers);
                }
                Step::Erase(n) => erase(&mut appender, n, &mut expected),
                Step::Compact => drop(appender.maintenance().compact().unwrap()),
                Step::Restart => {
                    appender.seal().unwrap();
                    drop(reader);
                    (appender, reader, _) = world.open();
                }
                Step::Crash(crash) => {
                    drop((appender, reader));
                    world.disk.crash(crash);
                    (appender, reader, _) = world.open();
                }
            }
            expected.check(&reader);
        }
    }
}

fn erase(appender: &mut Appender, n: usize, expected: &mut Expected) {
    let at = Timestamp::from_ms(5).unwrap();
    if appender.erase(record(n).id(), agent(0), at).is_ok() {
        expected.erase(n);
    }
}

/// Runs a fixed script; what fails is left, what is acknowledged is noted.
fn run_script(world: &World, acknowledged: &mut Expected) -> Result<(), StoreError> {
    let (mut appender, reader, _) = world.try_open()?;
    let mut maintenance = appender.maintenance();
    for first in (0..30).step_by(5) {
        let numbers: Vec<usize> = (first..first + 5).collect();
        if let Ok(answers) = appender.append(records(first..first + 5), world.wall_ms + first as u64) {
            acknowledged.note(&numbers, &answers);
        }
        erase(&mut appender, first, acknowledged);
        go_on(&mut maintenance);
        nothing_wrong_is_served(&reader);
    }
    if let Some(spare) = appender.spare_job() {
        drop(spare.run());
    }
    appender.seal()
}

pub(super) fn go_on(maintenance: &mut Maintenance) {
    drop(maintenance.compact());
    for _ in 0..3 {
        drop(maintenance.step());
    }
}

fn nothing_wrong_is_served(reader: &Reader) {
    for n in (0..30).step_by(3) {
        if let Ok(Lookup::Found(found)) = reader.get(&record(n).id()) {
            assert_eq!(&found.to_envelope().unwrap(), record(n).envelope());
        }
    }
}

/// Something to do with a store: what fails is left, what is acknowledged is noted.
type Script = fn(&World, &mut Expected) -> Result<(), StoreError>;

/// How many calls a script makes on a disk that does not fail.
fn calls_of(script: Script) -> u64 {
    let world = World::new();
    let before = world.disk.calls();
    script(&world, &mut Expected::default()).unwrap();
    world.disk.calls() - before
}

/// Runs a script on disks of which each fails at another call, crashes them and looks for what was acknowledged.
pub(super) fn every_call_fails(script: Script, fault: Fault, crash: impl Fn(u64) -> Crash) {
    let stride = if std::env::var_os("STORE_EVERY_CALL").is_some() { 1 } else { 3 };
    let calls = calls_of(script);
    assert!(calls > 100, "{calls}");
    // Which third of the calls is tried differs from fault to fault.
    for call in (1..=calls).filter(|call| call % stride == fault_number(fault) % stride) {
        let world = World::new();
        let mut acknowledged = Expected::default();
        world.disk.fail_at(call, fault);
        drop(script(&world, &mut acknowledged));
        world.disk.crash(crash(call));
        let (appender, reader, _) = world.open();
        settle(&mut appender.maintenance());
        assert_eq!(reader.state(), State::Ready, "call {call}");
        acknowledged.check_at_least(&reader);
        let compared = reader.shared.check_all(&mut |_| {});
        assert!(compared.is_ok(), "call {call}: {compared:?}");
    }
}

#[test]
fn a_disk_that_fails_once_at_any_call_loses_nothing_acknowledged() {
    every_call_fails(run_script, Fault::Once, |_| Crash::DropUnsynced);
}

#[test]
fn a_disk_that_fails_for_ever_from_any_call_on_loses_nothing_acknowledged() {
    every_call_fails(run_script, Fault::ForEver, Crash::Torn);
}

#[test]
fn a_disk_that_returns_a_wrong_bit_at_any_read_loses_nothing_and_serves_nothing_wrong() {
    every_call_fails(run_script, Fault::FlipRead, |_| Crash::KeepAll);
}

#[test]
fn a_full_disk_refuses_writes_serves_reads_and_goes_on_when_there_is_room() {
    let world = World::new();
    let (mut appender, reader, _) = world.open();
    let mut expected = Expected::default();
    let mut refused = 0;
    for n in 0..RECORDS {
        if n == 10 {
            world.disk.set_capacity(Some(world.disk.used()));
        }
        if n == 40 {
            world.disk.set_capacity(None);
        }
        match appender.append(vec![record(n)], world.wall_ms) {
            Ok(answers) => expected.note(&[n], &answers),
            Err(AppendError::Log(LogError::DiskFull(_))) => refused += 1,
            Err(error) => panic!("{error}"),
        }
        expected.check(&reader);
    }
    assert!(refused > 0 && refused < 30, "{refused}");
    for n in 0..RECORDS {
        let numbers = [n];
        expected.note(&numbers, &appender.append(vec![record(n)], world.wall_ms).unwrap());
    }
    drop((appender, reader));
    world.disk.crash(Crash::DropUnsynced);
    let (_appender, reader, _) = world.open();
    expected.check(&reader);
}

fn fault_number(fault: Fault) -> u64 {
    match fault {
        Fault::Once => 0,
        Fault::ForEver => 1,
        Fault::FlipRead => 2,
    }
}
