//! Answers of a node, as far as tables show them. Fields that are not shown are not read.

use serde::Deserialize;
use serde_json::Number;

#[derive(Deserialize)]
pub(super) struct Answered {
    pub(super) result: Page,
    pub(super) meta: Meta,
}

#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) answers: Vec<Answer>,
}

#[derive(Deserialize)]
pub(super) struct Meta {
    pub(super) lens: String,
    pub(super) cursor: Option<String>,
    /// How old what was read may be; none if nobody knows.
    pub(super) freshness_ms: Option<u64>,
    #[serde(default)]
    pub(super) damaged: Vec<Unanswered>,
}

/// A question without an answer, since a claim on it is damaged.
#[derive(Deserialize)]
pub(super) struct Unanswered {
    pub(super) subject: String,
    pub(super) predicate: String,
    pub(super) position: String,
}

#[derive(Deserialize)]
pub(super) struct Answer {
    pub(super) subject: String,
    pub(super) predicate: String,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
    pub(super) excluded: Vec<Excluded>,
}

/// Which of these it is follows from the fields; the order matters, for the later are looser.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Outcome {
    Layers { winner: Option<Claim>, tiers: Vec<Tier>, cross_tier: Conflict },
    Conflict { conflict: Conflict },
    Candidates { candidates: Vec<Claim> },
    Decision { winner: Option<Claim>, explanation: String, runners_up: Vec<Claim> },
}

#[derive(Deserialize)]
pub(super) struct Tier {
    pub(super) tier: String,
    pub(super) winner: Claim,
    pub(super) explanation: String,
    pub(super) conflict: Conflict,
}

#[derive(Deserialize)]
pub(super) struct Conflict {
    pub(super) verdict: String,
    pub(super) score: Option<f64>,
    pub(super) values: Vec<Position>,
}

#[derive(Deserialize)]
pub(super) struct Position {
    pub(super) object: Object,
    pub(super) share: Option<f64>,
    pub(super) claims: Vec<Claim>,
}

#[derive(Deserialize)]
pub(super) struct Excluded {
    pub(super) explanation: String,
    pub(super) claim: Claim,
}

#[derive(Deserialize)]
#[serde(tag = "type", content = "value")]
pub(super) enum Object {
    Text(String),
    Number(Number),
    Boolean(bool),
    Reference(String),
}

#[derive(Deserialize)]
pub(super) struct Claim {
    pub(super) id: String,
    pub(super) object: Object,
    pub(super) confidence: f64,
    pub(super) source_class: String,
    pub(super) effective_tier: Option<String>,
    pub(super) weight: Option<f64>,
    pub(super) authors: Vec<String>,
    pub(super) timestamp: u64,
}
