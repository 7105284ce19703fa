//! The database that the HTTP interface asks: the cluster for claims, this node's own store for what is its own.
//!
//! It holds no rule of its own.

use super::lanes::Lanes;
use super::local::stopping;
use super::state::NodeState;
use super::writer::{Job, WriterQueue};
use crate::cluster::{Cluster, told};
use api::database::{
    Change, ChangeError, Changed, Compaction, Database, EraseError, Erasure, Export, ExportPosition, Identity,
    NodeView, Observation, Page, Part, Pending, QueryPlan, ReadError, Receipt, RecordError, Speaks, Status, Stored,
    SubmitError, SubmitTerms, Versions,
};
use model::record::Subject;
use model::{Envelope, RecordId};
use std::error::Error;
use std::num::NonZeroU8;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use storage::disk::Disk;
use storage::log::Position;
use storage::store::{Maintenance, Reader, State};
use tokio::sync::oneshot;

/// A node's claims.
#[derive(Debug)]
pub(super) struct LocalDatabase {
    pub(super) identity: Identity,
    pub(super) engine: &'static str,
    pub(super) cluster: Arc<Cluster>,
    pub(super) reader: Reader,
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
            // A write answers by its deadline; what stands in the way of even that, a stuck disk for one, is cut off here.
            let patience = self.0.write_deadline + self.0.cluster.settings.owner_deadline;
            let submitted = tokio::time::timeout(patience, self.0.cluster.submit(envelopes, terms)).await;
            self.0.state.metrics.write(terms.ack, self.monotonic().saturating_sub(begun));
            submitted.unwrap_or_else(|_| vec![Err(late()); count])
        })
    }

    fn query(&self, plan: QueryPlan) -> Pending<'_, Result<Page, ReadError>> {
        Box::pin(async move {
            let page = self.0.cluster.query(plan).await?;
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

    fn record(&self, id: RecordId, subject: Option<Subject>) -> Pending<'_, Result<Stored, RecordError>> {
        Box::pin(async move { self.0.cluster.record(id, subject).await })
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
            if !self.0.cluster.is_alone() {
                let what = "erasure: in a cluster of several nodes this release cannot erase".to_owned();
                return Err(EraseError::Submit(SubmitError::NotReady { what }));
            }
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

    fn cluster(&self) -> Pending<'_, Result<api::database::Cluster, ReadError>> {
        Box::pin(async { Ok(self.0.cluster.described()) })
    }

    fn set_replication_factor(&self, copies: NonZeroU8) -> Pending<'_, Result<(), ReadError>> {
        Box::pin(self.0.cluster.set_replication_factor(copies))
    }

    fn change(&self, change: Change, plan_only: bool) -> Pending<'_, Result<Changed, ChangeError>> {
        Box::pin(self.0.cluster.change(change, plan_only))
    }

    fn nodes(&self) -> Pending<'_, Result<Vec<NodeView>, ReadError>> {
        Box::pin(async { Ok(self.0.cluster.nodes().await) })
    }

    fn identity(&self) -> Identity {
        self.0.identity.clone()
    }

    fn versions(&self) -> Versions {
        let speaks = self.0.cluster.speaks;
        Versions {
            speaks: Speaks { min: speaks.min.0, max: speaks.max.0 },
            active: self.0.cluster.version().map(|version| version.0),
        }
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
            part("clock", self.state.clock_trouble().or_else(|| self.cluster.clock_trouble()), "ok"),
            part("cluster", self.cluster.trouble(), "ok"),
        ]
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

/// What is told to a writer whose records were not synced in time. Some of them may be.
fn late() -> SubmitError {
    SubmitError::Unavailable { durable: 0, wanted: 1, who: "the disk of this node".to_owned(), retry_after_s: 1 }
}
