//! The database of a one-node cluster: what the HTTP interface asks, answered from the store.
//!
//! It sends writes through the gate to the writer, and runs reads in the lanes. It holds no rule of its own.

use super::gate::Submission;
use super::lanes::Lanes;
use super::query::{self, QueryError};
use super::state::NodeState;
use super::writer::{Job, WriterQueue};
use api::database::{
    Addresses, Cluster, ClusterSettings, Compaction, Database, EraseError, Erasure, Export, ExportPosition, Identity,
    Member, NodeFigures, NodeView, Observation, Page, Part, Pending, QueryPlan, ReadError, Receipt, RecordError,
    Shortfall, Status, Stored, SubmitError, SubmitTerms, Target,
};
use model::record::Subject;
use model::{Body, Envelope, Home, RecordId, Vote};
use std::error::Error;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use storage::disk::Disk;
use storage::log::Position;
use storage::store::{self, Lookup, Maintenance, Reader, State};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// After how many seconds a client may try again when the node could not answer in time.
const RETRY_AFTER_S: u32 = 1;

/// A node's claims.
#[derive(Debug)]
pub(super) struct LocalDatabase {
    pub(super) identity: Identity,
    pub(super) engine: &'static str,
    pub(super) reader: Reader,
    pub(super) gate: mpsc::Sender<Submission>,
    /// A permit for each record that is on its way to the disk; a batch of more than all of them takes all.
    pub(super) queued: Semaphore,
    pub(super) queued_max: usize,
    pub(super) writer: WriterQueue,
    pub(super) maintenance: Mutex<Maintenance>,
    pub(super) lanes: Lanes,
    /// One lane, apart from those of clients.
    pub(super) compactions: Lanes,
    pub(super) state: Arc<NodeState>,
    pub(super) write_deadline: Duration,
    pub(super) started: Duration,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) wal_dir: PathBuf,
    pub(super) db_dir: PathBuf,
}

/// A database that is shared with the reads it has under way.
#[derive(Debug, Clone)]
pub(super) struct Shared(pub(super) Arc<LocalDatabase>);

