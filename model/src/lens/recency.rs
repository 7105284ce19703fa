//! The newest claim wins.
//!
//! By the clamped timestamp, never by when a node happened to receive it; ties to the smaller id. Decay changes how
//! sure the answer is, not which claim it is.

use super::decay::Decay;
use super::order::Candidate;
use super::resolution::{Decision, Reason};

/// The newest of the candidates, which stand newest first.
pub(super) fn decide(candidates: &[Candidate<'_, '_>], decay: Decay) -> Option<Decision> {
    let [winner, others @ ..] = candidates else { return None };
    let reason = match others.first() {
        None => Reason::OnlyCandidate,
        Some(next) if next.clamped < winner.clamped => Reason::Newest,
        Some(_) => Reason::TieSmallerId,
    };
    let ranked = |candidate: &Candidate<'_, '_>| candidate.ranked(candidate.clamped.ms());
    Some(Decision {
        winner: ranked(winner),
        confidence: decay.confidence(winner),
        runners_up: others.iter().map(ranked).collect(),
        reason,
    })
}
