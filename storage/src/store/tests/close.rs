//! The closed time: what lies at or below it changes only by what other owners hold, whatever comes, crashes and fails.

use super::super::{Appender, Incoming, Lookup, Merged, Reader, Role, Source, State, StoreError};
use super::records::{RECORDS, VARIANTS, variant};
use super::world::{START_MS, World, agent, record};
use crate::disk::{Crash, Fault};
use model::set::Leaf;
use model::{Home, Record, RecordId, Stamp, Timestamp};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// The elements at or below a time, erased or not.
type Below = BTreeMap<(Home, RecordId), (Stamp, Leaf)>;

fn at(ms: u64) -> Stamp {
    Stamp::new(START_MS + ms, 0).unwrap()
}

fn homes() -> BTreeSet<Home> {
    (0..RECORDS).map(|n| record(n).home()).collect()
}

fn below(reader: &Reader, until: Stamp) -> Below {
    let list = |home| reader.elements(home, None, until, usize::MAX).unwrap().into_iter().map(move |e| (home, e));
    homes().into_iter().flat_map(list).map(|(home, e)| ((home, e.id), (e.stamp, e.leaf))).collect()
}

fn incoming(n: usize, v: usize, stamp: Stamp, source: Source) -> Incoming {
    Incoming { record: variant(n, v), stamp, role: Role::Owned, source }
}

#[derive(Clone, Debug)]
enum Step {
    /// Number, variant, milliseconds after the start.
    Merge(Vec<(usize, usize, u64)>),
    Hint(usize, u64),
    Append(usize),
    Erase(usize),
    Close(u64),
    Raise(u64),
    Pass(u64),
    Tidy,
    Restart,
    Fail(u64),
    Crash(Crash),
}

fn step() -> impl Strategy<Value = Step> {
    let crash = prop_oneof![Just(Crash::KeepAll), Just(Crash::DropUnsynced), any::<u64>().prop_map(Crash::Torn)];
    prop_oneof![
        8 => prop::collection::vec((0..RECORDS, 0..VARIANTS, 0..9_000_u64), 1..6).prop_map(Step::Merge),
        1 => (0..RECORDS, 0..9_000_u64).prop_map(|(n, ms)| Step::Hint(n, ms)),
        3 => (0..RECORDS).prop_map(Step::Append),
        1 => (0..RECORDS).prop_map(Step::Erase),
        6 => (0..9_000_u64).prop_map(Step::Close),
        2 => (0..9_000_u64).prop_map(Step::Raise),
        4 => (0..1_500_u64).prop_map(Step::Pass),
        1 => Just(Step::Tidy),
        1 => Just(Step::Restart),
        1 => (1..9_u64).prop_map(Step::Fail),
        2 => crash.prop_map(Step::Crash),
    ]
}

proptest! {
    #[test]
    fn nothing_at_or_below_a_closed_time_is_added_moved_or_signed_anew(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        let (mut appender, mut reader, _) = world.open();
        let (mut closed, mut frozen) = (Stamp::ZERO, Below::new());
        for step in steps {
            match step {
                Step::Merge(entries) => {
                    let other = |(n, v, ms): (usize, usize, u64)| incoming(n, v, at(ms), Source::Other);
                    let entries: Vec<_> = entries.into_iter().map(other).collect();
                    if let Ok(answers) = appender.merge(entries.clone(), world.wall_ms) {
                        for (answer, entry) in answers.iter().zip(entries) {
                            let is_new = matches!(answer, Merged::Created { stamp } if *stamp > closed);
                            prop_assert!(is_new || !matches!(answer, Merged::Created { .. }), "{:?} of {:?}", answer, entry);
                        }
                    }
                }
                Step::Hint(n, ms) => {
                    let hint = Incoming { role: Role::Hint, ..incoming(n, 0, at(ms), Source::Other) };
                    if let Ok(answers) = appender.merge(vec![hint], world.wall_ms) {
                        let kept = |answer| !matches!(answer, Merged::Created { stamp } if stamp != at(ms));
                        prop_assert!(answers.into_iter().all(kept), "a hint keeps its stamp");
                    }
                }
                Step::Append(n) => drop(appender.append(vec![record(n)], world.wall_ms)),
                // What is only kept for others becomes an element of the set when it is erased, under its stamp.
                Step::Erase(n) if matches!(reader.get(&record(n).id()), Ok(Lookup::Absent) | Err(_)) => {}
                Step::Erase(n) => drop(appender.erase(record(n).id(), agent(0), Timestamp::from_ms(5).unwrap())),
                // What an index shows that lags behind the log is no measure of what comes after.
                Step::Close(_) if reader.state() != State::Ready => {}
                Step::Close(ms) => {
                    let told = reader.close(at(ms));
                    prop_assert!(told >= closed && told <= reader.closed());
                    (closed, frozen) = (told, below(&reader, told));
                }
                Step::Raise(ms) => drop(appender.raise_ceiling(at(ms), world.wall_ms)),
                Step::Pass(ms) => world.wall_ms += ms,
                Step::Tidy => {
                    drop(appender.roll());
                    drop(appender.maintenance().compact());
                }
                Step::Restart => {
                    drop(appender.seal());
                    drop(reader);
                    world.disk.crash(Crash::KeepAll); // what was to fail does not any more
                    (appender, reader, _) = world.open();
                }
                Step::Fail(call) => world.disk.fail_at(call, Fault::Once),
                Step::Crash(crash) => {
                    drop((appender, reader));
                    world.disk.crash(crash);
                    (appender, reader, _) = world.open();
                }
            }
            prop_assert!(reader.closed() >= closed);
            if reader.state() == State::Ready {
                prop_assert_eq!(below(&reader, closed), frozen.clone());
            }
        }
    }
}

