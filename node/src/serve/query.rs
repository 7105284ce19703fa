//! A query on one node: which questions, which claims, and what the lens makes of them.
//!
//! Claims are resolved where they lie, in their archives; only what an answer shows is decoded.

use api::database::{Answer, ClaimView, Filter, Page, QueryPlan, Question, Selection};
use model::lens::{self, Claim};
use model::record::{Assertion, Body};
use model::{AgentId, Stamp};
use storage::store::{ReadError, Reader, Selector};
use storage::stored::StoredRecord;

/// The most claims on one question that a query reads; more is an error that says so.
pub(super) const QUESTION_CLAIMS_MAX: usize = 100_000;
/// The most bytes of claims on one question that a query holds in memory; more is an error that says so.
const QUESTION_BYTES_MAX: u64 = 64 << 20;

/// Answers one page of a query. `wall_ms` is the time now, milliseconds since the Unix epoch.
pub(super) fn answer(reader: &Reader, plan: &QueryPlan, wall_ms: u64) -> Result<Page, ReadError> {
    // Everything accepted so far and nothing accepted later, which gets a stamp of this millisecond at the least: so the
    // pages that follow under this time show the same records.
    let as_of = plan.as_of.unwrap_or_else(|| Stamp::end_of_ms(wall_ms.saturating_sub(1)).max(reader.last_stamp()));
    let (selector, by_agent) = selector(&plan.selection, &plan.filter);
    let mut page = Page {
        answers: Vec::new(),
        next: None,
        as_of,
        placement_epoch: 0,
        copies_consulted: 1,
        freshness_ms: 0,
        stable_at: None,
    };
    let limit = plan.limit.get();
    let mut after = plan.after.clone().map(stored_question);
    loop {
        let questions = reader.questions(&selector, after.as_ref(), limit)?;
        let last = questions.len() < limit;
        for question in questions {
            after = Some(question.clone());
            if by_agent && !selects(&plan.selection, &question) {
                continue;
            }
            page.answers.extend(resolve(reader, plan, as_of, &question)?);
            if page.answers.len() == limit {
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

/// The answer to one question; nothing if no claim passes the filter.
fn resolve(
    reader: &Reader,
    plan: &QueryPlan,
    as_of: Stamp,
    question: &storage::store::Question,
) -> Result<Option<Answer>, ReadError> {
    let claims =
        reader.claims(&question.subject, &question.predicate, as_of, QUESTION_CLAIMS_MAX, QUESTION_BYTES_MAX)?;
    let stored = claims.records;
    let mut seen = Vec::with_capacity(stored.len());
    let mut claims = Vec::with_capacity(stored.len());
    for record in &stored {
        let Some(archived) = record.assertion() else { continue };
        let claim = Claim::of(record.id(), record.stamp(), archived);
        if passes(&plan.filter, &claim) {
            claims.push(claim);
            seen.push(record);
        }
    }
    if claims.is_empty() {
        return Ok(None);
    }
    let resolution = lens::resolve(plan.lens, &claims, &plan.terms(as_of));
    let views = seen.into_iter().filter_map(view).collect();
    Ok(Some(Answer { question: api_question(question.clone()), claims: views, resolution }))
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
        Body::Vote(_) | Body::Opaque(_) => return None,
    };
    Some(ClaimView { id: record.id(), received_at: record.stamp(), assertion })
}

fn api_question(question: storage::store::Question) -> Question {
    Question { subject: question.subject, predicate: question.predicate }
}

fn stored_question(question: Question) -> storage::store::Question {
    storage::store::Question { subject: question.subject, predicate: question.predicate }
}
