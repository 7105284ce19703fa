//! Raft's messages to other nodes, over whatever carries bytes.
//!
//! It never retries: openraft does. What goes wrong on the way is all the same to it, so it is told "unreachable", and
//! waits for a heartbeat before it tries again.

use super::types::Types;
use super::wire::{WireError, decode, encode};
use crate::rpc::{self, CallError};
use cluster::NodeId;
use openraft::EmptyNode;
use openraft::error::{InstallSnapshotError, RPCError, RaftError, RemoteError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse};
use openraft::raft::{VoteRequest, VoteResponse};
use proto::{RaftKind, RaftRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// The answer to come of a call.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, CallError>> + Send + 'a>>;

/// The other nodes, as Raft calls them.
pub trait RaftPeers: Send + Sync + 'static {
    /// Carries a message to a node, where [`super::Control::handle_raft`] answers it, and its answer back.
    fn raft(&self, to: NodeId, kind: RaftKind, message: Vec<u8>, deadline: Duration) -> Answer<'_>;
}

impl RaftPeers for rpc::Peers {
    fn raft(&self, to: NodeId, kind: RaftKind, message: Vec<u8>, deadline: Duration) -> Answer<'_> {
        let request = RaftRequest { kind, payload: message.into() };
        Box::pin(async move { Ok(Self::raft(self, to, request, deadline).await?.payload.to_vec()) })
    }
}

/// Makes a [`Line`] to each node.
pub(super) struct Lines {
    pub(super) peers: Arc<dyn RaftPeers>,
    /// How long to wait after a call that came to nothing.
    pub(super) pause: Duration,
}

/// The way to one node.
pub(super) struct Line {
    peers: Arc<dyn RaftPeers>,
    pause: Duration,
    to: u64,
}

impl RaftNetworkFactory<Types> for Lines {
    type Network = Line;

    async fn new_client(&mut self, target: u64, _: &EmptyNode) -> Line {
        Line { peers: Arc::clone(&self.peers), pause: self.pause, to: target }
    }
}

/// Why a call of another node came to nothing.
#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error("the call failed")]
    Call(#[from] CallError),
    #[error("the answer makes no sense")]
    Answer(#[from] WireError),
}

impl Line {
    async fn ask<Q: Serialize, A: DeserializeOwned>(
        &self,
        kind: RaftKind,
        question: &Q,
        option: &RPCOption,
    ) -> Result<A, Unreachable> {
        let call = self.peers.raft(NodeId(self.to), kind, encode(question), option.hard_ttl());
        let answer = async move { Ok::<_, LineError>(decode(&call.await?)?) };
        answer.await.map_err(|error| Unreachable::new(&error))
    }
}

type Failed<E = openraft::error::Infallible> = RPCError<u64, EmptyNode, RaftError<u64, E>>;

impl RaftNetwork<Types> for Line {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Failed> {
        Ok(self.ask(RaftKind::Append, &rpc, &option).await?)
    }

    async fn vote(&mut self, rpc: VoteRequest<u64>, option: RPCOption) -> Result<VoteResponse<u64>, Failed> {
        Ok(self.ask(RaftKind::Vote, &rpc, &option).await?)
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Failed<InstallSnapshotError>> {
        let answer: Result<_, InstallSnapshotError> = self.ask(RaftKind::Snapshot, &rpc, &option).await?;
        answer.map_err(|error| RemoteError::new(self.to, RaftError::APIError(error)).into())
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(self.pause))
    }
}
