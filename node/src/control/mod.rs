//! The control plane of a node: openraft 0.9 round [`State`], and the only module that knows it.
//!
//! It never decides what a command means ([`cluster::control`] does), and nothing that a client waits for waits for it: with
//! no leader, reads and writes go on with the state that each node last had.
//!
//! - **Elections** are off until [`Control::allow_elections`] says that this node sees a quorum. openraft 0.9 has no
//!   pre-vote: a node that is cut off would stand again and again, and once the cut heals depose a leader that is well with
//!   its high term. A cut shorter than membership takes to notice still costs one such election, about half a second
//!   without a leader.
//! - **A leader is known by its vote**, the pair of term and node. openraft draws the election timeout once a life; two
//!   nodes that drew about the same would part the votes for ever, so within a term the candidate with the higher id may
//!   still win after the other. At most one node leads under one vote, and a later vote outdoes an earlier one.
//! - **A leader of old** may take itself for one for a moment. [`Control::state`] is what this node knows;
//!   [`Control::confirmed_state`] asks a quorum first.
//! - **Voters** are at first the first five of a founding list, then whom [`cluster::control::voters`] names; the other
//!   members follow, and who was removed is told nothing any more.

mod failure;
mod kept;
#[expect(clippy::result_large_err, reason = "the error is openraft's")]
mod machine;
mod network;
mod runtime;
#[expect(clippy::result_large_err, reason = "the error is openraft's")]
mod store;
mod types;
mod wire;

#[cfg(test)]
mod tests;

pub use failure::Failure;
pub use kept::{Kept, KeptEntry, Leadership};
pub use network::{Answer, RaftPeers};
pub use types::{COMMAND_BYTES_MAX, Settings};
pub use wire::WireError;

use crate::world::{Broken, World};
use cluster::NodeId;
use cluster::control::{Command, Outcome, State, VOTERS_MAX, voters};
use failure::Failures;
use machine::Machine;
use network::Lines;
use openraft::error::{ClientWriteError, Fatal, InitializeError, InstallSnapshotError, RaftError};
use openraft::{ChangeMembers, EmptyNode, RaftMetrics, ServerState};
use proto::RaftKind;
use std::collections::BTreeSet;
use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;
use storage::control::{ControlLog, ControlLogError};
use store::Store;
use tokio::sync::watch;
use tokio::time::timeout;
use types::Raft;
use wire::{decode, encode};

/// The control plane of this node. Clones are the same.
#[derive(Clone)]
pub struct Control {
    id: NodeId,
    raft: Raft,
    state: watch::Receiver<Arc<State>>,
    failures: Failures,
    released: Arc<watch::Sender<()>>,
}

/// How long a stop waits for calls of other nodes that are under way.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("id", &self.id).field("metrics", &self.metrics()).finish()
    }
}

