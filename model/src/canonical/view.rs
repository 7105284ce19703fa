//! A body as the writer sees it: borrowed from the typed body or from its archive, nothing copied.
//!
//! The keys stand in UTF-16 order because they are written in that order; nothing sorts them at run time but `meta`.

use super::json::{Object, array, hex_string, string};
use super::number::write_number;
use crate::id::{RecordId, VisualHash};
use crate::lens::Value;
use crate::record::{
    Alias, ArchivedAlias, ArchivedAssertion, ArchivedObject, ArchivedVote, Assertion, BODY_VERSION, Confidence, Finite,
    Lifecycle, Object as Stated, SourceClass, Validity, Vote, Weight,
};
use crate::time::Timestamp;

/// An assertion; the iterators hide which form it comes from.
pub(super) struct AssertionView<'a, Authors, Vector, Meta> {
    authors: Authors,
    timestamp: Timestamp,
    subject: &'a str,
    predicate: &'a str,
    object: Value<'a>,
    confidence: Confidence,
    source_class: SourceClass,
    lifecycle: Lifecycle,
    source_hash: Option<RecordId>,
    parent_hash: Option<RecordId>,
    epoch: Option<RecordId>,
    visual_hash: Option<VisualHash>,
    vector: Vector,
    validity: Validity,
    meta: Meta,
}

/// A vote; the iterator hides which form it comes from.
pub(super) struct VoteView<'a, Authors> {
    authors: Authors,
    timestamp: Timestamp,
    subject: &'a str,
    target: RecordId,
    weight: Weight,
}

/// An alias; the iterator hides which form it comes from.
pub(super) struct AliasView<'a, Authors> {
    authors: Authors,
    timestamp: Timestamp,
    from: &'a str,
    to: &'a str,
}

/// The view of a typed assertion.
pub(super) fn of_assertion(
    assertion: &Assertion,
) -> AssertionView<
    '_,
    impl Iterator<Item = &[u8; 32]>,
    impl ExactSizeIterator<Item = f32>,
    impl ExactSizeIterator<Item = (&str, &str)>,
> {
    AssertionView {
        authors: assertion.authors.as_slice().iter().map(|agent| &agent.0),
        timestamp: assertion.timestamp,
        subject: assertion.subject.as_str(),
        predicate: assertion.predicate.as_str(),
        object: match &assertion.object {
            Stated::Text(text) => Value::Text(text.as_str()),
            Stated::Number(number) => Value::Number(number.get()),
            Stated::Boolean(boolean) => Value::Boolean(*boolean),
            Stated::Reference(subject) => Value::Reference(subject.as_str()),
        },
        confidence: assertion.confidence,
        source_class: assertion.source_class,
        lifecycle: assertion.lifecycle,
        source_hash: assertion.source_hash,
        parent_hash: assertion.parent_hash,
        epoch: assertion.epoch,
        visual_hash: assertion.visual_hash,
        vector: assertion.vector.as_slice().iter().copied(),
        validity: assertion.validity,
        meta: assertion.meta.as_slice().iter().map(|(key, value)| (key.as_str(), value.as_str())),
    }
}

/// The view of a stored assertion.
pub(super) fn of_archived_assertion(
    assertion: &ArchivedAssertion,
) -> AssertionView<
    '_,
    impl Iterator<Item = &[u8; 32]>,
    impl ExactSizeIterator<Item = f32>,
    impl ExactSizeIterator<Item = (&str, &str)>,
> {
    AssertionView {
        authors: assertion.authors.as_slice().iter().map(|agent| &agent.0),
        timestamp: Timestamp::from(&assertion.timestamp),
        subject: assertion.subject.as_str(),
        predicate: assertion.predicate.as_str(),
        object: match &assertion.object {
            ArchivedObject::Text(text) => Value::Text(text.as_str()),
            ArchivedObject::Number(number) => Value::Number(Finite::from(number).get()),
            ArchivedObject::Boolean(boolean) => Value::Boolean(*boolean),
            ArchivedObject::Reference(subject) => Value::Reference(subject.as_str()),
        },
        confidence: Confidence::from(&assertion.confidence),
        source_class: SourceClass::from(&assertion.source_class),
        lifecycle: Lifecycle::from(&assertion.lifecycle),
        source_hash: assertion.source_hash.as_ref().map(RecordId::from),
        parent_hash: assertion.parent_hash.as_ref().map(RecordId::from),
        epoch: assertion.epoch.as_ref().map(RecordId::from),
        visual_hash: assertion.visual_hash.as_ref().map(VisualHash::from),
        vector: assertion.vector.elements(),
        validity: (&assertion.validity).into(),
        meta: assertion.meta.pairs(),
    }
}

/// The view of a typed vote.
pub(super) fn of_vote(vote: &Vote) -> VoteView<'_, impl Iterator<Item = &[u8; 32]>> {
    VoteView {
        authors: vote.authors.as_slice().iter().map(|agent| &agent.0),
        timestamp: vote.timestamp,
        subject: vote.subject.as_str(),
        target: vote.target,
        weight: vote.weight,
    }
}

/// The view of a stored vote.
pub(super) fn of_archived_vote(vote: &ArchivedVote) -> VoteView<'_, impl Iterator<Item = &[u8; 32]>> {
    VoteView {
        authors: vote.authors.as_slice().iter().map(|agent| &agent.0),
        timestamp: Timestamp::from(&vote.timestamp),
        subject: vote.subject.as_str(),
        target: RecordId::from(&vote.target),
        weight: Weight::from(&vote.weight),
    }
}

