//! The disk of a simulated host: storage's disk in memory, with the time that its calls would take, syncs that fail on
//! request, and a fuse.
//!
//! Calls happen at once and are owed for: whoever used the disk waits afterwards ([`Pace`]). So what a call does is
//! there when its time is over and a little before; power that fails in between leaves it. Calls of different tasks
//! take their time side by side, as on a disk with a deep queue.

use super::journal::{Durable, GivenUp, Journal};
use crate::chance::Chance;
use model::{Home, RecordId};
use node::world::Pace;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use storage::disk::{Crash, Disk, DiskFile, DiskLock, Fault, MemoryDisk};

/// Time is handed out in steps of this, the grain of simulated timers; the rest stays owed.
const GRAIN: Duration = Duration::from_millis(1);

/// What calls take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A read, a write, or anything that does not wait for the medium.
    pub call: Duration,
    /// A sync of a file or a directory, at least.
    pub sync_min: Duration,
    /// A sync, at most; what lies between is equally likely.
    pub sync_max: Duration,
}

impl Timing {
    /// An ordinary SSD.
    pub const ORDINARY: Self = Self {
        call: Duration::from_micros(10),
        sync_min: Duration::from_micros(400),
        sync_max: Duration::from_micros(1600),
    };
}

/// The disk of one host. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct HostDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    memory: MemoryDisk,
    timing: Timing,
    chance: Chance,
    owed: Duration,
    /// So many of the next syncs fail.
    failing_syncs: u32,
    /// The call at which the power fails.
    fuse: Option<u64>,
    /// Syncs do nothing.
    lies: bool,
    /// Bytes have changed by themselves.
    is_rotten: bool,
    /// How often what is durable may have changed: of each folder by itself, and of all of them.
    changes: (BTreeMap<PathBuf, u64>, u64),
    journal: Journal,
}

impl HostDisk {
    /// An empty disk.
    pub fn new(chance: Chance) -> Self {
        Self(Arc::new(Mutex::new(State {
            memory: MemoryDisk::new(),
            timing: Timing::ORDINARY,
            chance,
            owed: Duration::ZERO,
            failing_syncs: 0,
            fuse: None,
            lies: false,
            is_rotten: false,
            changes: (BTreeMap::new(), 0),
            journal: Journal::new(),
        })))
    }

    /// Puts a file on the disk, whole, in place of one that is there, as an operator does.
    ///
    /// # Errors
    ///
    /// What the disk says.
    pub fn install(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let (memory, draft) = (self.state().memory.clone(), path.with_extension("new"));
        let folder = path.parent().unwrap_or(Path::new("/"));
        memory.make_dirs(folder)?;
        let file = memory.create_private(&draft)?;
        file.write_all_at(bytes, 0)?;
        file.sync_all()?;
        memory.rename(&draft, path)?;
        memory.sync_dir(folder)?;
        self.state().changed(folder);
        Ok(())
    }

    /// Changes what calls take from now on.
    pub fn set_timing(&self, timing: Timing) {
        self.state().timing = timing;
    }

    /// Makes the next sync fail, with everything that was written since the last one lost to the disk.
    pub fn fail_next_sync(&self) {
        self.state().failing_syncs += 1;
    }

    /// Makes all syncs from now on do nothing and say that all is well, as disks did that sold their cache for speed. With
    /// it every promise of durability is void: it is there so that tests see invariants fail.
    pub fn lie(&self) {
        self.state().lies = true;
    }

    /// Changes a byte that is on the medium, and tells nobody. Returns whether there is one.
    pub fn rot(&self, path: &Path, offset: usize) -> bool {
        let mut state = self.state();
        let is_changed = state.memory.flip(path, offset, 1);
        state.is_rotten |= is_changed;
        is_changed
    }

    /// Whether bytes have changed by themselves: then some of what its log held may be damaged.
    pub fn is_rotten(&self) -> bool {
        self.state().is_rotten
    }

    /// Makes the power fail at the `call`-th call from now on, from 1: it and all after it fail. Whoever drives the
    /// simulation asks [`HostDisk::is_blown`] and ends the process.
    pub fn arm_fuse(&self, call: u64) {
        let mut state = self.state();
        state.memory.fail_at(call, Fault::ForEver);
        state.fuse = Some(state.memory.calls() + call);
    }

    /// Whether the fuse has blown.
    pub fn is_blown(&self) -> bool {
        let state = self.state();
        state.fuse.is_some_and(|fuse| state.memory.calls() >= fuse)
    }

    /// Ends the life of the process that uses it, and perhaps of the machine. Faults are over, the timing stays.
    pub fn crash(&self, crash: Crash) {
        let mut state = self.state();
        state.memory.crash(crash);
        state.journal.crashed();
        state.changes.1 += 1;
        state.fuse = None;
        state.failing_syncs = 0;
        state.owed = Duration::ZERO;
    }

