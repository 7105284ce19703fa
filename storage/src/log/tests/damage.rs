//! Every byte of a log flipped in turn: reported or harmless, and never served.

use super::*;

/// A small log: a compacted segment, a sealed one and an open one, stopped in order or not.
fn small(clean: bool) -> (MemoryDisk, BTreeMap<u64, Position>) {
    let disk = MemoryDisk::new();
    let settings = Settings { segment_bytes_max: 1024, batch_bytes_max: 700, version_max: FIRST_VERSION };
    let (mut log, _) = Log::open(Arc::new(disk.clone()), Path::new(DIR), settings, STORE).unwrap();
    let mut expected = BTreeMap::new();
    let mut n = 0;
    while log.sealed_segments().len() < 2 || log.end().at < 500 {
        expected.extend((n..n + 2).zip(append(&mut log, n..n + 2).unwrap()));
        n += 2;
    }
    let mut dropped = BTreeMap::new();
    let mut keep = |at: Position, frame: &Frame<'_>| {
        let drop = at == expected[&1];
        drop.then(|| dropped.insert(at, frame.length()));
        !drop
    };
    log.compactor().compact(1, Stamp::ZERO, &mut keep).unwrap();
    expected.remove(&1);
    if clean {
        log.seal(Stamp::ZERO).unwrap();
    }
    drop(log);
    disk.crash(Crash::DropUnsynced);
    (disk, expected)
}

/// What opening and verifying a log reported.
fn reported(log: &Log, recovery: &Recovery) -> Vec<Damage> {
    let mut damages = recovery.damages.clone();
    log.reader()
        .verify(&mut |item| {
            if let Item::Damage(damage) = item {
                damages.push(damage)
            }
        })
        .unwrap();
    damages
}

/// Flips a byte of every file in turn and checks `rules` on the log that opens.
fn flip_every_byte(clean: bool) {
    let (original, expected) = small(clean);
    for name in original.list(Path::new(DIR)).unwrap() {
        let path = Path::new(DIR).join(&name);
        for offset in 0..usize::try_from(original.file_length(&path).unwrap()).unwrap() {
            let disk = original.fork();
            assert!(disk.flip(&path, offset, 1 << (offset % 8)));
            check_flipped(&disk, &expected, &name, offset);
        }
    }
}

fn check_flipped(disk: &MemoryDisk, expected: &BTreeMap<u64, Position>, name: &str, offset: usize) {
    let place = format!("{name} at {offset}");
    let (log, recovery) = open(disk).unwrap_or_else(|error| panic!("{place}: {error}"));
    let damages = reported(&log, &recovery);
    let at = u32::try_from(offset).unwrap();
    let covers = |damage: &Damage| match damage.kind {
        DamageKind::Manifest => name == "MANIFEST",
        DamageKind::SegmentHeader => at < 64,
        DamageKind::BatchesMissing => true,
        DamageKind::SegmentMissing => false,
        DamageKind::Frames | DamageKind::Padding | DamageKind::Tail => damage.from <= at && at < damage.to,
    };
    assert!(damages.iter().any(covers), "{place}: {damages:?}");
    // A scan serves no wrong record; of the others at most the one that was hit is missing, wherever it is now.
    let (found, _) = scan(&log);
    let missing: Vec<_> = expected.keys().filter(|n| !found.contains_key(n)).collect();
    assert!(missing.len() <= 1, "{place}: {missing:?} are missing");
    let reader = log.reader();
    let mut unread = 0;
    for (n, position) in expected {
        match reader.read(*position, length(*n)) {
            Ok(frame) => assert!(is_record(&frame.frame(), *n), "{place}: a wrong record {n}"),
            Err(ReadError::Damaged(_) | ReadError::Gone(_)) => unread += 1,
            Err(error) => panic!("{place}: {error}"),
        }
    }
    let cut = recovery.cut_bytes > 0;
    assert!(cut || unread <= 1 || name.starts_with("0000000001-0001"), "{place}: {unread} are not read");
    drop(reader);
    drop(log);
    open(disk).unwrap();
}

#[test]
fn a_flipped_byte_after_a_crash_is_reported_and_never_served() {
    flip_every_byte(false);
}

