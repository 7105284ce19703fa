//! Stamps: none is given twice, none at or below one given before, whoever gives it and whenever the node was killed.

use super::super::{Appended, Incoming, Role, Source, StampError, Stamper};
use super::records::variant;
use super::world::{RECORDS, START_MS, World, record};
use crate::disk::{Crash, Fault};
use model::Stamp;
use model::clock::CEILING_RESERVE_MS;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::thread;

#[derive(Clone, Debug)]
enum Event {
    Wall(i64),
    /// By the stamper.
    Stamp,
    /// By the appender.
    Append(usize),
    /// From a node whose clock is so far ahead.
    Merge(usize, i64),
    Reserve,
    KeepTime,
    Ask,
    Fail(u64, Fault),
    Crash(Crash),
}

fn event() -> impl Strategy<Value = Event> {
    let fault = prop_oneof![Just(Fault::Once), Just(Fault::ForEver)];
    let crash = prop_oneof![Just(Crash::KeepAll), Just(Crash::DropUnsynced), any::<u64>().prop_map(Crash::Torn),];
    prop_oneof![
        3 => (-500_i64..1_500).prop_map(Event::Wall),
        1 => Just(Event::Wall(70_000)),
        8 => Just(Event::Stamp),
        4 => (0..RECORDS).prop_map(Event::Append),
        4 => (0..RECORDS, -5_000_i64..12_000).prop_map(|(n, ahead_ms)| Event::Merge(n, ahead_ms)),
        3 => Just(Event::Reserve),
        1 => Just(Event::KeepTime),
        3 => Just(Event::Ask),
        1 => (1..12_u64, fault).prop_map(|(call, fault)| Event::Fail(call, fault)),
        2 => crash.prop_map(Event::Crash),
    ]
}

proptest! {
    #[test]
    fn stamps_only_rise_and_lie_above_every_moment_whatever_fails(events in prop::collection::vec(event(), 1..80)) {
        let mut world = World::new();
        let (mut appender, mut reader, _) = world.open();
        let mut stamper = appender.stamper();
        let (mut given, mut moment) = (Stamp::ZERO, Stamp::ZERO);
        for event in events {
            match event {
                Event::Wall(step) => world.wall_ms = world.wall_ms.saturating_add_signed(step),
                Event::Stamp => match stamper.stamp(world.wall_ms) {
                    Ok(stamp) => {
                        prop_assert!(stamp > given && stamp > moment && stamp.ms() >= world.wall_ms, "{} after {}", stamp, given);
                        given = stamp;
                    }
                    Err(StampError::NeedsCeiling) => prop_assert!(stamper.is_low(world.wall_ms)),
                    Err(error) => panic!("{error}"),
                },
                // A stamp of an append that failed may be durable, so it counts too; nobody knows it.
                Event::Append(n) => if let Ok(answers) = appender.append(vec![record(n)], world.wall_ms)
                    && let [Appended::Created { stamp }] = answers[..]
                {
                    prop_assert!(stamp > given && stamp > moment, "{} after {} and {}", stamp, given, moment);
                    given = stamp;
                },
                Event::Merge(n, ahead_ms) => {
                    let stamp = Stamp::new(world.wall_ms.saturating_add_signed(ahead_ms), 7).unwrap();
                    let incoming = Incoming { record: variant(n, 1), stamp, role: Role::Owned, source: Source::Owner { settled: None } };
                    drop(appender.merge(vec![incoming], world.wall_ms));
                }
                Event::Reserve => if appender.reserve(world.wall_ms).is_ok() {
                    let stamp = stamper.stamp(world.wall_ms);
                    prop_assert!(stamp.is_ok_and(|stamp| stamp > given), "{:?} after {}", stamp, given);
                    given = stamp.unwrap();
                },
                Event::KeepTime => drop(appender.keep_time(world.wall_ms)),
                Event::Ask => {
                    let now = reader.now(world.wall_ms);
                    prop_assert!(now >= moment);
                    moment = now;
                }
                Event::Fail(call, fault) => world.disk.fail_at(call, fault),
                Event::Crash(crash) => {
                    drop((appender, reader));
                    world.disk.crash(crash);
                    (appender, reader, _) = world.open();
                    stamper = appender.stamper();
                }
            }
        }
    }
}

#[test]
fn many_stampers_beside_the_appender_give_every_stamp_once() {
    const EACH: usize = 2_000;
    let world = World::new();
    let (mut appender, reader, _) = world.open();
    appender.reserve(START_MS).unwrap();
    let give = |stamper: Stamper| -> Vec<Stamp> {
        let given = (0..EACH).map(|n| stamper.stamp(START_MS + n as u64 / 10).unwrap());
        let given: Vec<Stamp> = given.collect();
        assert!(given.is_sorted_by(|a, b| a < b));
        given
    };
    let mut all: Vec<Stamp> = thread::scope(|scope| {
        let stampers: Vec<_> = (0..4)
            .map(|_| {
                let stamper = appender.stamper();
                scope.spawn(move || give(stamper))
            })
            .collect();
        let mut appended = Vec::new();
        for n in 0..RECORDS {
            match appender.append(vec![record(n)], START_MS + n as u64).unwrap()[..] {
                [Appended::Created { stamp }] => appended.push(stamp),
                ref other => panic!("{other:?}"),
            }
            reader.now(START_MS + n as u64);
        }
        stampers.into_iter().flat_map(|stamper| stamper.join().unwrap()).chain(appended).collect()
    });
    let count = all.len();
    assert_eq!((count, BTreeSet::from_iter(all.drain(..)).len()), (4 * EACH + RECORDS, count));
}

#[test]
fn a_ceiling_reserved_in_time_lets_nobody_wait_and_costs_two_syncs_a_second() {
    let world = World::new();
    let (mut appender, _, _) = world.open();
    let stamper = appender.stamper();
    assert_eq!(stamper.stamp(START_MS), Err(StampError::NeedsCeiling));
    appender.reserve(START_MS).unwrap();
    let syncs = world.disk.syncs();
    for ms in 0..10 * CEILING_RESERVE_MS {
        stamper.stamp(START_MS + ms).unwrap();
        if stamper.is_low(START_MS + ms) {
            appender.reserve(START_MS + ms).unwrap();
        }
    }
    let syncs = world.disk.syncs() - syncs;
    assert!((15..=25).contains(&syncs), "{syncs}");
}

#[test]
fn a_merge_brings_the_ceiling_that_the_next_stamp_needs() {
    let world = World::new();
    let (mut appender, _, _) = world.open();
    let ahead = Stamp::new(START_MS + world.settings.clock_offset_ms_max, 9).unwrap();
    let incoming = Incoming { record: record(0), stamp: ahead, role: Role::Hint, source: Source::Other };
    let syncs = world.disk.syncs();
    appender.merge(vec![incoming], START_MS).unwrap();
    assert_eq!(world.disk.syncs(), syncs + 1);
    assert!(appender.stamper().stamp(START_MS).unwrap() > ahead);
}