    /// Puts an empty disk in its place.
    pub fn replace(&self) {
        self.crash(Crash::KeepAll);
        let mut state = self.state();
        state.memory = MemoryDisk::new();
        state.is_rotten = false;
        state.journal.replaced();
    }

    /// Since when a record has been durable on it: since the moment until which whoever synced it waits.
    pub fn durable(&self, id: &RecordId) -> Durable {
        self.state().journal.durable(id)
    }

    /// When each record was first durable on it as one of the node's own, and its home; also those that were dropped since.
    pub fn taken(&self) -> Vec<(RecordId, Home, Duration)> {
        self.state().journal.taken().collect()
    }

    /// What was dropped on it with its home.
    pub fn given_up(&self) -> Vec<GivenUp> {
        self.state().journal.given_up().to_vec()
    }

    /// Whether a record was durable as one of the node's own by that time, on this disk or on one that was in its place.
    pub fn was_owned_at(&self, id: &RecordId, time: Duration) -> bool {
        self.state().journal.ever_durable(id).filter_map(|durable| durable.owned).any(|since| since <= time)
    }

    /// Whether a record was durable at that time, on this disk or on one that was in its place.
    pub fn was_durable_at(&self, id: &RecordId, time: Duration) -> bool {
        self.state().journal.ever_durable(id).filter_map(|durable| durable.since()).any(|since| since <= time)
    }

    /// What is on it, as a disk of its own: looking at it changes nothing.
    pub fn fork(&self) -> MemoryDisk {
        self.state().memory.fork()
    }

    /// As [`HostDisk::fork`], of one folder alone.
    pub fn fork_folder(&self, folder: &Path) -> MemoryDisk {
        self.state().memory.fork_folder(folder)
    }

    /// Greater whenever what is durable in a folder has changed, or may have.
    pub fn changes(&self, folder: &Path) -> u64 {
        let state = self.state();
        state.changes.0.get(folder).copied().unwrap_or_default() + state.changes.1
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.state().memory.calls()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk, for a call that does not wait for the medium.
    fn call(&self) -> MemoryDisk {
        let mut state = self.state();
        let time = state.timing.call;
        state.owed += time;
        state.memory.clone()
    }

    /// The disk, for a sync, if it is to be done.
    fn sync(&self) -> Option<MemoryDisk> {
        let mut state = self.state();
        let Timing { sync_min, sync_max, .. } = state.timing;
        let time = state.chance.between(sync_min, sync_max);
        state.owed += time;
        if state.failing_syncs > 0 && state.fuse.is_none() {
            state.failing_syncs -= 1;
            state.memory.fail_at(1, Fault::Once);
        }
        (!state.lies).then(|| state.memory.clone())
    }

    fn file(&self, path: &Path, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(HostFile { disk: self.clone(), path: path.to_owned(), file })
    }
}

impl State {
    fn changed(&mut self, folder: &Path) {
        *self.changes.0.entry(folder.to_owned()).or_default() += 1;
    }

