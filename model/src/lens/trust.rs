//! How far an agent is trusted.
//!
//! Everybody as far as everybody else: nothing here looks at an agent yet.

use super::{Claim, Millionths};

/// The trust in an agent about whom nothing is known, in millionths.
pub const TRUST_AT_START: Millionths = 500_000;

/// The trust in a claim, in millionths: that in the least trusted of its authors.
pub(super) fn trust_in(_claim: &Claim<'_>) -> Millionths {
    TRUST_AT_START
}
