//! A stored claim as a lens sees it.
//!
//! A [`Claim`] borrows from the archive: texts and authors stay where they are, and only words of fixed size are read
//! out. It never decodes a record and never checks one again.

use crate::id::RecordId;
use crate::record::{ArchivedObject, ArchivedSignedAssertion, Confidence, Finite, Lifecycle, SourceClass, Validity};
use crate::time::{Stamp, Timestamp};
use std::cmp::Ordering;

/// How far ahead of its acceptance a claim may date itself and be believed, in milliseconds: 5 minutes.
pub const TIMESTAMP_LEAD_MS_MAX: u64 = 5 * 60 * 1000;

/// What a claim says, in place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A text.
    Text(&'a str),
    /// A finite number, never -0.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// Another subject.
    Reference(&'a str),
}

impl<'a> Value<'a> {
    /// Compares by type, then by bytes: an order that groups equal values and means nothing else.
    ///
    /// It agrees with `==`: numbers are the same if their values are, so -0 is 0.
    pub fn cmp_bytes(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }

    fn key(&self) -> (u8, u64, &'a [u8]) {
        match *self {
            Self::Text(text) => (0, 0, text.as_bytes()),
            Self::Number(0.0) => (1, 0, &[]), // and -0
            Self::Number(number) => (1, number.to_bits(), &[]),
            Self::Boolean(truth) => (2, u64::from(truth), &[]),
            Self::Reference(subject) => (3, 0, subject.as_bytes()),
        }
    }
}

impl<'a> From<&'a ArchivedObject> for Value<'a> {
    fn from(archived: &'a ArchivedObject) -> Self {
        match archived {
            ArchivedObject::Text(text) => Self::Text(text.as_str()),
            ArchivedObject::Number(number) => Self::Number(Finite::from(number).get()),
            ArchivedObject::Boolean(truth) => Self::Boolean(*truth),
            ArchivedObject::Reference(subject) => Self::Reference(subject.as_str()),
        }
    }
}

/// A stored claim as a lens sees it: borrowed from the archive, nothing decoded.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Its name.
    pub id: RecordId,
    /// When a node accepted it.
    pub received_at: Stamp,
    /// Its authors, ascending.
    pub authors: &'a [rkyv::Archived<crate::id::AgentId>],
    /// When they claim it.
    pub timestamp: Timestamp,
    /// What they say.
    pub value: Value<'a>,
    /// How sure they are, 0 to 1,000,000.
    pub confidence: u32,
    /// The class that the claim gives itself.
    pub source_class: SourceClass,
    /// Where it stands in its life.
    pub lifecycle: Lifecycle,
    /// The claim it follows.
    pub parent: Option<RecordId>,
    /// The epoch it belongs to.
    pub epoch: Option<RecordId>,
    /// When it holds.
    pub validity: Validity,
}

impl<'a> Claim<'a> {
    /// The view of a stored assertion whose name is `id` and which a node accepted at `received_at`.
    ///
    /// Cost: a few loads, no allocation; the same for every length of text and every number of authors.
    pub fn of(id: RecordId, received_at: Stamp, archived: &'a ArchivedSignedAssertion) -> Self {
        let assertion = &archived.assertion;
        Self {
            id,
            received_at,
            authors: assertion.authors.as_slice(),
            timestamp: Timestamp::from(&assertion.timestamp),
            value: Value::from(&assertion.object),
            confidence: Confidence::from(&assertion.confidence).millionths().unsigned_abs(),
            source_class: SourceClass::from(&assertion.source_class),
            lifecycle: Lifecycle::from(&assertion.lifecycle),
            parent: assertion.parent_hash.as_ref().map(RecordId::from),
            epoch: assertion.epoch.as_ref().map(RecordId::from),
            validity: (&assertion.validity).into(),
        }
    }

    /// When the claim counts as made: its timestamp, but at most [`TIMESTAMP_LEAD_MS_MAX`] after it was accepted, so
    /// that nobody wins by claiming the future.
    pub fn clamped_timestamp(&self) -> Timestamp {
        let latest = Timestamp::from_ms(self.received_at.ms() + TIMESTAMP_LEAD_MS_MAX);
        latest.map_or(self.timestamp, |latest| self.timestamp.min(latest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{AgentId, Signature};
    use crate::record::{Assertion, Authors, Meta, Object, Predicate, SignedAssertion, Subject, Vector};

    #[test]
    fn a_claim_shows_what_the_archive_holds() {
        let authors = Authors::new(vec![AgentId([1; 32]), AgentId([2; 32])]).unwrap();
        let [parent, epoch] = [RecordId([3; 32]), RecordId([4; 32])];
        let validity = Validity::new(Timestamp::from_ms(5), None).unwrap();
        let stored = SignedAssertion {
            assertion: Assertion {
                authors,
                timestamp: Timestamp::from_ms(7).unwrap(),
                subject: Subject::new("Tesla_Inc").unwrap(),
                predicate: Predicate::new("founder").unwrap(),
                object: Object::Reference(Subject::new("Martin_Eberhard").unwrap()),
                confidence: Confidence::new(0.123_456_7).unwrap(),
                source_class: SourceClass::Clinical,
                lifecycle: Lifecycle::UnderReview,
                source_hash: None,
                parent_hash: Some(parent),
                epoch: Some(epoch),
                visual_hash: None,
                vector: Vector::default(),
                validity,
                meta: Meta::default(),
            },
            signatures: vec![Signature([0; 64]); 2],
        };
        let bytes = rkyv::to_bytes::<rkyv::rancor::Error>(&stored).unwrap();
        let archived = rkyv::access::<ArchivedSignedAssertion, rkyv::rancor::Error>(&bytes).unwrap();
        let claim = Claim::of(RecordId([9; 32]), Stamp::from_bits(11), archived);
        assert_eq!((claim.id, claim.received_at), (RecordId([9; 32]), Stamp::from_bits(11)));
        assert_eq!(claim.authors.iter().map(AgentId::from).collect::<Vec<_>>(), [AgentId([1; 32]), AgentId([2; 32])]);
        assert_eq!((claim.timestamp.ms(), claim.confidence), (7, 123_457));
        assert_eq!(claim.value, Value::Reference("Martin_Eberhard"));
        assert_eq!((claim.source_class, claim.lifecycle), (SourceClass::Clinical, Lifecycle::UnderReview));
        assert_eq!((claim.parent, claim.epoch, claim.validity), (Some(parent), Some(epoch), validity));
    }

    #[test]
    fn values_are_distinct_by_type_and_bytes() {
        let ascending = [
            Value::Text(""),
            Value::Text("true"),
            Value::Text("\u{e9}"), // not the same bytes as e and a combining accent
            Value::Number(0.0),
            Value::Number(1.0),
            Value::Boolean(false),
            Value::Boolean(true),
            Value::Reference("true"),
        ];
        assert!(ascending.is_sorted_by(|a, b| a.cmp_bytes(b) == Ordering::Less && a != b));
        assert_eq!(Value::Number(-0.0).cmp_bytes(&Value::Number(0.0)), Ordering::Equal);
        assert_eq!(Value::Number(-0.0), Value::Number(0.0));
    }
}
