//! A query on one node: which questions, which claims, and what the lens makes of them.
//!
//! Claims are resolved where they lie, in their archives; only what an answer shows is decoded.

use api::database::{Answer, ClaimView, Damaged, Filter, Page, QueryPlan, Question, Selection};
use model::lens::{self, Claim};
use model::record::{Assertion, Body};
use model::{AgentId, Stamp};
use std::sync::atomic::{AtomicBool, Ordering};
use storage::store::{ReadError, Reader, Selector};
use storage::stored::StoredRecord;

/// The most claims on one question that a query reads; more is an error that says so.
const QUESTION_CLAIMS_MAX: usize = 100_000;
/// The most bytes of claims that one page holds in memory. A page ends before the question that would exceed it; a
/// question that exceeds it alone is an error that says so.
const PAGE_BYTES_MAX: u64 = 32 << 20;
/// The most questions that one page looks at. A page with few answers ends there, with a cursor to go on.
const PAGE_QUESTIONS_MAX: usize = 20_000;

/// Why a page was not made.
#[derive(Debug)]
pub(super) enum QueryError {
    /// The store did not answer.
    Read(ReadError),
    /// Nobody waits for the page any more.
    Abandoned,
}

impl From<ReadError> for QueryError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

/// Answers one page of a query. `wall_ms` is the time now, milliseconds since the Unix epoch; `abandoned` is looked at
/// between questions.
pub(super) fn answer(
    reader: &Reader,
    plan: &QueryPlan,
    wall_ms: u64,
    abandoned: &AtomicBool,
) -> Result<Page, QueryError> {
    // A time to come would be a moving one: it means now.
    let now = reader.now(wall_ms);
    let as_of = plan.as_of.map_or(now, |as_of| as_of.min(now));
    let (selector, by_agent) = selector(&plan.selection, &plan.filter);
    let mut page = Page {
        answers: Vec::new(),
        next: None,
        as_of,
        placement_epoch: 0,
        copies_consulted: 1,
        freshness_ms: 0,
        stable_at: None,
        damaged: Vec::new(),
    };
    let limit = plan.limit.get();
    let mut after = plan.after.clone().map(stored_question);
    let (mut looked_at, mut bytes_left) = (0, PAGE_BYTES_MAX);
    loop {
        let questions = reader.questions(&selector, after.as_ref(), limit)?;
        let last = questions.len() < limit;
        for question in questions {
            if abandoned.load(Ordering::Relaxed) {
                return Err(QueryError::Abandoned);
            }
            if !by_agent || selects(&plan.selection, &question) {
                match resolve(reader, plan, as_of, &question, bytes_left) {
                    Ok(Resolved::Answer(answer, bytes)) => {
                        bytes_left = bytes_left.saturating_sub(bytes);
                        page.answers.push(answer);
                    }
                    Ok(Resolved::Damaged(damaged)) => page.damaged.push(damaged),
                    Ok(Resolved::Nothing) => {}
                    // There is room for it on a page of its own.
                    Err(ReadError::TooLarge(_)) if bytes_left < PAGE_BYTES_MAX => {
                        page.next = after.map(api_question);
                        return Ok(page);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            looked_at += 1;
            after = Some(question);
            if page.answers.len() + page.damaged.len() == limit || looked_at == PAGE_QUESTIONS_MAX {
                page.next = after.map(api_question);
                return Ok(page);
            }
        }
        if last {
            return Ok(page);
        }
    }
}

/// The index to walk: the narrowest that gives questions in order. The flag says that it is the agent's.
fn selector(selection: &Selection, filter: &Filter) -> (Selector, bool) {
    let Selection { subject, prefix, predicate } = selection.clone();
    match (subject, prefix, predicate, filter.agent) {
        (Some(subject), _, predicate, _) => (Selector::Subject { subject, predicate }, false),
        (None, Some(prefix), predicate, _) => {
            (Selector::Prefix { prefix: prefix.as_str().to_owned(), predicate }, false)
        }
        (None, None, _, Some(agent)) => (Selector::Agent(agent), true),
        (None, None, Some(predicate), None) => (Selector::Predicate(predicate), false),
        (None, None, None, None) => (Selector::All, false),
    }
}

/// Whether a question found by another path is one of those selected.
fn selects(selection: &Selection, question: &storage::store::Question) -> bool {
    selection.predicate.as_ref().is_none_or(|predicate| *predicate == question.predicate)
}

/// What came of one question.
enum Resolved {
    /// Its answer, and the bytes that its claims take.
    Answer(Answer, u64),
    /// A claim on it is damaged, and without that claim the answer might be another one.
    Damaged(Damaged),
    /// No claim on it passes the filter.
    Nothing,
}

fn resolve(
    reader: &Reader,
    plan: &QueryPlan,
    as_of: Stamp,
    question: &storage::store::Question,
    bytes_max: u64,
) -> Result<Resolved, ReadError> {
    let found = reader.claims(&question.subject, &question.predicate, as_of, QUESTION_CLAIMS_MAX, bytes_max)?;
    if let Some(position) = found.damaged.first() {
        return Ok(Resolved::Damaged(Damaged {
            question: api_question(question.clone()),
            position: position.to_string(),
        }));
    }
    let claim = |record| StoredRecord::assertion(record).map(|signed| Claim::of(record.id(), record.stamp(), signed));
    let claims: Vec<_> = found.records.iter().filter_map(claim).collect();
    let chosen = |claim: &Claim<'_>| passes(&plan.filter, claim);
    if !claims.iter().any(chosen) {
        return Ok(Resolved::Nothing);
    }
    let resolution = lens::resolve_chosen(plan.lens, &claims, &plan.terms(as_of), &chosen);
    let bytes = found.records.iter().map(|record| record.archive().len() as u64).sum();
    let views = found.records.iter().filter_map(view).collect();
    let question = api_question(question.clone());
    Ok(Resolved::Answer(Answer { question, claims: views, resolution }, bytes))
}

fn passes(filter: &Filter, claim: &Claim<'_>) -> bool {
    filter.agent.is_none_or(|agent| claim.authors.iter().any(|author| AgentId::from(author) == agent))
        && filter.source_class.is_none_or(|class| class == claim.source_class)
        && filter.lifecycle.is_none_or(|lifecycle| lifecycle == claim.lifecycle)
        && filter.epoch.is_none_or(|epoch| Some(epoch) == claim.epoch)
}

fn view(record: &StoredRecord) -> Option<ClaimView> {
    let (body, _) = record.to_envelope()?.into_parts();
    let assertion: Assertion = match body {
        Body::Assertion(assertion) => *assertion,
        Body::Vote(_) | Body::Alias(_) | Body::Opaque(_) => return None,
    };
    Some(ClaimView { id: record.id(), received_at: record.stamp(), assertion })
}

fn api_question(question: storage::store::Question) -> Question {
    Question { subject: question.subject, predicate: question.predicate }
}

fn stored_question(question: Question) -> storage::store::Question {
    storage::store::Question { subject: question.subject, predicate: question.predicate }
}
