//! Asking one node, this one or another, in the same words.
//!
//! It decides nothing: whom to ask, and what a failure leads to, is up to the caller.

use super::parcel::{self, Parcel};
use super::scan::{self, Found, Held, SCAN_BYTES_MAX, Scanned};
use super::{Cluster, told};
use crate::rpc::{CallError, Scanned as Next};
use ::cluster::{Epoch, NodeId};
use api::database::{Question, ReadError};
use model::{RecordId, Stamp};
use proto::{FetchRequest, ScanEnd, ScanRequest, State, StoreRequest, Verdict};

use std::time::Duration;
use storage::store::{Lookup, Merged};
use storage::stored::StoredRecord;

/// Why a node did not answer a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AskError {
    /// The call came to nothing.
    Call(CallError),
    /// This node's own store did not answer.
    Own(ReadError),
}

impl AskError {
    /// What the client is told when nobody else can be asked.
    pub(crate) fn told(self, who: NodeId) -> ReadError {
        match self {
            Self::Own(error) => error,
            Self::Call(why) => ReadError::Unavailable { who: format!("node {who} ({why})"), retry_after_s: 1 },
        }
    }
}

/// What a node scanned.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) scanned: Scanned,
    /// How long ago the node met another owner of what it answered for, in milliseconds; none if not since its start, or if
    /// it did not come to say so.
    pub(crate) fence_age_ms: Option<u64>,
    /// Up to when nothing changes any more of what the node answered for, if it knows.
    pub(crate) stable_at: Option<Stamp>,
}

impl Cluster {
    /// Has a node store a parcel that was routed by the table of `epoch`.
    pub(crate) async fn store_at(
        &self,
        (node, role): (NodeId, proto::Role),
        epoch: Epoch,
        parcel: &Parcel,
        deadline: Duration,
    ) -> Result<Vec<Verdict>, CallError> {
        if node != self.me {
            return self.peers.store(node, role, epoch, parcel.wire(), deadline).await.map(|stored| stored.verdicts);
        }
        let _under_way = self.must_go_by(epoch).map_err(own_refusal)?;
        self.must_take(role).map_err(own_refusal)?;
        if role == proto::Role::Owned {
            self.changed(parcel.records().iter().map(|stamped| stamped.record.home()));
        }
        let merged = self.local.merge(parcel.incoming(role)).await;
        let merged = merged.map_err(|error| CallError::Refused(error.to_string()))?;
        Ok(merged.into_iter().map(verdict).collect())
    }

    /// Has a node scan.
    pub(crate) async fn scan_at(&self, node: NodeId, request: ScanRequest) -> Result<Answer, AskError> {
        if node == self.me {
            let fence_age_ms = self.fence_age_ms(&request.homes);
            let stable_at = self.stable_at(&request.homes);
            let scanned = self.local.read_until(move |reader, abandoned| scan::scan(reader, &request, abandoned)).await;
            let scanned = scanned.or(Err(AskError::Own(ReadError::Fault)))?;
            let scanned = scanned.map_err(|error| AskError::Own(error.told()))?;
            return Ok(Answer { scanned, fence_age_ms, stable_at });
        }
        let answer = self.scan_there(node, request).await.map_err(AskError::Call)?;
        self.note_met(node, answer.fence_age_ms.is_some());
        Ok(answer)
    }

    async fn scan_there(&self, node: NodeId, request: ScanRequest) -> Result<Answer, CallError> {
        let (mut scanned, mut bytes_left, mut last) = (Scanned::default(), SCAN_BYTES_MAX, request.after.clone());
        let mut questions = self.peers.scan(node, request, self.settings.read_deadline).await?;
        loop {
            match questions.next(usize::try_from(bytes_left).unwrap_or(usize::MAX)).await? {
                Next::Question { question, records, damaged } => {
                    last = Some(question.clone());
                    let claims = records.iter().map(|held| {
                        let record = parcel::from_wire(&held.record)?;
                        Ok(Held { record, hint: held.hint })
                    });
                    let claims = claims.collect::<Result<Vec<_>, parcel::NoRecord>>();
                    let claims = claims.map_err(|error| CallError::Malformed(error.to_string()))?;
                    let question = Question { subject: question.subject, predicate: question.predicate };
                    let found = Found { question, claims, damaged };
                    bytes_left = bytes_left.saturating_sub(found.bytes());
                    // A question of which nothing is known says only how far the node looked.
                    if !found.claims.is_empty() || found.damaged.is_some() {
                        scanned.found.push(found);
                    }
                }
                Next::TooLarge(_) => {
                    scanned.looked_to =
                        last.map(|question| Question { subject: question.subject, predicate: question.predicate });
                    return Ok(Answer { scanned, fence_age_ms: None, stable_at: None });
                }
                Next::End(end) => {
                    let looked_to = last.filter(|_| end.more);
                    scanned.looked_to =
                        looked_to.map(|question| Question { subject: question.subject, predicate: question.predicate });
                    let ScanEnd { fence_age_ms, stable_at, .. } = end;
                    return Ok(Answer { scanned, fence_age_ms, stable_at });
                }
            }
        }
    }

