//! What a node keeps of some questions for other nodes: hints that no owner may have yet.
//!
//! No index knows their questions, so all hints of the homes that are asked for are gone over, up to a limit. Whoever reads
//! with `consistency=all` asks for them before it asks the owners: a hint is given up only once every owner has the record,
//! so what is a hint no more is at the owners already.

use super::scan::{Found, Held, SCAN_BYTES_MAX, ScanError, Scanned};
use api::database::Question;
use model::Home;
use model::record::{Predicate, Subject};
use proto::{ScanRequest, Selector};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use storage::store::{ReadError, Reader};
use storage::stored::StoredRecord;

/// The most hints that one scan goes over; more is an error that says so. Of one home, if only one is asked for.
pub(crate) const HINTS_READ_MAX: usize = 20_000;
/// How many hints are read at once.
const HINTS_A_PAGE: usize = 1_024;

/// Scans the hints of this node. `abandoned` is looked at between pages.
///
/// Of an agent all questions are found, whoever made the claims: an answer needs the claims of others too.
pub(crate) fn scan_hints(reader: &Reader, request: &ScanRequest, abandoned: &AtomicBool) -> Result<Scanned, ScanError> {
    let mut kept = Kept::new(usize::try_from(request.limit).unwrap_or(usize::MAX));
    let (mut read, mut after, mut more) = (0, None, reader.counts().hints > 0);
    while more {
        if abandoned.load(Ordering::Relaxed) {
            return Err(ScanError::Abandoned);
        }
        let page = match only(request) {
            Some(home) => reader.hinted(home, after.map(|(_, id)| id), HINTS_A_PAGE)?,
            None => reader.hints(after, HINTS_A_PAGE)?,
        };
        read += page.hints.len() + page.damaged.len();
        if read > HINTS_READ_MAX {
            return Err(ScanError::TooManyHints);
        }
        if page.damaged.iter().any(|(home, _)| request.homes.contains(*home)) {
            return Err(ScanError::DamagedHint);
        }
        let hints = page.hints.into_iter().filter(|hint| request.homes.contains(hint.home));
        for record in hints.map(|hint| hint.record).filter(|record| record.stamp() <= request.as_of) {
            if let Some(question) = question_of(&record).filter(|question| is_asked(request, question)) {
                kept.add(question, record);
            }
        }
        (after, more) = (page.next, page.next.is_some());
    }
    kept.scanned()
}

/// The first questions, with what is kept of them.
struct Kept {
    limit: usize,
    claims: BTreeMap<Question, Vec<StoredRecord>>,
    bytes: u64,
    /// The first question that there was no room for; none of those after it is here.
    end: Option<Question>,
}

impl Kept {
    fn new(limit: usize) -> Self {
        Self { limit, claims: BTreeMap::new(), bytes: 0, end: None }
    }

    fn add(&mut self, question: Question, record: StoredRecord) {
        if self.end.as_ref().is_some_and(|end| question >= *end) {
            return;
        }
        self.bytes += length(&record);
        self.claims.entry(question).or_default().push(record);
        while self.claims.len() > 1 && (self.claims.len() > self.limit || self.bytes > SCAN_BYTES_MAX) {
            let Some((question, records)) = self.claims.pop_last() else { return };
            self.bytes -= records.iter().map(length).sum::<u64>();
            self.end = Some(question);
        }
    }

    fn scanned(self) -> Result<Scanned, ScanError> {
        if self.bytes > SCAN_BYTES_MAX {
            return Err(ReadError::TooLarge(SCAN_BYTES_MAX).into()); // of one question
        }
        let looked_to = self.end.and_then(|_| self.claims.keys().next_back().cloned());
        let found = |(question, records): (Question, Vec<StoredRecord>)| {
            let claims = records.into_iter().map(|record| Held { record, hint: true }).collect();
            Found { question, claims, damaged: None }
        };
        Ok(Scanned { found: self.claims.into_iter().map(found).collect(), looked_to })
    }
}

fn length(record: &StoredRecord) -> u64 {
    record.archive().len() as u64
}

/// The home that is asked for, if it is one.
fn only(request: &ScanRequest) -> Option<Home> {
    let mut homes = request.homes.iter();
    homes.next().filter(|_| homes.next().is_none())
}

fn question_of(record: &StoredRecord) -> Option<Question> {
    let claim = &record.assertion()?.assertion;
    let subject = Subject::new(claim.subject.as_str()).ok()?;
    Some(Question { subject, predicate: Predicate::new(claim.predicate.as_str()).ok()? })
}

fn is_asked(request: &ScanRequest, question: &Question) -> bool {
    let is = |wanted: &Option<Predicate>| wanted.as_ref().is_none_or(|wanted| *wanted == question.predicate);
    let is_after = request
        .after
        .as_ref()
        .is_none_or(|after| (&after.subject, &after.predicate) < (&question.subject, &question.predicate));
    is_after
        && match &request.selector {
            Selector::Subject { subject, predicate } => *subject == question.subject && is(predicate),
            Selector::Prefix { prefix, predicate } => {
                question.subject.as_str().starts_with(prefix.as_str()) && is(predicate)
            }
            Selector::Predicate(predicate) => *predicate == question.predicate,
            Selector::Agent(_) | Selector::Every => true,
        }
}
