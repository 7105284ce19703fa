//! Raft's state machine: [`State`], changed by one command after the other, and its snapshots.
//!
//! The state is in memory. After a start it comes from the last snapshot and the entries that were known to be committed.

use super::failure::{Failure, Failures};
use super::store::Store;
use super::types::{Entry, LogId, SnapshotMeta, StorageError, StoredMembership, Types};
use super::wire::encode;
use cluster::control::{Command, Outcome, State};
use openraft::storage::{RaftSnapshotBuilder, RaftStateMachine, Snapshot};
use openraft::{EntryPayload, ErrorSubject, ErrorVerb, OptionalSend};
use std::io::Cursor;
use std::sync::Arc;
use storage::control::Snapshot as KeptSnapshot;
use tokio::sync::watch;

/// The state machine.
#[derive(Debug)]
pub(super) struct Machine {
    store: Store,
    failures: Failures,
    state: watch::Sender<Arc<State>>,
    applied: Option<LogId>,
    membership: StoredMembership,
}

/// Builds one snapshot of the state as it was.
#[derive(Debug)]
pub(super) struct Builder {
    store: Store,
    state: Arc<State>,
    meta: SnapshotMeta,
}

impl Machine {
    /// The state of the last snapshot; `state` is told of every change.
    ///
    /// # Errors
    ///
    /// [`StorageError`] if there is one and it cannot be read.
    pub(super) async fn open(
        store: Store,
        failures: Failures,
        state: watch::Sender<Arc<State>>,
    ) -> Result<Self, StorageError> {
        let mut machine = Self { store, failures, state, applied: None, membership: StoredMembership::default() };
        if let Some(kept) = machine.kept_snapshot().await? {
            let meta = machine.store.decode(ErrorSubject::Snapshot(None), &kept.about)?;
            machine.take_over(&meta, &kept.state)?;
        }
        Ok(machine)
    }

    async fn kept_snapshot(&self) -> Result<Option<KeptSnapshot>, StorageError> {
        self.store.with(ErrorSubject::Snapshot(None), ErrorVerb::Read, |log| Ok(log.snapshot().cloned())).await
    }

    /// Makes the state of a snapshot this one's.
    fn take_over(&mut self, meta: &SnapshotMeta, state: &[u8]) -> Result<(), StorageError> {
        let state = State::decode(state).map_err(|error| self.ahead(error))?;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.state.send_replace(Arc::new(state));
        Ok(())
    }

    fn ahead(&self, error: cluster::WireError) -> StorageError {
        self.failures.note(ErrorSubject::StateMachine, ErrorVerb::Read, Failure::Ahead(error))
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Option<Outcome>>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut state = State::clone(&self.state.borrow());
        let mut outcomes = Vec::new();
        for entry in entries {
            self.applied = Some(entry.log_id);
            outcomes.push(match entry.payload {
                EntryPayload::Blank => None,
                EntryPayload::Normal(command) => {
                    let command = Command::decode(&command).map_err(|error| self.ahead(error))?;
                    Some(state.apply(&command))
                }
                EntryPayload::Membership(members) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), members);
                    None
                }
            });
        }
        if outcomes.iter().any(Option::is_some) {
            self.state.send_replace(Arc::new(state));
        }
        Ok(outcomes)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let last_membership = self.membership.clone();
        let snapshot_id = self.applied.map_or_else(String::new, |applied| applied.to_string());
        let meta = SnapshotMeta { last_log_id: self.applied, last_membership, snapshot_id };
        Builder { store: self.store.clone(), state: Arc::clone(&self.state.borrow()), meta }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let state = snapshot.into_inner();
        State::decode(&state).map_err(|error| self.ahead(error))?;
        keep(&self.store, meta, state.clone()).await?;
        self.take_over(meta, &state)
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Types>>, StorageError> {
        let Some(kept) = self.kept_snapshot().await? else { return Ok(None) };
        let meta = self.store.decode(ErrorSubject::Snapshot(None), &kept.about)?;
        Ok(Some(Snapshot { meta, snapshot: Box::new(Cursor::new(kept.state)) }))
    }
}

impl RaftSnapshotBuilder<Types> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Types>, StorageError> {
        let state = self.state.encode();
        keep(&self.store, &self.meta, state.clone()).await?;
        Ok(Snapshot { meta: self.meta.clone(), snapshot: Box::new(Cursor::new(state)) })
    }
}

/// Keeps a snapshot durably.
async fn keep(store: &Store, meta: &SnapshotMeta, state: Vec<u8>) -> Result<(), StorageError> {
    let index = meta.last_log_id.map_or(0, |last| last.index);
    let kept = KeptSnapshot { index, about: encode(meta), state };
    let subject = ErrorSubject::Snapshot(Some(meta.signature()));
    store.with(subject, ErrorVerb::Write, move |log| log.save_snapshot(kept)).await
}
