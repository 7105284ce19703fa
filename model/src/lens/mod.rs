//! Lenses: how claims that contradict each other are resolved at read time.
//!
//! [`resolve`] is a pure function of the claims and the terms; it never sums floats, reads a clock or depends on the
//! order of its input. Weights and shares are integers in millionths.
//!
//! The way of a claim: [`Claim::of`] views it in place, `candidates` sifts it, a file per lens ranks it. Invariants:
//! each claim seen at `as_of` is either a candidate or excluded with a reason; what is excluded changes nothing but the
//! list of what is excluded; ties go to the newer claim, then to the smaller id.

mod authority;
mod candidates;
mod claim;
mod confidence;
mod conflict;
mod consensus;
mod decay;
mod fixed;
mod layered;
mod none;
mod order;
mod recency;
mod resolution;
mod skeptic;
mod terms;
#[cfg(test)]
mod tests;
mod trust;
mod voices;

pub use claim::{Claim, TIMESTAMP_LEAD_MS_MAX, Value};
pub use fixed::{EXP2_ONE, LOG2_ONE, exp2_neg, log2};
pub use resolution::{
    Conflict, Decision, Excluded, Exclusion, Layer, Layers, Outcome, Position, Ranked, Reason, Resolution, Verdict,
};
pub use terms::{HalfLife, Terms};
pub use trust::TRUST_AT_START;

/// The version of the rules of all lenses; it is part of every answer and rises when an answer could change.
pub const LENS_VERSION: u32 = 1;

/// One part in a million.
pub type Millionths = u64;

/// The whole, in millionths.
pub(crate) const WHOLE: Millionths = 1_000_000;

/// A rule that resolves the claims on one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lens {
    /// Decides nothing: every candidate is shown.
    None,
    /// The newest claim, by its clamped timestamp.
    Recency,
    /// The claim whose authors are surest.
    Confidence,
    /// The value that most authors hold.
    Consensus,
    /// The lowest populated tier decides; inside it confidence times trust.
    Authority,
    /// A row per value with its share, and how contested the question is.
    Skeptic,
    /// Each populated tier's winner and conflict.
    Layered,
}

impl Lens {
    /// All of them.
    pub const ALL: &[Self] =
        &[Self::None, Self::Recency, Self::Confidence, Self::Consensus, Self::Authority, Self::Skeptic, Self::Layered];

    /// The word that stands for it in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Recency => "recency",
            Self::Confidence => "confidence",
            Self::Consensus => "consensus",
            Self::Authority => "authority",
            Self::Skeptic => "skeptic",
            Self::Layered => "layered",
        }
    }

    /// The inverse of [`Lens::as_str`].
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|lens| lens.as_str() == word)
    }
}

/// Resolves the claims on one question: all of one subject and predicate, in any order, with distinct ids.
///
/// The answer depends on the set of claims alone; only the positions in it follow the slice. Defined for no claim and
/// for one. Cost: O(n log n) for n claims with their authors; no allocation per claim.
pub fn resolve(lens: Lens, claims: &[Claim<'_>], terms: &Terms) -> Resolution {
    resolve_chosen(lens, claims, terms, &|_| true)
}

/// [`resolve`] among the `chosen` claims only: the others are neither candidates nor excluded, and yet what they
/// supersede stays superseded. A filter narrows an answer; it never brings back what its author has left behind.
pub fn resolve_chosen(
    lens: Lens,
    claims: &[Claim<'_>],
    terms: &Terms,
    chosen: &dyn Fn(&Claim<'_>) -> bool,
) -> Resolution {
    let sifted = candidates::sift(claims, terms, chosen);
    let (candidates, decay) = (sifted.candidates, decay::Decay::new(terms));
    let outcome = match lens {
        Lens::None => Outcome::All(none::all(&candidates)),
        Lens::Recency => Outcome::Decision(recency::decide(&candidates, decay)),
        Lens::Confidence => Outcome::Decision(confidence::decide(&candidates, decay)),
        Lens::Consensus => Outcome::Decision(consensus::decide(&candidates)),
        Lens::Authority => Outcome::Decision(authority::decide(&candidates, decay)),
        Lens::Skeptic => Outcome::Conflict(skeptic::conflict(&candidates, decay)),
        Lens::Layered => Outcome::Layers(layered::layers(candidates, decay)),
    };
    Resolution { outcome, excluded: sifted.excluded }
}
