//! What a lens made of the claims on one question.
//!
//! Plain values that name claims by their position in the slice that the lens was given. They never copy a claim.

use super::Millionths;
use crate::id::{AgentId, RecordId};
use crate::record::{Lifecycle, SourceClass};

/// What a lens made of the claims on one question. Numbers of claims are positions in the slice it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// What it decided.
    pub outcome: Outcome,
    /// The claims that were no candidates, in the order of their ids.
    pub excluded: Vec<Excluded>,
}

/// What a lens decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Of [`Lens::None`](super::Lens::None): every candidate, newest first, then by id.
    All(Vec<usize>),
    /// Of a lens that picks one claim; nothing if there was no candidate.
    Decision(Option<Decision>),
    /// Of [`Lens::Skeptic`](super::Lens::Skeptic).
    Conflict(Conflict),
    /// Of [`Lens::Layered`](super::Lens::Layered).
    Layers(Layers),
}

/// A claim that was no candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excluded {
    /// Which.
    pub claim: usize,
    /// Why.
    pub reason: Exclusion,
}

/// Why a claim was no candidate. If several reasons hold, the first in this order is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// The named claim supersedes it: same question, an author in common, `parent_hash` names this one.
    Superseded(RecordId),
    /// Its lifecycle is `deprecated` or `rejected`.
    Inactive(Lifecycle),
    /// It does not hold at `valid_at`.
    NotValid,
}

/// The claim that won, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The winner.
    pub winner: Ranked,
    /// How sure the lens is of it, in millionths: of consensus the part of all authors that hold its value, rounded
    /// down; of the others the winner's own confidence after decay.
    pub confidence: Millionths,
    /// The other candidates, best first.
    pub runners_up: Vec<Ranked>,
    /// Which comparison decided between the winner and the first runner-up; of consensus, between the winning value
    /// and the next.
    pub reason: Reason,
}

/// A candidate with the numbers that placed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// Which claim.
    pub claim: usize,
    /// What the lens compared, in its own unit. Recency: the clamped timestamp in ms; confidence: millionths after
    /// decay; consensus: the number of authors that hold its value; authority and layered: confidence times trust in
    /// millionths after decay.
    pub weight: Millionths,
    /// The tier that counts: the weakest of what is claimed and what is granted.
    pub effective_tier: SourceClass,
}

/// Which comparison decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There was one candidate.
    OnlyCandidate,
    /// Its timestamp is newer.
    Newest,
    /// Its authors are surer (decay counted).
    HighestConfidence,
    /// More authors hold its value than any other.
    MostAuthors,
    /// Its tier is stronger.
    HigherTier,
    /// Inside the deciding tier its confidence times trust is higher.
    HigherWeightInTier,
    /// All equal but the time: it is newer.
    TieNewer,
    /// All equal: its id is smaller.
    TieSmallerId,
}

/// How contested a question is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// A row per distinct value, heaviest first, ties to the newer first claim of the row, then to its smaller id.
    pub values: Vec<Position>,
    /// Entropy of the shares over the most it could be, in millionths; 0 for one value; none without any weight.
    pub score: Option<Millionths>,
    /// In a word.
    pub verdict: Verdict,
}

/// One value and who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The claims that say so and count (each author's newest), newest first, ties to the smaller id. Never empty.
    pub claims: Vec<usize>,
    /// The authors that hold it, ascending.
    pub authors: Vec<AgentId>,
    /// The sum of their weights, in millionths.
    pub weight: Millionths,
    /// Its part of the whole, in millionths, rounded down; none without any weight. So the shares of n values sum to
    /// more than 1,000,000 - n and to 1,000,000 at most.
    pub share: Option<Millionths>,
}

/// A conflict in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody says anything.
    Silent,
    /// One value.
    Unanimous,
    /// A conflict score under one half.
    Agreed,
    /// A conflict score of one half or more, or several values without any weight.
    Contested,
}

impl Verdict {
    /// The word that stands for it in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Unanimous => "unanimous",
            Self::Agreed => "agreed",
            Self::Contested => "contested",
        }
    }
}

impl Reason {
    /// The word that stands for it in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnlyCandidate => "only_candidate",
            Self::Newest => "newest",
            Self::HighestConfidence => "highest_confidence",
            Self::MostAuthors => "most_authors",
            Self::HigherTier => "higher_tier",
            Self::HigherWeightInTier => "higher_weight_in_tier",
            Self::TieNewer => "tie_newer",
            Self::TieSmallerId => "tie_smaller_id",
        }
    }
}

/// The answer tier by tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layers {
    /// The populated tiers, strongest first.
    pub tiers: Vec<Layer>,
    /// The conflict between the winners of the tiers: each winner is one voice, with the weight that it won by.
    pub cross_tier: Conflict,
}

impl Layers {
    /// The answer on the whole: what the strongest populated tier says.
    pub fn overall(&self) -> Option<&Decision> {
        self.tiers.first().map(|layer| &layer.decision)
    }
}

/// What one tier says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Which tier.
    pub tier: SourceClass,
    /// Its winner, by the rule of [`Lens::Authority`](super::Lens::Authority).
    pub decision: Decision,
    /// The conflict inside it, by the rule of [`Lens::Skeptic`](super::Lens::Skeptic) on its claims alone.
    pub conflict: Conflict,
}
