//! Why bad input was refused, in words for a person and a code for a program.

use std::borrow::Cow;
use std::fmt;

/// Which rule refused the input. The spelling of [`Code::as_str`] is part of the interface and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// Not JSON, or JSON that no reading of the rules allows (a lone surrogate, say).
    MalformedJson,
    /// Nested deeper than any record is.
    TooDeep,
    /// Longer than its limit.
    TooLarge,
    /// A key that the kind does not have; `null` counts as one.
    UnknownField,
    /// A key that stands twice in one object.
    DuplicateKey,
    /// A field that must be there.
    MissingField,
    /// A value of another JSON type.
    WrongType,
    /// A number or a time outside its range, or one that its format cannot hold.
    OutOfRange,
    /// An empty string, list or object where that is not allowed.
    Empty,
    /// A control character in a subject or a predicate.
    ControlCharacter,
    /// Not lower-case hex of the right length.
    BadHex,
    /// A word that is not one of those listed.
    UnknownValue,
    /// A set that is not sorted, or not distinct.
    NotSorted,
    /// Two fields that must differ and do not.
    NotDistinct,
    /// A record kind that this node does not take from clients.
    UnknownKind,
    /// An author without a signature.
    MissingSignature,
    /// A signature of somebody who is not an author.
    ExtraSignature,
    /// Signatures not in ascending order of `agent_id`.
    UnsortedSignatures,
    /// A public key that is no curve point, is not canonical, or has small order.
    WeakKey,
    /// A signature that the acceptance rule refuses.
    BadSignature,
}

impl Code {
    /// The stable spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed_json",
            Self::TooDeep => "too_deep",
            Self::TooLarge => "too_large",
            Self::UnknownField => "unknown_field",
            Self::DuplicateKey => "duplicate_key",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::OutOfRange => "out_of_range",
            Self::Empty => "empty",
            Self::ControlCharacter => "control_character",
            Self::BadHex => "bad_hex",
            Self::UnknownValue => "unknown_value",
            Self::NotSorted => "not_sorted",
            Self::NotDistinct => "not_distinct",
            Self::UnknownKind => "unknown_kind",
            Self::MissingSignature => "missing_signature",
            Self::ExtraSignature => "extra_signature",
            Self::UnsortedSignatures => "unsorted_signatures",
            Self::WeakKey => "weak_key",
            Self::BadSignature => "bad_signature",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refused input: which rule, which field, and what would be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {expected} ({code})")]
pub struct Refusal {
    /// The rule.
    pub code: Code,
    /// The field, as a path in the JSON that was sent: `object.value`, `signatures[1].agent_id`; `body` for the whole.
    pub field: Cow<'static, str>,
    /// What would be accepted instead, as a phrase.
    pub expected: Cow<'static, str>,
}

impl Refusal {
    /// A refusal of `field` by the rule `code`; `expected` says what would be accepted.
    pub fn new(code: Code, field: impl Into<Cow<'static, str>>, expected: impl Into<Cow<'static, str>>) -> Self {
        Self { code, field: field.into(), expected: expected.into() }
    }
}
