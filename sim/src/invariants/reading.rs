//! Reads that an invariant makes while the simulation runs: one at a time, asked between two steps and answered some steps
//! later, as a client would.

use crate::client::Request;
use crate::cluster::{Asking, Cluster, Process};
use model::{Body, Record, RecordId};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(2);

/// A read that was answered.
#[derive(Debug)]
pub(super) struct Read {
    /// The node that was asked.
    pub(super) node: usize,
    /// What about.
    pub(super) subject: String,
    /// When, since the start of the simulation.
    pub(super) began: Duration,
    /// The claims in the answer.
    pub(super) claims: BTreeSet<RecordId>,
    /// How old the answer says that what was read may be; `None` if it does not say.
    pub(super) freshness: Option<Duration>,
}

/// Somebody who reads now and then.
#[derive(Debug)]
pub(super) struct Reading {
    consistency: &'static str,
    every: Duration,
    next: Duration,
    asked: usize,
    under_way: Option<(Read, Asking)>,
}

impl Reading {
    /// Reads so often, with this consistency.
    pub(super) fn new(consistency: &'static str, every: Duration) -> Self {
        Self { consistency, every, next: Duration::ZERO, asked: 0, under_way: None }
    }

    /// Looks for the answer of the read under way, which is handed out if it is one, or begins the next, if it is time, of
    /// one of `subjects` at one of the nodes that listen.
    pub(super) fn go_on<'a>(
        &mut self,
        cluster: &Cluster,
        mut subjects: impl ExactSizeIterator<Item = &'a String>,
    ) -> Option<Read> {
        if let Some((read, asking)) = self.under_way.take() {
            let Some(answer) = asking.answer() else {
                self.under_way = Some((read, asking));
                return None;
            };
            let answer = answer.ok().filter(|answer| answer.status == 200)?.json();
            let freshness = answer.pointer("/meta/freshness_ms").and_then(serde_json::Value::as_u64);
            return Some(Read { claims: claims(&answer), freshness: freshness.map(Duration::from_millis), ..read });
        }
        let nodes: Vec<_> = (0..cluster.nodes()).filter(|node| cluster.process(*node) == Process::Up).collect();
        if cluster.elapsed() < self.next || nodes.is_empty() || subjects.len() == 0 {
            return None;
        }
        self.next = cluster.elapsed() + self.every;
        self.asked += 1;
        let node = nodes.get(self.asked % nodes.len()).copied()?;
        let (count, began) = (subjects.len(), cluster.elapsed());
        let subject = subjects.nth(self.asked * 7 % count)?.clone();
        let path = format!("/v1/query?subject={subject}&lens=none&consistency={}", self.consistency);
        let read = Read { node, subject, began, claims: BTreeSet::new(), freshness: None };
        self.under_way = Some((read, cluster.put(node, Request::get(path), DEADLINE)));
        None
    }
}

/// What a claim is about; clients of the simulation write nothing else.
pub(super) fn subject_of(record: &Record) -> String {
    match record.envelope().body() {
        Body::Assertion(assertion) => assertion.subject.as_str().to_owned(),
        Body::Vote(_) | Body::Alias(_) | Body::Opaque(_) => String::new(),
    }
}

/// The ids of the candidates of all answers.
fn claims(answer: &serde_json::Value) -> BTreeSet<RecordId> {
    let list = |value: &serde_json::Value, field: &str| {
        let list = value.get(field).and_then(serde_json::Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let answers = list(answer.get("result").unwrap_or_default(), "answers");
    let claims = answers.iter().flat_map(|answer| list(answer, "candidates"));
    claims.filter_map(|claim| RecordId::from_hex(claim.get("id")?.as_str()?)).collect()
}
