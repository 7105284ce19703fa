//! From what a lens made of a question to what a reader sees, and why.
//!
//! `result` is a function of the page's answers alone; nothing of this node enters it.

mod explain;
pub(crate) mod shape;

use crate::database::{self, ClaimView, Page, QueryPlan};
use crate::query::{Cursor, Digest};
use model::lens::{self, LENS_VERSION, Outcome, TIMESTAMP_LEAD_MS_MAX};
use shape::{Answer, Candidates, Claim, Conflict, Contested, Decided, Decimal, Excluded, Layered, Meta, Position};
use shape::{ClaimObject, QueryAnswer, QueryResult, Tier};

/// Renders a page. Claims that the database numbered wrongly are left out rather than failing the answer.
pub(crate) fn render(plan: &QueryPlan, digest: &Digest, page: Page) -> QueryAnswer {
    let cursor = page.next.map(|after| Cursor { as_of: page.as_of, after }.print(digest));
    QueryAnswer {
        result: QueryResult { answers: page.answers.iter().map(answer).collect() },
        meta: Meta {
            lens: plan.lens.as_str(),
            lens_version: LENS_VERSION,
            as_of: page.as_of.to_string(),
            placement_epoch: page.placement_epoch,
            copies_consulted: page.copies_consulted,
            freshness_ms: page.freshness_ms,
            stable_at: page.stable_at.map(|stamp| stamp.to_string()),
            cursor,
            damaged: page.damaged.into_iter().map(unanswered).collect(),
        },
    }
}

fn unanswered(damaged: database::Damaged) -> shape::Unanswered {
    let database::Question { subject, predicate } = damaged.question;
    shape::Unanswered { subject: subject.to_string(), predicate: predicate.to_string(), position: damaged.position }
}

fn answer(answer: &database::Answer) -> Answer {
    let claims = Claims(&answer.claims);
    let subject = answer.question.subject.to_string();
    let predicate = answer.question.predicate.to_string();
    let excluded = answer.resolution.excluded.iter().filter_map(|excluded| claims.excluded(excluded)).collect();
    match &answer.resolution.outcome {
        Outcome::All(all) => {
            Answer::Candidates(Candidates { subject, predicate, candidates: claims.listed(all), excluded })
        }
        Outcome::Decision(decision) => Answer::Decision(Decided {
            subject,
            predicate,
            winner: decision.as_ref().and_then(|decision| claims.ranked(&decision.winner)),
            confidence: decision.as_ref().map(|decision| Decimal::of_millionths(decision.confidence)),
            reason: decision.as_ref().map(|decision| decision.reason.as_str()),
            explanation: explain::decision(decision.as_ref(), claims),
            runners_up: decision.iter().flat_map(|decision| claims.runners_up(decision)).collect(),
            excluded,
        }),
        Outcome::Conflict(conflict) => {
            Answer::Conflict(Contested { subject, predicate, conflict: claims.conflict(conflict), excluded })
        }
        Outcome::Layers(layers) => Answer::Layers(Layered {
            subject,
            predicate,
            winner: layers.overall().and_then(|decision| claims.ranked(&decision.winner)),
            tiers: layers.tiers.iter().filter_map(|layer| claims.tier(layer)).collect(),
            cross_tier: claims.conflict(&layers.cross_tier),
            excluded,
        }),
    }
}

/// The claims of one question, as a resolution numbers them.
#[derive(Clone, Copy)]
struct Claims<'a>(&'a [ClaimView]);

impl Claims<'_> {
    fn get(&self, number: usize) -> Option<&ClaimView> {
        self.0.get(number)
    }

    fn listed(&self, numbers: &[usize]) -> Vec<Claim> {
        numbers.iter().filter_map(|number| self.get(*number)).map(claim).collect()
    }

    fn ranked(&self, ranked: &lens::Ranked) -> Option<Claim> {
        Some(Claim {
            effective_tier: Some(ranked.effective_tier.as_str()),
            weight: Some(Decimal::of_millionths(ranked.weight)),
            ..claim(self.get(ranked.claim)?)
        })
    }

    fn runners_up(&self, decision: &lens::Decision) -> Vec<Claim> {
        decision.runners_up.iter().filter_map(|ranked| self.ranked(ranked)).collect()
    }

    fn tier(&self, layer: &lens::Layer) -> Option<Tier> {
        Some(Tier {
            tier: layer.tier.as_str(),
            winner: self.ranked(&layer.decision.winner)?,
            confidence: Decimal::of_millionths(layer.decision.confidence),
            reason: layer.decision.reason.as_str(),
            explanation: explain::decision(Some(&layer.decision), *self),
            runners_up: self.runners_up(&layer.decision),
            conflict: self.conflict(&layer.conflict),
        })
    }

    fn conflict(&self, conflict: &lens::Conflict) -> Conflict {
        Conflict {
            verdict: conflict.verdict.as_str(),
            score: conflict.score.map(Decimal::of_millionths),
            explanation: explain::conflict(conflict),
            values: conflict.values.iter().filter_map(|position| self.position(position)).collect(),
        }
    }

    fn position(&self, position: &lens::Position) -> Option<Position> {
        let first = self.get(*position.claims.first()?)?;
        Some(Position {
            object: object(&first.assertion.object),
            share: position.share.map(Decimal::of_millionths),
            weight: Decimal::of_millionths(position.weight),
            authors: position.authors.iter().map(ToString::to_string).collect(),
            claims: self.listed(&position.claims),
        })
    }

    fn excluded(&self, excluded: &lens::Excluded) -> Option<Excluded> {
        let (reason, explanation, superseded_by) = explain::exclusion(excluded.reason);
        Some(Excluded { reason, explanation, superseded_by, claim: claim(self.get(excluded.claim)?) })
    }
}

fn claim(view: &ClaimView) -> Claim {
    let assertion = &view.assertion;
    let counted = view.received_at.ms().saturating_add(TIMESTAMP_LEAD_MS_MAX).min(assertion.timestamp.ms());
    Claim {
        id: view.id.to_string(),
        object: object(&assertion.object),
        confidence: Decimal(assertion.confidence.get()),
        source_class: assertion.source_class.as_str(),
        effective_tier: None,
        weight: None,
        lifecycle: assertion.lifecycle.as_str(),
        authors: assertion.authors.as_slice().iter().map(ToString::to_string).collect(),
        timestamp: assertion.timestamp.ms(),
        timestamp_counted: counted,
        received_at: view.received_at.to_string(),
        valid_from: assertion.validity.from().map(model::Timestamp::ms),
        valid_to: assertion.validity.to().map(model::Timestamp::ms),
        parent_hash: assertion.parent_hash.map(|id| id.to_string()),
        source_hash: assertion.source_hash.map(|id| id.to_string()),
        epoch: assertion.epoch.map(|id| id.to_string()),
        visual_hash: assertion.visual_hash.map(|hash| hash.to_string()),
        meta: assertion.meta.as_slice().iter().cloned().collect(),
    }
}

fn object(object: &model::record::Object) -> ClaimObject {
    match object {
        model::record::Object::Text(text) => ClaimObject::Text(text.to_string()),
        model::record::Object::Number(number) => ClaimObject::Number(Decimal(number.get())),
        model::record::Object::Boolean(boolean) => ClaimObject::Boolean(*boolean),
        model::record::Object::Reference(subject) => ClaimObject::Reference(subject.to_string()),
    }
}
