//! What nodes said of the records of one write, and what the client is told of it.
//!
//! It counts and never asks: how many nodes are enough is decided by the machine of the write.

use super::parcel::Stamped;
use crate::rpc::CallError;
use ::cluster::NodeId;
use ::cluster::replication::write::{Input, Outcome as Reached};
use api::database::{Durable, Outcome, Receipt, SubmitError};
use model::{Body, Code, RecordId, Refusal, Stamp};
use proto::Verdict;
use std::collections::BTreeSet;

/// After how many seconds a client may try again.
const RETRY_AFTER_S: u32 = 1;

/// The verdicts on each record of a write.
#[derive(Debug)]
pub(crate) struct Tally {
    rows: Vec<Row>,
    /// Who was asked and has not synced it.
    owing: BTreeSet<NodeId>,
}

/// What is known of one record.
#[derive(Debug)]
struct Row {
    id: RecordId,
    assertion: bool,
    /// The smallest stamp that a node named, or that of this write.
    stamp: Stamp,
    /// Some node had it before.
    known: bool,
    end: Option<End>,
}

/// Why a record is not stored anywhere, for ever or as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Erased,
    TooLarge,
}

impl Tally {
    pub(crate) fn new(records: &[Stamped]) -> Self {
        let row = |Stamped { record, stamp }: &Stamped| Row {
            id: record.id(),
            assertion: matches!(record.body(), Body::Assertion(_)),
            stamp: *stamp,
            known: false,
            end: None,
        };
        Self { rows: records.iter().map(row).collect(), owing: BTreeSet::new() }
    }

    /// Takes note that a node is asked.
    pub(crate) fn ask(&mut self, node: NodeId) {
        self.owing.insert(node);
    }

    /// Takes the answer of a node. It has synced the write if it has settled each record: stored, known, or refused for
    /// good.
    pub(crate) fn take(&mut self, node: NodeId, answer: Result<Vec<Verdict>, CallError>) -> Input {
        let verdicts = match answer {
            Ok(verdicts) if verdicts.len() == self.rows.len() => verdicts,
            Ok(_) => return Input::Failed(node),
            Err(CallError::StaleEpoch { theirs }) => return Input::StaleEpoch(theirs),
            Err(_) => return Input::Failed(node),
        };
        let mut settled = true;
        for (row, verdict) in self.rows.iter_mut().zip(verdicts) {
            settled &= row.take(verdict);
        }
        if settled {
            self.owing.remove(&node);
            Input::Synced(node)
        } else {
            Input::Failed(node)
        }
    }

    /// How many assertions were new to every node that answered.
    pub(crate) fn created_assertions(&self) -> u64 {
        self.rows.iter().filter(|row| row.assertion && !row.known && row.end.is_none()).count() as u64
    }

    /// What the client is told, who `wanted` so many copies.
    pub(crate) fn answer(&self, reached: Reached, wanted: usize) -> Vec<Result<Receipt, SubmitError>> {
        let copies = match reached {
            Reached::Durable(copies) => Ok(count(copies)),
            Reached::Unavailable { durable } => {
                let owing: Vec<_> = self.owing.iter().map(|node| format!("node {node}")).collect();
                Err(SubmitError::Unavailable {
                    durable: count(durable),
                    wanted: count(wanted),
                    who: if owing.is_empty() { "any further node".to_owned() } else { owing.join(", ") },
                    retry_after_s: RETRY_AFTER_S,
                })
            }
        };
        self.rows.iter().map(|row| row.answer(&copies)).collect()
    }
}

impl Row {
    /// Whether the node need not be asked again.
    fn take(&mut self, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Created(stamp) => self.stamp = self.stamp.min(stamp),
            Verdict::Exists(stamp) => {
                self.stamp = self.stamp.min(stamp);
                self.known = true;
            }
            Verdict::Erased => self.end = Some(End::Erased),
            Verdict::TooLarge(_) => self.end = self.end.or(Some(End::TooLarge)),
            Verdict::Ahead(_) | Verdict::Refused(_) => return false,
        }
        true
    }

    fn answer(&self, copies: &Result<u16, SubmitError>) -> Result<Receipt, SubmitError> {
        match self.end {
            Some(End::Erased) => return Err(SubmitError::Erased),
            Some(End::TooLarge) => {
                let expected = "a record that fits in a segment of a node's log (log.segment_bytes_max)";
                return Err(Refusal::new(Code::TooLarge, "body", expected).into());
            }
            None => {}
        }
        let durable = Durable { copies: copies.clone()?, received_at: self.stamp };
        let outcome = if self.known { Outcome::Exists(durable) } else { Outcome::Created(durable) };
        Ok(Receipt { id: self.id, outcome, target_known: None })
    }
}

fn count(nodes: usize) -> u16 {
    u16::try_from(nodes).unwrap_or(u16::MAX)
}
