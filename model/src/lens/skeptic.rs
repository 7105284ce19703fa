//! A row for each value, and how contested the question is.
//!
//! Authors are counted as in [`super::voices`], each with the confidence of its newest claim after decay; shares and
//! score are [`super::conflict`]'s. It never picks a winner.

use super::conflict::{Voice, between};
use super::decay::Decay;
use super::order::Candidate;
use super::resolution::Conflict;
use super::voices::{Held, held};

/// The conflict among the candidates, which stand newest first.
pub(super) fn conflict(candidates: &[Candidate<'_, '_>], decay: Decay) -> Conflict {
    between(held(candidates).into_iter().filter_map(|held| voice(held, candidates, decay)).collect())
}

fn voice<'c, 'a>(held: Held<'a>, candidates: &[Candidate<'c, 'a>], decay: Decay) -> Option<Voice<'c, 'a>> {
    let candidate = *candidates.get(held.rank)?;
    let authors = std::slice::from_ref(held.author);
    Some(Voice { rank: held.rank, candidate, authors, weight: decay.confidence(&candidate) })
}
