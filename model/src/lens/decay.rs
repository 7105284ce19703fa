//! Weights that fade with age.
//!
//! A weight halves every half life from the clamped timestamp up to `as_of`. It never grows: a claim that dates itself
//! after `as_of` counts in full.

use super::fixed::{EXP2_ONE, exp2_neg};
use super::order::Candidate;
use super::{HalfLife, Millionths, Terms};
use crate::time::Stamp;

/// The decay that the terms ask for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decay {
    as_of: Stamp,
    half_life: HalfLife,
}

impl Decay {
    pub(super) fn new(terms: &Terms) -> Self {
        Self { as_of: terms.as_of, half_life: terms.half_life }
    }

    /// The confidence of the claim after decay, in millionths, at most 1,000,000.
    pub(super) fn confidence(&self, candidate: &Candidate<'_, '_>) -> Millionths {
        self.apply(u64::from(candidate.claim.confidence), candidate)
    }

    /// What is left of `weight` (below 2^64 millionths), rounded to the nearest millionth, halves up.
    pub(super) fn apply(&self, weight: Millionths, candidate: &Candidate<'_, '_>) -> Millionths {
        let Some(half_life) = self.half_life.of(candidate.effective_tier()) else { return weight };
        let age_ms = self.as_of.ms().saturating_sub(candidate.clamped.ms());
        let product = u128::from(weight) * u128::from(exp2_neg(age_ms, half_life.ms()));
        let one = u128::from(EXP2_ONE);
        u64::try_from((product + one / 2) / one).unwrap_or(weight)
    }
}
