//! Which claims may win, and why the others may not.
//!
//! A claim accepted after `as_of` is not seen at all. Of those seen, a superseded one is excluded, then an inactive one
//! (unless asked for), then one that does not hold at `valid_at`. Nothing here weighs a claim.
//!
//! Supersession is a fact of the record set at `as_of` and asks neither `valid_at` nor the lifecycle: whoever replaced
//! a claim has moved on from it, also when the replacement is itself `rejected` or holds at another time. Otherwise
//! withdrawing a claim would bring back the one it had replaced. For the same reason the links of a chain are all
//! superseded but the last.

use super::order::{Candidate, newest_first};
use super::resolution::{Excluded, Exclusion};
use super::{Claim, Terms};
use crate::id::RecordId;
use crate::record::Lifecycle;

/// The claims on one question, sifted.
#[derive(Debug)]
pub(super) struct Sifted<'c, 'a> {
    /// Those that may win, newest first, then by id.
    pub candidates: Vec<Candidate<'c, 'a>>,
    /// Those that may not, by id.
    pub excluded: Vec<Excluded>,
}

/// Sifts the claims on one question, in any order. Cost: O(n log n).
///
/// What is not `chosen` supersedes as ever, but is neither candidate nor excluded.
pub(super) fn sift<'c, 'a>(
    claims: &'c [Claim<'a>],
    terms: &Terms,
    chosen: &dyn Fn(&Claim<'_>) -> bool,
) -> Sifted<'c, 'a> {
    let successors = Successors::among(claims, terms);
    let mut candidates = Vec::with_capacity(claims.len());
    let mut excluded = Vec::new();
    let seen = claims.iter().enumerate().filter(|(_, claim)| claim.received_at <= terms.as_of && chosen(claim));
    for (at, claim) in seen {
        match exclusion(claim, terms, &successors) {
            None => candidates.push(Candidate::new(at, claim)),
            Some(reason) => excluded.push((claim.id, Excluded { claim: at, reason })),
        }
    }
    candidates.sort_unstable_by(newest_first);
    excluded.sort_unstable_by_key(|(id, _)| *id);
    Sifted { candidates, excluded: excluded.into_iter().map(|(_, excluded)| excluded).collect() }
}

fn exclusion(claim: &Claim<'_>, terms: &Terms, successors: &Successors<'_, '_>) -> Option<Exclusion> {
    if let Some(successor) = successors.of(claim) {
        return Some(Exclusion::Superseded(successor));
    }
    let inactive = matches!(claim.lifecycle, Lifecycle::Deprecated | Lifecycle::Rejected);
    if inactive && !terms.include_inactive {
        return Some(Exclusion::Inactive(claim.lifecycle));
    }
    terms.valid_at.filter(|moment| !claim.validity.contains(*moment)).map(|_| Exclusion::NotValid)
}

/// The claims that follow another, by the one they follow, newest first.
///
/// One step is looked up, never a chain, so claims that (against all hashing) named each other could not make it loop.
struct Successors<'c, 'a>(Vec<(RecordId, Candidate<'c, 'a>)>);

impl<'c, 'a> Successors<'c, 'a> {
    fn among(claims: &'c [Claim<'a>], terms: &Terms) -> Self {
        let seen = claims.iter().enumerate().filter(|(_, claim)| claim.received_at <= terms.as_of);
        let following = seen.filter_map(|(at, claim)| claim.parent.map(|parent| (parent, Candidate::new(at, claim))));
        let mut links: Vec<_> = following.collect();
        links.sort_unstable_by(|(a, first), (b, second)| a.cmp(b).then_with(|| newest_first(first, second)));
        Self(links)
    }

    /// The newest claim that supersedes `claim`.
    fn of(&self, claim: &Claim<'_>) -> Option<RecordId> {
        let start = self.0.partition_point(|(parent, _)| *parent < claim.id);
        let followers = self.0.iter().skip(start).take_while(|(parent, _)| *parent == claim.id);
        let mut others = followers.map(|(_, follower)| follower.claim).filter(|follower| follower.id != claim.id);
        others.find(|follower| share_an_author(claim, follower)).map(|follower| follower.id)
    }
}

fn share_an_author(a: &Claim<'_>, b: &Claim<'_>) -> bool {
    a.authors.iter().any(|author| b.authors.binary_search(author).is_ok())
}
