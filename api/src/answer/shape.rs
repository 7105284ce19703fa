//! The shapes of answers, as they are printed and as the OpenAPI document describes them.

use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A number as RFC 8785 prints it wherever that is an integer: `11051600`, not `11051600.0`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal(pub(crate) f64);

impl Decimal {
    /// Millionths as a decimal: 950,000 is 0.95. The quotient is the nearest double, so every machine prints the same.
    #[expect(clippy::cast_precision_loss, reason = "weights are far below 2^53")]
    pub(crate) fn of_millionths(millionths: u64) -> Self {
        Self(millionths as f64 / 1e6)
    }
}

impl Serialize for Decimal {
    #[expect(clippy::cast_possible_truncation, reason = "a whole number within 2^53")]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() <= 9_007_199_254_740_992.0 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

/// What was asked for, resolved, and how that came about.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueryAnswer {
    /// A function of the records alone: the same for the same parameters and `as_of` on every node.
    pub(crate) result: QueryResult,
    /// How this node came by it.
    pub(crate) meta: Meta,
}

/// One page of answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueryResult {
    /// One answer a question, in ascending order of (subject, predicate).
    pub(crate) answers: Vec<Answer>,
}

/// How a node came by an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Meta {
    /// The lens.
    #[schema(value_type = String, examples("authority"))]
    pub(crate) lens: &'static str,
    /// The version of the lens rules.
    pub(crate) lens_version: u32,
    /// Up to when accepted records were seen: `<ms>.<counter>`.
    #[schema(examples("1785000000000.0"))]
    pub(crate) as_of: String,
    /// The epoch of the placement table.
    pub(crate) placement_epoch: u64,
    /// How many copies were consulted.
    pub(crate) copies_consulted: u16,
    /// How old what was read may be: what was acknowledged longer ago is in the answer, whoever was away meanwhile. Null
    /// where that is not known: who answered has met no other owner since it came back, and none could be reached.
    pub(crate) freshness_ms: Option<u64>,
    /// The `result` of the same question with an `as_of` at or before this never changes again, on any node, but that an
    /// erased claim is listed as erased: `<ms>.<counter>`. It follows the time by some seconds while all owners are up, and
    /// stands still while one is down. Null where it is not known: an owner that answered has not compared its copy with
    /// every other owner since it came back.
    #[schema(examples("1784999997000.0"))]
    pub(crate) stable_at: Option<String>,
    /// Where the next page begins; null on the last.
    pub(crate) cursor: Option<String>,
    /// Questions of this page that are not answered, because a claim on them is damaged on this node's disk.
    pub(crate) damaged: Vec<Unanswered>,
}

/// A question that is not answered: a claim on it is damaged, and an answer without that claim might be another one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Unanswered {
    /// What the question is about.
    pub(crate) subject: String,
    /// Which property.
    pub(crate) predicate: String,
    /// Where in the log the damage is.
    #[schema(examples("3:120"))]
    pub(crate) position: String,
}

/// What a lens made of one question; which of these it is follows from the lens.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Answer {
    /// Of `none`.
    Candidates(Candidates),
    /// Of `recency`, `confidence`, `consensus`, `authority`.
    Decision(Decided),
    /// Of `skeptic`.
    Conflict(Contested),
    /// Of `layered`.
    Layers(Layered),
}

/// Every candidate, nothing decided.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Candidates {
    /// What the question is about.
    pub(crate) subject: String,
    /// Which property.
    pub(crate) predicate: String,
    /// Newest first, then by id.
    pub(crate) candidates: Vec<Claim>,
    /// The claims that were no candidates.
    pub(crate) excluded: Vec<Excluded>,
}

/// The claim that won, and why.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Decided {
    /// What the question is about.
    pub(crate) subject: String,
    /// Which property.
    pub(crate) predicate: String,
    /// The winner; null if there was no candidate.
    pub(crate) winner: Option<Claim>,
    /// How sure the lens is of it, 0 to 1; null without a winner.
    #[schema(value_type = Option<f64>)]
    pub(crate) confidence: Option<Decimal>,
    /// Which comparison decided; null without a winner.
    #[schema(value_type = Option<String>, examples("higher_tier"))]
    pub(crate) reason: Option<&'static str>,
    /// The same as a sentence for people.
    pub(crate) explanation: String,
    /// The other candidates, best first.
    pub(crate) runners_up: Vec<Claim>,
    /// The claims that were no candidates.
    pub(crate) excluded: Vec<Excluded>,
}

/// How contested a question is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Contested {
    /// What the question is about.
    pub(crate) subject: String,
    /// Which property.
    pub(crate) predicate: String,
    /// The conflict.
    pub(crate) conflict: Conflict,
    /// The claims that were no candidates.
    pub(crate) excluded: Vec<Excluded>,
}

