//! Raft's log on [`ControlLog`], as openraft wants it.
//!
//! Each write is durable before openraft hears of it. It runs where the world runs what blocks: on a machine on a thread of
//! the blocking pool, so that a slow sync stops Raft but not the thread that all else runs on; in a simulation in place,
//! and what the disk would have taken is waited for. openraft has one write under way at a time, a snapshot apart.

use super::failure::{Failure, Failures};
use super::types::{ENTRIES_BYTES_MAX, Entry, LogId, StorageError, Types, Vote};
use super::wire::{decode, encode};
use crate::world::Workers;
use openraft::storage::{LogFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{ErrorSubject, ErrorVerb, OptionalSend, RaftLogId};
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, PoisonError};
use storage::control::{ControlLog, ControlLogError};
use tokio::sync::watch;

/// The log. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Store {
    log: Arc<Mutex<ControlLog>>,
    workers: Workers,
    failures: Failures,
    /// Held by whoever holds the log.
    _open: watch::Receiver<()>,
}

impl Store {
    /// The store on `log`, and who learns that nobody holds it any more.
    pub(super) fn new(log: ControlLog, workers: Workers, failures: Failures) -> (Self, watch::Sender<()>) {
        let (released, open) = watch::channel(());
        (Self { log: Arc::new(Mutex::new(log)), workers, failures, _open: open }, released)
    }

    /// Does something with the log where it may block.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        subject: ErrorSubject<u64>,
        verb: ErrorVerb,
        act: impl FnOnce(&mut ControlLog) -> Result<T, ControlLogError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let log = Arc::clone(&self.log);
        let done = self.workers.run(move || act(&mut log.lock().unwrap_or_else(PoisonError::into_inner))).await;
        let failure = match done {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => Failure::Log(error),
            Err(broken) => Failure::Broken(broken),
        };
        Err(self.failures.note(subject, verb, failure))
    }

    /// Reads what this store wrote.
    pub(super) fn decode<T: DeserializeOwned>(
        &self,
        subject: ErrorSubject<u64>,
        bytes: &[u8],
    ) -> Result<T, StorageError> {
        decode(bytes).map_err(|error| self.failures.note(subject, ErrorVerb::Read, Failure::Kept(error)))
    }

    /// The entries of a range, from its beginning, up to about so many bytes, but at least one.
    async fn entries(&self, range: (Bound<u64>, Bound<u64>), bytes_max: usize) -> Result<Vec<Entry>, StorageError> {
        let read = move |log: &mut ControlLog| {
            let mut bytes = 0;
            let fits = |entry: &(u64, &[u8])| {
                let first = bytes == 0;
                bytes += entry.1.len();
                first || bytes <= bytes_max
            };
            Ok(log.entries(range).take_while(fits).map(|(_, entry)| entry.to_vec()).collect::<Vec<_>>())
        };
        let found = self.with(ErrorSubject::Logs, ErrorVerb::Read, read).await?;
        found.iter().map(|entry| self.decode(ErrorSubject::Logs, entry)).collect()
    }
}

impl RaftLogReader<Types> for Store {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, StorageError> {
        let bounds = (range.start_bound().cloned(), range.end_bound().cloned());
        drop(range);
        self.entries(bounds, usize::MAX).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, StorageError> {
        self.entries((Bound::Included(start), Bound::Excluded(end)), ENTRIES_BYTES_MAX).await
    }
}

impl RaftLogStorage<Types> for Store {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, StorageError> {
        let read = |log: &mut ControlLog| {
            let last = log.entries(..).next_back().map(|(_, entry)| entry.to_vec());
            Ok((log.purged().map(|(_, id)| id.to_vec()), last))
        };
        let (purged, last) = self.with(ErrorSubject::Logs, ErrorVerb::Read, read).await?;
        let purged: Option<LogId> = purged.map(|id| self.decode(ErrorSubject::Logs, &id)).transpose()?;
        let last: Option<Entry> = last.map(|entry| self.decode(ErrorSubject::Logs, &entry)).transpose()?;
        Ok(LogState { last_purged_log_id: purged, last_log_id: last.map(|entry| *entry.get_log_id()).or(purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let vote = encode(vote);
        self.with(ErrorSubject::Vote, ErrorVerb::Write, move |log| log.save_vote(vote)).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        let read = |log: &mut ControlLog| Ok(log.vote().map(<[u8]>::to_vec));
        let vote = self.with(ErrorSubject::Vote, ErrorVerb::Read, read).await?;
        vote.map(|vote| self.decode(ErrorSubject::Vote, &vote)).transpose()
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        let committed = encode(&committed);
        self.with(ErrorSubject::Store, ErrorVerb::Write, move |log| log.save_committed(committed)).await
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        let read = |log: &mut ControlLog| Ok(log.committed().map(<[u8]>::to_vec));
        let committed = self.with(ErrorSubject::Store, ErrorVerb::Read, read).await?;
        committed.map_or(Ok(None), |committed| self.decode(ErrorSubject::Store, &committed))
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<_> = entries.into_iter().map(|entry| (entry.log_id.index, encode(&entry))).collect();
        let appended = self.with(ErrorSubject::Logs, ErrorVerb::Write, move |log| log.append(entries)).await;
        callback.log_io_completed(appended.clone().map_err(io::Error::other));
        appended
    }

    async fn truncate(&mut self, from: LogId) -> Result<(), StorageError> {
        self.with(ErrorSubject::Log(from), ErrorVerb::Delete, move |log| log.truncate(from.index)).await
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), StorageError> {
        self.with(ErrorSubject::Log(upto), ErrorVerb::Delete, move |log| log.purge(upto.index, encode(&upto))).await
    }
}
