//! A disk in memory that crashes, fills up, fails and flips bits on request.
//!
//! It is as unkind as a real disk may be and no kinder: what was not synced may vanish, stay, or stay in part. The same
//! calls and the same seed give the same bytes. It never fails by itself.
//!
//! After a failed sync the pages count as clean although they are not on the disk, as in Linux: a second sync succeeds
//! and makes nothing durable.

use super::{Disk, DiskFile, DiskLock};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the disk writes as a whole, in bytes: a crash may keep one such block and lose its neighbour.
const BLOCK: usize = 512;

/// What a crash leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Everything: the process died, the machine did not.
    KeepAll,
    /// Nothing but what was synced.
    DropUnsynced,
    /// What was synced, and of the rest some blocks and some directory changes, drawn from the seed.
    Torn(u64),
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails, and the next succeeds. Of a failed write the first half is written.
    Once,
    /// It and all after it fail.
    ForEver,
    /// If it is a read, one bit of what it returns is wrong; otherwise it succeeds.
    FlipRead,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    directories: BTreeMap<PathBuf, Directory>,
    files: BTreeMap<u64, Content>,
    locks: BTreeSet<PathBuf>,
    next_file: u64,
    /// Counts crashes: handles of an earlier life are dead.
    life: u64,
    calls: u64,
    syncs: u64,
    fault: Option<(u64, Fault)>,
    capacity: Option<u64>,
}

/// The entries that a process sees, those on the disk, and the changes that lead from these to those.
#[derive(Debug, Default)]
struct Directory {
    seen: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
    pending: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Put(String, u64),
    Remove(String),
    Rename(String, String),
}

#[derive(Debug, Default)]
struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// Blocks that were written and not synced.
    dirty: BTreeSet<usize>,
}

impl MemoryDisk {
    /// An empty disk without limits or faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the life of the process and perhaps of the machine: all handles and locks die, faults are over.
    pub fn crash(&self, crash: Crash) {
        let mut state = self.state();
        let state = &mut *state;
        state.life += 1;
        state.fault = None;
        state.locks.clear();
        let mut chance = Chance(match crash {
            Crash::Torn(seed) => seed,
            Crash::KeepAll | Crash::DropUnsynced => 0,
        });
        for directory in state.directories.values_mut() {
            let kept = match crash {
                Crash::KeepAll => directory.pending.len(),
                Crash::DropUnsynced => 0,
                Crash::Torn(_) => chance.below(directory.pending.len() + 1),
            };
            directory.pending.drain(..).take(kept).for_each(|change| apply(&mut directory.durable, change));
            directory.seen = directory.durable.clone();
        }
        for content in state.files.values_mut() {
            match crash {
                Crash::KeepAll => {}
                Crash::DropUnsynced => content.seen = content.durable.clone(),
                Crash::Torn(_) => content.tear(&mut chance),
            }
            content.durable = content.seen.clone();
            content.dirty.clear();
        }
        let reachable: BTreeSet<u64> = state.directories.values().flat_map(|dir| dir.seen.values().copied()).collect();
        state.files.retain(|file, _| reachable.contains(file));
    }

    /// Makes the `call`-th call from now on, from 1, fail. Every call of the two traits counts, but locks and those that
    /// ask for lengths and room.
    pub fn fail_at(&self, call: u64, fault: Fault) {
        let mut state = self.state();
        state.fault = Some((state.calls + call, fault));
    }

    /// No more faults.
    pub fn heal(&self) {
        self.state().fault = None;
    }

    /// Limits the sum of the lengths of all files to `bytes`, or lifts the limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// The sum of the lengths of all files in bytes.
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// How many files were synced; directories not counted.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Flips the bits of `mask` in a byte of a file, on the disk and in what processes see; `false` if it is not there.
    pub fn flip(&self, path: &Path, offset: usize, mask: u8) -> bool {
        let mut state = self.state();
        let Some(content) = state.find(path).ok().and_then(|file| state.files.get_mut(&file)) else { return false };
        let durable = content.durable.get_mut(offset).map(|byte| *byte ^= mask);
        let seen = content.seen.get_mut(offset).map(|byte| *byte ^= mask);
        durable.or(seen).is_some()
    }

    /// A disk of its own with the same durable content and the same unsynced changes.
    pub fn fork(&self) -> Self {
        self.fork_where(|_| true)
    }

    /// As [`MemoryDisk::fork`], of one folder alone, without those in it.
    pub fn fork_folder(&self, folder: &Path) -> Self {
        self.fork_where(|path| path == folder)
    }

