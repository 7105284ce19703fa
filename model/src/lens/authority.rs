//! The strongest populated tier decides, however many speak below it.
//!
//! Inside the tier the claim of the highest confidence times trust wins, after decay, in millionths (halves up: what
//! differs by less is a tie); ties to the newer, then to the smaller id. A count of claims never matters.

use super::decay::Decay;
use super::order::{Candidate, tie};
use super::resolution::{Decision, Reason};
use super::trust::trust_in;
use super::{Millionths, WHOLE};
use crate::record::SourceClass;
use std::cmp::Reverse;

struct Scored<'s, 'c, 'a> {
    tier: SourceClass,
    weight: Millionths,
    candidate: &'s Candidate<'c, 'a>,
}

/// The most authoritative of the candidates, which stand newest first.
pub(super) fn decide(candidates: &[Candidate<'_, '_>], decay: Decay) -> Option<Decision> {
    let mut scored: Vec<_> = candidates
        .iter()
        .map(|candidate| Scored { tier: candidate.effective_tier(), weight: weight(candidate, decay), candidate })
        .collect();
    scored.sort_by_key(|scored| (scored.tier, Reverse(scored.weight)));
    let [winner, others @ ..] = scored.as_slice() else { return None };
    let ranked = |scored: &Scored<'_, '_, '_>| scored.candidate.ranked(scored.weight);
    Some(Decision {
        winner: ranked(winner),
        confidence: decay.confidence(winner.candidate),
        runners_up: others.iter().map(ranked).collect(),
        reason: others.first().map_or(Reason::OnlyCandidate, |next| reason(winner, next)),
    })
}

/// Confidence times trust after decay.
fn weight(candidate: &Candidate<'_, '_>, decay: Decay) -> Millionths {
    let product = u64::from(candidate.claim.confidence) * trust_in(candidate.claim);
    decay.apply((product + WHOLE / 2) / WHOLE, candidate)
}

fn reason(winner: &Scored<'_, '_, '_>, next: &Scored<'_, '_, '_>) -> Reason {
    if winner.tier < next.tier {
        Reason::HigherTier
    } else if winner.weight > next.weight {
        Reason::HigherWeightInTier
    } else {
        tie(winner.candidate, next.candidate)
    }
}
