//! A database that keeps envelopes in memory and answers queries with what the test hands it.

use api::Database;
use api::database::*;
use model::acceptance::accept;
use model::record::Subject;
use model::{Body, Envelope, RecordId, Stamp};
use std::collections::BTreeMap;
use std::num::NonZeroU8;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What the tests set and look at.
pub(crate) struct Fake {
    pub(crate) records: Mutex<BTreeMap<RecordId, Envelope>>,
    pub(crate) erased: Mutex<Vec<RecordId>>,
    /// Answers to queries; none: the handler panics, as a faulty one would.
    pub(crate) page: Mutex<Option<Result<Page, ReadError>>>,
    pub(crate) plans: Mutex<Vec<QueryPlan>>,
    pub(crate) refuse_writes: Mutex<Option<SubmitError>>,
    pub(crate) batches: Mutex<Vec<usize>>,
    pub(crate) requests: Mutex<Vec<(String, u16)>>,
    pub(crate) parts: Mutex<Vec<Part>>,
    /// The figures of this node; none: it is not ready to tell.
    pub(crate) status: Mutex<Option<Status>>,
    pub(crate) cluster: Mutex<Cluster>,
    pub(crate) nodes: Mutex<Result<Vec<NodeView>, ReadError>>,
    /// How many copies each batch was to have.
    pub(crate) acks: Mutex<Vec<Ack>>,
    /// A write waits for a permit.
    pub(crate) gate: Semaphore,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            records: Mutex::default(),
            erased: Mutex::default(),
            page: Mutex::default(),
            plans: Mutex::default(),
            refuse_writes: Mutex::default(),
            batches: Mutex::default(),
            requests: Mutex::default(),
            parts: Mutex::new(vec![Part { name: "log".into(), ok: true, detail: "open".into() }]),
            status: Mutex::default(),
            cluster: Mutex::default(),
            nodes: Mutex::new(Ok(Vec::new())),
            acks: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        }
    }
}

const RECEIVED_AT: u64 = 1_785_000_000_000;

impl Fake {
    fn take(&self, envelope: Envelope, dry_run: bool) -> Result<Receipt, SubmitError> {
        let record = accept(envelope)?;
        let mut records = self.records.lock().unwrap();
        if self.erased.lock().unwrap().contains(&record.id()) {
            return Err(SubmitError::Erased);
        }
        if let Some(error) = self.refuse_writes.lock().unwrap().clone() {
            return Err(error);
        }
        let durable = Durable { copies: 1, received_at: Stamp::new(RECEIVED_AT, 0).unwrap() };
        let target_known = match record.body() {
            Body::Vote(vote) => Some(records.contains_key(&vote.target)),
            Body::Assertion(_) | Body::Alias(_) | Body::Opaque(_) => None,
        };
        let outcome = match (records.contains_key(&record.id()), dry_run) {
            (true, _) => Outcome::Exists(durable),
            (false, true) => Outcome::WouldCreate,
            (false, false) => Outcome::Created(durable),
        };
        let id = record.id();
        if !dry_run {
            records.insert(id, record.into_envelope());
        }
        Ok(Receipt { id, outcome, target_known })
    }
}

