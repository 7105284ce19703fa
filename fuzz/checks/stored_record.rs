//! What must hold of the archive of a stored record, whatever bytes it is.
//!
//! It never panics, it takes nothing that breaks a rule of the format, and what it takes encodes again to a record with
//! the same envelope and the same id.

use model::canonical::{canonical_bytes, id_of, signatures_digest};
use model::record::{
    Alias, Assertion, Authors, Confidence, Finite, Meta, Object, Pair, Predicate, Subject, Text, Validity, Vector,
    Vote, Weight,
};
use model::{Body, Envelope, Home, RecordId, Refusal, Stamp, Timestamp};
use storage::log::{self, RecordKind};
use storage::stored::{StoredRecord, encode};

const KINDS: [RecordKind; 4] = [RecordKind::Assertion, RecordKind::Vote, RecordKind::Alias, RecordKind::Opaque];

/// Panics if `archive` breaks a rule, taken as a record of each kind.
pub(crate) fn check(archive: &[u8]) {
    for kind in KINDS {
        let stored = stored(kind, archive);
        assert_eq!(stored.is_some(), StoredRecord::checked(kind, archive));
        if let Some(stored) = stored {
            check_taken(&stored);
        }
    }
}

fn stored(kind: RecordKind, archive: &[u8]) -> Option<StoredRecord> {
    let id = RecordId([7; 32]);
    let frame = log::StoredRecord { home: Home::GLOBAL, stamp: Stamp::ZERO, kind, id, archive };
    StoredRecord::new(&frame, Stamp::MAX)
}

/// Checks a record whose archive was taken.
fn check_taken(stored: &StoredRecord) {
    let Some(envelope) = stored.to_envelope() else { panic!("a record without an envelope was taken") };
    assert_eq!(broken_rule(&envelope), None);
    let id = stored.computed_id();
    assert_eq!(id, Some(id_of(&canonical_bytes(envelope.body()))));
    assert_eq!(stored.assertion().is_some(), stored.kind() == RecordKind::Assertion);
    assert_eq!(stored.vote().is_some(), stored.kind() == RecordKind::Vote);
    assert_eq!(stored.alias().is_some(), stored.kind() == RecordKind::Alias);
    assert_eq!(stored.signatures(), envelope.signatures());
    assert_eq!(stored.signatures_digest(), signatures_digest(envelope.signatures()));
    assert_eq!(stored.parts().map(|(authors, _)| authors).as_ref(), Some(envelope.body().authors()));

    let Ok((kind, archive)) = encode(&envelope) else { panic!("an envelope without an archive") };
    assert_eq!(kind, stored.kind());
    let Some(again) = self::stored(kind, &archive) else { panic!("what was written is not taken") };
    assert_eq!((again.to_envelope(), again.computed_id()), (Some(envelope), id));
}

/// The first rule of the format that `envelope` breaks, by the constructors of its parts.
fn broken_rule(envelope: &Envelope) -> Option<Refusal> {
    let broken = match envelope.body() {
        Body::Assertion(assertion) => broken_in_assertion(assertion),
        Body::Vote(vote) => broken_in_vote(vote),
        Body::Alias(alias) => broken_in_alias(alias),
        Body::Opaque(_) => None,
    };
    broken.or(Authors::new(envelope.body().authors().as_slice().to_vec()).err())
}

fn broken_in_assertion(assertion: &Assertion) -> Option<Refusal> {
    let Assertion { timestamp, subject, predicate, object, confidence, vector, validity, meta, .. } = assertion;
    let elements: Vec<f64> = vector.as_slice().iter().copied().map(f64::from).collect();
    assert!([Some(*timestamp), validity.from(), validity.to()].into_iter().flatten().all(is_in_range));
    let object = match object {
        Object::Text(text) => Text::new(text.as_str()).err(),
        Object::Reference(subject) => Subject::new(subject.as_str()).err(),
        Object::Number(number) => {
            assert_eq!(Finite::new(number.get()), Some(*number));
            None
        }
        Object::Boolean(_) => None,
    };
    let subject = Subject::new(subject.as_str()).err();
    let predicate = Predicate::new(predicate.as_str()).err();
    let confidence = Confidence::new(confidence.get()).err();
    let validity = Validity::new(validity.from(), validity.to()).err();
    let vector = if elements.is_empty() { None } else { Vector::new(&elements).err() };
    let pairs = meta.as_slice();
    assert!(pairs.is_sorted_by(|(a, _), (b, _)| a < b));
    let meta = if pairs.is_empty() { None } else { Meta::new(pairs.to_vec()).err() };
    [subject, predicate, object, confidence, validity, vector, meta].into_iter().flatten().next()
}

fn broken_in_vote(vote: &Vote) -> Option<Refusal> {
    assert!(is_in_range(vote.timestamp));
    Subject::new(vote.subject.as_str()).err().or(Weight::new(vote.weight.get()).err())
}

fn broken_in_alias(alias: &Alias) -> Option<Refusal> {
    assert!(is_in_range(alias.timestamp));
    let (from, to) = (Subject::new(alias.pair.from().as_str()), Subject::new(alias.pair.to().as_str()));
    from.and_then(|from| Pair::new(from, to?)).err()
}

fn is_in_range(time: Timestamp) -> bool {
    time.ms() < Timestamp::LIMIT
}
