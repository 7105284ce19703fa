//! The disk itself: how long `fdatasync` takes beside a node, and how much a folder holds.

use super::{now, sleep_until};
use hdrhistogram::Histogram;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The size of the file that is written to and synced; it is zero-filled first, like a segment of the log.
const FILE_BYTES: u64 = 16 << 20;
/// What each sync writes: about a group of 64 records.
const WRITE_BYTES: u64 = 48 << 10;
/// How often a probe under load syncs.
const PAUSE: Duration = Duration::from_millis(20);

/// Writes and syncs `count` times at full speed; microseconds each.
pub fn syncs(dir: &Path, count: u64) -> Histogram<u64> {
    let file = prepared(dir);
    let mut all = Histogram::new(3).unwrap();
    (0..count).for_each(|number| sync(&file, number, &mut all));
    all
}

/// Writes and syncs now and then while `load` runs; microseconds each, and what `load` returned.
pub fn syncs_beside<T>(dir: &Path, load: impl FnOnce() -> T) -> (Histogram<u64>, T) {
    let file = prepared(dir);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let probe = scope.spawn(|| {
            let mut all = Histogram::new(3).unwrap();
            for number in 0.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                sync(&file, number, &mut all);
                sleep_until(now() + PAUSE);
            }
            all
        });
        let value = load();
        over.store(true, Ordering::Relaxed);
        (probe.join().unwrap(), value)
    })
}

fn prepared(dir: &Path) -> File {
    let file = File::create(dir.join("probe")).unwrap();
    file.write_all_at(&vec![0; usize::try_from(FILE_BYTES).unwrap()], 0).unwrap();
    file.sync_all().unwrap();
    file
}

fn sync(file: &File, number: u64, all: &mut Histogram<u64>) {
    let bytes = vec![1; usize::try_from(WRITE_BYTES).unwrap()];
    let offset = number * WRITE_BYTES % (FILE_BYTES - WRITE_BYTES);
    let start = now();
    file.write_all_at(&bytes, offset).unwrap();
    file.sync_data().unwrap();
    all.record(u64::try_from(start.elapsed().as_micros()).unwrap()).unwrap();
}

/// The bytes of the files in a folder and in those below it. A folder that is missing holds none, and so does a file
/// that goes away meanwhile.
pub fn folder_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => folder_bytes(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}
