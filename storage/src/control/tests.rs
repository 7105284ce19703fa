use super::recovery::Head;
use super::*;
use crate::disk::{Crash, Fault, MemoryDisk, StdDisk};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;

const DIR: &str = "/node/control";

/// Everything that a log keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Kept {
    vote: Option<Vec<u8>>,
    committed: Option<Vec<u8>>,
    purged: Option<(u64, Vec<u8>)>,
    entries: BTreeMap<u64, Vec<u8>>,
    snapshot: Option<Snapshot>,
}

/// One call of the log. Indexes count back from the last entry.
#[derive(Clone, Copy, Debug)]
enum Call {
    Vote(u8),
    Committed(u8),
    Append(u64, usize),
    Truncate(u64),
    Snapshot(u64),
    /// Up to where the snapshot goes.
    Purge,
}

impl Kept {
    fn last(&self) -> u64 {
        let last = self.entries.last_key_value().map(|(index, _)| *index);
        last.or(self.purged.as_ref().map(|(upto, _)| *upto)).unwrap_or(0)
    }

    fn back(&self, by: u64) -> u64 {
        self.last().saturating_sub(by).max(self.purged.as_ref().map_or(0, |(upto, _)| *upto))
    }

    fn snapshot(&self, back: u64) -> Snapshot {
        let index = self.back(back).max(self.snapshot.as_ref().map_or(0, |snapshot| snapshot.index));
        Snapshot { index, about: vec![7; 9], state: index.to_le_bytes().repeat(100) }
    }

    /// What this may have become after `call` was refused or cut short, the call done in full coming last.
    fn after(&self, call: Call) -> Vec<Self> {
        let mut next = self.clone();
        match call {
            Call::Vote(vote) => next.vote = Some(vec![vote; 20]),
            Call::Committed(id) => next.committed = Some(vec![id; 16]),
            Call::Append(count, bytes) => {
                let mut all = Vec::new();
                for index in self.last() + 1..=self.last() + count {
                    next.entries.insert(index, entry(index, bytes));
                    all.push(next.clone());
                }
                return all;
            }
            Call::Truncate(back) => drop(next.entries.split_off(&(self.back(back) + 1))),
            Call::Snapshot(back) => next.snapshot = Some(self.snapshot(back)),
            Call::Purge => {
                if let Some(snapshot) = &self.snapshot {
                    next.entries = next.entries.split_off(&(snapshot.index + 1));
                    next.purged = Some((snapshot.index, vec![3; 16]));
                }
            }
        }
        vec![next]
    }

    fn run(&self, log: &mut ControlLog, call: Call) -> Result<(), ControlLogError> {
        match call {
            Call::Vote(vote) => log.save_vote(vec![vote; 20]),
            Call::Committed(id) => log.save_committed(vec![id; 16]),
            Call::Append(count, bytes) => {
                log.append((self.last() + 1..=self.last() + count).map(|index| (index, entry(index, bytes))))
            }
            Call::Truncate(back) => log.truncate(self.back(back) + 1),
            Call::Snapshot(back) => log.save_snapshot(self.snapshot(back)),
            Call::Purge => self.snapshot.as_ref().map_or(Ok(()), |snapshot| log.purge(snapshot.index, vec![3; 16])),
        }
    }
}

fn entry(index: u64, bytes: usize) -> Vec<u8> {
    index.to_le_bytes().into_iter().cycle().take(bytes).collect()
}

fn open(disk: &MemoryDisk) -> Result<(ControlLog, Recovered), ControlLogError> {
    ControlLog::open(Arc::new(disk.clone()), Path::new(DIR))
}

fn kept(log: &ControlLog) -> Kept {
    Kept {
        vote: log.vote().map(<[u8]>::to_vec),
        committed: log.committed().map(<[u8]>::to_vec),
        purged: log.purged().map(|(upto, id)| (upto, id.to_vec())),
        entries: log.entries(..).map(|(index, entry)| (index, entry.to_vec())).collect(),
        snapshot: log.snapshot().cloned(),
    }
}

fn reopened(disk: &MemoryDisk) -> Kept {
    kept(&open(disk).unwrap().0)
}