/// The answer tier by tier.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Layered {
    /// What the question is about.
    pub(crate) subject: String,
    /// Which property.
    pub(crate) predicate: String,
    /// The winner of the strongest populated tier; null if there was no candidate.
    pub(crate) winner: Option<Claim>,
    /// The populated tiers, strongest first.
    pub(crate) tiers: Vec<Tier>,
    /// The conflict between the winners of the tiers.
    pub(crate) cross_tier: Conflict,
    /// The claims that were no candidates.
    pub(crate) excluded: Vec<Excluded>,
}

/// What one tier says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tier {
    /// The class of sources.
    #[schema(value_type = String, examples("regulatory"))]
    pub(crate) tier: &'static str,
    /// Its winner.
    pub(crate) winner: Claim,
    /// How sure the lens is of it, 0 to 1.
    #[schema(value_type = f64)]
    pub(crate) confidence: Decimal,
    /// Which comparison decided.
    #[schema(value_type = String, examples("only_candidate"))]
    pub(crate) reason: &'static str,
    /// The same as a sentence for people.
    pub(crate) explanation: String,
    /// The other candidates of the tier, best first.
    pub(crate) runners_up: Vec<Claim>,
    /// The conflict inside the tier.
    pub(crate) conflict: Conflict,
}

/// Who holds what, and how far they disagree.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Conflict {
    /// `silent`, `unanimous`, `agreed` or `contested`.
    #[schema(value_type = String, examples("contested"))]
    pub(crate) verdict: &'static str,
    /// From 0 (one value) to 1 (all values weigh the same); null without any weight.
    #[schema(value_type = Option<f64>)]
    pub(crate) score: Option<Decimal>,
    /// The same as a sentence for people.
    pub(crate) explanation: String,
    /// One row a value, largest share first.
    pub(crate) values: Vec<Position>,
}

/// One value and who holds it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Position {
    /// The value.
    pub(crate) object: ClaimObject,
    /// Its part of the whole, 0 to 1; null without any weight.
    #[schema(value_type = Option<f64>)]
    pub(crate) share: Option<Decimal>,
    /// The sum of its authors' weights.
    #[schema(value_type = f64)]
    pub(crate) weight: Decimal,
    /// The authors that hold it, ascending.
    pub(crate) authors: Vec<String>,
    /// The claims that say so and count, newest first.
    pub(crate) claims: Vec<Claim>,
}

/// A claim that was no candidate.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Excluded {
    /// `superseded`, `inactive` or `not_valid`.
    #[schema(value_type = String, examples("superseded"))]
    pub(crate) reason: &'static str,
    /// The same as a sentence for people.
    pub(crate) explanation: String,
    /// The claim that supersedes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) superseded_by: Option<String>,
    /// The claim.
    pub(crate) claim: Claim,
}

/// What a claim says.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", content = "value")]
pub(crate) enum ClaimObject {
    /// A text.
    Text(String),
    /// A number.
    #[schema(value_type = f64)]
    Number(Decimal),
    /// True or false.
    Boolean(bool),
    /// Another subject.
    Reference(String),
}

/// A claim as answers show it. Its signatures and its vector, if any, are at `/v1/records/{id}`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Claim {
    /// Its name.
    pub(crate) id: String,
    /// What it says.
    pub(crate) object: ClaimObject,
    /// How sure its authors are, 0 to 1.
    #[schema(value_type = f64)]
    pub(crate) confidence: Decimal,
    /// The class, hence the tier, that it claims.
    #[schema(value_type = String, examples("community"))]
    pub(crate) source_class: &'static str,
    /// The tier that counted, where the lens placed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false, examples("community"))]
    pub(crate) effective_tier: Option<&'static str>,
    /// What the lens compared, where it placed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, nullable = false)]
    pub(crate) weight: Option<Decimal>,
    /// Where it stands in its life.
    #[schema(value_type = String, examples("proposed"))]
    pub(crate) lifecycle: &'static str,
    /// Its authors, ascending.
    pub(crate) authors: Vec<String>,
    /// When they claim it, in milliseconds since the Unix epoch.
    pub(crate) timestamp: u64,
    /// The same as lenses count it: never later than five minutes after `received_at`.
    pub(crate) timestamp_counted: u64,
    /// When a node accepted it: `<ms>.<counter>`.
    pub(crate) received_at: String,
    /// The first moment at which it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) valid_from: Option<u64>,
    /// The first moment at which it no longer holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) valid_to: Option<u64>,
    /// The claim it follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) parent_hash: Option<String>,
    /// The source it rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) source_hash: Option<String>,
    /// The epoch it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) epoch: Option<String>,
    /// The image it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(crate) visual_hash: Option<String>,
    /// Whatever else.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) meta: BTreeMap<String, String>,
}

#[test]
fn numbers_print_alike_on_every_machine() {
    let print = |number: Decimal| serde_json::to_string(&number).unwrap();
    assert_eq!(print(Decimal::of_millionths(950_000)), "0.95");
    assert_eq!(print(Decimal::of_millionths(1_000_000)), "1");
    assert_eq!(print(Decimal::of_millionths(333_333)), "0.333333");
    assert_eq!(print(Decimal(11_051_600.0)), "11051600");
    assert_eq!(print(Decimal(1e21)), "1e+21");
}