    /// What is to be waited for of what is owed.
    fn due(&self) -> Duration {
        GRAIN * u32::try_from(self.owed.as_nanos() / GRAIN.as_nanos()).unwrap_or(u32::MAX)
    }
}

impl Pace for HostDisk {
    fn owed(&self) -> Duration {
        let mut state = self.state();
        let paid = state.due();
        state.owed = state.owed.saturating_sub(paid);
        paid
    }
}

impl Disk for HostDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.call().open(path).map(|file| self.file(path, file))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.call().create(path).map(|file| self.file(path, file))
    }

    fn create_private(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.call().create_private(path).map(|file| self.file(path, file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call().rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call().remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let Some(disk) = self.sync() else { return Ok(()) };
        self.state().changed(dir);
        disk.sync_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.call().list(dir)
    }

    fn make_dirs(&self, dir: &Path) -> io::Result<()> {
        self.call().make_dirs(dir)
    }

    fn file_length(&self, path: &Path) -> io::Result<u64> {
        self.call().file_length(path)
    }

    fn used_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.call().used_bytes(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.call().free_bytes(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<DiskLock> {
        self.call().lock(path)
    }
}

#[derive(Debug)]
struct HostFile {
    disk: HostDisk,
    /// The name by which it was opened.
    path: PathBuf,
    file: Box<dyn DiskFile>,
}

impl HostFile {
    /// A sync by `sync`, and a note of what it made durable.
    fn sync(&self, sync: impl FnOnce(&dyn DiskFile) -> io::Result<()>) -> io::Result<()> {
        let Some(_) = self.disk.sync() else { return Ok(()) };
        let synced = sync(self.file.as_ref());
        let mut state = self.disk.state();
        state.changed(self.path.parent().unwrap_or(Path::new("/")));
        let now = turmoil::sim_elapsed().unwrap_or_default() + state.due();
        match &synced {
            Ok(()) => state.journal.synced(&self.path, now),
            Err(_) => state.journal.failed(&self.path),
        }
        synced
    }
}

impl DiskFile for HostFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.disk.call();
        self.file.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.call();
        self.file.write_all_at(bytes, offset)?;
        self.disk.state().journal.wrote(&self.path, offset, bytes);
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.disk.call();
        self.file.set_length(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(|file| file.sync_data())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync(|file| file.sync_all())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Home, Stamp};
    use storage::log::{self, Frame, Log};

    fn disk() -> (HostDisk, Box<dyn DiskFile>) {
        let disk = HostDisk::new(Chance::of(1));
        disk.make_dirs("/d".as_ref()).unwrap();
        let file = disk.create("/d/f".as_ref()).unwrap();
        file.write_all_at(b"old", 0).unwrap();
        file.sync_all().unwrap();
        disk.sync_dir("/d".as_ref()).unwrap();
        (disk, file)
    }

    fn content(disk: &HostDisk) -> Vec<u8> {
        let mut bytes = vec![0; 3];
        disk.open("/d/f".as_ref()).unwrap().read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn calls_are_owed_for_in_whole_grains_and_nothing_is_forgotten() {
        let (disk, file) = disk();
        let call = Duration::from_micros(300);
        disk.owed();
        disk.crash(Crash::KeepAll);
        assert_eq!(disk.owed(), Duration::ZERO);
        disk.set_timing(Timing { call, sync_min: GRAIN * 7, sync_max: GRAIN * 7 });
        let mut paid = Duration::ZERO;
        for _ in 0..100 {
            file.write_all_at(b"x", 0).unwrap_err(); // a handle from before the crash; the call is owed for all the same
            paid += disk.owed();
        }
        assert_eq!(paid, call * 100);
        disk.sync_dir("/d".as_ref()).unwrap();
        assert_eq!(disk.owed(), GRAIN * 7);
    }

    #[test]
    fn power_fails_at_the_call_that_was_asked_for() {
        let (disk, file) = disk();
        disk.arm_fuse(2);
        file.write_all_at(b"new", 0).unwrap();
        assert!(!disk.is_blown());
        file.sync_data().unwrap_err();
        assert!(disk.is_blown());
        disk.list("/d".as_ref()).unwrap_err();
        disk.crash(Crash::DropUnsynced);
        assert!(!disk.is_blown());
        assert_eq!(content(&disk), b"old");
    }

    #[test]
    fn a_sync_that_fails_loses_what_was_written() {
        let (disk, file) = disk();
        file.write_all_at(b"new", 0).unwrap();
        disk.fail_next_sync();
        file.sync_data().unwrap_err();
        file.sync_data().unwrap();
        disk.crash(Crash::DropUnsynced);
        assert_eq!(content(&disk), b"old");
    }

    #[test]
    fn a_replaced_disk_is_empty_and_a_fork_is_apart() {
        let (disk, _) = disk();
        let fork = disk.fork();
        disk.replace();
        assert!(disk.list("/d".as_ref()).is_err());
        assert_eq!(fork.list("/d".as_ref()).unwrap(), ["f"]);
    }

    #[test]
    fn what_a_sync_made_durable_is_known_from_then_on_also_when_the_disk_is_replaced() {
        let disk = HostDisk::new(Chance::of(1));
        let settings = log::Settings { segment_bytes_max: 1 << 20, ..log::Settings::default() };
        disk.make_dirs("/wal".as_ref()).unwrap();
        let id = |byte| RecordId([byte; 32]);
        let put = |log: &mut Log, frame: fn(log::StoredRecord<'static>) -> Frame<'static>, byte| {
            let (home, kind) = (Home::of_bytes(b"x"), log::RecordKind::Assertion);
            let record = log::StoredRecord { home, stamp: Stamp::MAX, kind, id: id(byte), archive: b"not looked at" };
            log.append(&[frame(record)])
        };
        let open = || Log::open(Arc::new(disk.clone()), "/wal".as_ref(), settings, [7; 16]).unwrap().0;
        let mut log = open();
        put(&mut log, Frame::Record, 1).unwrap();
        put(&mut log, Frame::Hint, 2).unwrap();
        disk.fail_next_sync();
        put(&mut log, Frame::Record, 3).unwrap_err();
        assert_eq!(disk.durable(&id(1)), Durable { owned: disk.durable(&id(1)).since(), hinted: None });
        assert!(disk.durable(&id(1)).owned.is_some() && disk.durable(&id(2)).hinted.is_some());
        assert_eq!(disk.durable(&id(3)), Durable::default());
        drop(log);
        disk.crash(Crash::DropUnsynced);
        put(&mut open(), Frame::Record, 2).unwrap(); // where the one that was not synced had stood
        assert!(disk.durable(&id(2)).owned.is_some() && disk.durable(&id(3)).since().is_none());
        disk.replace();
        assert_eq!(disk.durable(&id(1)), Durable::default());
        assert!(disk.was_durable_at(&id(1), Duration::MAX) && !disk.was_durable_at(&id(3), Duration::MAX));
    }
}