/// The view of a typed alias.
pub(super) fn of_alias(alias: &Alias) -> AliasView<'_, impl Iterator<Item = &[u8; 32]>> {
    AliasView {
        authors: alias.authors.as_slice().iter().map(|agent| &agent.0),
        timestamp: alias.timestamp,
        from: alias.pair.from().as_str(),
        to: alias.pair.to().as_str(),
    }
}

/// The view of a stored alias.
pub(super) fn of_archived_alias(alias: &ArchivedAlias) -> AliasView<'_, impl Iterator<Item = &[u8; 32]>> {
    AliasView {
        authors: alias.authors.as_slice().iter().map(|agent| &agent.0),
        timestamp: Timestamp::from(&alias.timestamp),
        from: alias.pair.from(),
        to: alias.pair.to(),
    }
}

/// Writes an assertion.
pub(super) fn write_assertion<'a>(
    view: AssertionView<
        'a,
        impl Iterator<Item = &'a [u8; 32]>,
        impl ExactSizeIterator<Item = f32>,
        impl ExactSizeIterator<Item = (&'a str, &'a str)>,
    >,
    out: &mut Vec<u8>,
) {
    let mut body = Object::open(out);
    array(view.authors, body.key("authors"), |agent, out| hex_string(agent, out));
    write_number(view.confidence.get(), body.key("confidence"));
    id(&mut body, "epoch", view.epoch);
    string("assertion", body.key("kind"));
    string(view.lifecycle.as_str(), body.key("lifecycle"));
    if view.meta.len() > 0 {
        meta(view.meta, body.key("meta"));
    }
    object(view.object, body.key("object"));
    id(&mut body, "parent_hash", view.parent_hash);
    string(view.predicate, body.key("predicate"));
    string(view.source_class.as_str(), body.key("source_class"));
    id(&mut body, "source_hash", view.source_hash);
    string(view.subject, body.key("subject"));
    integer(view.timestamp.ms(), body.key("timestamp"));
    integer(BODY_VERSION, body.key("v"));
    if let Some(from) = view.validity.from() {
        integer(from.ms(), body.key("valid_from"));
    }
    if let Some(to) = view.validity.to() {
        integer(to.ms(), body.key("valid_to"));
    }
    if view.vector.len() > 0 {
        array(view.vector, body.key("vector"), |element, out| write_number(f64::from(element), out));
    }
    if let Some(hash) = view.visual_hash {
        hex_string(&hash.0, body.key("visual_hash"));
    }
    body.close();
}

/// Writes a vote.
pub(super) fn write_vote<'a>(view: VoteView<'a, impl Iterator<Item = &'a [u8; 32]>>, out: &mut Vec<u8>) {
    let mut body = Object::open(out);
    array(view.authors, body.key("authors"), |agent, out| hex_string(agent, out));
    string("vote", body.key("kind"));
    string(view.subject, body.key("subject"));
    hex_string(&view.target.0, body.key("target"));
    integer(view.timestamp.ms(), body.key("timestamp"));
    integer(BODY_VERSION, body.key("v"));
    write_number(view.weight.get(), body.key("weight"));
    body.close();
}

/// Writes an alias.
pub(super) fn write_alias<'a>(view: AliasView<'a, impl Iterator<Item = &'a [u8; 32]>>, out: &mut Vec<u8>) {
    let mut body = Object::open(out);
    array(view.authors, body.key("authors"), |agent, out| hex_string(agent, out));
    string(view.from, body.key("from"));
    string("alias", body.key("kind"));
    integer(view.timestamp.ms(), body.key("timestamp"));
    string(view.to, body.key("to"));
    integer(BODY_VERSION, body.key("v"));
    body.close();
}

/// Writes a note.
#[cfg(feature = "next")]
pub(super) fn write_note(note: &crate::record::Note, out: &mut Vec<u8>) {
    let mut body = Object::open(out);
    array(note.authors.as_slice().iter(), body.key("authors"), |agent, out| hex_string(&agent.0, out));
    string(crate::record::Note::KIND, body.key("kind"));
    string(note.subject.as_str(), body.key("subject"));
    string(note.text.as_str(), body.key("text"));
    integer(note.timestamp.ms(), body.key("timestamp"));
    integer(BODY_VERSION, body.key("v"));
    body.close();
}

fn object(value: Value<'_>, out: &mut Vec<u8>) {
    let mut object = Object::open(out);
    match value {
        Value::Text(text) => {
            string("Text", object.key("type"));
            string(text, object.key("value"));
        }
        Value::Number(number) => {
            string("Number", object.key("type"));
            write_number(number, object.key("value"));
        }
        Value::Boolean(boolean) => {
            string("Boolean", object.key("type"));
            object.key("value").extend_from_slice(if boolean { b"true" } else { b"false" });
        }
        Value::Reference(subject) => {
            string("Reference", object.key("type"));
            string(subject, object.key("value"));
        }
    }
    object.close();
}

/// Stored by UTF-8 bytes; JCS wants UTF-16, which differs where a surrogate pair meets U+E000 to U+FFFF.
fn meta<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>, out: &mut Vec<u8>) {
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    let mut object = Object::open(out);
    for (key, value) in pairs {
        string(value, object.key(key));
    }
    object.close();
}

fn id(body: &mut Object<'_>, key: &str, id: Option<RecordId>) {
    if let Some(id) = id {
        hex_string(&id.0, body.key(key));
    }
}

/// Below 2^53, so an f64 prints every digit.
fn integer(number: u64, out: &mut Vec<u8>) {
    debug_assert!(number < Timestamp::LIMIT, "integers of a body are below 2^53");
    write_number(number as f64, out);
}
