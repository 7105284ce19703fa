//! The value that most authors hold wins, shown by its newest claim.
//!
//! Authors are counted as in [`super::voices`], never weighed. A value's representative is the newest of the claims by
//! which it is held (ties to the smaller id); between values that equally many hold, the newer representative decides,
//! then the one of the smaller id. A candidate that its own authors have moved on from without superseding it stays a
//! runner-up, behind those of its value that are held.

use super::WHOLE;
use super::conflict::part;
use super::order::{Candidate, tie};
use super::resolution::{Decision, Reason};
use super::voices::held;
use std::cmp::Reverse;

/// A candidate and how many authors count by it.
struct Member<'s, 'c, 'a> {
    rank: usize,
    candidate: &'s Candidate<'c, 'a>,
    authors: u64,
}

/// The candidates of one value: those that are held first, each kind newest first.
struct Camp<'m, 's, 'c, 'a> {
    members: &'m [Member<'s, 'c, 'a>],
    authors: u64,
}

/// The representative of the value that most authors hold; the candidates stand newest first.
pub(super) fn decide(candidates: &[Candidate<'_, '_>]) -> Option<Decision> {
    let mut members = members(candidates);
    members.sort_unstable_by(|a, b| {
        let by_value = a.candidate.claim.value.cmp_bytes(&b.candidate.claim.value);
        by_value.then_with(|| (a.authors == 0, a.rank).cmp(&(b.authors == 0, b.rank)))
    });
    let same_value =
        |a: &Member<'_, '_, '_>, b: &Member<'_, '_, '_>| a.candidate.claim.value == b.candidate.claim.value;
    let mut camps: Vec<_> = members.chunk_by(same_value).map(Camp::of).collect();
    camps.sort_unstable_by_key(|camp| (Reverse(camp.authors), camp.members.first().map(|member| member.rank)));
    let mut ranked =
        camps.iter().flat_map(|camp| camp.members.iter().map(|member| member.candidate.ranked(camp.authors)));
    let winner = ranked.next()?;
    let authors = camps.iter().map(|camp| camp.authors).sum();
    Some(Decision {
        winner,
        confidence: part(winner.weight, authors).unwrap_or(WHOLE),
        runners_up: ranked.collect(),
        reason: reason(&camps, candidates.len()),
    })
}

fn members<'s, 'c, 'a>(candidates: &'s [Candidate<'c, 'a>]) -> Vec<Member<'s, 'c, 'a>> {
    let uncounted = candidates.iter().enumerate().map(|(rank, candidate)| Member { rank, candidate, authors: 0 });
    let mut members: Vec<_> = uncounted.collect();
    for held in held(candidates) {
        if let Some(member) = members.get_mut(held.rank) {
            member.authors += 1;
        }
    }
    members
}

impl<'m, 's, 'c, 'a> Camp<'m, 's, 'c, 'a> {
    fn of(members: &'m [Member<'s, 'c, 'a>]) -> Self {
        Self { members, authors: members.iter().map(|member| member.authors).sum() }
    }
}

fn reason(camps: &[Camp<'_, '_, '_, '_>], candidates: usize) -> Reason {
    match camps {
        _ if candidates == 1 => Reason::OnlyCandidate,
        [first, second, ..] if first.authors == second.authors => {
            let newest = first.members.first().zip(second.members.first());
            newest.map_or(Reason::MostAuthors, |(a, b)| tie(a.candidate, b.candidate))
        }
        _ => Reason::MostAuthors,
    }
}