    fn fork_where(&self, wanted: impl Fn(&Path) -> bool) -> Self {
        let state = self.state();
        let folders = || state.directories.iter().filter(|(path, _)| wanted(path));
        let named: BTreeSet<u64> = folders().flat_map(|(_, directory)| directory.files()).collect();
        let directories = folders().map(|(path, dir)| {
            let pending = dir.pending.iter().map(Change::copy).collect();
            (path.clone(), Directory { seen: dir.seen.clone(), durable: dir.durable.clone(), pending })
        });
        let files = state.files.iter().filter(|(file, _)| named.contains(file)).map(|(file, content)| {
            let Content { seen, durable, dirty } = content;
            (*file, Content { seen: seen.clone(), durable: durable.clone(), dirty: dirty.clone() })
        });
        let fork = State {
            directories: directories.collect(),
            files: files.collect(),
            next_file: state.next_file,
            capacity: state.capacity,
            ..State::default()
        };
        Self { state: Arc::new(Mutex::new(fork)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, file: u64, life: u64) -> Box<dyn DiskFile> {
        Box::new(MemoryFile { disk: self.clone(), file, life })
    }
}

impl Directory {
    /// The files that it names, or may name after a crash.
    fn files(&self) -> impl Iterator<Item = u64> {
        let pending = self.pending.iter().filter_map(|change| match change {
            Change::Put(_, file) => Some(*file),
            Change::Remove(_) | Change::Rename(..) => None,
        });
        self.seen.values().chain(self.durable.values()).copied().chain(pending)
    }
}

impl Change {
    fn copy(&self) -> Self {
        match self {
            Self::Put(name, file) => Self::Put(name.clone(), *file),
            Self::Remove(name) => Self::Remove(name.clone()),
            Self::Rename(from, to) => Self::Rename(from.clone(), to.clone()),
        }
    }
}

fn apply(entries: &mut BTreeMap<String, u64>, change: Change) {
    match change {
        Change::Put(name, file) => {
            entries.insert(name, file);
        }
        Change::Remove(name) => {
            entries.remove(&name);
        }
        Change::Rename(from, to) => {
            if let Some(file) = entries.remove(&from) {
                entries.insert(to, file);
            }
        }
    }
}

impl Content {
    /// Leaves of each unsynced block the old or the new bytes, and of an unsynced length the old or the new one.
    fn tear(&mut self, chance: &mut Chance) {
        let length = if chance.below(2) == 0 { self.durable.len() } else { self.seen.len() };
        let mut torn = std::mem::take(&mut self.durable);
        torn.resize(length, 0);
        for block in &self.dirty {
            let from = (block * BLOCK).min(length);
            let to = (from + BLOCK).min(length).min(self.seen.len()).max(from);
            if chance.below(2) == 0
                && let (Some(old), Some(new)) = (torn.get_mut(from..to), self.seen.get(from..to))
            {
                old.copy_from_slice(new);
            }
        }
        self.seen = torn;
    }

    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.seen.len() < end {
            self.seen.resize(end, 0);
        }
        if let Some(slot) = self.seen.get_mut(offset..end) {
            slot.copy_from_slice(bytes);
        }
        self.dirty.extend(offset / BLOCK..end.div_ceil(BLOCK));
    }

    fn sync(&mut self) {
        self.durable.resize(self.seen.len(), 0);
        for block in std::mem::take(&mut self.dirty) {
            let from = (block * BLOCK).min(self.seen.len());
            let to = (from + BLOCK).min(self.seen.len());
            if let (Some(old), Some(new)) = (self.durable.get_mut(from..to), self.seen.get(from..to)) {
                old.copy_from_slice(new);
            }
        }
    }
}

impl State {
    /// Counts a call; whether it must fail or flip a bit.
    fn call(&mut self) -> Option<Fault> {
        self.calls += 1;
        let (at, fault) = self.fault?;
        let hit = if fault == Fault::ForEver { self.calls >= at } else { self.calls == at };
        hit.then_some(fault)
    }

    /// Counts a call that is not a read.
    fn may_call(&mut self) -> io::Result<()> {
        match self.call() {
            Some(Fault::Once | Fault::ForEver) => Err(injected()),
            Some(Fault::FlipRead) | None => Ok(()),
        }
    }

    fn used(&self) -> u64 {
        self.directories.values().flat_map(|dir| dir.seen.values()).map(|file| self.length(*file)).sum()
    }

    fn length(&self, file: u64) -> u64 {
        self.files.get(&file).map_or(0, |content| to_u64(content.seen.len()))
    }

    /// How many more bytes fit.
    fn room(&self) -> usize {
        self.capacity.map_or(usize::MAX, |capacity| to_usize(capacity.saturating_sub(self.used())))
    }