    /// Asks a node for one record, and for a hint of it.
    pub(crate) async fn fetch_at(&self, node: NodeId, id: RecordId) -> Result<State, AskError> {
        if node == self.me {
            let found =
                self.local.read(move |reader| fetch(reader, &id)).await.or(Err(AskError::Own(ReadError::Fault)))?;
            return found.map_err(|error| AskError::Own(told(&error)));
        }
        let request = FetchRequest { ids: vec![id], hints: true };
        let reply = self.peers.fetch(node, request, self.settings.read_deadline).await.map_err(AskError::Call)?;
        let nothing = || AskError::Call(CallError::Malformed("nothing was said of the id".to_owned()));
        reply.found.into_iter().next().map(|found| found.state).ok_or_else(nothing)
    }
}

/// What this node holds of an id, a hint included.
pub(crate) fn fetch(reader: &storage::store::Reader, id: &RecordId) -> Result<State, storage::store::ReadError> {
    Ok(match reader.get(id)? {
        Lookup::Found(record) => State::Held(proto::Held { record: parcel::to_wire(&record), hint: false }),
        Lookup::Erased(erasure) => State::Erased(proto::Erasure {
            id: erasure.id,
            home: erasure.home,
            stamp: erasure.stamp,
            signatures: erasure.signatures,
            eraser: erasure.eraser,
            erased_at: erasure.at,
        }),
        Lookup::Damaged(_) => State::Damaged,
        Lookup::Absent => match reader.hint(id)? {
            Some(record) => State::Held(proto::Held { record: parcel::to_wire(&record), hint: true }),
            None => State::Absent,
        },
    })
}

/// Why this node stores nothing, as another would be told.
pub(crate) fn own_refusal(refusal: proto::Refusal) -> CallError {
    match refusal {
        proto::Refusal::StaleEpoch(epoch) => CallError::StaleEpoch { theirs: Epoch(epoch) },
        proto::Refusal::BehindEpoch(epoch) => CallError::BehindEpoch { theirs: Epoch(epoch) },
        refusal @ (proto::Refusal::WrongCluster(_)
        | proto::Refusal::WrongKey
        | proto::Refusal::WrongReceiver(_)
        | proto::Refusal::WrongProtocol(..)
        | proto::Refusal::Overloaded(_)
        | proto::Refusal::Refused(_)
        | proto::Refusal::Malformed(_)) => CallError::Refused(format!("{refusal:?}")),
    }
}

/// What the writer said of a record, for another node.
pub(crate) fn verdict(merged: Merged) -> Verdict {
    match merged {
        Merged::Created { stamp } => Verdict::Created(stamp),
        Merged::Exists { stamp } => Verdict::Exists(stamp),
        Merged::Erased => Verdict::Erased,
        Merged::TooLarge => Verdict::TooLarge(0),
        Merged::Ahead => Verdict::Ahead(0),
    }
}

impl Cluster {
    /// Has an owner, by the table of `epoch`, store records that it lacks. What it does not take is left for another time.
    /// Whether it took them.
    pub(crate) async fn hand_over(&self, node: NodeId, epoch: Epoch, records: &[StoredRecord]) -> bool {
        let wire: Vec<_> = records.iter().map(parcel::to_wire).collect();
        let stored = if node == self.me {
            let request = StoreRequest { role: proto::Role::Owned, records: wire };
            self.store_here(epoch, request, None)
                .await
                .map(|reply| reply.verdicts)
                .map_err(|refusal| format!("{refusal:?}"))
        } else {
            let stored = self.peers.store(node, proto::Role::Owned, epoch, wire, self.settings.owner_deadline).await;
            stored.map(|stored| stored.verdicts).map_err(|error| error.to_string())
        };
        let stored = stored.unwrap_or_else(|why| {
            tracing::debug!(%node, why, "records could not be handed over");
            Vec::new()
        });
        stored.len() == records.len() && stored.iter().all(Verdict::is_synced)
    }
}
