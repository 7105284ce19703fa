//! Who holds what: one author, one voice.
//!
//! An author that said several things counts once, by its newest claim (ties to the smaller id); a claim of several
//! authors counts for each of them. Nothing here weighs a claim.

use super::order::Candidate;
use crate::id::AgentId;

/// An author and the claim by which it counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held<'a> {
    /// The author.
    pub author: &'a rkyv::Archived<AgentId>,
    /// Where its newest claim stands among the candidates.
    pub rank: usize,
}

/// Each author of the candidates (newest first) once, in ascending order. Cost: O(n log n) in authors named.
pub(super) fn held<'a>(candidates: &[Candidate<'_, 'a>]) -> Vec<Held<'a>> {
    let named = candidates.iter().enumerate().flat_map(|(rank, candidate)| {
        let authors: &'a [_] = candidate.claim.authors;
        authors.iter().map(move |author| Held { author, rank })
    });
    let mut held: Vec<_> = named.collect();
    held.sort_unstable_by(|a, b| a.author.cmp(b.author).then(a.rank.cmp(&b.rank)));
    held.dedup_by(|later, first| later.author == first.author);
    held
}
