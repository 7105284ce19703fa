//! Shapes of what clients send, and of envelopes that come back.
//!
//! They only describe: the parser of the JSON rim reads, and it is stricter than JSON Schema can say.

use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// What a write may ask for besides.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `ack` reads")]
pub(crate) struct WriteParameters {
    /// How many copies must be durable: `1`, `all`, or `default`, which is two, or one where only one is kept.
    #[param(pattern = "^(default|1|all)$")]
    ack: Option<String>,
}

/// A signed claim. It is signed over its canonical bytes, RFC 8785 of all fields but `signatures`.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssertionEnvelope {
    /// The version of the format; may be left out.
    #[schema(required = false, minimum = 1, maximum = 1)]
    v: u8,
    /// `assertion`; may be left out where the path says it.
    #[schema(required = false, pattern = "^assertion$")]
    kind: String,
    /// The public keys of the authors, ascending; may be left out: they are those who signed.
    #[schema(required = false, min_items = 1, max_items = 16)]
    authors: Vec<Hex64>,
    /// When the authors claim it, in milliseconds since the Unix epoch.
    #[schema(maximum = 9007199254740991u64)]
    timestamp: u64,
    /// What it is about, 1 to 1,024 bytes of UTF-8 without control characters.
    #[schema(min_length = 1, max_length = 1024)]
    subject: String,
    /// Which property, 1 to 256 bytes of UTF-8 without control characters.
    #[schema(min_length = 1, max_length = 256)]
    predicate: String,
    /// What they say it is.
    object: crate::answer::shape::ClaimObject,
    /// How sure they are.
    #[schema(minimum = 0, maximum = 1)]
    confidence: f64,
    /// What it rests on.
    #[schema(pattern = "^(regulatory|clinical|observational|expert|community|anecdotal)$")]
    source_class: String,
    /// Where it stands in its life.
    #[schema(pattern = "^(proposed|under_review|approved|deprecated|rejected)$")]
    lifecycle: String,
    /// The source it rests on.
    #[schema(nullable = false)]
    source_hash: Option<Hex64>,
    /// The claim it follows.
    #[schema(nullable = false)]
    parent_hash: Option<Hex64>,
    /// The epoch it belongs to.
    #[schema(nullable = false)]
    epoch: Option<Hex64>,
    /// The image it is about.
    #[schema(nullable = false, pattern = "^[0-9a-f]{16}$")]
    visual_hash: Option<String>,
    /// Its embedding: numbers that are exact 32-bit floats.
    #[schema(nullable = false, min_items = 1, max_items = 4096)]
    vector: Option<Vec<f32>>,
    /// The first moment at which it holds.
    #[schema(nullable = false, maximum = 9007199254740991u64)]
    valid_from: Option<u64>,
    /// The first moment at which it no longer holds.
    #[schema(nullable = false, maximum = 9007199254740991u64)]
    valid_to: Option<u64>,
    /// Whatever else: at most 32 entries of at most 1,024 bytes, key and value together.
    #[schema(nullable = false)]
    meta: Option<BTreeMap<String, String>>,
    /// One signature for each author, ascending by `agent_id`.
    #[schema(min_items = 1, max_items = 16)]
    signatures: Vec<Signed>,
}

/// A signed vote. It is signed over its canonical bytes, RFC 8785 of all fields but `signatures`.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VoteEnvelope {
    /// The version of the format; may be left out.
    #[schema(required = false, minimum = 1, maximum = 1)]
    v: u8,
    /// `vote`; may be left out where the path says it.
    #[schema(required = false, pattern = "^vote$")]
    kind: String,
    /// The public keys of the voters, ascending; may be left out: they are those who signed.
    #[schema(required = false, min_items = 1, max_items = 16)]
    authors: Vec<Hex64>,
    /// When they vote, in milliseconds since the Unix epoch.
    #[schema(maximum = 9007199254740991u64)]
    timestamp: u64,
    /// The subject of the claim voted on.
    #[schema(min_length = 1, max_length = 1024)]
    subject: String,
    /// The claim voted on.
    target: Hex64,
    /// How far they agree.
    #[schema(minimum = -1, maximum = 1)]
    weight: f64,
    /// One signature for each voter, ascending by `agent_id`.
    #[schema(min_items = 1, max_items = 16)]
    signatures: Vec<Signed>,
}

/// A signed alias. It is signed over its canonical bytes, RFC 8785 of all fields but `signatures`.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AliasEnvelope {
    /// The version of the format; may be left out.
    #[schema(required = false, minimum = 1, maximum = 1)]
    v: u8,
    /// `alias`; may be left out where the path says it.
    #[schema(required = false, pattern = "^alias$")]
    kind: String,
    /// The public keys of the authors, ascending; may be left out: they are those who signed.
    #[schema(required = false, min_items = 1, max_items = 16)]
    authors: Vec<Hex64>,
    /// When the authors state it, in milliseconds since the Unix epoch.
    #[schema(maximum = 9007199254740991u64)]
    timestamp: u64,
    /// A subject, 1 to 1,024 bytes of UTF-8 without control characters.
    #[schema(min_length = 1, max_length = 1024)]
    from: String,
    /// Another subject: the name of the same thing.
    #[schema(min_length = 1, max_length = 1024)]
    to: String,
    /// One signature for each author, ascending by `agent_id`.
    #[schema(min_items = 1, max_items = 16)]
    signatures: Vec<Signed>,
}

/// A signed record of any kind.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is printed from canonical bytes")]
pub(crate) struct AnyEnvelope {
    /// The version of the format.
    v: u64,
    /// The kind; the other fields follow from it.
    #[schema(examples("assertion"))]
    kind: String,
    /// The public keys of the authors, ascending.
    authors: Vec<Hex64>,
    /// One signature for each author, in their order.
    signatures: Vec<Signed>,
}

/// 32 bytes in lower-case hex.
#[derive(Serialize, ToSchema)]
#[schema(pattern = "^[0-9a-f]{64}$", examples("3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"))]
pub(crate) struct Hex64(String);

/// One author's signature.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signed {
    /// The author's public key.
    agent_id: Hex64,
    /// The Ed25519 signature, R then S.
    #[schema(pattern = "^[0-9a-f]{128}$")]
    signature: String,
}

/// Names one record.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Naming {
    /// Its id.
    id: Hex64,
}

/// Settings of the cluster that are to be others.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsChange {
    /// On how many nodes a record is to be kept; on fewer where there are fewer.
    #[schema(minimum = 2, maximum = 7)]
    replication_factor: u8,
}

/// A change of the cluster.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeShape {
    /// `join` makes a node that waits a member; `drain` has one give away what it owns and then removes it, and `keep` stops
    /// that; `remove` removes a dead one at once; `replace` removes a dead one and takes in `by` for it; `pause` and `resume`
    /// concern what moves; `activate` makes `version` the active version of formats and protocol, for ever.
    #[schema(pattern = "^(join|drain|keep|remove|replace|pause|resume|activate)$")]
    change: String,
    /// Which node; not for `pause`, `resume` and `activate`.
    #[schema(nullable = false, pattern = "^[0-9a-f]{16}$")]
    node: Option<String>,
    /// Who takes its place; for `replace` alone.
    #[schema(nullable = false, pattern = "^[0-9a-f]{16}$")]
    by: Option<String>,
    /// Which version; for `activate` alone.
    #[schema(nullable = false, minimum = 1)]
    version: Option<u16>,
    /// Whether it is only to be shown what it would come to; false if left out.
    #[schema(required = false)]
    plan: bool,
}
