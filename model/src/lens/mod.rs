//! Lenses: how claims that contradict each other are resolved at read time.
//!
//! [`resolve`] is a pure function of the claims and the terms; it never sums floats, reads a clock or depends on the
//! order of its input. Weights and shares are integers in millionths.

use crate::id::{AgentId, RecordId};
use crate::record::{Lifecycle, SourceClass};
use crate::time::{Duration, Stamp, Timestamp};

/// The version of the rules of all lenses; it is part of every answer and rises when an answer could change.
pub const LENS_VERSION: u32 = 1;

/// One part in a million.
pub type Millionths = u64;

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

/// What a claim says, in place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// A finite number, never -0.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// Another subject.
    Reference(&'a str),
}

/// A stored claim as a lens sees it: borrowed from the archive, nothing decoded.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Its name.
    pub id: RecordId,
    /// When a node accepted it.
    pub received_at: Stamp,
    /// Its authors, ascending.
    pub authors: &'a [rkyv::Archived<AgentId>],
    /// When they claim it.
    pub timestamp: Timestamp,
    /// What they say.
    pub value: Value<'a>,
    /// How sure they are, 0 to 1,000,000.
    pub confidence: u32,
    /// The class that the claim gives itself.
    pub source_class: SourceClass,
    /// Where it stands in its life.
    pub lifecycle: Lifecycle,
    /// The claim it follows.
    pub parent: Option<RecordId>,
    /// The epoch it belongs to.
    pub epoch: Option<RecordId>,
    /// When it holds.
    pub validity: crate::record::Validity,
}

/// Under which terms claims are resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What was accepted later is not seen at all: neither candidate nor excluded.
    pub as_of: Stamp,
    /// If given, claims that do not hold at that moment are excluded.
    pub valid_at: Option<Timestamp>,
    /// How fast a weight decays up to `as_of`.
    pub half_life: HalfLife,
    /// Whether `deprecated` and `rejected` claims are candidates too.
    pub include_inactive: bool,
}

/// How fast weights decay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfLife {
    /// They do not.
    Off,
    /// By class: 10, 5, 2 and 1 years, 180 days, 30 days, from regulatory to anecdotal.
    Class,
    /// The same for all.
    Every(Duration),
}

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
    /// Of [`Lens::None`]: every candidate, newest first, then by id.
    All(Vec<usize>),
    /// Of a lens that picks one claim; nothing if there was no candidate.
    Decision(Option<Decision>),
    /// Of [`Lens::Skeptic`].
    Conflict(Conflict),
    /// Of [`Lens::Layered`].
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

/// Why a claim was no candidate.
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
    /// How sure the lens is of it, in millionths.
    pub confidence: Millionths,
    /// The other candidates, best first.
    pub runners_up: Vec<Ranked>,
    /// Which comparison decided between the winner and the first runner-up.
    pub reason: Reason,
}

/// A candidate with the numbers that placed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// Which claim.
    pub claim: usize,
    /// What the lens compared, in its own unit: see the lens.
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
    /// More authors hold its value.
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
    /// A row per distinct value, largest share first, ties to the smaller id of the representative.
    pub values: Vec<Position>,
    /// Entropy of the shares over the most it could be, in millionths; 0 for one value; none without any weight.
    pub score: Option<Millionths>,
    /// In a word.
    pub verdict: Verdict,
}

/// One value and who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The claims that say so and count (each author's newest), newest first.
    pub claims: Vec<usize>,
    /// The authors that hold it, ascending.
    pub authors: Vec<AgentId>,
    /// The sum of their weights, in millionths.
    pub weight: Millionths,
    /// Its part of the whole, in millionths; none without any weight.
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

/// The answer tier by tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layers {
    /// The populated tiers, strongest first.
    pub tiers: Vec<Layer>,
    /// The conflict between the winners of the tiers.
    pub cross_tier: Conflict,
}

/// What one tier says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Which tier.
    pub tier: SourceClass,
    /// Its winner, by the rule of [`Lens::Authority`].
    pub decision: Decision,
    /// The conflict inside it.
    pub conflict: Conflict,
}
