//! From claims to answers: what a lens makes of the claims on one question, whoever sent them.
//!
//! The one place where the `result` of a query is made. Claims are resolved where they lie, in their archives; only what an
//! answer shows is decoded.

use super::scan::Found;
use api::database::{Answer, ClaimView, Damaged, Filter, QueryPlan, Selection};
use model::lens::{self, Claim};
use model::record::{Assertion, Body};
use model::{AgentId, Stamp};
use proto::Selector;
use storage::stored::StoredRecord;

/// What came of one question.
pub(crate) enum Resolved {
    /// Its answer.
    Answer(Answer),
    /// A claim on it is damaged, and without that claim the answer might be another one.
    Damaged(Damaged),
    /// No claim on it passes the filter, or it was not asked for.
    Nothing,
}

/// Resolves one question as of a time. `found` holds every claim on it up to `as_of`, each id once.
pub(crate) fn resolve(plan: &QueryPlan, as_of: Stamp, found: &Found) -> Resolved {
    if plan.selection.predicate.as_ref().is_some_and(|predicate| *predicate != found.question.predicate) {
        return Resolved::Nothing; // it was found by its agent
    }
    if let Some(position) = &found.damaged {
        return Resolved::Damaged(Damaged { question: found.question.clone(), position: position.clone() });
    }
    let records = || found.claims.iter().map(|held| &held.record).filter(|record| record.stamp() <= as_of);
    let claim = |record| StoredRecord::assertion(record).map(|signed| Claim::of(record.id(), record.stamp(), signed));
    let claims: Vec<_> = records().filter_map(claim).collect();
    let chosen = |claim: &Claim<'_>| passes(&plan.filter, claim);
    if !claims.iter().any(chosen) {
        return Resolved::Nothing;
    }
    let resolution = lens::resolve_chosen(plan.lens, &claims, &plan.terms(as_of), &chosen);
    let claims = records().filter_map(view).collect();
    Resolved::Answer(Answer { question: found.question.clone(), claims, resolution })
}

/// Whether something is to be said of a question: [`resolve`] will not come to nothing.
pub(crate) fn is_answered(plan: &QueryPlan, found: &Found) -> bool {
    let is_asked = plan.selection.predicate.as_ref().is_none_or(|predicate| *predicate == found.question.predicate);
    let passes = |record: &StoredRecord| {
        let signed = StoredRecord::assertion(record);
        signed.is_some_and(|signed| passes(&plan.filter, &Claim::of(record.id(), record.stamp(), signed)))
    };
    is_asked && (found.damaged.is_some() || found.claims.iter().any(|held| passes(&held.record)))
}

/// The narrowest way to the questions that are asked for.
pub(crate) fn selector(selection: &Selection, filter: &Filter) -> Selector {
    let Selection { subject, prefix, predicate } = selection.clone();
    match (subject, prefix, predicate, filter.agent) {
        (Some(subject), _, predicate, _) => Selector::Subject { subject, predicate },
        (None, Some(prefix), predicate, _) => Selector::Prefix { prefix: prefix.as_str().to_owned(), predicate },
        (None, None, _, Some(agent)) => Selector::Agent(agent),
        (None, None, Some(predicate), None) => Selector::Predicate(predicate),
        (None, None, None, None) => Selector::Every,
    }
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
