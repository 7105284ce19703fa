//! Writing: what is asked, what is answered, and why not.

use model::{RecordId, Refusal, Stamp};

/// How a batch is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SubmitTerms {
    /// How many copies must be durable before the answer.
    pub ack: Ack,
    /// Verify and look up, but store nothing.
    pub dry_run: bool,
}

/// How many different nodes must have synced a record before it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Ack {
    /// Two, or one where the cluster keeps one copy.
    #[default]
    Default,
    /// One.
    One,
    /// Every copy that the cluster keeps.
    All,
}

impl Ack {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Default, Self::One, Self::All];

    /// The word that stands for it in a query string and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::One => "1",
            Self::All => "all",
        }
    }
}

/// The answer to an envelope that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its name.
    pub id: RecordId,
    /// What became of it.
    pub outcome: Outcome,
    /// Of a vote: whether its target is known here. A vote on nothing known is kept; its target may come later.
    pub target_known: Option<bool>,
}

/// What became of an envelope that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is new.
    Created(Durable),
    /// It was there already, as durable as asked.
    Exists(Durable),
    /// Of a dry run: it is new and would be stored.
    WouldCreate,
}

/// Where and since when a record is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durable {
    /// On how many different nodes, at least.
    pub copies: u16,
    /// When a node first accepted it.
    pub received_at: Stamp,
}

/// Why an envelope was not taken. Sending the same envelope again is always safe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// It breaks a rule. Mend it; as it is it will never be taken.
    #[error("refused: {0}")]
    Refused(#[from] Refusal),
    /// It was erased here for ever. Give up on it.
    #[error("the record was erased")]
    Erased,
    /// There is no room on the disk. Retry when the operator has made some.
    #[error("the disk is full")]
    DiskFull,
    /// The node does not take writes now. Retry on another node; `what` names the part, for people.
    #[error("not ready: {what}")]
    NotReady {
        /// The part that is not ready, for people: `clock: ahead of its peers by 12 s`.
        what: String,
    },
    /// Fewer copies are durable than asked for, and the record may still become durable. Retry.
    #[error("{durable} of {wanted} copies in time, no answer from {who}")]
    Unavailable {
        /// On how many nodes it is durable, at least.
        durable: u16,
        /// On how many it was to be.
        wanted: u16,
        /// Who did not answer, for people.
        who: String,
        /// After how many seconds to try again.
        retry_after_s: u32,
    },
    /// Too much is in flight. Retry a little later.
    #[error("overloaded")]
    Overloaded,
    /// A fault of the node itself, already logged by it. Retry on another node.
    #[error("internal fault")]
    Fault,
}

/// The answer to an erasure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erasure {
    /// The body is gone for every reader; compaction removes its bytes.
    Erased,
    /// It was erased before.
    AlreadyErased,
}

/// Why a record was not erased.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EraseError {
    /// No record of that name is known here.
    #[error("no such record")]
    NotFound,
    /// As for a write that is not taken.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}
