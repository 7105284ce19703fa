//! Shapes of what a write, a probe or an erasure is answered with.

use crate::database::{self, Outcome, Part, Speaks};
use crate::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

/// What became of a record that was sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Receipt {
    /// Its name.
    id: String,
    /// `created`, `exists`, or `would_create` in a dry run.
    #[schema(value_type = String, examples("created"))]
    status: &'static str,
    /// On how many different nodes it is durable, at least.
    copies: u16,
    /// When a node first accepted it: `<ms>.<counter>`; not in a dry run of a new record.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, examples("1785000000000.0"))]
    received_at: Option<String>,
    /// Of a vote: whether the claim voted on is known here. If not, the vote is kept; the claim may come later.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    target_known: Option<bool>,
}

impl From<database::Receipt> for Receipt {
    fn from(receipt: database::Receipt) -> Self {
        let (status, durable) = match receipt.outcome {
            Outcome::Created(durable) => ("created", Some(durable)),
            Outcome::Exists(durable) => ("exists", Some(durable)),
            Outcome::WouldCreate => ("would_create", None),
        };
        Self {
            id: receipt.id.to_string(),
            status,
            copies: durable.map_or(0, |durable| durable.copies),
            received_at: durable.map(|durable| durable.received_at.to_string()),
            target_known: receipt.target_known,
        }
    }
}

/// What became of one line.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum LineResult {
    /// It was taken.
    Taken {
        /// The number of the line, from 1.
        line: u64,
        /// Its receipt.
        #[serde(flatten)]
        receipt: Receipt,
    },
    /// It was not.
    NotTaken {
        /// The number of the line, from 1.
        line: u64,
        /// `refused`: it will never be taken as it is. `failed`: sending it again may help.
        #[schema(value_type = String, examples("refused"))]
        status: &'static str,
        /// What a program should look at; as in problem details.
        #[schema(value_type = String, examples("bad_hex"))]
        code: &'static str,
        /// What happened, for people.
        detail: String,
        /// The field at fault.
        #[serde(skip_serializing_if = "Option::is_none")]
        field: Option<String>,
        /// What would have been accepted.
        #[serde(skip_serializing_if = "Option::is_none")]
        expected: Option<String>,
    },
}

impl LineResult {
    pub(crate) fn taken(line: u64, receipt: Receipt) -> Self {
        Self::Taken { line, receipt }
    }

    pub(crate) fn refused(line: u64, problem: &Problem) -> Self {
        Self::not_taken(line, "refused", problem)
    }

    pub(crate) fn failed(line: u64, problem: &Problem) -> Self {
        Self::not_taken(line, "failed", problem)
    }

    fn not_taken(line: u64, status: &'static str, problem: &Problem) -> Self {
        let (code, detail, field, expected) = problem.parts();
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self::NotTaken { line, status, code, detail: detail.to_owned(), field: owned(field), expected: owned(expected) }
    }
}

/// The node is alive.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `healthy`.
    #[schema(value_type = String, examples("healthy"))]
    pub(crate) status: &'static str,
    /// The version of the program.
    #[schema(examples("0.1.0"))]
    pub(crate) version: String,
    /// The node's name, for ever.
    pub(crate) node_id: String,
    /// Which versions of formats and protocol it speaks.
    pub(crate) speaks: Speaks,
    /// Which of them it goes by; null before there is a cluster, and while it speaks none that is active.
    pub(crate) active_version: Option<u16>,
}

/// The node can serve.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `ready`.
    #[schema(value_type = String, examples("ready"))]
    pub(crate) status: &'static str,
    /// Every part that must hold.
    pub(crate) parts: Vec<Part>,
}

/// A record was erased.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Erased {
    /// Its id.
    pub(crate) id: String,
    /// `erased`, or `already_erased`.
    #[schema(value_type = String, examples("erased"))]
    pub(crate) status: &'static str,
}