/// Why the control plane does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings contradict each other. Correct them.
    #[error("the settings of the control plane contradict each other")]
    Settings(#[source] Box<openraft::ConfigError>),
    /// The control log does not open; [`ControlLogError`] says what to do.
    #[error("the control log does not open")]
    Log(#[from] ControlLogError),
    /// Opening the log panicked. Stop the node.
    #[error("opening the control log panicked")]
    Broken(#[from] Broken),
    /// The log does not read; [`Failure`] says what to do.
    #[error("the control log does not read")]
    Failed(#[source] Arc<Failure>),
}

/// Why a command was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Another node leads, or none does. Nothing was done. Ask that node, or try again later.
    #[error("this node does not lead: {}", .0.map_or_else(|| "nobody does".to_owned(), |leader| format!("{leader} does")))]
    NotLeader(Option<NodeId>),
    /// The command is longer than [`COMMAND_BYTES_MAX`]. Nothing was done. Refuse it.
    #[error("a command of {0} bytes, but {COMMAND_BYTES_MAX} is the limit")]
    TooLarge(usize),
    /// There was no quorum in time. It may still be carried out; asking again is harmless.
    #[error("no quorum in time: it may still be carried out")]
    Deadline,
    /// The control plane of this node has stopped. It may still be carried out.
    #[error("the control plane of this node has stopped")]
    Stopped,
}

/// Why a message of Raft gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandleError {
    /// It is no message of Raft, or one of a release that this one does not know.
    #[error("no message of Raft")]
    Malformed(#[from] WireError),
    /// The control plane of this node has stopped.
    #[error("the control plane of this node has stopped")]
    Stopped,
}

/// What Raft is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// The newest term that this node knows.
    pub term: u64,
    /// Who leads, as far as this node knows.
    pub leader: Option<NodeId>,
    /// Whether this node takes itself for the leader.
    pub is_leader: bool,
    /// The last entry of its log.
    pub last_index: Option<u64>,
    /// The last entry that its state holds.
    pub applied_index: Option<u64>,
    /// The last entry that its snapshot holds.
    pub snapshot_index: Option<u64>,
    /// Who votes.
    pub voters: BTreeSet<NodeId>,
    /// Who follows without a vote.
    pub learners: BTreeSet<NodeId>,
}

impl Control {
    /// Starts the control plane of node `id`, from what its log holds.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn start(
        world: &World,
        settings: Settings,
        id: NodeId,
        peers: Arc<dyn RaftPeers>,
    ) -> Result<Self, StartError> {
        let config = settings.config().validate().map_err(|error| StartError::Settings(Box::new(error)))?;
        let (disk, pause) = (Arc::clone(&world.disk), settings.heartbeat);
        let (log, recovered) = world.workers.run(move || ControlLog::open(disk, &settings.dir)).await??;
        if recovered.torn_bytes > 0 {
            tracing::warn!(bytes = recovered.torn_bytes, "cut a write that never ended from the control log");
        }
        let failures = Failures::default();
        let (store, released) = Store::new(log, world.workers.clone(), failures.clone());
        let (told, state) = watch::channel(Arc::default());
        let starting = async {
            let machine = Machine::open(store.clone(), failures.clone(), told).await?;
            Raft::new(id.0, Arc::new(config), Lines { peers, pause }, store, machine).await
        };
        let started = runtime::with_entropy(Arc::clone(&world.entropy), starting).await;
        let raft = started.map_err(|fatal: Fatal<u64>| StartError::Failed(failures.cause(&fatal)))?;
        tokio::spawn(seat_members(raft.clone(), state.clone()));
        Ok(Self { id, raft, state, failures, released: Arc::new(released) })
    }

    /// Founds the Raft group of exactly `members`. Every founder may call it, any number of times: once the group exists,
    /// nothing happens. Every founder must give the same list.
    ///
    /// # Errors
    ///
    /// [`ProposeError::Stopped`].
    pub async fn initialize(&self, members: &BTreeSet<NodeId>) -> Result<(), ProposeError> {
        let voters: BTreeSet<u64> = members.iter().take(VOTERS_MAX).map(|node| node.0).collect();
        if !voters.contains(&self.id.0) {
            return Ok(()); // the leader makes it a follower
        }
        match self.raft.initialize(voters).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(RaftError::APIError(InitializeError::NotInMembers(_)) | RaftError::Fatal(_)) => {
                Err(ProposeError::Stopped)
            }
        }
    }

    /// Has the cluster carry out a command, and waits until this node has.
    ///
    /// # Errors
    ///
    /// [`ProposeError`].
    pub async fn propose(&self, command: &Command, deadline: Duration) -> Result<Outcome, ProposeError> {
        let command = command.encode();
        if command.len() > COMMAND_BYTES_MAX {
            return Err(ProposeError::TooLarge(command.len()));
        }
        match timeout(deadline, self.raft.client_write(command)).await {
            Err(_elapsed) => Err(ProposeError::Deadline),
            Ok(Ok(written)) => written.data.ok_or(ProposeError::Stopped),
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(leader)))) => {
                Err(ProposeError::NotLeader(leader.leader_id.map(NodeId)))
            }
            Ok(Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(_)) | RaftError::Fatal(_))) => {
                Err(ProposeError::Stopped)
            }
        }
    }

    /// The state as this node knows it. It never goes back while the node runs.
    pub fn state(&self) -> watch::Receiver<Arc<State>> {
        self.state.clone()
    }

    /// The state with everything that was carried out before the call. Only the leader can say.
    ///
    /// # Errors
    ///
    /// [`ProposeError`]; nothing was done.
    pub async fn confirmed_state(&self, deadline: Duration) -> Result<Arc<State>, ProposeError> {
        match timeout(deadline, self.raft.ensure_linearizable()).await {
            Err(_elapsed) => Err(ProposeError::Deadline),
            Ok(Ok(_)) => Ok(Arc::clone(&self.state.borrow())),
            Ok(Err(RaftError::APIError(_))) => {
                Err(ProposeError::NotLeader(self.leader().filter(|leader| *leader != self.id)))
            }
            Ok(Err(RaftError::Fatal(_))) => Err(ProposeError::Stopped),
        }
    }

    /// Who leads, as far as this node knows.
    pub fn leader(&self) -> Option<NodeId> {
        self.metrics().leader
    }

    /// Whether this node may stand for election: as long as it sees a quorum of the members. Off at the start.
    pub fn allow_elections(&self, allowed: bool) {
        self.raft.runtime_config().elect(allowed);
    }

    /// Answers a message of another node's Raft. The answer waits for this node's disk.
    ///
    /// # Errors
    ///
    /// [`HandleError`].
    pub async fn handle_raft(&self, kind: RaftKind, message: &[u8]) -> Result<Vec<u8>, HandleError> {
        match kind {
            RaftKind::Append => answer(self.raft.append_entries(decode(message)?)).await,
            RaftKind::Vote => answer(self.raft.vote(decode(message)?)).await,
            RaftKind::Snapshot => match self.raft.install_snapshot(decode(message)?).await {
                Ok(installed) => Ok(encode(&Ok::<_, InstallSnapshotError>(installed))),
                Err(RaftError::APIError(error)) => Ok(encode(&Err::<Installed, _>(error))),
                Err(RaftError::Fatal(_)) => Err(HandleError::Stopped),
            },
        }
    }

    /// What Raft is about at this moment.
    pub fn metrics(&self) -> Metrics {
        let metrics = self.raft.metrics().borrow().clone();
        let membership = metrics.membership_config.membership();
        Metrics {
            term: metrics.current_term,
            leader: metrics.current_leader.map(NodeId),
            is_leader: metrics.state == ServerState::Leader,
            last_index: metrics.last_log_index,
            applied_index: metrics.last_applied.map(|applied| applied.index),
            snapshot_index: metrics.snapshot.map(|snapshot| snapshot.index),
            voters: membership.voter_ids().map(NodeId).collect(),
            learners: membership.learner_ids().map(NodeId).collect(),
        }
    }

    /// Waits until something of [`Control::metrics`] may have changed since `seen`. Ends only with the control plane.
    pub async fn changed(&self, seen: &Metrics) -> Metrics {
        let mut raft = self.raft.metrics();
        loop {
            raft.mark_unchanged();
            let now = self.metrics();
            if now != *seen {
                return now;
            }
            if raft.changed().await.is_err() {
                pending::<()>().await;
            }
        }
    }

    /// Waits until the control plane fails. Never ends if it does not.
    pub async fn failed(&self) -> Arc<Failure> {
        let mut metrics = self.raft.metrics();
        let failed =
            |running: &Result<(), Fatal<u64>>| matches!(running, Err(Fatal::StorageError(_) | Fatal::Panicked));
        let fatal = metrics.wait_for(|metrics| failed(&metrics.running_state)).await;
        let fatal = fatal.map(|metrics| metrics.running_state.clone().err()).ok();
        let Some(fatal) = fatal else { return pending().await };
        self.failures.cause(&fatal.unwrap_or(Fatal::Panicked))
    }

    /// Stops taking part, and waits until everything has ended and the log may be opened again.
    pub async fn shutdown(&self) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::error!(%error, "the control plane did not stop in order");
        }
        if timeout(STOP_DEADLINE, self.released.closed()).await.is_err() {
            tracing::warn!("something holds on to the control log");
        }
    }
}