const OWNER: Source = Source::Owner { settled: None };

/// Two stores that own the same homes.
struct Pair {
    worlds: [World; 2],
    stores: [Option<(Appender, Reader)>; 2],
    /// Times that both had closed when their sets were equal, and those sets.
    stable: Vec<(Stamp, Below)>,
}

impl Pair {
    fn new() -> Self {
        let worlds = [World::new(), World::new()];
        let stores = [0, 1].map(|side: usize| worlds.get(side).map(open));
        Self { worlds, stores, stable: Vec::new() }
    }

    fn store(&mut self, side: usize) -> &mut (Appender, Reader) {
        self.stores[side].as_mut().unwrap()
    }

    fn merge(&mut self, side: usize, entries: Vec<Incoming>) {
        let wall_ms = self.worlds[side].wall_ms;
        self.store(side).0.merge(entries, wall_ms).unwrap();
    }

    fn crash(&mut self, side: usize, crash: Crash) {
        self.stores[side] = None;
        self.worlds[side].disk.crash(crash);
        self.stores[side] = Some(open(&self.worlds[side]));
    }

    /// `side` takes from the other, as from `source`, what that holds and it does not, at most `limit` of it.
    fn take(&mut self, side: usize, limit: usize, source: Source) {
        let own: BTreeSet<_> = below(&self.store(side).1, Stamp::MAX).into_iter().collect();
        let reader = self.store(1 - side).1.clone();
        let differ = below(&reader, Stamp::MAX).into_iter().filter(|element| !own.contains(element)).take(limit);
        let incoming = differ.map(|((_, id), (stamp, _))| {
            let Lookup::Found(found) = reader.get(&id).unwrap() else { panic!("{id}") };
            let (body, signatures) = found.to_envelope().unwrap().into_parts();
            let record = (0..RECORDS).flat_map(|n| (0..VARIANTS).map(move |v| variant(n, v)));
            let is_it = |record: &Record| record.id() == id && record.envelope().signatures() == signatures.as_slice();
            drop(body);
            Incoming { record: record.into_iter().find(is_it).unwrap(), stamp, role: Role::Owned, source }
        });
        let incoming: Vec<_> = incoming.collect();
        self.merge(side, incoming);
    }

    /// Notes every time up to which both are closed and equal.
    fn compare(&mut self) {
        let closed = self.stores.iter().flatten().map(|(_, reader)| reader.closed()).min().unwrap();
        let [one, other] = [0, 1].map(|side| below(&self.store(side).1.clone(), closed));
        if one == other {
            self.stable.push((closed, one));
        }
    }
}

fn open(world: &World) -> (Appender, Reader) {
    let (appender, reader, _) = world.open();
    (appender, reader)
}

