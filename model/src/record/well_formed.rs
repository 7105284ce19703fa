//! Whether a stored record keeps the limits of the format.
//!
//! rkyv checks the structure of an archive and knows nothing of ranges, orders and lengths. The rules here are those of
//! the constructors of the typed parts, read in place; nothing is copied, verified or hashed.

use super::{
    ArchivedAlias, ArchivedAssertion, ArchivedObject, ArchivedSignedAlias, ArchivedSignedAssertion,
    ArchivedSignedOpaque, ArchivedSignedVote, ArchivedVote, Authors, Confidence, Finite, Meta, Predicate, Subject,
    Text, Validity, Vector, Weight,
};
use crate::time::{ArchivedTimestamp, Timestamp};

impl ArchivedSignedAssertion {
    /// Whether it keeps the limits of [`super::Assertion`] and has one signature per author. About 1 ns a byte of text.
    pub fn is_well_formed(&self) -> bool {
        is_signed(self.assertion.authors.as_slice(), self.signatures.len()) && is_assertion(&self.assertion)
    }
}

impl ArchivedSignedVote {
    /// Whether it keeps the limits of [`super::Vote`] and has one signature per author. About 1 ns a byte of text.
    pub fn is_well_formed(&self) -> bool {
        let ArchivedVote { authors, timestamp, subject, weight, .. } = &self.vote;
        is_signed(authors.as_slice(), self.signatures.len())
            && is_time(timestamp)
            && is_name(subject.as_str(), Subject::BYTES_MAX)
            && is_same(Weight::from(weight).get(), |number| Weight::new(number).map(Weight::get).ok())
    }
}

impl ArchivedSignedAlias {
    /// Whether it keeps the limits of [`super::Alias`] and has one signature per author. About 1 ns a byte of text.
    pub fn is_well_formed(&self) -> bool {
        let ArchivedAlias { authors, timestamp, pair } = &self.alias;
        is_signed(authors.as_slice(), self.signatures.len())
            && is_time(timestamp)
            && is_name(pair.from(), Subject::BYTES_MAX)
            && is_name(pair.to(), Subject::BYTES_MAX)
            && pair.from() != pair.to()
    }
}

impl ArchivedSignedOpaque {
    /// Whether it has one signature per author. What its canonical bytes say is not looked at.
    pub fn is_well_formed(&self) -> bool {
        is_signed(self.authors.as_slice(), self.signatures.len())
    }
}

fn is_assertion(assertion: &ArchivedAssertion) -> bool {
    let ArchivedAssertion { timestamp, subject, predicate, object, confidence, vector, validity, meta, .. } = assertion;
    let object = match object {
        ArchivedObject::Text(text) => text.as_str().len() <= Text::BYTES_MAX,
        ArchivedObject::Number(number) => is_number(Finite::from(number).get()),
        ArchivedObject::Boolean(_) => true,
        ArchivedObject::Reference(subject) => is_name(subject.as_str(), Subject::BYTES_MAX),
    };
    let validity: Validity = validity.into();
    let bounds = [validity.from(), validity.to()];
    let pairs = || meta.pairs();
    object
        && is_time(timestamp)
        && is_name(subject.as_str(), Subject::BYTES_MAX)
        && is_name(predicate.as_str(), Predicate::BYTES_MAX)
        && is_same(Confidence::from(confidence).get(), |number| Confidence::new(number).map(Confidence::get).ok())
        && bounds.into_iter().flatten().all(|bound| bound.ms() < Timestamp::LIMIT)
        && Validity::new(validity.from(), validity.to()).is_ok()
        && vector.elements().len() <= Vector::COUNT_MAX
        && vector.elements().all(|element| is_number(element.into()))
        && pairs().len() <= Meta::COUNT_MAX
        && pairs().all(|(key, value)| key.len() + value.len() <= Meta::ENTRY_BYTES_MAX)
        && pairs().is_sorted_by(|(a, _), (b, _)| a < b)
}

fn is_signed<Agent: PartialOrd>(authors: &[Agent], signatures: usize) -> bool {
    (1..=Authors::COUNT_MAX).contains(&authors.len())
        && authors.len() == signatures
        && authors.is_sorted_by(|a, b| a < b)
}

fn is_time(time: &ArchivedTimestamp) -> bool {
    Timestamp::from(time).ms() < Timestamp::LIMIT
}

fn is_name(text: &str, bytes_max: usize) -> bool {
    !text.is_empty() && text.len() <= bytes_max && !text.chars().any(char::is_control)
}

fn is_number(number: f64) -> bool {
    is_same(number, |number| Finite::new(number).map(Finite::get))
}

/// Whether a constructor takes `number` and leaves it as it is: not NaN, not -0.
fn is_same(number: f64, construct: impl Fn(f64) -> Option<f64>) -> bool {
    construct(number).is_some_and(|kept| kept.to_bits() == number.to_bits())
}