type Installed = openraft::raft::InstallSnapshotResponse<u64>;

async fn answer<A: serde::Serialize>(
    call: impl Future<Output = Result<A, RaftError<u64>>>,
) -> Result<Vec<u8>, HandleError> {
    call.await.map(|answer| encode(&answer)).map_err(|_stopped| HandleError::Stopped)
}

/// How many entries a follower may lack that is to vote.
const LAG_OF_A_VOTER_MAX: u64 = 64;
/// How often it is looked whether a follower has caught up, and what failed is tried again.
const SEAT_EVERY: Duration = Duration::from_millis(500);

/// As long as this node leads, makes every member of the cluster a follower or a voter, and lets go who is none any more.
async fn seat_members(raft: Raft, mut state: watch::Receiver<Arc<State>>) {
    let mut metrics = raft.server_metrics();
    loop {
        let due = due_seat(&raft.metrics().borrow(), &state.borrow_and_update());
        metrics.mark_unchanged();
        if let Some(due) = due
            && let Err(error) = seat(&raft, due).await
        {
            tracing::debug!(%error, "the seats of the control plane are not changed yet");
        }
        let changed = tokio::select! {
            biased;
            changed = metrics.changed() => changed,
            changed = state.changed() => changed,
            () = tokio::time::sleep(SEAT_EVERY) => Ok(()),
        };
        if changed.is_err() {
            return;
        }
    }
}

