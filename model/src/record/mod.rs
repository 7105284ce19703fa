//! Records: signed bodies of some kind.
//!
//! A value of a type in this module is well-formed: its constructors check every limit of the format. [`Record`] is
//! verified besides, and only [`crate::acceptance`] makes one. Nothing here parses JSON.

#![expect(missing_debug_implementations, reason = "the resolver types that rkyv derives have no Debug")]

mod alias;
mod assertion;
mod field;
#[cfg(feature = "next")]
mod note;
mod vote;
mod well_formed;

pub use alias::{Alias, ArchivedAlias};
pub use assertion::{ArchivedAssertion, ArchivedObject, Assertion, Lifecycle, Object, SourceClass};
pub use field::{Authors, Confidence, Finite, Meta, Pair, Predicate, Subject, Text, Validity, Vector, Weight};
#[cfg(feature = "next")]
pub use note::Note;
pub use vote::{ArchivedVote, Vote};

use crate::home::Home;
use crate::id::{AgentId, RecordId, Signature};
use crate::refusal::{Code, Refusal};
use rkyv::{Archive, Deserialize, Serialize};

/// The version of the body format, the value of `v`.
pub const BODY_VERSION: u64 = 1;
/// The longest canonical body in bytes, of every kind but `source`.
pub const BODY_BYTES_MAX: usize = 128 * 1024;

/// A body that this release knows, or one that it only keeps and forwards.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// A claim.
    Assertion(Box<Assertion>),
    /// A verdict on a claim.
    Vote(Box<Vote>),
    /// Two subjects that name one thing.
    Alias(Box<Alias>),
    /// A body of a kind or version that this release does not know.
    Opaque(Box<Opaque>),
}

impl Body {
    /// The authors, sorted and distinct.
    pub fn authors(&self) -> &Authors {
        match self {
            Self::Assertion(assertion) => &assertion.authors,
            Self::Vote(vote) => &vote.authors,
            Self::Alias(alias) => &alias.authors,
            Self::Opaque(opaque) => &opaque.authors,
        }
    }

    /// The home: recomputed for kinds this release knows, taken from the sender for others.
    pub fn home(&self) -> Home {
        match self {
            Self::Assertion(assertion) => Home::of(&assertion.subject),
            Self::Vote(vote) => Home::of(&vote.subject),
            Self::Alias(_) => Home::GLOBAL,
            Self::Opaque(opaque) => opaque.home,
        }
    }

    /// The word that stands in `kind`, for kinds this release knows.
    pub fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Assertion(_) => Some("assertion"),
            Self::Vote(_) => Some("vote"),
            Self::Alias(_) => Some("alias"),
            Self::Opaque(_) => None,
        }
    }
}

/// A body of a kind or version that this release does not know, kept and forwarded untouched.
///
/// Only another node can hand one over; clients are refused with [`Code::UnknownKind`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opaque {
    /// The home that the sender named.
    pub home: Home,
    /// The authors that the sender named, in the order of the signatures.
    pub authors: Authors,
    /// The canonical bytes, as they were signed.
    pub canonical: Vec<u8>,
}

/// A well-formed body and one signature per author, in the order of the authors. Not verified.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    body: Body,
    signatures: Vec<Signature>,
}

impl Envelope {
    /// An envelope of `body`; `signatures` stand in the order of its authors.
    ///
    /// # Errors
    ///
    /// [`Code::MissingSignature`] or [`Code::ExtraSignature`] if their number differs from that of the authors.
    pub fn new(body: Body, signatures: Vec<Signature>) -> Result<Self, Refusal> {
        let expected = || format!("one signature for each of the {} authors", body.authors().as_slice().len());
        match signatures.len().cmp(&body.authors().as_slice().len()) {
            std::cmp::Ordering::Less => Err(Refusal::new(Code::MissingSignature, "signatures", expected())),
            std::cmp::Ordering::Greater => Err(Refusal::new(Code::ExtraSignature, "signatures", expected())),
            std::cmp::Ordering::Equal => Ok(Self { body, signatures }),
        }
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// One signature per author, in the order of the authors.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The body and the signatures, given up.
    pub fn into_parts(self) -> (Body, Vec<Signature>) {
        (self.body, self.signatures)
    }

    /// Each author with its signature.
    pub fn signed_by(&self) -> impl Iterator<Item = (&AgentId, &Signature)> {
        self.body.authors().as_slice().iter().zip(&self.signatures)
    }
}

/// A verified envelope with its name and its home. Only [`crate::acceptance`] makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    id: RecordId,
    home: Home,
    envelope: Envelope,
}

impl Record {
    pub(crate) fn verified(id: RecordId, envelope: Envelope) -> Self {
        Self { id, home: envelope.body.home(), envelope }
    }

    /// The BLAKE3 hash of the canonical bytes.
    pub fn id(&self) -> RecordId {
        self.id
    }

    /// The home it lives in.
    pub fn home(&self) -> Home {
        self.home
    }

    /// The envelope.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The body.
    pub fn body(&self) -> &Body {
        &self.envelope.body
    }

    /// The envelope, given up.
    pub fn into_envelope(self) -> Envelope {
        self.envelope
    }
}

/// An assertion as it is stored: the rkyv archive behind a `record` frame of kind 1.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[rkyv(derive(Debug))]
pub struct SignedAssertion {
    /// The body.
    pub assertion: Assertion,
    /// One signature per author, in the order of the authors.
    pub signatures: Vec<Signature>,
}

/// A vote as it is stored: the rkyv archive behind a `record` frame of kind 2.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[rkyv(derive(Debug))]
pub struct SignedVote {
    /// The body.
    pub vote: Vote,
    /// One signature per author, in the order of the authors.
    pub signatures: Vec<Signature>,
}

/// An alias as it is stored: the rkyv archive behind a `record` frame of kind 3.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct SignedAlias {
    /// The body.
    pub alias: Alias,
    /// One signature per author, in the order of the authors.
    pub signatures: Vec<Signature>,
}

/// A record of unknown kind as it is stored: the rkyv archive behind a `record` frame of kind 255.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[rkyv(derive(Debug))]
pub struct SignedOpaque {
    /// The authors, in the order of the signatures.
    pub authors: Authors,
    /// The canonical bytes, as they were signed.
    pub canonical: Vec<u8>,
    /// One signature per author, in the order of the authors.
    pub signatures: Vec<Signature>,
}
