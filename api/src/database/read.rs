//! Reading: what is asked, what is answered, and why not.

use model::lens::{HalfLife, Lens, Resolution, Terms};
use model::record::{Assertion, Lifecycle, Predicate, SourceClass, Subject};
use model::{AgentId, Envelope, RecordId, Stamp, Timestamp};
use std::num::NonZeroUsize;

/// One question: what is said about a property of a subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// What it is about.
    pub subject: Subject,
    /// Which property.
    pub predicate: Predicate,
}

/// Which questions a query is about: those that match all that is given, every question if nothing is.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Selection {
    /// The subject itself. Never together with `prefix`.
    pub subject: Option<Subject>,
    /// The bytes that the subject begins with.
    pub prefix: Option<Subject>,
    /// The predicate.
    pub predicate: Option<Predicate>,
}

/// Which claims may be candidates: those that match all that is given. Others are neither candidates nor excluded, though
/// they supersede as ever; a question without any claim left is not answered at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Filter {
    /// One of the authors.
    pub agent: Option<AgentId>,
    /// The class that the claim gives itself.
    pub source_class: Option<SourceClass>,
    /// The lifecycle.
    pub lifecycle: Option<Lifecycle>,
    /// The epoch.
    pub epoch: Option<RecordId>,
}

/// How many owners a read must hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Consistency {
    /// One.
    #[default]
    One,
    /// All, and everybody who may hold a hint.
    All,
}

/// A query, checked and complete but for the time, which the database fills in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryPlan {
    /// Which questions.
    pub selection: Selection,
    /// Which claims.
    pub filter: Filter,
    /// How they are resolved.
    pub lens: Lens,
    /// What was accepted later is not seen. Without it: everything accepted so far; [`Page::as_of`] says until when.
    pub as_of: Option<Stamp>,
    /// Only claims that hold at that moment are candidates.
    pub valid_at: Option<Timestamp>,
    /// How fast weights decay.
    pub half_life: HalfLife,
    /// How many owners must be heard.
    pub consistency: Consistency,
    /// The most questions to answer.
    pub limit: NonZeroUsize,
    /// Only questions after this one, in ascending order of (subject, predicate).
    pub after: Option<Question>,
}

impl QueryPlan {
    /// The terms for the lens, once the database has settled on a time.
    pub fn terms(&self, as_of: Stamp) -> Terms {
        Terms {
            as_of,
            valid_at: self.valid_at,
            half_life: self.half_life,
            include_inactive: self.filter.lifecycle.is_some_and(|lifecycle| match lifecycle {
                Lifecycle::Deprecated | Lifecycle::Rejected => true,
                Lifecycle::Proposed | Lifecycle::UnderReview | Lifecycle::Approved => false,
            }),
        }
    }
}

/// The answers to a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// In ascending order of the question. A function of the record set, the plan and `as_of` alone.
    pub answers: Vec<Answer>,
    /// The last question answered, if there may be more after it.
    pub next: Option<Question>,
    /// Up to when accepted records were seen.
    pub as_of: Stamp,
    /// The epoch of the placement table; 0 in a cluster of one.
    pub placement_epoch: u64,
    /// How many copies were consulted.
    pub copies_consulted: u16,
    /// How old what was read may be, in milliseconds; none if nobody knows.
    pub freshness_ms: Option<u64>,
    /// The answers to `as_of` at or before this never change again.
    pub stable_at: Option<Stamp>,
    /// Questions of this page that are not answered, because a claim on them is damaged here: an answer without it might
    /// be another one.
    pub damaged: Vec<Damaged>,
}

/// A question that cannot be answered here, and what is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// The question.
    pub question: Question,
    /// Where the first damaged claim lies, for people.
    pub position: String,
}

/// What a lens made of one question. The numbers in `resolution` are positions in `claims`.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What was asked.
    pub question: Question,
    /// Every claim that the lens saw.
    pub claims: Vec<ClaimView>,
    /// What it made of them.
    pub resolution: Resolution,
}

/// A claim as an answer shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimView {
    /// Its name.
    pub id: RecordId,
    /// When a node accepted it.
    pub received_at: Stamp,
    /// What it says.
    pub assertion: Assertion,
}

/// A record as it was signed, and when it was accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Body and signatures.
    pub envelope: Envelope,
    /// When a node accepted it.
    pub received_at: Stamp,
    /// Of a vote: what is known here of its target.
    pub target: Option<Target>,
}

/// What is known of the target of a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// It is here, in the vote's home.
    Known,
    /// It is not here; it may come later.
    Unknown,
    /// It is in another home than the vote, which therefore never counts.
    Misrouted,
    /// It was erased.
    Erased,
}

impl Target {
    /// The word that stands for it in a header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Unknown => "unknown",
            Self::Misrouted => "misrouted",
            Self::Erased => "erased",
        }
    }
}

/// A place in the order of an export. Opaque; only the database that gave it can read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportPosition(pub u64);

/// A stretch of an export.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    /// In the order of the log.
    pub envelopes: Vec<Envelope>,
    /// Where to go on; nothing at the end.
    pub next: Option<ExportPosition>,
    /// How many stretches of the log that lie among these records are damaged and missing from them.
    pub damaged: usize,
}

/// Why a read was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The part that is needed is not ready, for instance while the index is rebuilt. Retry, or ask another node.
    #[error("not ready: {what}")]
    NotReady {
        /// The part that is not ready, for people.
        what: String,
    },
    /// Somebody who had to answer did not. Retry.
    #[error("no answer from {who}")]
    Unavailable {
        /// Who did not answer, for people.
        who: String,
        /// After how many seconds to try again.
        retry_after_s: u32,
    },
    /// One question has more claims than a read may take. Narrow the query.
    #[error("more than {max} claims on one question")]
    TooManyClaims {
        /// The most that are read.
        max: usize,
    },
    /// The claims on one question are longer than a read may take. Narrow the query.
    #[error("more than {bytes_max} bytes of claims on one question")]
    TooLarge {
        /// The most bytes that are read.
        bytes_max: u64,
    },
    /// Too much is in flight. Retry a little later.
    #[error("overloaded")]
    Overloaded,
    /// A fault of the node itself, already logged by it. Retry on another node.
    #[error("internal fault")]
    Fault,
}

/// Why a record was not handed out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// No record of that name exists.
    #[error("no such record")]
    NotFound,
    /// It was erased; only its name remains.
    #[error("the record was erased")]
    Erased,
    /// As for any read.
    #[error(transparent)]
    Read(#[from] ReadError),
}
