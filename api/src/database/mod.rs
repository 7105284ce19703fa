//! What the HTTP interface needs underneath: a [`Database`].
//!
//! This crate declares it and never implements it, except as a fake in tests. All futures are boxed, so that handlers
//! know a `dyn Database` and are compiled once.

mod change;
mod cluster;
mod read;
mod status;
mod write;

pub use change::{Change, ChangeError, Changed, Moves, NodeName, Share};
pub use cluster::{
    Addresses, Candidate, Cluster, ClusterSettings, Member, NodeFigures, NodeState, NodeView, REPLICATION_FACTORS,
    Shortfall, Speaks, Versions,
};
pub use read::{
    Answer, ClaimView, Consistency, Damaged, Export, ExportPosition, Filter, Page, QueryPlan, Question, ReadError,
    RecordError, Selection, Stored, Target,
};
pub use status::{Compaction, Identity, Observation, Part, Status};
pub use write::{Ack, Durable, EraseError, Erasure, Outcome, Receipt, SubmitError, SubmitTerms};

use model::record::Subject;
use model::{Envelope, RecordId};
use std::future::Future;
use std::num::NonZeroU8;
use std::pin::Pin;
use std::time::Duration;

/// A future that a [`Database`] returns; dropping it gives up on the answer, never on what was already begun.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A node's claims, as the HTTP interface sees them.
///
/// Every method may be called from many requests at once. What a method cannot do now it refuses with an error that
/// says when to try again; it never waits without bound.
pub trait Database: Send + Sync + 'static {
    /// Verifies, stamps and stores a batch of envelopes; one result each, in the same order.
    ///
    /// An `Ok` means that the record is durable on as many nodes as `terms.ack` asks for and visible to queries here
    /// (with `terms.dry_run`: that it would be taken). One envelope that fails never affects another. The same
    /// envelope twice, even in one batch, is one record.
    fn submit(&self, batch: Vec<Envelope>, terms: SubmitTerms) -> Pending<'_, Vec<Result<Receipt, SubmitError>>>;

    /// Answers a query: one page of questions, in ascending order of (subject, predicate), each resolved.
    fn query(&self, plan: QueryPlan) -> Pending<'_, Result<Page, ReadError>>;

    /// The envelope of one record. `subject`, if the caller knows it, says where to look.
    fn record(&self, id: RecordId, subject: Option<Subject>) -> Pending<'_, Result<Stored, RecordError>>;

    /// Up to `limit` (at least 1) envelopes in the order of the log, from just after `after`; erased ones are left out.
    fn export(&self, after: Option<ExportPosition>, limit: usize) -> Pending<'_, Result<Export, ReadError>>;

    /// Removes the body of a record for ever; its id and stamp remain.
    fn erase(&self, id: RecordId) -> Pending<'_, Result<Erasure, EraseError>>;

    /// Rewrites sealed segments without what is no longer needed. Takes as long as it takes.
    fn compact(&self) -> Pending<'_, Result<Compaction, ReadError>>;

    /// Figures for an operator.
    fn status(&self) -> Pending<'_, Result<Status, ReadError>>;

    /// The cluster, as this node has it; nobody is asked.
    fn cluster(&self) -> Pending<'_, Result<Cluster, ReadError>>;

    /// Has the cluster keep each record on so many nodes, one of [`REPLICATION_FACTORS`]. It is decided when this returns;
    /// the placement table and the data follow by themselves.
    fn set_replication_factor(&self, copies: NonZeroU8) -> Pending<'_, Result<(), ReadError>>;

    /// Changes who is in the cluster or what moves in it, or says what that would come to. It is decided when this returns;
    /// the data follows by itself.
    fn change(&self, change: Change, plan_only: bool) -> Pending<'_, Result<Changed, ChangeError>>;

    /// How every node of the cluster is, ascending by name. All are asked at once; who does not answer soon is told
    /// without figures.
    fn nodes(&self) -> Pending<'_, Result<Vec<NodeView>, ReadError>>;

    /// Who this node is. Cheap, never fails.
    fn identity(&self) -> Identity;

    /// Which versions of formats and protocol it speaks, and which one it goes by. Cheap, never fails.
    fn versions(&self) -> Versions;

    /// Everything that must hold before the node should get traffic, each part by name. Cheap.
    fn readiness(&self) -> Vec<Part>;

    /// All metrics in Prometheus' text format, version 0.0.4.
    fn metrics(&self) -> String;

    /// Monotonic time since some fixed moment: with it requests are timed, since this crate has no clock.
    fn monotonic(&self) -> Duration;

    /// Counts something that the HTTP interface saw.
    fn observe(&self, observation: Observation<'_>);
}
