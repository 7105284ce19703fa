//! What one node knows of some questions: its claims on each, read from the log and not resolved.
//!
//! Whoever coordinates a query asks nodes for this, itself among them, and resolves what comes back. Nothing here knows
//! which node ought to be asked.

use super::hinted::{HINTS_READ_MAX, scan_hints};
use super::told;
use api::database::{Question, ReadError};
use model::{Home, Stamp};
use proto::ScanRequest;
use std::sync::atomic::{AtomicBool, Ordering};
use storage::store::{self, Reader, Selector};
use storage::stored::StoredRecord;

/// The most claims on one question that a read takes; more is an error that says so.
pub(crate) const QUESTION_CLAIMS_MAX: usize = 100_000;
/// The most bytes of claims that one scan holds in memory. A scan ends before the question that would exceed it; a
/// question that exceeds it alone is an error that says so.
pub(crate) const SCAN_BYTES_MAX: u64 = 32 << 20;
/// The most questions that one scan looks at. A scan that finds few ends there, and says that there may be more.
const SCAN_LOOKS_MAX: usize = 20_000;

/// A record as a node holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// The record.
    pub(crate) record: StoredRecord,
    /// Whether it is held for its owners only.
    pub(crate) hint: bool,
}

/// A question and what a node knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The question.
    pub(crate) question: Question,
    /// The claims.
    pub(crate) claims: Vec<Held>,
    /// Where the first damaged claim lies, for people. An answer without it might be another one.
    pub(crate) damaged: Option<String>,
}

impl Found {
    /// The bytes that its claims take.
    pub(crate) fn bytes(&self) -> u64 {
        self.claims.iter().map(|held| held.record.archive().len() as u64).sum()
    }
}

/// What a scan found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// In ascending order of the question.
    pub(crate) found: Vec<Found>,
    /// Up to where it looked, if there may be more questions after it.
    pub(crate) looked_to: Option<Question>,
}

/// Why a scan was not made.
#[derive(Debug)]
pub(crate) enum ScanError {
    /// The store did not answer.
    Read(store::ReadError),
    /// Nobody waits for it any more.
    Abandoned,
    /// More hints would have to be gone over than [`HINTS_READ_MAX`].
    TooManyHints,
    /// A hint is damaged on disk, and nobody knows of which question it is.
    DamagedHint,
}

impl ScanError {
    /// What whoever asked is told.
    pub(crate) fn told(&self) -> ReadError {
        let not_ready = |what: String| ReadError::NotReady { what };
        match self {
            Self::Read(error) => told(error),
            Self::Abandoned => ReadError::Overloaded,
            Self::TooManyHints => not_ready(format!(
                "more than {HINTS_READ_MAX} records are kept for other nodes; ask again when they have them, or with \
                 consistency=one"
            )),
            Self::DamagedHint => not_ready(
                "a record kept for other nodes is damaged on disk; ask again when they have it, or with consistency=one"
                    .to_owned(),
            ),
        }
    }
}

impl From<store::ReadError> for ScanError {
    fn from(error: store::ReadError) -> Self {
        Self::Read(error)
    }
}

/// Scans this node's store: what it owns, or what it keeps for others. `abandoned` is looked at between questions.
pub(crate) fn scan(reader: &Reader, request: &ScanRequest, abandoned: &AtomicBool) -> Result<Scanned, ScanError> {
    if request.hints {
        return scan_hints(reader, request, abandoned);
    }
    let selector = selector(&request.selector);
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let mut after = request.after.as_ref().map(stored_question);
    let (mut scanned, mut looks, mut bytes_left) = (Scanned::default(), 0, SCAN_BYTES_MAX);
    loop {
        let questions = reader.questions(&selector, after.as_ref(), limit)?;
        let last = questions.len() < limit;
        for question in questions {
            if abandoned.load(Ordering::Relaxed) {
                return Err(ScanError::Abandoned);
            }
            if request.homes.contains(Home::of(&question.subject)) {
                match claims(reader, &question, request.as_of, bytes_left) {
                    Ok(found) if found.claims.is_empty() && found.damaged.is_none() => {}
                    Ok(found) => {
                        bytes_left = bytes_left.saturating_sub(found.bytes());
                        scanned.found.push(found);
                    }
                    // There is room for it in a scan of its own.
                    Err(store::ReadError::TooLarge(_)) if bytes_left < SCAN_BYTES_MAX => {
                        scanned.looked_to = after.map(api_question);
                        return Ok(scanned);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            looks += 1;
            after = Some(question);
            if scanned.found.len() == limit || looks == SCAN_LOOKS_MAX {
                scanned.looked_to = after.map(api_question);
                return Ok(scanned);
            }
        }
        if last {
            return Ok(scanned);
        }
    }
}

fn claims(
    reader: &Reader,
    question: &store::Question,
    as_of: Stamp,
    bytes_max: u64,
) -> Result<Found, store::ReadError> {
    let found = reader.claims(&question.subject, &question.predicate, as_of, QUESTION_CLAIMS_MAX, bytes_max)?;
    let damaged = found.damaged.first().map(ToString::to_string);
    let claims = found.records.into_iter().map(|record| Held { record, hint: false }).collect();
    Ok(Found { question: api_question(question.clone()), claims, damaged })
}

fn selector(selector: &proto::Selector) -> Selector {
    match selector.clone() {
        proto::Selector::Subject { subject, predicate } => Selector::Subject { subject, predicate },
        proto::Selector::Prefix { prefix, predicate } => Selector::Prefix { prefix, predicate },
        proto::Selector::Predicate(predicate) => Selector::Predicate(predicate),
        proto::Selector::Agent(agent) => Selector::Agent(agent),
        proto::Selector::Every => Selector::All,
    }
}

fn api_question(question: store::Question) -> Question {
    Question { subject: question.subject, predicate: question.predicate }
}

fn stored_question(question: &proto::Question) -> store::Question {
    store::Question { subject: question.subject.clone(), predicate: question.predicate.clone() }
}
