//! The order in which candidates stand, and what a tie means.
//!
//! Newer first, by the clamped timestamp, then the smaller id. Every lens is handed its candidates in this order and
//! sorts them stably by what it compares, so ties end the same way everywhere and no lens has a rule of its own.

use super::resolution::Reason;
use super::{Claim, Millionths, Ranked};
use crate::record::SourceClass;
use crate::time::Timestamp;
use std::cmp::Ordering;

/// A claim with what the order needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'c, 'a> {
    /// Its position in the slice that the lens was given.
    pub at: usize,
    /// The claim.
    pub claim: &'c Claim<'a>,
    /// Its clamped timestamp.
    pub clamped: Timestamp,
}

impl<'c, 'a> Candidate<'c, 'a> {
    /// The claim at position `at`.
    pub(super) fn new(at: usize, claim: &'c Claim<'a>) -> Self {
        Self { at, claim, clamped: claim.clamped_timestamp() }
    }

    /// The tier that counts: for now the class that the claim gives itself.
    pub(super) fn effective_tier(&self) -> SourceClass {
        self.claim.source_class
    }

    /// The candidate placed by `weight`.
    pub(super) fn ranked(&self, weight: Millionths) -> Ranked {
        Ranked { claim: self.at, weight, effective_tier: self.effective_tier() }
    }
}

/// Newer first, then the smaller id: total, as ids are distinct.
pub(super) fn newest_first(a: &Candidate<'_, '_>, b: &Candidate<'_, '_>) -> Ordering {
    b.clamped.cmp(&a.clamped).then_with(|| a.claim.id.cmp(&b.claim.id))
}

/// Why `first` stands before `second` when a lens finds nothing between them.
pub(super) fn tie(first: &Candidate<'_, '_>, second: &Candidate<'_, '_>) -> Reason {
    if first.clamped == second.clamped { Reason::TieSmallerId } else { Reason::TieNewer }
}
