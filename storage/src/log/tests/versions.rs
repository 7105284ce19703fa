//! A log that was raised to a later version is opened by who speaks that, and not touched by anybody else.

use super::*;

/// Every file below the log's folder, with its bytes.
fn files(disk: &MemoryDisk) -> BTreeMap<String, Vec<u8>> {
    let read = |name: String| {
        let path = Path::new(DIR).join(&name);
        let mut bytes = vec![0; usize::try_from(disk.file_length(&path).ok()?).unwrap()];
        disk.open(&path).unwrap().read_exact_at(&mut bytes, 0).unwrap();
        Some((name, bytes))
    };
    disk.list(Path::new(DIR)).unwrap().into_iter().filter_map(read).collect()
}

fn open_up_to(disk: &MemoryDisk, version_max: u16) -> Result<(Log, Recovery), LogError> {
    Log::open(Arc::new(disk.clone()), Path::new(DIR), Settings { version_max, ..SMALL }, STORE)
}

fn raised(disk: &MemoryDisk) {
    let (mut log, _) = open_up_to(disk, 2).unwrap();
    append(&mut log, 0..30).unwrap();
    assert_eq!(log.version(), 1);
    log.raise(2).unwrap();
    append(&mut log, 30..60).unwrap();
    assert_eq!(log.version(), 2);
}

#[test]
fn a_raised_log_stays_so_and_is_refused_untouched_by_who_does_not_speak_its_version() {
    for crash in [Crash::KeepAll, Crash::DropUnsynced] {
        let disk = MemoryDisk::new();
        raised(&disk);
        disk.crash(crash);
        let left = disk.open(&Path::new(DIR).join("unfinished.tmp")).is_err();
        assert!(left);
        disk.create(&Path::new(DIR).join("unfinished.tmp")).unwrap();
        let before = files(&disk);
        let refused = open_up_to(&disk, 1).err().unwrap();
        assert_eq!(
            refused.to_string(),
            "the log is of version 2, which this release does not speak: run a release that speaks version 2"
        );
        assert_eq!(files(&disk), before, "nothing is removed, cut, set aside or made anew");
        let (log, recovery) = open_up_to(&disk, 3).unwrap();
        assert_eq!((log.version(), recovery.damages), (2, Vec::new()));
        log.raise(1).unwrap();
        assert_eq!(log.version(), 2, "there is no way back");
    }
}

#[test]
fn a_log_that_was_not_raised_is_opened_by_the_release_before() {
    let disk = MemoryDisk::new();
    let (mut log, _) = open_up_to(&disk, 2).unwrap();
    append(&mut log, 0..30).unwrap();
    drop(log);
    let (log, recovery) = open_up_to(&disk, 1).unwrap();
    assert_eq!((log.version(), recovery.damages), (1, Vec::new()));
}

#[cfg(feature = "next")]
#[test]
fn without_a_manifest_the_frame_tells_of_the_version() {
    let disk = MemoryDisk::new();
    let (mut log, _) = open_up_to(&disk, 2).unwrap();
    append(&mut log, 0..3).unwrap();
    log.append(&[Frame::Version { now: Stamp::from_bits(2000), version: 2 }]).unwrap();
    append(&mut log, 3..30).unwrap();
    drop(log);
    disk.remove(&Path::new(DIR).join("MANIFEST")).unwrap();
    let before = files(&disk);
    let refused = open_up_to(&disk, 1).err().unwrap();
    let LogError::Upgrade { source, .. } = refused else { panic!("{refused}") };
    assert_eq!(source.to_string(), "it is of version 2 of the formats: run a release that speaks version 2");
    assert_eq!(files(&disk), before);
    let (log, _) = open_up_to(&disk, 2).unwrap();
    assert_eq!(log.version(), 2);
}
