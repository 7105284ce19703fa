//! How far voices disagree.
//!
//! Each voice states one value with a weight; [`between`] groups them by value and measures the disagreement. It never
//! asks why a voice counts: that is the lens's business.
//!
//! The score is Shannon entropy over its maximum, taken from the weights themselves and not from the rounded shares:
//! with the total W of n values of weights w, it is `sum(w * (log2 W - log2 w)) / (W * log2 n)`, in integers, rounded
//! to the nearest millionth, halves up. Values without weight add nothing to the entropy but count in n.

use super::fixed::log2;
use super::order::Candidate;
use super::resolution::{Conflict, Position, Verdict};
use super::{Millionths, WHOLE};
use crate::id::AgentId;
use std::num::NonZeroU64;

/// The score from which a question counts as contested.
const CONTESTED_FROM: Millionths = WHOLE / 2;

/// Somebody who says something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voice<'c, 'a> {
    /// Where the claim stands among those that are newest first.
    pub rank: usize,
    /// The claim.
    pub candidate: Candidate<'c, 'a>,
    /// Those who say it with this voice.
    pub authors: &'a [rkyv::Archived<AgentId>],
    /// What the voice weighs, at most 1,000,000.
    pub weight: Millionths,
}

/// The conflict between voices, in any order. Cost: O(n log n), and two allocations a distinct value.
pub(super) fn between(mut voices: Vec<Voice<'_, '_>>) -> Conflict {
    voices.sort_unstable_by(|a, b| {
        let [first, second] = [a, b].map(|voice| &voice.candidate.claim.value);
        first.cmp_bytes(second).then(a.rank.cmp(&b.rank))
    });
    let mut groups: Vec<_> = voices.chunk_by(|a, b| a.candidate.claim.value == b.candidate.claim.value).collect();
    groups.sort_unstable_by_key(|group| group.first().map(|newest| newest.rank));
    let total = voices.iter().map(|voice| voice.weight).sum();
    let mut values: Vec<_> = groups.into_iter().map(|group| position(group, total)).collect();
    values.sort_by_key(|value| std::cmp::Reverse(value.weight));
    let score = score(&values, total);
    Conflict { verdict: verdict(values.len(), score), score, values }
}

/// One row, from voices of one value in the order of their ranks.
fn position(group: &[Voice<'_, '_>], total: Millionths) -> Position {
    let mut claims: Vec<_> = group.iter().map(|voice| voice.candidate.at).collect();
    claims.dedup();
    let mut authors: Vec<_> = group.iter().flat_map(|voice| voice.authors).map(AgentId::from).collect();
    authors.sort_unstable();
    authors.dedup();
    let weight = group.iter().map(|voice| voice.weight).sum();
    Position { claims, authors, weight, share: part(weight, total) }
}

/// `weight` of `total` in millionths, rounded down; `None` if there is no total.
pub(super) fn part(weight: u64, total: u64) -> Option<Millionths> {
    let scaled = u128::from(weight) * u128::from(WHOLE);
    scaled.checked_div(u128::from(total)).and_then(|share| u64::try_from(share).ok())
}

fn score(heaviest_first: &[Position], total: Millionths) -> Option<Millionths> {
    let total = NonZeroU64::new(total)?;
    let most = u64::try_from(heaviest_first.len()).ok().and_then(NonZeroU64::new).map_or(0, log2);
    if most == 0 {
        return Some(0); // one value
    }
    let of_total = log2(total);
    let mut sum: u128 = 0;
    for same in heaviest_first.chunk_by(|a, b| a.weight == b.weight) {
        let Some(weight) = same.first().and_then(|position| NonZeroU64::new(position.weight)) else { break };
        let together: u128 = same.iter().map(|position| u128::from(position.weight)).sum();
        sum += together * u128::from(of_total - log2(weight));
    }
    let most_sum = u128::from(total.get()) * u128::from(most);
    let rounded = (sum * u128::from(WHOLE) + most_sum / 2) / most_sum;
    Some(u64::try_from(rounded).unwrap_or(WHOLE).min(WHOLE))
}

fn verdict(values: usize, score: Option<Millionths>) -> Verdict {
    match (values, score) {
        (0, _) => Verdict::Silent,
        (1, _) => Verdict::Unanimous,
        (_, Some(score)) if score < CONTESTED_FROM => Verdict::Agreed,
        (_, _) => Verdict::Contested,
    }
}
