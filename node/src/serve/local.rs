//! This node's own store, as the tasks of the node use it: verified through the gate, changed by the writer, read in lanes.
//!
//! It knows no other node. Every call waits until the work is done, or the node stops.

use super::damaged::Damaged;
use super::gate::{Passed, Submission, Then, Verdicts};
use super::lanes::Lanes;
pub(crate) use super::state::ClockWord;
use super::state::NodeState;
use super::writer::{Job, WriterQueue};
use crate::metrics::Metrics;
use crate::world::Broken;
use ::cluster::Epoch;
use ::cluster::control::State;
use api::database::{SubmitError, SubmitTerms};
use model::set::SetSum;
use model::{Envelope, Home, RecordId, Stamp};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use storage::store::{Incoming, Merged, Reader, StampError, Stamper};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

/// How often a stamp is tried for, each time with a higher ceiling; more than one try is a race with other writes.
const STAMP_ATTEMPTS_MAX: usize = 16;

/// The right to have records on their way to disks. Dropped, it makes room for others.
pub(crate) type Permit = OwnedSemaphorePermit;

/// A handle on this node's store. Clones are the same store.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(super) reader: Reader,
    pub(super) gate: mpsc::Sender<Submission>,
    /// A permit for each record that is on its way to a disk; a batch of more than all of them takes all.
    pub(super) queued: Arc<Semaphore>,
    pub(super) queued_max: usize,
    pub(super) writer: WriterQueue,
    pub(super) lanes: Lanes,
    pub(super) stamper: Stamper,
    pub(super) state: Arc<NodeState>,
}

impl Local {
    /// Waits for room for so many records.
    pub(crate) async fn permit(&self, records: usize) -> Result<Permit, SubmitError> {
        let weight = u32::try_from(records.min(self.queued_max)).unwrap_or(u32::MAX);
        Arc::clone(&self.queued).acquire_many_owned(weight).await.or(Err(stopping()))
    }

    /// Verifies, stamps and stores envelopes on this node alone.
    pub(crate) async fn write(&self, envelopes: Vec<Envelope>, terms: SubmitTerms) -> Result<Verdicts, SubmitError> {
        let _permit = self.permit(envelopes.len()).await?;
        let (reply, verdicts) = oneshot::channel();
        self.pass(envelopes, Then::Write { terms, reply }).await?;
        verdicts.await.or(Err(stopping()))
    }

    /// Verifies envelopes and stores nothing.
    pub(crate) async fn verify(&self, envelopes: Vec<Envelope>) -> Result<Passed, SubmitError> {
        let (reply, passed) = oneshot::channel();
        self.pass(envelopes, Then::Return(reply)).await?;
        passed.await.or(Err(stopping()))
    }

    /// Stores records under the stamps that they have. One answer each, in their order, once all are durable.
    pub(crate) async fn merge(&self, incoming: Vec<Incoming>) -> Result<Vec<Merged>, SubmitError> {
        let (reply, merged) = oneshot::channel();
        self.send(Job::Merge { incoming, reply }).await?;
        merged.await.or(Err(stopping()))?
    }

    /// Forgets hints, durably.
    pub(crate) async fn discharge(&self, hints: Vec<(Home, RecordId)>) -> Result<(), SubmitError> {
        let (reply, done) = oneshot::channel();
        self.send(Job::Discharge { hints, reply }).await?;
        done.await.or(Err(stopping()))?
    }

    /// Gives up what this node holds of a home as an owner, durably, if that has exactly this sum and `newest` has the table
    /// of `epoch` while it is done. Returns whether it is given up.
    pub(crate) async fn drop_home(
        &self,
        home: Home,
        held: SetSum,
        epoch: Epoch,
        newest: watch::Receiver<Arc<State>>,
    ) -> Result<bool, SubmitError> {
        let (reply, done) = oneshot::channel();
        self.send(Job::DropHome { home, held, epoch, newest, reply }).await?;
        done.await.or(Err(stopping()))?
    }

    /// Lets [`Reader::close`] go up to `until`. What is not done now is asked for again.
    pub(crate) async fn raise_ceiling(&self, until: Stamp) {
        let (reply, done) = oneshot::channel();
        if self.send(Job::RaiseCeiling { until, reply }).await.is_ok() {
            done.await.ok(); // the node stops
        }
    }