impl Database for Shared {
    fn submit(&self, envelopes: Vec<Envelope>, terms: SubmitTerms) -> Pending<'_, Vec<Result<Receipt, SubmitError>>> {
        Box::pin(async move {
            let (count, begun) = (envelopes.len(), self.monotonic());
            let submitted = tokio::time::timeout(self.0.write_deadline, self.0.submit(envelopes, terms)).await;
            let verdicts = submitted.unwrap_or(Err(late()));
            self.0.state.metrics.write(terms.ack, self.monotonic().saturating_sub(begun));
            verdicts.unwrap_or_else(|error| vec![Err(error); count])
        })
    }

    fn query(&self, plan: QueryPlan) -> Pending<'_, Result<Page, ReadError>> {
        self.read_until(&self.0.lanes, move |database, abandoned| {
            let now = database.state.clock.wall_ms();
            let page = query::answer(&database.reader, &plan, now, abandoned).map_err(|error| match error {
                QueryError::Read(error) => told(&error),
                QueryError::Abandoned => ReadError::Overloaded,
            })?;
            match page.damaged.first() {
                Some(damaged) if page.answers.is_empty() && page.next.is_none() => Err(ReadError::NotReady {
                    what: format!(
                        "a claim on {} {} is damaged on disk at {}; send it again to mend it",
                        damaged.question.subject, damaged.question.predicate, damaged.position
                    ),
                }),
                _ => Ok(page),
            }
        })
    }

    fn record(&self, id: RecordId, _subject: Option<Subject>) -> Pending<'_, Result<Stored, RecordError>> {
        let read = self.read(move |database| match database.reader.get(&id).map_err(|error| told(&error))? {
            Lookup::Found(record) => {
                let envelope = record.to_envelope().ok_or(ReadError::Fault)?;
                let target = match envelope.body() {
                    Body::Vote(vote) => Some(database.target(vote).map_err(|error| told(&error))?),
                    Body::Assertion(_) | Body::Alias(_) | Body::Opaque(_) => None,
                };
                Ok(Ok(Stored { envelope, received_at: record.stamp(), target }))
            }
            Lookup::Erased(_) => Ok(Err(RecordError::Erased)),
            Lookup::Absent => Ok(Err(RecordError::NotFound)),
            Lookup::Damaged(position) => Err(ReadError::NotReady {
                what: format!("the record is damaged on disk at {position}; send it again to mend it"),
            }),
        });
        Box::pin(async move { read.await? })
    }

    fn export(&self, after: Option<ExportPosition>, limit: usize) -> Pending<'_, Result<Export, ReadError>> {
        self.read(move |database| {
            let from = after.map_or(Position::START, |ExportPosition(bits)| Position::from_bits(bits));
            let mut envelopes = Vec::new();
            let mut failed = false;
            let exported = database.reader.export(from, &mut |record| {
                match record.to_envelope() {
                    Some(envelope) => envelopes.push(envelope),
                    None => failed = true,
                }
                if failed || envelopes.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            let exported = exported.map_err(|error| told(&error))?;
            for damage in &exported.damages {
                tracing::error!(%damage, "a damaged stretch of the log is missing from an export");
            }
            if failed {
                return Err(ReadError::Fault);
            }
            let next = (envelopes.len() == limit).then(|| ExportPosition(exported.next.to_bits()));
            Ok(Export { envelopes, next, damaged: exported.damages.len() })
        })
    }

    fn erase(&self, id: RecordId) -> Pending<'_, Result<Erasure, EraseError>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let stopping = |_| EraseError::Submit(stopping());
            self.0.writer.send(Job::Erase { id, reply }).await.map_err(|error| stopping(error.to_string()))?;
            answer.await.map_err(|error| stopping(error.to_string()))?
        })
    }

    fn compact(&self) -> Pending<'_, Result<Compaction, ReadError>> {
        Box::pin(async move {
            let (reply, rolled) = oneshot::channel();
            let not_ready = || ReadError::NotReady { what: "the log: it is stopping".to_owned() };
            self.0.writer.send(Job::Roll { reply }).await.or(Err(not_ready()))?;
            rolled.await.or(Err(not_ready()))?;
            self.read_until(&self.0.compactions, |database, _| database.compact()).await
        })
    }

    fn status(&self) -> Pending<'_, Result<Status, ReadError>> {
        self.read(|database| Ok(database.status()))
    }

    fn cluster(&self) -> Pending<'_, Result<Cluster, ReadError>> {
        Box::pin(async { Ok(self.0.cluster()) })
    }

    fn nodes(&self) -> Pending<'_, Result<Vec<NodeView>, ReadError>> {
        Box::pin(async { Ok(vec![self.0.node()]) })
    }

    fn identity(&self) -> Identity {
        self.0.identity.clone()
    }

    fn readiness(&self) -> Vec<Part> {
        self.0.readiness()
    }

    fn metrics(&self) -> String {
        self.0.state.metrics.ready.set(i64::from(self.0.readiness().iter().all(|part| part.ok)));
        self.0.state.metrics.text()
    }

    fn monotonic(&self) -> Duration {
        self.0.state.clock.monotonic()
    }

    fn observe(&self, observation: Observation<'_>) {
        self.0.state.metrics.observe(observation);
    }
}

impl Shared {
    /// Runs a short read in a lane.
    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&LocalDatabase) -> Result<T, ReadError> + Send + 'static,
    ) -> Pending<'_, Result<T, ReadError>> {
        self.read_until(&self.0.lanes, |database, _| read(database))
    }

    /// Runs work in a lane; it is told when nobody waits for it any more.
    fn read_until<'a, T: Send + 'static>(
        &self,
        lanes: &'a Lanes,
        read: impl FnOnce(&LocalDatabase, &AtomicBool) -> Result<T, ReadError> + Send + 'static,
    ) -> Pending<'a, Result<T, ReadError>> {
        let database = Arc::clone(&self.0);
        let run = lanes.run(move |abandoned| read(&database, abandoned));
        Box::pin(async move { run.await.unwrap_or(Err(ReadError::Fault)) })
    }
}

impl LocalDatabase {
    async fn submit(
        &self,
        envelopes: Vec<Envelope>,
        terms: SubmitTerms,
    ) -> Result<Vec<Result<Receipt, SubmitError>>, SubmitError> {
        let (reply, verdicts) = oneshot::channel();
        let weight = u32::try_from(envelopes.len().min(self.queued_max)).unwrap_or(u32::MAX);
        let _permit = self.queued.acquire_many(weight).await.or(Err(stopping()))?;
        self.gate.send(Submission { envelopes, terms, reply }).await.or(Err(stopping()))?;
        verdicts.await.or(Err(stopping()))
    }

    /// What is known here of the target of a vote.
    fn target(&self, vote: &Vote) -> Result<Target, store::ReadError> {
        Ok(match self.reader.get(&vote.target)? {
            Lookup::Absent => Target::Unknown,
            Lookup::Erased(_) => Target::Erased,
            Lookup::Found(target) if target.home() != Home::of(&vote.subject) => Target::Misrouted,
            Lookup::Found(_) | Lookup::Damaged(_) => Target::Known,
        })
    }

