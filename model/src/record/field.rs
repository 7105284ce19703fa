//! The parts that bodies are made of, each with its limits.

use crate::id::AgentId;
use crate::refusal::{Code, Refusal};
use crate::time::Timestamp;
use rkyv::{Archive, Deserialize, Serialize};
use std::fmt;

macro_rules! text_field {
    ($(#[$doc:meta])* $name:ident, $archived:ident, $field:literal, $max:literal, $expected:literal, $controls:literal) => {
        $(#[$doc])*
        #[derive(Archive, Serialize, Deserialize, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[rkyv(derive(PartialEq, Eq))]
        pub struct $name(String);

        impl $name {
            /// The limit in bytes of UTF-8.
            pub const BYTES_MAX: usize = $max;

            /// Takes `text` if it keeps the limits.
            ///
            /// # Errors
            ///
            /// [`Code::TooLarge`], and where the type says so [`Code::Empty`] or [`Code::ControlCharacter`].
            pub fn new(text: impl Into<String>) -> Result<Self, Refusal> {
                let text = text.into();
                let refuse = |code| Err(Refusal::new(code, $field, $expected));
                if text.len() > Self::BYTES_MAX {
                    return refuse(Code::TooLarge);
                }
                if !$controls && text.is_empty() {
                    return refuse(Code::Empty);
                }
                if !$controls && text.chars().any(char::is_control) {
                    return refuse(Code::ControlCharacter);
                }
                Ok(Self(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl $archived {
            /// The text, in place.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }

        impl fmt::Debug for $archived {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.as_str())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_field! {
    /// What a claim is about: 1 to 1,024 bytes of UTF-8 without control characters. Bytes decide; nothing is normalised.
    Subject, ArchivedSubject, "subject", 1024, "1 to 1,024 bytes of UTF-8 without control characters", false
}
text_field! {
    /// Which property of the subject: 1 to 256 bytes of UTF-8 without control characters.
    Predicate, ArchivedPredicate, "predicate", 256, "1 to 256 bytes of UTF-8 without control characters", false
}
text_field! {
    /// A text object: at most 65,536 bytes of UTF-8.
    Text, ArchivedText, "object.value", 65536, "at most 65,536 bytes of UTF-8", true
}

/// A finite IEEE 754 double; -0 is 0.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, PartialOrd)]
#[rkyv(derive(Clone, Copy, Debug))]
pub struct Finite(f64);

impl Finite {
    /// Takes a finite number and makes -0 of it 0; `None` for NaN and the infinities.
    pub fn new(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self(if number == 0.0 { 0.0 } else { number }))
    }

    /// The number, never -0, NaN or infinite.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl From<&ArchivedFinite> for Finite {
    fn from(archived: &ArchivedFinite) -> Self {
        Self(archived.0.to_native())
    }
}

macro_rules! ranged_field {
    ($(#[$doc:meta])* $name:ident, $archived:ident, $field:literal, $range:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, PartialOrd)]
        #[rkyv(derive(Clone, Copy, Debug))]
        pub struct $name(Finite);

        impl $name {
            /// Takes a number in range.
            ///
            /// # Errors
            ///
            /// [`Code::OutOfRange`] for any other, NaN included.
            pub fn new(number: f64) -> Result<Self, Refusal> {
                let in_range = Finite::new(number).filter(|number| $range.contains(&number.get()));
                in_range.map(Self).ok_or_else(|| Refusal::new(Code::OutOfRange, $field, $expected))
            }

            /// The number.
            pub fn get(self) -> f64 {
                self.0.get()
            }

            /// In millionths, rounded half away from zero: what lenses reckon with.
            #[expect(clippy::cast_possible_truncation, reason = "the range is -1 to 1")]
            pub fn millionths(self) -> i32 {
                (self.get() * 1e6).round() as i32
            }
        }

        impl From<&$archived> for $name {
            fn from(archived: &$archived) -> Self {
                Self(Finite::from(&archived.0))
            }
        }
    };
}

ranged_field! {
    /// How sure the authors are, 0 to 1.
    Confidence, ArchivedConfidence, "confidence", (0.0..=1.0), "a number from 0 to 1"
}
ranged_field! {
    /// How far a voter agrees, -1 to 1.
    Weight, ArchivedWeight, "weight", (-1.0..=1.0), "a number from -1 to 1"
}

/// The authors of a record: 1 to 16 agents, in ascending order, distinct.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Authors(Vec<AgentId>);

impl Authors {
    /// The most authors a record can have.
    pub const COUNT_MAX: usize = 16;

    /// Takes 1 to 16 agents in ascending order.
    ///
    /// # Errors
    ///
    /// [`Code::Empty`], [`Code::TooLarge`], [`Code::NotSorted`].
    pub fn new(agents: Vec<AgentId>) -> Result<Self, Refusal> {
        let refuse = |code| Err(Refusal::new(code, "authors", "1 to 16 distinct public keys in ascending order"));
        if agents.is_empty() {
            return refuse(Code::Empty);
        }
        if agents.len() > Self::COUNT_MAX {
            return refuse(Code::TooLarge);
        }
        if !agents.is_sorted_by(|a, b| a < b) {
            return refuse(Code::NotSorted);
        }
        Ok(Self(agents))
    }

    /// The agents, ascending.
    pub fn as_slice(&self) -> &[AgentId] {
        &self.0
    }
}

impl ArchivedAuthors {
    /// The agents, ascending, in place.
    pub fn as_slice(&self) -> &[rkyv::Archived<AgentId>] {
        self.0.as_slice()
    }
}

/// When a claim holds: from the first time (included) to the second (not included), either of them open.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[rkyv(derive(Debug))]
pub struct Validity {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
}

impl Validity {
    /// The interval `[from, to)`.
    ///
    /// # Errors
    ///
    /// [`Code::OutOfRange`] if it is empty.
    pub fn new(from: Option<Timestamp>, to: Option<Timestamp>) -> Result<Self, Refusal> {
        match (from, to) {
            (Some(from), Some(to)) if to <= from => {
                Err(Refusal::new(Code::OutOfRange, "valid_to", "a time after valid_from"))
            }
            _ => Ok(Self { from, to }),
        }
    }

    /// The first moment, if there is one.
    pub fn from(self) -> Option<Timestamp> {
        self.from
    }

    /// The first moment after it, if there is one.
    pub fn to(self) -> Option<Timestamp> {
        self.to
    }

    /// Whether `moment` lies in it.
    pub fn contains(self, moment: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= moment) && self.to.is_none_or(|to| moment < to)
    }
}

/// Two different subjects, in an order that counts: `from` and `to`.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[rkyv(derive(Debug))]
pub struct Pair {
    from: Subject,
    to: Subject,
}

impl Pair {
    /// Takes two subjects whose bytes differ.
    ///
    /// # Errors
    ///
    /// [`Code::NotDistinct`] on `to` if they are equal.
    pub fn new(from: Subject, to: Subject) -> Result<Self, Refusal> {
        if from == to {
            return Err(Refusal::new(Code::NotDistinct, "to", "another subject than `from`"));
        }
        Ok(Self { from, to })
    }

    /// The first.
    pub fn from(&self) -> &Subject {
        &self.from
    }

    /// The second.
    pub fn to(&self) -> &Subject {
        &self.to
    }
}

impl ArchivedPair {
    /// The first, in place.
    pub fn from(&self) -> &str {
        self.from.as_str()
    }

    /// The second, in place.
    pub fn to(&self) -> &str {
        self.to.as_str()
    }
}

impl From<&ArchivedValidity> for Validity {
    fn from(archived: &ArchivedValidity) -> Self {
        Self { from: archived.from.as_ref().map(Timestamp::from), to: archived.to.as_ref().map(Timestamp::from) }
    }
}

/// An embedding: up to 4,096 finite 32-bit floats. Empty means that the claim has none.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[rkyv(derive(Debug))]
pub struct Vector(Vec<f32>);

impl Vector {
    /// The most elements.
    pub const COUNT_MAX: usize = 4096;

    /// Takes 1 to 4,096 numbers, each exactly a finite `f32`; -0 becomes 0.
    ///
    /// # Errors
    ///
    /// [`Code::Empty`], [`Code::TooLarge`], [`Code::OutOfRange`].
    pub fn new(elements: &[f64]) -> Result<Self, Refusal> {
        let expected = "1 to 4,096 numbers, each exactly a finite 32-bit float";
        if elements.is_empty() {
            return Err(Refusal::new(Code::Empty, "vector", expected));
        }
        if elements.len() > Self::COUNT_MAX {
            return Err(Refusal::new(Code::TooLarge, "vector", expected));
        }
        let exact = elements.iter().enumerate().map(|(position, element)| {
            exact_f32(*element).ok_or_else(|| Refusal::new(Code::OutOfRange, format!("vector[{position}]"), expected))
        });
        exact.collect::<Result<_, _>>().map(Self)
    }

    /// The elements; none if the claim has no vector.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }
}

impl ArchivedVector {
    /// The elements, in place; none if the claim has no vector.
    pub fn elements(&self) -> impl ExactSizeIterator<Item = f32> {
        self.0.iter().map(|element| element.to_native())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "compared with the original right after")]
fn exact_f32(number: f64) -> Option<f32> {
    let narrow = Finite::new(number)?.get() as f32;
    (f64::from(narrow) == number && narrow.is_finite()).then_some(narrow)
}

/// Free pairs of text: at most 32 entries, each key plus value at most 1,024 bytes, sorted by the key's UTF-8 bytes,
/// keys distinct. Empty means that the claim has none.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[rkyv(derive(Debug))]
pub struct Meta(Vec<(String, String)>);

impl Meta {
    /// The most entries.
    pub const COUNT_MAX: usize = 32;
    /// The most bytes of one key and its value together.
    pub const ENTRY_BYTES_MAX: usize = 1024;

    /// Takes 1 to 32 pairs in any order; they are kept sorted by key.
    ///
    /// # Errors
    ///
    /// [`Code::Empty`], [`Code::TooLarge`], [`Code::DuplicateKey`].
    pub fn new(mut pairs: Vec<(String, String)>) -> Result<Self, Refusal> {
        let refuse =
            |code| Err(Refusal::new(code, "meta", "1 to 32 texts by distinct keys, each pair at most 1,024 bytes"));
        if pairs.is_empty() {
            return refuse(Code::Empty);
        }
        let too_long = |(key, value): &(String, String)| key.len() + value.len() > Self::ENTRY_BYTES_MAX;
        if pairs.len() > Self::COUNT_MAX || pairs.iter().any(too_long) {
            return refuse(Code::TooLarge);
        }
        pairs.sort();
        if !pairs.is_sorted_by(|(a, _), (b, _)| a < b) {
            return refuse(Code::DuplicateKey);
        }
        Ok(Self(pairs))
    }

    /// The pairs, sorted by key; none if the claim has no meta.
    pub fn as_slice(&self) -> &[(String, String)] {
        &self.0
    }
}

impl ArchivedMeta {
    /// The pairs, in place, sorted by key; none if the claim has no meta.
    pub fn pairs(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|pair| (pair.0.as_str(), pair.1.as_str()))
    }
}
