//! Claims.

use super::field::{Authors, Confidence, Finite, Meta, Predicate, Subject, Text, Validity, Vector};
use crate::id::{RecordId, VisualHash};
use crate::time::Timestamp;
use rkyv::{Archive, Deserialize, Serialize};

macro_rules! word_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $number:literal, $word:literal;)* }) => {
        $(#[$doc])*
        #[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[rkyv(derive(Clone, Copy, Debug, PartialEq, Eq))]
        #[repr(u8)]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $number,)*
        }

        impl $name {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The word that stands for it in JSON.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The inverse of `as_str`.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }

            /// Its number: never reused.
            pub fn number(self) -> u8 {
                self as u8
            }
        }

        impl From<&rkyv::Archived<$name>> for $name {
            fn from(archived: &rkyv::Archived<$name>) -> Self {
                match archived { $(rkyv::Archived::<$name>::$variant => Self::$variant,)* }
            }
        }
    };
}

word_enum! {
    /// What kind of source a claim rests on. Its number is its tier: 0 weighs most.
    SourceClass {
        /// An authority whose word settles the matter.
        Regulatory = 0, "regulatory";
        /// Controlled study.
        Clinical = 1, "clinical";
        /// Measured or recorded in the field.
        Observational = 2, "observational";
        /// The judgement of somebody who knows the field.
        Expert = 3, "expert";
        /// Many hands.
        Community = 4, "community";
        /// Somebody said so.
        Anecdotal = 5, "anecdotal";
    }
}

word_enum! {
    /// Where a claim stands in its life.
    Lifecycle {
        /// Put forward.
        Proposed = 0, "proposed";
        /// Being looked at.
        UnderReview = 1, "under_review";
        /// Accepted.
        Approved = 2, "approved";
        /// No longer to be used.
        Deprecated = 3, "deprecated";
        /// Found wanting.
        Rejected = 4, "rejected";
    }
}

/// What a claim says of its subject and predicate.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[rkyv(derive(Debug))]
pub enum Object {
    /// A text.
    Text(Text),
    /// A finite number.
    Number(Finite),
    /// True or false.
    Boolean(bool),
    /// Another subject.
    Reference(Subject),
}

/// A claim: what its authors hold true of a subject. Well-formed, not signed.
///
/// Fields keep the format of every release: new ones are only ever added by a new stored kind.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[rkyv(derive(Debug))]
pub struct Assertion {
    /// Who claims it.
    pub authors: Authors,
    /// When they claim it.
    pub timestamp: Timestamp,
    /// What it is about.
    pub subject: Subject,
    /// Which property.
    pub predicate: Predicate,
    /// What they say it is.
    pub object: Object,
    /// How sure they are.
    pub confidence: Confidence,
    /// What it rests on.
    pub source_class: SourceClass,
    /// Where it stands in its life.
    pub lifecycle: Lifecycle,
    /// The `source` record it rests on.
    pub source_hash: Option<RecordId>,
    /// The claim it follows.
    pub parent_hash: Option<RecordId>,
    /// The `epoch` record it belongs to.
    pub epoch: Option<RecordId>,
    /// The image it is about.
    pub visual_hash: Option<VisualHash>,
    /// Its embedding.
    pub vector: Vector,
    /// When it holds.
    pub validity: Validity,
    /// Whatever else.
    pub meta: Meta,
}