    /// Compacts until no segment is due.
    fn compact(&self) -> Result<Compaction, ReadError> {
        let mut maintenance = self.maintenance.lock().unwrap_or_else(PoisonError::into_inner);
        let mut done = Compaction { segments: 0, bytes_before: 0, bytes_after: 0 };
        loop {
            match maintenance.compact() {
                Ok(Some(compacted)) => {
                    done.segments += 1;
                    done.bytes_before += compacted.bytes_before;
                    done.bytes_after += compacted.bytes_after;
                }
                Ok(None) => return Ok(done),
                Err(error) => {
                    tracing::error!(error = &error as &dyn Error, "compaction ended early");
                    return Err(ReadError::NotReady { what: format!("the log: {error}") });
                }
            }
        }
    }

    fn readiness(&self) -> Vec<Part> {
        let part = |name: &str, trouble: Option<String>, well: &str| Part {
            name: name.to_owned(),
            ok: trouble.is_none(),
            detail: trouble.unwrap_or_else(|| well.to_owned()),
        };
        let comparing = "ok; being compared with the log since the last stop was not clean";
        let well = if self.reader.checking() { comparing } else { "ok" };
        let index = match self.reader.state() {
            State::Ready => None,
            State::Rebuilding { progress, .. } => Some(format!("rebuilding from the log, {progress}")),
            State::Closed => Some("closed; the node is stopping".to_owned()),
        };
        vec![
            part("log", self.state.fatal(), "ok"),
            part("index", index, well),
            part("clock", self.state.clock_trouble(), "ok"),
        ]
    }

    /// A cluster of one, led by itself.
    fn cluster(&self) -> Cluster {
        Cluster {
            leader: Some(self.identity.node_id.clone()),
            members: vec![self.member()],
            settings: ClusterSettings { replication_factor: 1 },
            ..Cluster::default()
        }
    }

    fn member(&self) -> Member {
        let node_id = self.identity.node_id.clone();
        Member { node_id, addresses: Addresses::default(), zone: None, homes: Home::COUNT }
    }

    fn node(&self) -> NodeView {
        let figures = NodeFigures {
            version: self.identity.version.clone(),
            replication_lag_ms: 0,
            hints_pending: 0,
            under_replicated: Shortfall::NONE,
        };
        NodeView { member: self.member(), state: api::database::NodeState::Alive, figures: Some(figures) }
    }

    fn status(&self) -> Status {
        let counts = self.reader.counts();
        let mut parts = self.readiness();
        let full = self.state.disk_full();
        let detail = if full { "full: writes are refused, reads go on" } else { "ok" };
        parts.push(Part { name: "disk".to_owned(), ok: !full, detail: detail.to_owned() });
        Status {
            version: self.identity.version.clone(),
            node_id: self.identity.node_id.clone(),
            parts,
            index_engine: self.engine.to_owned(),
            records: counts.records(),
            erased: counts.erased,
            damaged: u64::try_from(self.state.metrics.scrub_damaged.get()).unwrap_or(0),
            segments: u64::from(self.reader.applied().segment),
            log_bytes: self.disk.used_bytes(&self.wal_dir).unwrap_or(0),
            index_bytes: self.disk.used_bytes(&self.db_dir).unwrap_or(0),
            uptime_s: self.state.clock.monotonic().saturating_sub(self.started).as_secs(),
        }
    }
}

/// What is told to a writer when the node is on its way out.
fn stopping() -> SubmitError {
    SubmitError::NotReady { what: "the node is stopping".to_owned() }
}

/// What is told to a writer whose records were not synced in time. Some of them may be.
fn late() -> SubmitError {
    SubmitError::Unavailable {
        durable: 0,
        wanted: 1,
        who: "the disk of this node".to_owned(),
        retry_after_s: RETRY_AFTER_S,
    }
}

/// What a client is told of a read that failed; the whole story goes to the log.
fn told(error: &store::ReadError) -> ReadError {
    match error {
        store::ReadError::Rebuilding(progress) => {
            ReadError::NotReady { what: format!("index: rebuilding from the log, {progress}") }
        }
        store::ReadError::Closed => ReadError::NotReady { what: "the node is stopping".to_owned() },
        store::ReadError::TooMany(max) => ReadError::TooManyClaims { max: *max },
        store::ReadError::TooLarge(bytes_max) => ReadError::TooLarge { bytes_max: *bytes_max },
        store::ReadError::Index(_) | store::ReadError::Log(_) | store::ReadError::Archive(_) => {
            tracing::error!(error = error as &dyn Error, "a read failed");
            ReadError::NotReady { what: error.to_string() }
        }
    }
}
