//! What a node does when another one calls it.

use super::sink::Sink;
use cluster::{Epoch, NodeId, NodeKey};
use proto::{
    BequeathReply, BequeathRequest, BodiesPage, BodiesRequest, ConfirmReply, ConfirmRequest, ElementsPage,
    ElementsRequest, FetchReply, FetchRequest, GreetReply, GreetRequest, ProposeReply, ProposeRequest, RaftReply,
    RaftRequest, Refusal, Report, ReportRequest, RootsReply, RootsRequest, ScanPage, ScanRequest, StoreReply,
    StoreRequest, TableReply, TableRequest,
};
use std::future::Future;

/// Who calls. That it holds the cluster's key was checked, and that it speaks under its own id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The node.
    pub node: NodeId,
    /// The newest placement table that it knows.
    pub epoch: Epoch,
    /// The key that it showed; nothing where nobody shows keys.
    pub key: Option<NodeKey>,
}

/// Answers the calls of other nodes.
///
/// What arrives here is well-formed, comes from a member of this cluster (a greeting: from whoever holds its key; a bequest: from a node that was
/// removed), is meant
/// for this node, and, on the calls for data, both know the same placement table. Any future may be dropped before its end,
/// when the caller has gone: what must not be left half done is to be given to a task of its own.
pub trait Service: Send + Sync + 'static {
    /// Tries to fetch a placement table as new as the caller's, from members alone: the caller may not be one. Only
    /// a node that knows no member yet asks the caller. What it learns, it tells the [`Credentials`](super::Credentials): the
    /// call is taken if they are in step with the caller then.
    fn catch_up(&self, caller: Caller) -> impl Future<Output = ()> + Send;

    /// Hands a message to Raft.
    fn raft(&self, caller: Caller, request: RaftRequest) -> impl Future<Output = Result<RaftReply, Refusal>> + Send;

    /// Says who this node is. The caller may be this very process.
    fn greet(&self, caller: Caller, request: GreetRequest) -> impl Future<Output = Result<GreetReply, Refusal>> + Send;

    /// Hands out the control state.
    fn table(&self, caller: Caller, request: TableRequest) -> impl Future<Output = Result<TableReply, Refusal>> + Send;

    /// Writes a command to the control plane.
    fn propose(
        &self,
        caller: Caller,
        request: ProposeRequest,
    ) -> impl Future<Output = Result<ProposeReply, Refusal>> + Send;

    /// Says how this node does.
    fn report(&self, caller: Caller, request: ReportRequest) -> impl Future<Output = Result<Report, Refusal>> + Send;

    /// Takes over what a node holds that was removed.
    fn bequeath(
        &self,
        caller: Caller,
        request: BequeathRequest,
    ) -> impl Future<Output = Result<BequeathReply, Refusal>> + Send;

    /// Says which version this node's log was raised to.
    #[cfg(feature = "next")]
    fn raised(
        &self,
        caller: Caller,
        request: proto::RaisedRequest,
    ) -> impl Future<Output = Result<proto::RaisedReply, Refusal>> + Send;

    /// Syncs records, and answers after that, a verdict for each.
    fn store(&self, caller: Caller, request: StoreRequest) -> impl Future<Output = Result<StoreReply, Refusal>> + Send;

    /// Says which ids this node has synced as an owner.
    fn confirm(
        &self,
        caller: Caller,
        request: ConfirmRequest,
    ) -> impl Future<Output = Result<ConfirmReply, Refusal>> + Send;

    /// Hands out records for a reader who waits.
    fn fetch(&self, caller: Caller, request: FetchRequest) -> impl Future<Output = Result<FetchReply, Refusal>> + Send;

    /// Hands out questions with all that is said on each. An `Ok` without [`Sink::end`] is a fault of the service.
    fn scan(
        &self,
        caller: Caller,
        request: ScanRequest,
        pages: Sink<ScanPage>,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Sums homes up to a fence.
    fn roots(&self, caller: Caller, request: RootsRequest) -> impl Future<Output = Result<RootsReply, Refusal>> + Send;

    /// Hands out the elements of a home.
    fn elements(
        &self,
        caller: Caller,
        request: ElementsRequest,
        pages: Sink<ElementsPage>,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Hands out records for a repair.
    fn bodies(
        &self,
        caller: Caller,
        request: BodiesRequest,
        pages: Sink<BodiesPage>,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;
}
