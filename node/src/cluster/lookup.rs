//! Reads by id alone: from the owners if the subject is known, else from everybody.
//!
//! "There is none" is said only if everybody who may own the record, or hold a hint of it, has answered.

use super::ask::AskError;
use super::{Cluster, parcel};
use ::cluster::NodeId;
use api::database::{ReadError, RecordError, Stored, Target};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use model::record::Subject;
use model::{Body, Home, RecordId, Vote};
use proto::State;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is known of an id in the cluster.
pub(crate) enum Known {
    Record(proto::Record),
    Erased,
    Absent,
    /// Nobody who answered has it whole, and these did not answer, or hold it damaged.
    Unsure(Vec<String>),
}

impl Cluster {
    /// The envelope of one record. `subject`, if the caller knows it, says where to look first.
    pub(crate) async fn record(
        self: &Arc<Self>,
        id: RecordId,
        subject: Option<Subject>,
    ) -> Result<Stored, RecordError> {
        self.must_be_in_a_cluster()?;
        match self.look_up(id, subject.as_ref().map(Home::of)).await {
            Known::Record(record) => {
                let stored = parcel::from_wire(&record).or(Err(ReadError::Fault))?;
                let envelope = stored.to_envelope().ok_or(ReadError::Fault)?;
                let target = match envelope.body() {
                    Body::Vote(vote) => Some(self.target(vote).await),
                    Body::Assertion(_) | Body::Alias(_) | Body::Opaque(_) => None,
                };
                Ok(Stored { envelope, received_at: record.stamp, target })
            }
            Known::Erased => Err(RecordError::Erased),
            Known::Absent => Err(RecordError::NotFound),
            Known::Unsure(who) => Err(ReadError::Unavailable { who: who.join(", "), retry_after_s: 1 }.into()),
        }
    }

    /// What is known of an id. Asks this node, then the owners of `home`, then everybody else.
    pub(crate) async fn look_up(self: &Arc<Self>, id: RecordId, home: Option<Home>) -> Known {
        let members = self.member_ids();
        let table = self.table();
        let owners: BTreeSet<NodeId> = match (home, table.as_ref()) {
            (Some(home), Some(table)) => table.holders(home).collect(),
            (None, _) | (_, None) => BTreeSet::new(),
        };
        let me: BTreeSet<_> = [self.me].into();
        let first = &owners - &me;
        let last = &(&members - &owners) - &me;
        let mut unsure = Vec::new();
        for nodes in [me, first, last] {
            match self.ask_for(id, nodes, &mut unsure).await {
                Known::Absent | Known::Unsure(_) => {}
                known @ (Known::Record(_) | Known::Erased) => return known,
            }
        }
        if unsure.is_empty() { Known::Absent } else { Known::Unsure(unsure) }
    }

    /// Asks some nodes at once; the first that knows it counts. The others answer to nobody: HTTP/2 gives up a connection on
    /// which call after call is given up.
    async fn ask_for(self: &Arc<Self>, id: RecordId, nodes: BTreeSet<NodeId>, unsure: &mut Vec<String>) -> Known {
        let ask = |node| {
            let this = Arc::clone(self);
            let asked = tokio::spawn(async move { this.fetch_at(node, id).await });
            async move { (node, asked.await) }
        };
        let mut calls: FuturesUnordered<_> = nodes.into_iter().map(ask).collect();
        while let Some((node, state)) = calls.next().await {
            match state {
                Ok(Ok(State::Held(held))) => return Known::Record(held.record),
                Ok(Ok(State::Erased(_))) => return Known::Erased,
                Ok(Ok(State::Absent)) => {}
                Ok(Ok(State::Damaged)) => unsure.push(format!("node {node}, where the record is damaged on disk")),
                Ok(Err(AskError::Own(error))) => unsure.push(format!("this node ({error})")),
                Ok(Err(AskError::Call(_))) | Err(_) => unsure.push(format!("node {node}")),
            }
        }
        Known::Absent
    }

    /// What is known of the target of a vote.
    pub(crate) async fn target(self: &Arc<Self>, vote: &Vote) -> Target {
        let home = Home::of(&vote.subject);
        match self.look_up(vote.target, Some(home)).await {
            Known::Record(record) if record.home != home => Target::Misrouted,
            Known::Record(_) => Target::Known,
            Known::Erased => Target::Erased,
            Known::Absent | Known::Unsure(_) => Target::Unknown,
        }
    }
}