#[derive(Clone, Debug)]
enum Move {
    /// A record from anyone: number, variant, milliseconds, and who gets it first; the bits say who gets it at all.
    Bring(usize, usize, u64, u8),
    Close(usize, u64),
    Take(usize, usize),
    Pass(u64),
    Crash(usize, Crash),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let crash = prop_oneof![Just(Crash::DropUnsynced), any::<u64>().prop_map(Crash::Torn)];
    let one = prop_oneof![
        8 => (0..12_usize, 0..VARIANTS, 0..6_000_u64, 1..4_u8).prop_map(|(n, v, ms, to)| Move::Bring(n, v, ms, to)),
        4 => (0..2_usize, 0..6_000_u64).prop_map(|(side, ms)| Move::Close(side, ms)),
        6 => (0..2_usize, 1..20_usize).prop_map(|(side, limit)| Move::Take(side, limit)),
        3 => (0..1_500_u64).prop_map(Move::Pass),
        1 => (0..2_usize, crash).prop_map(|(side, crash)| Move::Crash(side, crash)),
    ];
    prop::collection::vec(one, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_two_owners_have_closed_and_hold_alike_never_changes_again_at_either(moves in moves()) {
        let mut pair = Pair::new();
        for step in moves {
            match step {
                Move::Bring(n, v, ms, to) => for side in (0..2).filter(|side| to >> side & 1 == 1) {
                    pair.merge(side, vec![incoming(n, v, at(ms), Source::Other)]);
                },
                Move::Close(side, ms) => drop(pair.store(side).1.close(at(ms))),
                Move::Take(side, limit) => pair.take(side, limit, OWNER),
                Move::Pass(ms) => pair.worlds.iter_mut().for_each(|world| world.wall_ms += ms),
                Move::Crash(side, crash) => pair.crash(side, crash),
            }
            for (until, was) in pair.stable.clone() {
                for side in 0..2 {
                    prop_assert_eq!(&below(&pair.store(side).1.clone(), until), &was, "owner {} at {}", side, until);
                }
            }
            pair.compare();
        }
        pair.worlds.iter_mut().for_each(|world| world.wall_ms += 20_000);
        for side in [0, 1, 0] {
            pair.take(side, usize::MAX, OWNER);
        }
        let [one, other] = [0, 1].map(|side| below(&pair.store(side).1.clone(), Stamp::MAX));
        prop_assert_eq!(one, other);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn who_follows_an_owner_comes_to_hold_what_that_has_and_changes_nothing_that_it_closed(moves in moves()) {
        let (mut pair, mut closed, mut frozen) = (Pair::new(), Stamp::ZERO, Below::new());
        let follow = |pair: &mut Pair, side, limit| {
            let until = pair.store(0).1.closed();
            pair.take(side, limit, if side == 0 { Source::Other } else { Source::Followed { until } });
        };
        for step in moves {
            match step {
                Move::Bring(n, v, ms, to) => for side in (0..2).filter(|side| to >> side & 1 == 1) {
                    pair.merge(side, vec![incoming(n, v, at(ms), Source::Other)]);
                },
                Move::Close(side, ms) => drop(pair.store(side).1.close(at(ms))),
                Move::Take(side, limit) => follow(&mut pair, side, limit),
                Move::Pass(ms) => pair.worlds.iter_mut().for_each(|world| world.wall_ms += ms),
                Move::Crash(side, crash) => pair.crash(side, crash),
            }
            let reader = pair.store(0).1.clone();
            prop_assert_eq!(&below(&reader, closed), &frozen);
            (closed, frozen) = (reader.closed(), below(&reader, reader.closed()));
        }
        pair.worlds.iter_mut().for_each(|world| world.wall_ms += 20_000);
        for side in [0, 1, 0, 1] {
            follow(&mut pair, side, usize::MAX);
        }
        let [one, other] = [0, 1].map(|side| below(&pair.store(side).1.clone(), Stamp::MAX));
        prop_assert_eq!(one, other);
        pair.crash(1, Crash::DropUnsynced);
        let [one, other] = [0, 1].map(|side| below(&pair.store(side).1.clone(), Stamp::MAX));
        prop_assert_eq!(one, other);
    }
}

/// What was said to be closed, and the elements at or below it then.
type Told = Vec<(Stamp, Below)>;

fn run_script(world: &World, told: &mut Told) -> Result<(), StoreError> {
    let (mut appender, reader, _) = world.try_open()?;
    for (round, number) in (0..8_u64).zip(0_usize..) {
        let wall_ms = world.wall_ms + 1_000 * round;
        let entry = |n: usize| {
            let ms = 1_000 * round + 400 - 300 * (n as u64 % 4).min(round);
            incoming((number * 5 + n * 3) % RECORDS, n % VARIANTS, at(ms), Source::Other)
        };
        drop(appender.merge((0..6).map(entry).collect(), wall_ms));
        drop(appender.raise_ceiling(at(1_000 * round), wall_ms));
        let closed = reader.close(at(1_000 * round));
        if reader.state() == State::Ready {
            told.push((closed, below(&reader, closed)));
        }
    }
    appender.seal()
}

#[test]
fn what_was_said_to_be_closed_is_closed_and_as_it_was_after_a_failure_at_any_call() {
    let calls = {
        let world = World::new();
        let mut told = Told::new();
        run_script(&world, &mut told).unwrap();
        assert_eq!(told.last().map(|(closed, _)| *closed), Some(at(7_000)));
        world.disk.calls()
    };
    for fault in [Fault::Once, Fault::ForEver] {
        for call in 1..=calls {
            for crash in [Crash::DropUnsynced, Crash::KeepAll, Crash::Torn(call)] {
                let (world, mut told) = (World::new(), Told::new());
                world.disk.fail_at(call, fault);
                drop(run_script(&world, &mut told));
                world.disk.crash(crash);
                let (_appender, reader, _) = world.open();
                for (closed, elements) in told {
                    assert!(reader.closed() >= closed, "call {call}");
                    assert_eq!(below(&reader, closed), elements, "call {call}, {fault:?}, closed {closed}");
                }
            }
        }
    }
}

#[test]
fn a_record_older_than_what_is_closed_is_stamped_anew_and_another_owners_is_not() {
    let world = World::new();
    let (mut appender, reader, _) = world.open();
    appender.merge(vec![incoming(0, 1, at(5), Source::Other)], START_MS + 10).unwrap();
    let closed = reader.close(at(500));
    assert_eq!(closed, at(500), "the ceiling of the merge lies above it");
    let merge = |appender: &mut Appender, n, v, ms, source| {
        appender.merge(vec![incoming(n, v, at(ms), source)], START_MS + 600).unwrap().remove(0)
    };
    // A retry, with smaller signatures and a smaller stamp: nothing changes.
    assert_eq!(merge(&mut appender, 0, 0, 1, Source::Other), Merged::Exists { stamp: at(5) });
    let known = below(&reader, closed);
    let late = merge(&mut appender, 1, 0, 500, Source::Other);
    assert!(matches!(late, Merged::Created { stamp } if stamp > closed), "{late:?}");
    assert_eq!(merge(&mut appender, 2, 0, 501, Source::Other), Merged::Created { stamp: at(501) });
    assert_eq!(below(&reader, closed), known);
    // Another owner held it: the smaller stamp counts again.
    assert_eq!(merge(&mut appender, 1, 0, 400, Source::Owner { settled: None }), Merged::Exists { stamp: at(400) });
    // Others agreed on it: it is taken as it is, though the stamp is greater.
    assert_eq!(merge(&mut appender, 1, 2, 450, Source::Followed { until: at(450) }), Merged::Exists { stamp: at(450) });
    let Lookup::Found(found) = reader.get(&record(1).id()).unwrap() else { panic!("it is there") };
    assert_eq!(found.signatures(), variant(1, 2).envelope().signatures());
    assert_eq!(reader.shared.check_all(&mut |_| {}).map_err(|error| error.to_string()), Ok(()));
    drop((appender, reader));
    let (_appender, reader, _) = world.open();
    let Lookup::Found(again) = reader.get(&record(1).id()).unwrap() else { panic!("it is there") };
    assert_eq!((again.stamp(), again.signatures()), (at(450), found.signatures()));
}

#[test]
fn closing_costs_no_write_and_goes_as_far_as_the_ceiling() {
    let world = World::new();
    let (mut appender, reader, _) = world.open();
    assert_eq!(reader.close(at(0)), Stamp::ZERO, "nothing is reserved yet");
    appender.reserve(START_MS).unwrap();
    let (syncs, ceiling) = (world.disk.syncs(), appender.clock().ceiling());
    assert_eq!(reader.close(at(60_000)), ceiling);
    assert_eq!(reader.close(at(0)), ceiling, "it only rises");
    assert_eq!(world.disk.syncs(), syncs);
    appender.raise_ceiling(at(60_000), START_MS + 59_999).unwrap();
    assert_eq!((reader.close(at(60_000)), world.disk.syncs()), (ceiling, syncs), "not ahead of the wall clock");
    appender.raise_ceiling(at(60_000), START_MS + 60_000).unwrap();
    assert_eq!((reader.close(at(60_000)), world.disk.syncs()), (at(60_000), syncs + 1));
}