#[test]
fn a_flipped_byte_after_a_clean_stop_is_reported_and_never_served() {
    flip_every_byte(true);
}

#[test]
fn a_flip_in_a_live_log_is_never_served() {
    let (original, expected) = small(false);
    for name in original.list(Path::new(DIR)).unwrap().iter().filter(|name| name.ends_with(".log")) {
        let path = Path::new(DIR).join(name);
        for offset in 64..usize::try_from(original.file_length(&path).unwrap()).unwrap() {
            let disk = original.fork();
            let (log, _) = open(&disk).unwrap();
            disk.flip(&path, offset, 0x10);
            let (found, _) = scan(&log);
            assert!(expected.keys().filter(|n| !found.contains_key(n)).count() <= 1, "{name} at {offset}");
            let read = |(n, at): (&u64, &Position)| match log.reader().read(*at, length(*n)) {
                Ok(frame) => assert!(is_record(&frame.frame(), *n)),
                Err(error) => assert!(matches!(error, ReadError::Damaged(_) | ReadError::Gone(_)), "{error}"),
            };
            expected.iter().for_each(read);
        }
    }
}

#[test]
fn the_last_acknowledged_batch_damaged_is_copied_aside_and_what_is_whole_in_it_is_kept() {
    let disk = MemoryDisk::new();
    let (mut log, _) = open(&disk).unwrap();
    append(&mut log, 0..2).unwrap();
    let last = append(&mut log, 2..5).unwrap();
    let end = log.end();
    drop(log);
    let path = Path::new(DIR).join("0000000001-0000.log");
    disk.flip(&path, usize::try_from(last[1].at).unwrap() + 30, 4);
    let (log, recovery) = open(&disk).unwrap();
    let [damage] = recovery.damages.as_slice() else { panic!("{recovery}") };
    assert_eq!((damage.kind, damage.from, damage.to), (DamageKind::Tail, last[0].at - 32, end.at));
    assert_eq!((recovery.salvaged, recovery.cut_bytes), (2, u64::from(damage.to - damage.from)));
    let (found, damages) = scan(&log);
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 4]);
    assert_eq!(damages, []);
    assert!(found[&4][0] > end, "a position is not used twice");
    for (n, at) in (2..5).zip(&last) {
        assert!(log.reader().read(*at, length(n)).is_err());
    }
}

#[test]
fn a_missing_manifest_is_made_anew_and_nothing_is_lost() {
    let (disk, expected) = small(true);
    disk.remove(&Path::new(DIR).join("MANIFEST")).unwrap();
    let (log, recovery) = open(&disk).unwrap();
    assert_eq!(recovery.store, STORE);
    assert!(matches!(recovery.damages.as_slice(), [Damage { kind: DamageKind::Manifest, .. }]), "{recovery}");
    check_all(&log, &expected);
    drop(log);
    assert_eq!(open(&disk).unwrap().1.damages, []);
}

#[test]
fn a_missing_segment_is_reported_and_the_others_are_served() {
    let (disk, expected) = small(true);
    disk.remove(&Path::new(DIR).join("0000000002-0000.log")).unwrap();
    let (log, recovery) = open(&disk).unwrap();
    let kinds: Vec<_> = recovery.damages.iter().map(|damage| (damage.kind, damage.segment)).collect();
    assert_eq!(kinds, [(DamageKind::SegmentMissing, 2)]);
    check_all(&log, &expected.into_iter().filter(|(_, at)| at.segment != 2).collect());
}

#[test]
fn a_segment_of_another_store_is_refused() {
    let (disk, _) = small(true);
    let other = MemoryDisk::new();
    let (mut log, _) = Log::open(Arc::new(other.clone()), Path::new(DIR), SMALL, [9; 16]).unwrap();
    append(&mut log, 0..1).unwrap();
    drop(log);
    let name = Path::new(DIR).join("0000000001-0000.log");
    let mut bytes = vec![0; usize::try_from(other.file_length(&name).unwrap()).unwrap()];
    other.open(&name).unwrap().read_exact_at(&mut bytes, 0).unwrap();
    disk.create(&Path::new(DIR).join("0000000009-0000.log")).unwrap().write_all_at(&bytes, 0).unwrap();
    assert!(matches!(open(&disk), Err(LogError::ForeignSegment { .. })));
}