    fn directory(&mut self, dir: &Path) -> io::Result<&mut Directory> {
        self.directories.get_mut(dir).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn find(&self, path: &Path) -> io::Result<u64> {
        let (dir, name) = split(path)?;
        let entry = self.directories.get(dir).and_then(|directory| directory.seen.get(name));
        entry.copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&mut self, dir: &Path, change: Change) -> io::Result<()> {
        let directory = self.directory(dir)?;
        apply(&mut directory.seen, change.copy());
        directory.pending.push(change);
        Ok(())
    }
}

fn split(path: &Path) -> io::Result<(&Path, &str)> {
    let name = path.file_name().and_then(|name| name.to_str());
    path.parent().zip(name).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

fn injected() -> io::Error {
    io::Error::other("a fault was asked for")
}

fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn to_usize(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.may_call()?;
        Ok(self.handle(state.find(path)?, state.life))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.may_call()?;
        let (dir, name) = split(path)?;
        let file = state.find(path).unwrap_or(state.next_file);
        if file == state.next_file {
            state.next_file += 1;
            state.change(dir, Change::Put(name.to_owned(), file))?;
        }
        let content = state.files.entry(file).or_default();
        content.seen.clear();
        content.dirty.clear();
        Ok(self.handle(file, state.life))
    }

    fn create_private(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.create(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.may_call()?;
        state.find(from)?;
        let ((from_dir, from), (to_dir, to)) = (split(from)?, split(to)?);
        if from_dir != to_dir {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        state.change(from_dir, Change::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.may_call()?;
        state.find(path)?;
        let (dir, name) = split(path)?;
        state.change(dir, Change::Remove(name.to_owned()))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.may_call()?;
        let directory = state.directory(dir)?;
        directory.pending.clear();
        directory.durable = directory.seen.clone();
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state();
        state.may_call()?;
        Ok(state.directory(dir)?.seen.keys().cloned().collect())
    }

    fn make_dirs(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.may_call()?;
        for above in dir.ancestors() {
            state.directories.entry(above.to_owned()).or_default();
        }
        Ok(())
    }

    fn file_length(&self, path: &Path) -> io::Result<u64> {
        let state = self.state();
        Ok(state.length(state.find(path)?))
    }

    fn used_bytes(&self, dir: &Path) -> io::Result<u64> {
        let mut state = self.state();
        state.directory(dir)?;
        let below = state.directories.iter().filter(|(path, _)| path.starts_with(dir));
        let files = below.flat_map(|(_, directory)| directory.seen.values());
        Ok(files.map(|file| state.length(*file)).sum())
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let mut state = self.state();
        state.directory(dir)?;
        Ok(to_u64(state.room()))
    }

    fn lock(&self, path: &Path) -> io::Result<DiskLock> {
        let mut state = self.state();
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(MemoryLock { disk: self.clone(), path: path.to_owned(), life: state.life }))
    }
}

/// Gives the lock back, unless a crash did.
#[derive(Debug)]
struct MemoryLock {
    disk: MemoryDisk,
    path: PathBuf,
    life: u64,
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.life == self.life {
            state.locks.remove(&self.path);
        }
    }
}

/// A handle, dead after the next crash.
#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    file: u64,
    life: u64,
}

impl MemoryFile {
    fn with<T>(&self, act: impl FnOnce(&mut State, Option<Fault>) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.state();
        if state.life != self.life || !state.files.contains_key(&self.file) {
            return Err(io::Error::other("the handle is from before a crash"));
        }
        let fault = state.call();
        act(&mut state, fault)
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|state, fault| {
            state.syncs += 1;
            let Some(content) = state.files.get_mut(&self.file) else { return Ok(()) };
            match fault {
                Some(Fault::Once | Fault::ForEver) => {
                    content.dirty.clear();
                    Err(injected())
                }
                Some(Fault::FlipRead) | None => {
                    content.sync();
                    Ok(())
                }
            }
        })
    }
}

impl DiskFile for MemoryFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.with(|state, fault| {
            let from = to_usize(offset);
            let content = state.files.get(&self.file);
            let bytes = content.and_then(|content| content.seen.get(from..from.checked_add(buffer.len())?));
            buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            match fault {
                Some(Fault::Once | Fault::ForEver) => return Err(injected()),
                Some(Fault::FlipRead) => {
                    let middle = buffer.len() / 2;
                    buffer.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 1);
                }
                None => {}
            }
            Ok(())
        })
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(|state, fault| {
            let failed = matches!(fault, Some(Fault::Once | Fault::ForEver));
            let room = state.room();
            let Some(content) = state.files.get_mut(&self.file) else { return Ok(()) };
            let wanted = if failed { bytes.len() / 2 } else { bytes.len() };
            let fits = content.seen.len().saturating_sub(to_usize(offset)).saturating_add(room);
            let written = bytes.get(..wanted.min(fits)).unwrap_or(bytes);
            content.write(written, to_usize(offset));
            match () {
                () if failed => Err(injected()),
                () if written.len() < bytes.len() => Err(io::ErrorKind::StorageFull.into()),
                () => Ok(()),
            }
        })
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.state().length(self.file))
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.with(|state, fault| {
            if matches!(fault, Some(Fault::Once | Fault::ForEver)) {
                return Err(injected());
            }
            let Some(content) = state.files.get_mut(&self.file) else { return Ok(()) };
            let (old, new) = (content.seen.len(), to_usize(length));
            content.seen.resize(new, 0);
            content.dirty.extend(old.min(new) / BLOCK..old.max(new).div_ceil(BLOCK));
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync()
    }
}

/// A small generator of numbers from a seed. Source: Steele et al., "Fast splittable pseudorandom number generators",
/// OOPSLA 2014.
struct Chance(u64);

impl Chance {
    /// A number below `limit`, which is not 0.
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        to_usize((z ^ (z >> 31)) % to_u64(limit.max(1)))
    }
}