/// A change of who takes part in Raft.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seat {
    Follow(u64),
    Vote(BTreeSet<u64>),
    Leave(BTreeSet<u64>),
}

/// The next change, if this node leads and one is due.
fn due_seat(metrics: &RaftMetrics<u64, EmptyNode>, state: &State) -> Option<Seat> {
    let members = state.members().filter(|_| metrics.state == ServerState::Leader)?;
    let seated = metrics.membership_config.membership();
    if let Some(missing) = members.keys().find(|node| seated.get_node(&node.0).is_none()) {
        return Some(Seat::Follow(missing.0));
    }
    let last = metrics.last_log_index.unwrap_or(0);
    let has_log = |node: NodeId| {
        let matched = metrics.replication.as_ref().and_then(|all| all.get(&node.0).copied().flatten());
        matched.is_some_and(|matched| matched.index + LAG_OF_A_VOTER_MAX >= last)
    };
    let now: BTreeSet<_> = seated.voter_ids().map(NodeId).collect();
    let wanted = voters(state, &now, has_log);
    if wanted != now && !wanted.is_empty() {
        return Some(Seat::Vote(wanted.into_iter().map(|node| node.0).collect()));
    }
    let gone = seated.learner_ids().filter(|node| !members.contains_key(&NodeId(*node)));
    Some(Seat::Leave(gone.collect())).filter(|seat| *seat != Seat::Leave(BTreeSet::new()))
}

async fn seat(raft: &Raft, due: Seat) -> Result<(), RaftError<u64, ClientWriteError<u64, EmptyNode>>> {
    match due {
        Seat::Follow(node) => raft.add_learner(node, EmptyNode {}, false).await?,
        Seat::Vote(voters) => raft.change_membership(ChangeMembers::ReplaceAllVoters(voters), true).await?,
        Seat::Leave(gone) => raft.change_membership(ChangeMembers::RemoveNodes(gone), true).await?,
    };
    Ok(())
}
