//! No lens: every candidate is shown.
//!
//! It never decides.

use super::order::Candidate;

/// Every candidate, newest first, then by id.
pub(super) fn all(candidates: &[Candidate<'_, '_>]) -> Vec<usize> {
    candidates.iter().map(|candidate| candidate.at).collect()
}