    /// Raises the log to a version of the formats, durably; to ask again is harmless.
    pub(crate) async fn raise_version(&self, version: u16) -> Result<(), SubmitError> {
        let (reply, done) = oneshot::channel();
        self.send(Job::RaiseVersion { version, reply }).await?;
        done.await.or(Err(stopping()))?
    }

    /// As many stamps as asked for, ascending.
    pub(crate) async fn stamps(&self, count: usize) -> Result<Vec<Stamp>, SubmitError> {
        let mut stamps = Vec::with_capacity(count);
        for _ in 0..count {
            stamps.push(self.stamp().await?);
        }
        Ok(stamps)
    }

    async fn stamp(&self) -> Result<Stamp, SubmitError> {
        for _ in 0..STAMP_ATTEMPTS_MAX {
            if let Some(trouble) = self.state.clock_trouble().or_else(|| self.clock_unheard()) {
                return Err(SubmitError::NotReady { what: format!("clock: {trouble}") });
            }
            match self.stamper.stamp(self.state.clock.wall_ms()) {
                Ok(stamp) => return Ok(stamp),
                Err(StampError::NeedsCeiling) => {
                    let (reply, done) = oneshot::channel();
                    self.send(Job::Reserve { reply }).await?;
                    done.await.or(Err(stopping()))??;
                }
                Err(StampError::Clock(error)) => return Err(SubmitError::NotReady { what: format!("clock: {error}") }),
            }
        }
        Err(SubmitError::Overloaded)
    }

    /// The greatest stamp that this node gave or took over.
    pub(crate) fn last_stamp(&self) -> Stamp {
        self.stamper.last()
    }

    /// Notes what others say of this node's clock; a node alone has nobody to say so.
    pub(crate) fn note_clock_word(&self, word: ClockWord) {
        let before = self.state.set_clock_word(word);
        if before != word {
            tracing::info!(?word, "what others say of this machine's clock");
        }
    }

    /// Why nothing is stamped though the clock seems in order: others have found it wrong last, or nobody has spoken yet.
    pub(crate) fn clock_unheard(&self) -> Option<String> {
        let why = match self.state.clock_word() {
            ClockWord::Right => return None,
            ClockWord::Unheard => "no other node has found it right since this one started",
            ClockWord::Wrong => "most other nodes were too far from it; set this machine's clock",
        };
        Some(why.to_owned())
    }

    /// Runs a read in a free lane.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> T + Send + 'static,
    ) -> Result<T, Broken> {
        self.read_until(|reader, _| read(reader)).await
    }

    /// The same; it is told when nobody waits for it any more.
    pub(crate) async fn read_until<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader, &AtomicBool) -> T + Send + 'static,
    ) -> Result<T, Broken> {
        let reader = self.reader.clone();
        self.lanes.run(move |abandoned| read(&reader, abandoned)).await
    }

    /// Stops the node: what it kept can no longer be told.
    pub(crate) fn stop_for_good(&self, error: &dyn std::error::Error) {
        self.state.stop_for_good(super::chain(error));
    }

    /// The records that cannot be read.
    pub(crate) fn damaged(&self) -> &Damaged {
        &self.state.damaged
    }

    /// Where the node counts.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.state.metrics
    }

    /// Counts assertions that are new to the cluster.
    pub(crate) fn count_created(&self, assertions: u64) {
        self.state.metrics.assertions.inc_by(assertions);
    }

    /// What needs no disk, or next to none.
    pub(crate) fn reader(&self) -> &Reader {
        &self.reader
    }

    async fn pass(&self, envelopes: Vec<Envelope>, then: Then) -> Result<(), SubmitError> {
        self.gate.send(Submission { envelopes, then }).await.or(Err(stopping()))
    }

    async fn send(&self, job: Job) -> Result<(), SubmitError> {
        self.writer.send(job).await.or(Err(stopping()))
    }
}

/// What is told to a writer when the node is on its way out.
pub(crate) fn stopping() -> SubmitError {
    SubmitError::NotReady { what: "the node is stopping".to_owned() }
}