/// A bit of everything, with calls that find the file full.
fn script() -> Vec<Call> {
    let big = ROOM_BYTES_MIN / 2;
    let mut calls = vec![Call::Vote(1), Call::Append(3, 40), Call::Committed(1), Call::Vote(2), Call::Append(2, 700)];
    calls.extend([Call::Truncate(2), Call::Append(4, 10), Call::Snapshot(2), Call::Purge, Call::Committed(2)]);
    calls.extend([Call::Append(1, big), Call::Vote(3), Call::Append(2, big), Call::Truncate(1), Call::Append(1, 0)]);
    calls.extend([Call::Snapshot(0), Call::Purge, Call::Append(1, 30), Call::Vote(4)]);
    calls
}

/// Runs calls until one fails; what is kept for certain, and what may be kept instead.
fn work(disk: &MemoryDisk, calls: &[Call]) -> (Kept, Vec<Kept>) {
    let mut certain = Kept::default();
    let Ok((mut log, _)) = open(disk) else { return (certain, Vec::new()) };
    for call in calls {
        let next = certain.after(*call);
        if certain.run(&mut log, *call).is_err() {
            assert!(log.is_stopped());
            assert!(
                matches!(log.save_vote(vec![9]), Err(ControlLogError::Stopped(None))),
                "no call after a failed one"
            );
            return (certain, next);
        }
        certain = next.last().unwrap().clone();
        assert_eq!(
            log.entries(..).map(|(index, _)| index).collect::<Vec<_>>(),
            certain.entries.keys().copied().collect::<Vec<_>>()
        );
    }
    (certain, Vec::new())
}

#[test]
fn everything_is_there_again_after_a_restart_and_after_another() {
    let disk = MemoryDisk::new();
    let (certain, _) = work(&disk, &script());
    assert!(certain.purged.is_some() && certain.entries.len() == 1);
    for _ in 0..2 {
        assert_eq!(reopened(&disk), certain);
    }
}

#[test]
fn the_same_on_a_real_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut certain = Kept::default();
    {
        let (mut log, _) = ControlLog::open(Arc::new(StdDisk), dir.path()).unwrap();
        for call in script() {
            let next = certain.after(call).last().unwrap().clone();
            certain.run(&mut log, call).unwrap();
            certain = next;
        }
        let twice = ControlLog::open(Arc::new(StdDisk), dir.path());
        assert!(matches!(twice, Err(ControlLogError::Locked)));
    }
    let (log, _) = ControlLog::open(Arc::new(StdDisk), dir.path()).unwrap();
    assert_eq!(kept(&log), certain);
}

#[test]
fn a_call_is_one_write_and_one_sync() {
    let disk = MemoryDisk::new();
    let (mut log, _) = open(&disk).unwrap();
    let before = disk.calls();
    log.append((1..=5).map(|index| (index, entry(index, 30)))).unwrap();
    log.save_vote(vec![1]).unwrap();
    assert_eq!(disk.calls() - before, 4);
    log.append([]).unwrap();
    assert_eq!(disk.calls() - before, 4);
}

#[test]
fn whatever_fails_and_however_the_power_goes_nothing_acknowledged_is_lost() {
    let calls = {
        let disk = MemoryDisk::new();
        work(&disk, &script());
        disk.calls()
    };
    assert!(calls > 50);
    let crashes: [fn(u64) -> Crash; 4] =
        [|_| Crash::KeepAll, |_| Crash::DropUnsynced, Crash::Torn, |n| Crash::Torn(n + 999)];
    for (fault, crashes) in [(Fault::Once, &crashes[..2]), (Fault::ForEver, &crashes)] {
        for call in 1..=calls {
            for crash in crashes {
                let disk = MemoryDisk::new();
                disk.fail_at(call, fault);
                let (certain, possible) = work(&disk, &script());
                disk.crash(crash(call));
                let found = reopened(&disk);
                assert!(found == certain || possible.contains(&found), "call {call} {fault:?} {:?}", crash(call));
                disk.crash(Crash::DropUnsynced);
                assert_eq!(reopened(&disk), found, "what was recovered is durable");
            }
        }
    }
}

#[test]
fn a_start_that_fails_anywhere_loses_nothing() {
    let before = MemoryDisk::new();
    let (certain, _) = work(&before, &script());
    let calls = {
        let disk = before.fork();
        let already = disk.calls();
        drop(open(&disk).unwrap());
        disk.calls() - already
    };
    for call in 1..=calls {
        for crash in [Crash::KeepAll, Crash::DropUnsynced, Crash::Torn(call)] {
            let disk = before.fork();
            disk.fail_at(call, Fault::ForEver);
            assert!(open(&disk).is_err());
            disk.crash(crash);
            assert_eq!(reopened(&disk), certain, "call {call} {crash:?}");
        }
    }
}