impl Database for Fake {
    fn submit(&self, batch: Vec<Envelope>, terms: SubmitTerms) -> Pending<'_, Vec<Result<Receipt, SubmitError>>> {
        Box::pin(async move {
            self.gate.acquire().await.unwrap().forget();
            self.batches.lock().unwrap().push(batch.len());
            self.acks.lock().unwrap().push(terms.ack);
            batch.into_iter().map(|envelope| self.take(envelope, terms.dry_run)).collect()
        })
    }

    fn query(&self, plan: QueryPlan) -> Pending<'_, Result<Page, ReadError>> {
        self.plans.lock().unwrap().push(plan);
        let page = self.page.lock().unwrap().clone();
        Box::pin(async move { page.expect("no page was handed to the fake") })
    }

    fn record(&self, id: RecordId, _: Option<Subject>) -> Pending<'_, Result<Stored, RecordError>> {
        Box::pin(async move {
            if self.erased.lock().unwrap().contains(&id) {
                return Err(RecordError::Erased);
            }
            let envelope = self.records.lock().unwrap().get(&id).cloned().ok_or(RecordError::NotFound)?;
            Ok(Stored { envelope, received_at: Stamp::new(RECEIVED_AT, 0).unwrap(), target: None })
        })
    }

    fn export(&self, after: Option<ExportPosition>, limit: usize) -> Pending<'_, Result<Export, ReadError>> {
        Box::pin(async move {
            let records = self.records.lock().unwrap();
            let start = after.map_or(0, |after| usize::try_from(after.0).unwrap());
            // A stretch may be shorter than asked for: one record each shows that all are followed.
            let envelopes: Vec<_> = records.values().skip(start).take(limit.min(1)).cloned().collect();
            let end = start + envelopes.len();
            let next = (end < records.len()).then(|| ExportPosition(u64::try_from(end).unwrap()));
            Ok(Export { envelopes, next, damaged: 0 })
        })
    }

    fn erase(&self, id: RecordId) -> Pending<'_, Result<Erasure, EraseError>> {
        Box::pin(async move {
            if self.erased.lock().unwrap().contains(&id) {
                return Ok(Erasure::AlreadyErased);
            }
            self.records.lock().unwrap().remove(&id).ok_or(EraseError::NotFound)?;
            self.erased.lock().unwrap().push(id);
            Ok(Erasure::Erased)
        })
    }

    fn compact(&self) -> Pending<'_, Result<Compaction, ReadError>> {
        Box::pin(async { Ok(Compaction { segments: 1, bytes_before: 2, bytes_after: 1 }) })
    }

    fn status(&self) -> Pending<'_, Result<Status, ReadError>> {
        let status = self.status.lock().unwrap().clone();
        Box::pin(async { status.ok_or_else(|| ReadError::NotReady { what: "index: rebuilding".into() }) })
    }

    fn cluster(&self) -> Pending<'_, Result<Cluster, ReadError>> {
        Box::pin(async { Ok(self.cluster.lock().unwrap().clone()) })
    }

    fn set_replication_factor(&self, copies: NonZeroU8) -> Pending<'_, Result<(), ReadError>> {
        self.cluster.lock().unwrap().settings.replication_factor = copies.get();
        Box::pin(async { Ok(()) })
    }

    fn change(&self, change: Change, plan_only: bool) -> Pending<'_, Result<Changed, ChangeError>> {
        let answer = match change {
            Change::Join(node) => Err(ChangeError::Unheard(node)),
            Change::Activate(version) => {
                Ok(Changed { is_made: !plan_only, homes_to_move: 0, active_version: version, nodes: Vec::new() })
            }
            Change::Remove(_) => Err(ChangeError::Refused("nobody else has it".into())),
            Change::Drain(_) | Change::Keep(_) | Change::Replace { .. } | Change::Pause | Change::Resume => {
                Ok(Changed { is_made: !plan_only, homes_to_move: 3, active_version: 1, nodes: Vec::new() })
            }
        };
        Box::pin(async { answer })
    }

    fn nodes(&self) -> Pending<'_, Result<Vec<NodeView>, ReadError>> {
        Box::pin(async { self.nodes.lock().unwrap().clone() })
    }

    fn identity(&self) -> Identity {
        Identity { version: "0.1.0".into(), node_id: "fake".into() }
    }

    fn versions(&self) -> Versions {
        Versions { speaks: Speaks { min: 1, max: 1 }, active: Some(1) }
    }

    fn readiness(&self) -> Vec<Part> {
        self.parts.lock().unwrap().clone()
    }

    fn metrics(&self) -> String {
        "stemedb_assertions_total 0\n".into()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn observe(&self, observation: Observation<'_>) {
        if let Observation::Request { route, status, .. } = observation {
            self.requests.lock().unwrap().push((route.to_owned(), status));
        }
    }
}
