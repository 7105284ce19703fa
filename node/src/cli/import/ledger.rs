//! When a line without a date was first imported, so that importing it again creates nothing.
//!
//! An append-only file of `<BLAKE3 of agent and line> <ms>` lines. What was not synced counts as never written: entries
//! are synced before the claims they date are sent, so a claim that a node has is always in the ledger.

use crate::cli::failure::Failure;
use model::{AgentId, Timestamp, hex};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const FILE: &str = "timestamps.ledger";

/// The times that imports gave to lines.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    times: BTreeMap<[u8; 32], Timestamp>,
    unsynced: Vec<u8>,
    /// Nothing in a dry run.
    file: Option<File>,
}

impl Ledger {
    /// Opens the ledger in `folder`, creating both; in a dry run, reads what is there and never writes.
    ///
    /// # Errors
    ///
    /// [`Failure::Failed`] if it cannot be read or written, or if another import has it open.
    pub fn open(folder: &Path, dry_run: bool) -> Result<Self, Failure> {
        let path = folder.join(FILE);
        let failed = |error: io::Error| Failure::of(format!("cannot use {}", path.display()), &error);
        let file = if dry_run { None } else { Some(open_locked(folder, &path).map_err(failed)?) };
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(failed)?,
        };
        let (times, whole) = parse(&text);
        if let Some(file) = file.as_ref().filter(|_| whole < text.len()) {
            file.set_len(whole as u64).map_err(failed)?;
        }
        Ok(Self { times, unsynced: Vec::new(), file, path })
    }

    /// When `agent` first stated `line`: what the ledger says, or `now`, which it keeps from then on.
    pub fn time_of(&mut self, agent: AgentId, line: &[u8], now: Timestamp) -> Timestamp {
        let mut hasher = blake3::Hasher::new();
        hasher.update(agent.as_ref()).update(line);
        let key = *hasher.finalize().as_bytes();
        *self.times.entry(key).or_insert_with(|| {
            hex::push(&key, &mut self.unsynced);
            self.unsynced.extend_from_slice(format!(" {}\n", now.ms()).as_bytes());
            now
        })
    }

    /// Makes every time given so far durable. Cost: one `fdatasync`, or nothing if no time is new.
    ///
    /// # Errors
    ///
    /// [`Failure::Failed`] if it cannot be written; then nothing that it dates may be sent.
    pub fn sync(&mut self) -> Result<(), Failure> {
        let unsynced = std::mem::take(&mut self.unsynced);
        let Some(file) = self.file.as_mut().filter(|_| !unsynced.is_empty()) else { return Ok(()) };
        file.write_all(&unsynced)
            .and_then(|()| file.sync_data())
            .map_err(|error| Failure::of(format!("cannot write {}", self.path.display()), &error))
    }
}

fn open_locked(folder: &Path, path: &Path) -> io::Result<File> {
    if !folder.is_dir() {
        use std::os::unix::fs::DirBuilderExt as _;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.try_lock().map_err(|error| match error {
        fs::TryLockError::WouldBlock => io::Error::other("another import is using it: wait for its end"),
        fs::TryLockError::Error(error) => error,
    })?;
    File::open(folder)?.sync_all()?;
    Ok(file)
}

/// The entries, and the length up to the end of the last whole line: a torn tail is forgotten.
fn parse(text: &[u8]) -> (BTreeMap<[u8; 32], Timestamp>, usize) {
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let lines = text.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n');
    (lines.filter_map(entry).rev().collect(), whole)
}

fn entry(line: &[u8]) -> Option<([u8; 32], Timestamp)> {
    let (key, ms) = std::str::from_utf8(line).ok()?.split_once(' ')?;
    Some((hex::parse(key)?, Timestamp::from_ms(ms.parse().ok()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: AgentId = AgentId([1; 32]);
    const B: AgentId = AgentId([2; 32]);

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_ms(ms).unwrap()
    }

    #[test]
    fn a_synced_time_is_given_again() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        let mut first = Ledger::open(&keys, false).unwrap();
        assert_eq!(first.time_of(A, b"line", at(5)), at(5));
        assert_eq!(first.time_of(A, b"line", at(6)), at(5));
        first.sync().unwrap();
        first.time_of(A, b"never synced", at(6));
        drop(first);
        let mut again = Ledger::open(&keys, false).unwrap();
        assert_eq!(again.time_of(A, b"line", at(7)), at(5));
        assert_eq!(again.time_of(B, b"line", at(7)), at(7));
        assert_eq!(again.time_of(A, b"never synced", at(7)), at(7));
    }

    #[test]
    fn a_torn_tail_is_cut_and_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path(), false).unwrap();
        for (line, ms) in [(b"one", 1), (b"two", 2)] {
            ledger.time_of(A, line, at(ms));
        }
        ledger.sync().unwrap();
        drop(ledger);
        let path = folder.path().join(FILE);
        let whole = fs::read(&path).unwrap();
        for cut in whole.len() / 2..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let mut ledger = Ledger::open(folder.path(), false).unwrap();
            assert_eq!(ledger.time_of(A, b"one", at(9)), at(1), "cut at {cut}");
            assert_eq!(ledger.time_of(A, b"two", at(9)), at(9), "cut at {cut}");
            ledger.sync().unwrap();
            drop(ledger);
            assert_eq!(Ledger::open(folder.path(), true).unwrap().times.len(), 2);
        }
    }

    #[test]
    fn two_imports_at_a_time_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Ledger::open(folder.path(), false).unwrap();
        let refusal = Ledger::open(folder.path(), false).unwrap_err().to_string();
        assert!(refusal.contains("another import is using it"), "{refusal}");
    }

    #[test]
    fn a_dry_run_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        let mut ledger = Ledger::open(&keys, true).unwrap();
        ledger.time_of(A, b"line", at(5));
        ledger.sync().unwrap();
        assert!(!keys.exists());
    }
}
