//! The claim whose authors are surest wins.
//!
//! By confidence after decay, in millionths; ties to the newer, then to the smaller id. It never asks who they are.

use super::Millionths;
use super::decay::Decay;
use super::order::{Candidate, tie};
use super::resolution::{Decision, Reason};
use std::cmp::Reverse;

/// The surest of the candidates, which stand newest first.
pub(super) fn decide(candidates: &[Candidate<'_, '_>], decay: Decay) -> Option<Decision> {
    let mut scored: Vec<(Millionths, &Candidate<'_, '_>)> =
        candidates.iter().map(|candidate| (decay.confidence(candidate), candidate)).collect();
    scored.sort_by_key(|(confidence, _)| Reverse(*confidence));
    let [(confidence, winner), others @ ..] = scored.as_slice() else { return None };
    let reason = match others.first() {
        None => Reason::OnlyCandidate,
        Some((next, _)) if next < confidence => Reason::HighestConfidence,
        Some((_, next)) => tie(winner, next),
    };
    Some(Decision {
        winner: winner.ranked(*confidence),
        confidence: *confidence,
        runners_up: others.iter().map(|(confidence, candidate)| candidate.ranked(*confidence)).collect(),
        reason,
    })
}
