//! When which record became durable on a disk, noted by the disk itself at each sync of a file of the log.
//!
//! It knows what was written to such a file since its last sync, and at the next takes the records out of it. A sync that
//! fails, and a crash, make nothing durable: recovery writes and syncs anew what it keeps. What a disk held is still known
//! when another is put in its place.

use model::{Home, RecordId};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use storage::log::{Frame, frames_written};

/// Since when a record has been durable on a disk, in simulated time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    /// As one of the node's own; not if it was dropped with its home since.
    pub owned: Option<Duration>,
    /// As one that is kept for its owners.
    pub hinted: Option<Duration>,
}

impl Durable {
    /// Since when it has been there in either form.
    pub fn since(&self) -> Option<Duration> {
        self.owned.into_iter().chain(self.hinted).min()
    }
}

/// A record that was dropped with its home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// Which.
    pub id: RecordId,
    /// Its home.
    pub home: Home,
    /// By the placement table of this epoch.
    pub epoch: u64,
    /// When that was durable.
    pub at: Duration,
}

/// What a disk notes of itself and of those that were in its place before.
#[derive(Debug)]
pub(super) struct Journal {
    /// Of files of the log: what was written where since the last sync, in that order.
    unsynced: BTreeMap<PathBuf, Vec<(u32, Vec<u8>)>>,
    present: BTreeMap<RecordId, Durable>,
    /// When a record was first durable on the present disk as one of the node's own, and its home.
    taken: BTreeMap<RecordId, (Home, Duration)>,
    /// What was dropped with its home, on the present disk.
    given_up: Vec<GivenUp>,
    /// What disks held that were in the place of this one, and what was dropped with a home.
    earlier: Vec<BTreeMap<RecordId, Durable>>,
}

impl Journal {
    /// Of a disk without a history.
    pub(super) fn new() -> Self {
        let (unsynced, present) = (BTreeMap::new(), BTreeMap::new());
        Self { unsynced, present, taken: BTreeMap::new(), given_up: Vec::new(), earlier: Vec::new() }
    }

    /// Notes a write that succeeded.
    pub(super) fn wrote(&mut self, path: &Path, offset: u64, bytes: &[u8]) {
        let is_log = path.extension().is_some_and(|extension| extension == "log");
        if let Some(offset) = u32::try_from(offset).ok().filter(|_| is_log) {
            self.unsynced.entry(path.to_owned()).or_default().push((offset, bytes.to_vec()));
        }
    }

    /// Notes that a sync of a file succeeded, which took until `now`.
    pub(super) fn synced(&mut self, path: &Path, now: Duration) {
        for (offset, bytes) in self.unsynced.remove(path).unwrap_or_default() {
            frames_written(&bytes, offset, &mut |frame| {
                if let Frame::Record(record) = frame {
                    self.present.entry(record.id).or_default().owned.get_or_insert(now);
                    self.taken.entry(record.id).or_insert((record.home, now));
                } else if let Frame::Hint(record) = frame {
                    self.present.entry(record.id).or_default().hinted.get_or_insert(now);
                } else if let Frame::HomeDropped { home, epoch, .. } = frame {
                    self.dropped(home, epoch, now);
                }
            });
        }
    }

    /// What lies before this is no record of the node's own any more.
    fn dropped(&mut self, home: Home, epoch: u64, at: Duration) {
        let of_home = |id: &RecordId| self.taken.get(id).is_some_and(|(at, _)| *at == home);
        let owned = self.present.iter_mut().filter(|(id, _)| of_home(id));
        let gone = owned.filter_map(|(id, durable)| {
            let owned = durable.owned.take()?;
            Some((*id, Durable { owned: Some(owned), hinted: None }))
        });
        let gone: BTreeMap<_, _> = gone.collect();
        self.given_up.extend(gone.keys().map(|id| GivenUp { id: *id, home, epoch, at }));
        self.earlier.push(gone);
    }

    /// Notes that a sync of a file failed.
    pub(super) fn failed(&mut self, path: &Path) {
        self.unsynced.remove(path);
    }

    /// Notes that what was not synced is not to be relied on any more.
    pub(super) fn crashed(&mut self) {
        self.unsynced.clear();
    }

    /// Notes that an empty disk was put in the place of this one.
    pub(super) fn replaced(&mut self) {
        self.crashed();
        self.earlier.push(std::mem::take(&mut self.present));
        self.taken.clear();
        self.given_up.clear();
    }

    /// When each record was first durable on the present disk as one of the node's own, and its home; also those that were
    /// dropped since.
    pub(super) fn taken(&self) -> impl Iterator<Item = (RecordId, Home, Duration)> {
        self.taken.iter().map(|(id, (home, since))| (*id, *home, *since))
    }

    /// What was dropped with its home on the present disk.
    pub(super) fn given_up(&self) -> &[GivenUp] {
        &self.given_up
    }

    /// What is known of a record on the present disk.
    pub(super) fn durable(&self, id: &RecordId) -> Durable {
        self.present.get(id).copied().unwrap_or_default()
    }

    /// What is known of a record on this disk and on those that were in its place before, the present one last.
    pub(super) fn ever_durable(&self, id: &RecordId) -> impl Iterator<Item = Durable> {
        let disks = self.earlier.iter().chain([&self.present]);
        disks.filter_map(|disk| disk.get(id).copied())
    }
}
