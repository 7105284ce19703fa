//! The answer tier by tier.
//!
//! Each populated tier is resolved for itself, as if there were no other: its winner by [`super::authority`], its
//! conflict by [`super::skeptic`]. Between tiers each winner is one voice with the weight it won by, all its authors
//! together. No tier ever changes what another says.

use super::conflict::{Voice, between};
use super::decay::Decay;
use super::order::{Candidate, newest_first};
use super::resolution::{Layer, Layers};
use super::{authority, skeptic};

/// The layers of the candidates, which stand newest first.
pub(super) fn layers(mut candidates: Vec<Candidate<'_, '_>>, decay: Decay) -> Layers {
    candidates.sort_by_key(Candidate::effective_tier);
    let tiers = candidates.chunk_by(|a, b| a.effective_tier() == b.effective_tier());
    let (tiers, mut winners): (Vec<_>, Vec<_>) = tiers.filter_map(|tier| layer(tier, decay)).unzip();
    winners.sort_unstable_by(newest_first_winner);
    let voices = winners.into_iter().enumerate().map(|(rank, (candidate, weight))| Voice {
        rank,
        candidate,
        authors: candidate.claim.authors,
        weight,
    });
    Layers { cross_tier: between(voices.collect()), tiers }
}

type Winner<'c, 'a> = (Candidate<'c, 'a>, super::Millionths);

fn newest_first_winner(a: &Winner<'_, '_>, b: &Winner<'_, '_>) -> std::cmp::Ordering {
    newest_first(&a.0, &b.0)
}

/// What the candidates of one tier say, and their winner with its weight.
fn layer<'c, 'a>(tier: &[Candidate<'c, 'a>], decay: Decay) -> Option<(Layer, Winner<'c, 'a>)> {
    let decision = authority::decide(tier, decay)?;
    let winner = *tier.iter().find(|candidate| candidate.at == decision.winner.claim)?;
    let weight = decision.winner.weight;
    let layer = Layer { tier: winner.effective_tier(), decision, conflict: skeptic::conflict(tier, decay) };
    Some((layer, (winner, weight)))
}