#[test]
fn no_byte_that_changes_makes_the_node_forget() {
    let before = MemoryDisk::new();
    let calls =
        [Call::Vote(1), Call::Append(3, 40), Call::Append(1, 700), Call::Snapshot(2), Call::Purge, Call::Vote(2)];
    let (certain, _) = work(&before, &calls);
    for (name, settled) in [(LOG, false), ("SNAPSHOT", false), (LOG, true)] {
        if settled {
            drop(open(&before).unwrap());
        }
        let path = Path::new(DIR).join(name);
        let mut refused = 0;
        for at in 0..1_400 {
            let disk = before.fork();
            if !disk.flip(&path, at, 1 << (at % 8)) {
                break;
            }
            match open(&disk) {
                Ok((log, _)) => assert_eq!(kept(&log), certain, "byte {at} of {name}"),
                Err(ControlLogError::Damaged { file, .. }) => refused += usize::from(file == name),
                Err(other) => panic!("byte {at} of {name}: {other}"),
            }
        }
        assert!(refused > 500, "{refused} of {name}");
    }
}

#[test]
fn damage_before_the_end_is_never_taken_for_a_torn_end() {
    let before = MemoryDisk::new();
    work(&before, &[Call::Vote(1), Call::Append(1, 2_000), Call::Vote(2)]);
    let disk = before.fork();
    let path = Path::new(DIR).join(LOG);
    disk.open(&path).unwrap().write_all_at(&[0; 512], 1_024).unwrap();
    assert!(matches!(open(&disk), Err(ControlLogError::Damaged { file: LOG, .. })));
}

#[test]
fn a_torn_end_is_cut_and_told() {
    let disk = MemoryDisk::new();
    let (certain, _) = work(&disk, &[Call::Vote(1), Call::Append(2, 40)]);
    let (mut log, _) = open(&disk).unwrap();
    disk.fail_at(1, Fault::ForEver);
    assert!(matches!(log.append([(3, entry(3, 3_000))]), Err(ControlLogError::Stopped(Some(_)))));
    drop(log);
    disk.crash(Crash::KeepAll);
    let (log, recovered) = open(&disk).unwrap();
    assert!(recovered.torn_bytes > 1_000, "half of it was written: {recovered:?}");
    assert_eq!(kept(&log), certain);
}

#[test]
fn a_full_disk_is_told_as_such_and_loses_nothing() {
    let disk = MemoryDisk::new();
    let (certain, _) = work(&disk, &[Call::Vote(1), Call::Append(2, 40)]);
    let (mut log, _) = open(&disk).unwrap();
    disk.set_capacity(Some(disk.used()));
    log.save_vote(vec![1; 20]).expect("there is room in the file");
    let refused = log.append([(3, entry(3, ROOM_BYTES_MIN))]);
    assert!(matches!(refused, Err(ControlLogError::DiskFull(_))), "{refused:?}");
    drop(log);
    assert!(matches!(open(&disk), Err(ControlLogError::DiskFull(_))));
    disk.set_capacity(None);
    assert_eq!(reopened(&disk), certain);
}

#[test]
fn a_file_that_is_gone_is_missed() {
    let before = MemoryDisk::new();
    work(&before, &[Call::Vote(1), Call::Append(2, 40), Call::Snapshot(0), Call::Purge]);
    for (name, expected) in [(LOG, LOG), ("SNAPSHOT", "SNAPSHOT")] {
        let disk = before.fork();
        disk.remove(&Path::new(DIR).join(name)).unwrap();
        assert!(matches!(open(&disk), Err(ControlLogError::Missing(missing)) if missing == expected));
    }
}

#[test]
fn what_is_newer_asks_for_an_upgrade() {
    let disk = MemoryDisk::new();
    work(&disk, &[Call::Vote(1)]);
    let mut head = Head { generation: 2, settled: 0 }.write();
    head[8] = 2;
    let crc = crc32c::crc32c(&head[..28]);
    head[28..].copy_from_slice(&crc.to_le_bytes());
    disk.open(&Path::new(DIR).join(LOG)).unwrap().write_all_at(&head, 0).unwrap();
    assert!(matches!(open(&disk), Err(ControlLogError::Version { file: LOG, version: 2 })));
}

#[test]
fn an_entry_that_does_not_follow_or_is_too_long_is_refused_and_nothing_stops() {
    let disk = MemoryDisk::new();
    let (mut log, _) = open(&disk).unwrap();
    log.append([(5, vec![1])]).unwrap();
    assert!(matches!(log.append([(7, vec![1])]), Err(ControlLogError::Gap { expected: 6, found: 7 })));
    assert!(matches!(log.append([(6, vec![1]), (6, vec![1])]), Err(ControlLogError::Gap { expected: 7, found: 6 })));
    let long = vec![0; ENTRY_BYTES_MAX + 1];
    assert!(matches!(log.append([(6, long)]), Err(ControlLogError::TooLarge { .. })));
    log.append([(6, vec![2; ENTRY_BYTES_MAX])]).unwrap();
    assert_eq!(log.entries(..).count(), 2);
    assert_eq!(log.entries(6..).next_back().map(|(index, _)| index), Some(6));
}

#[test]
fn an_older_snapshot_does_not_take_the_place_of_a_newer_one() {
    let disk = MemoryDisk::new();
    let (mut log, _) = open(&disk).unwrap();
    let snapshot = |index| Snapshot { index, about: vec![1], state: vec![2] };
    for (index, kept) in [(5, 5), (4, 5), (6, 6)] {
        log.save_snapshot(snapshot(index)).unwrap();
        assert_eq!(log.snapshot(), Some(&snapshot(kept)));
    }
    drop(log);
    assert_eq!(reopened(&disk).snapshot, Some(snapshot(6)));
}

#[test]
fn garbage_does_not_grow_without_limit() {
    let disk = MemoryDisk::new();
    let (mut log, _) = open(&disk).unwrap();
    for round in 0..40_000_u32 {
        log.save_vote(round.to_le_bytes().to_vec()).unwrap();
    }
    assert!(disk.used() < 2 * ROOM_BYTES_MIN as u64 + 4_096, "{}", disk.used());
    drop(log);
    assert_eq!(reopened(&disk).vote, Some(39_999_u32.to_le_bytes().to_vec()));
}

#[test]
fn this_release_writes_the_same_bytes_as_the_first_and_reads_them() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/control-v1");
    let dir = tempfile::tempdir().unwrap();
    let calls =
        [Call::Vote(1), Call::Append(3, 40), Call::Snapshot(2), Call::Purge, Call::Committed(1), Call::Truncate(1)];
    let mut certain = Kept::default();
    let (mut log, _) = ControlLog::open(Arc::new(StdDisk), dir.path()).unwrap();
    for call in calls {
        let next = certain.after(call).last().unwrap().clone();
        certain.run(&mut log, call).unwrap();
        certain = next;
    }
    drop(log);
    for name in [LOG, "SNAPSHOT"] {
        let mut written = fs::read(dir.path().join(name)).unwrap();
        if name == LOG {
            written.truncate(frame::length_without_zeros(&written));
        }
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::create_dir_all(&fixture).unwrap();
            fs::write(fixture.join(name), &written).unwrap();
        }
        assert_eq!(fs::read(fixture.join(name)).unwrap(), written, "{name}");
        fs::copy(fixture.join(name), dir.path().join(name)).unwrap();
    }
    let (log, _) = ControlLog::open(Arc::new(StdDisk), dir.path()).unwrap();
    assert_eq!(kept(&log), certain);
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        3 => any::<u8>().prop_map(Call::Vote),
        2 => any::<u8>().prop_map(Call::Committed),
        5 => (1..5_u64, prop_oneof![0..200_usize, 400..3_000_usize]).prop_map(|(count, bytes)| Call::Append(count, bytes)),
        1 => (0..4_u64).prop_map(Call::Truncate),
        1 => (0..4_u64).prop_map(Call::Snapshot),
        1 => Just(Call::Purge),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn nothing_acknowledged_is_ever_missing(
        calls in prop::collection::vec(call(), 1..40), fault in 1..120_u64, torn in any::<u64>(),
    ) {
        let disk = MemoryDisk::new();
        disk.fail_at(fault, Fault::ForEver);
        let (certain, possible) = work(&disk, &calls);
        disk.crash(Crash::Torn(torn));
        let found = reopened(&disk);
        prop_assert!(found == certain || possible.contains(&found), "{found:?}");
    }
}
