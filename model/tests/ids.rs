//! Ids against an independent JCS library (serde_jcs) and BLAKE3 over its bytes, on odd strings and numbers.
//!
//! The body is also sent through its archive: canonical bytes read in place are the same. `PROPTEST_CASES` tries more.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod support;

use model::canonical::{canonical_bytes, id_of, write_archived_alias, write_archived_assertion, write_archived_vote};
use model::id::VisualHash;
use model::record::{
    ArchivedAlias, ArchivedAssertion, ArchivedVote, Confidence, Finite, Lifecycle, Meta, Object, Pair, Predicate,
    SourceClass, Subject, Text, Validity, Vector, Weight,
};
use model::{Alias, Assertion, Body, RecordId, Timestamp, Vote};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use support::{bodies, key};

/// Characters that JSON writers and UTF-16 sorters get wrong.
fn odd_char() -> impl Strategy<Value = char> {
    prop_oneof![
        proptest::char::range('\0', '\u{7f}'),
        proptest::char::range('\u{d700}', '\u{d7ff}'),
        proptest::char::range('\u{e000}', '\u{ffff}'),
        proptest::char::range('\u{10000}', '\u{10ffff}'),
        proptest::sample::select(vec![
            '"', '\\', '/', '\u{8}', '\u{c}', '\n', '\r', '\t', '\u{7f}', '\u{85}', '\u{2028}', '\u{2029}', 'é', '€',
            '😀', '\u{feff}'
        ]),
    ]
}

fn odd_text(length: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(odd_char(), 0..length).prop_map(|chars| chars.into_iter().collect())
}

fn name() -> impl Strategy<Value = String> {
    odd_text(20).prop_map(|text| text.chars().filter(|c| !c.is_control()).chain(['x']).collect())
}

fn odd_number() -> impl Strategy<Value = f64> {
    let two_to_53 = 9_007_199_254_740_992.0;
    prop_oneof![
        any::<f64>().prop_filter("finite", |number| number.is_finite()),
        any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |number| number.is_finite()),
        any::<i64>().prop_map(|integer| integer as f64),
        (-30_i32..30).prop_map(|exponent| 10_f64.powi(exponent)),
        proptest::sample::select(vec![
            1e20,
            1e21,
            1.152_921_504_606_847e18,
            5e-324,
            -0.0,
            two_to_53,
            two_to_53 + 2.0,
            -1e-7,
            1e-6,
            f64::MAX,
            f64::MIN_POSITIVE
        ]),
    ]
}

fn object() -> impl Strategy<Value = Object> {
    prop_oneof![
        odd_text(40).prop_map(|text| Object::Text(Text::new(text).unwrap())),
        odd_number().prop_map(|number| Object::Number(Finite::new(number).unwrap())),
        any::<bool>().prop_map(Object::Boolean),
        name().prop_map(|subject| Object::Reference(Subject::new(subject).unwrap())),
    ]
}

fn id() -> impl Strategy<Value = Option<RecordId>> {
    proptest::option::of(any::<[u8; 32]>().prop_map(RecordId))
}

fn vector() -> impl Strategy<Value = Vector> {
    let element = any::<f32>().prop_filter("finite", |element| element.is_finite()).prop_map(f64::from);
    proptest::collection::vec(element, 0..6).prop_map(|elements| Vector::new(&elements).unwrap_or_default())
}

fn meta() -> impl Strategy<Value = Meta> {
    proptest::collection::btree_map(odd_text(4), odd_text(6), 0..12)
        .prop_map(|pairs| Meta::new(pairs.into_iter().collect()).unwrap_or_default())
}

fn validity() -> impl Strategy<Value = Validity> {
    let moment = || proptest::option::of((0..Timestamp::LIMIT).prop_map(|ms| Timestamp::from_ms(ms).unwrap()));
    (moment(), moment()).prop_map(|(from, to)| Validity::new(from, to).unwrap_or_default())
}

fn assertion() -> impl Strategy<Value = Assertion> {
    let what = (name(), name(), object(), 0.0..=1.0, 0..Timestamp::LIMIT, 1_u8..4);
    let words = (proptest::sample::select(SourceClass::ALL), proptest::sample::select(Lifecycle::ALL));
    let ids = (id(), id(), id(), proptest::option::of(any::<[u8; 8]>().prop_map(VisualHash)));
    (what, words, ids, vector(), validity(), meta()).prop_map(
        |((subject, predicate, object, confidence, ms, authors), words, ids, vector, validity, meta)| Assertion {
            authors: bodies::authors(&(0..authors).map(key).collect::<Vec<_>>()),
            timestamp: Timestamp::from_ms(ms).unwrap(),
            subject: Subject::new(subject).unwrap(),
            predicate: Predicate::new(predicate).unwrap(),
            object,
            confidence: Confidence::new(confidence).unwrap(),
            source_class: words.0,
            lifecycle: words.1,
            source_hash: ids.0,
            parent_hash: ids.1,
            epoch: ids.2,
            visual_hash: ids.3,
            vector,
            validity,
            meta,
        },
    )
}

fn vote() -> impl Strategy<Value = Vote> {
    (name(), -1.0..=1.0, any::<[u8; 32]>(), 0..Timestamp::LIMIT).prop_map(|(subject, weight, target, ms)| Vote {
        subject: Subject::new(subject).unwrap(),
        target: RecordId(target),
        timestamp: Timestamp::from_ms(ms).unwrap(),
        weight: Weight::new(weight).unwrap(),
        ..bodies::vote(&[key(1)], 0.0)
    })
}

fn alias() -> impl Strategy<Value = Alias> {
    let pair = (name(), name()).prop_filter("different", |(from, to)| from != to);
    (pair, 0..Timestamp::LIMIT, 1_u8..4).prop_map(|((from, to), ms, authors)| Alias {
        authors: bodies::authors(&(0..authors).map(key).collect::<Vec<_>>()),
        timestamp: Timestamp::from_ms(ms).unwrap(),
        pair: Pair::new(Subject::new(from).unwrap(), Subject::new(to).unwrap()).unwrap(),
    })
}

/// The body as another program would build it: a JSON value, field by field.
fn assertion_json(assertion: &Assertion) -> Value {
    let object = match &assertion.object {
        Object::Text(text) => json!({"type": "Text", "value": text.as_str()}),
        Object::Number(number) => json!({"type": "Number", "value": number.get()}),
        Object::Boolean(boolean) => json!({"type": "Boolean", "value": boolean}),
        Object::Reference(subject) => json!({"type": "Reference", "value": subject.as_str()}),
    };
    let mut json = json!({
        "v": 1,
        "kind": "assertion",
        "authors": assertion.authors.as_slice().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "timestamp": assertion.timestamp.ms(),
        "subject": assertion.subject.as_str(),
        "predicate": assertion.predicate.as_str(),
        "object": object,
        "confidence": assertion.confidence.get(),
        "source_class": assertion.source_class.as_str(),
        "lifecycle": assertion.lifecycle.as_str(),
    });
    let mut optional = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            json[key] = value;
        }
    };
    optional("source_hash", assertion.source_hash.map(|id| json!(id.to_string())));
    optional("parent_hash", assertion.parent_hash.map(|id| json!(id.to_string())));
    optional("epoch", assertion.epoch.map(|id| json!(id.to_string())));
    optional("visual_hash", assertion.visual_hash.map(|hash| json!(hash.to_string())));
    optional("valid_from", assertion.validity.from().map(|moment| json!(moment.ms())));
    optional("valid_to", assertion.validity.to().map(|moment| json!(moment.ms())));
    let vector: Vec<_> = assertion.vector.as_slice().iter().copied().map(f64::from).collect();
    optional("vector", (!vector.is_empty()).then(|| json!(vector)));
    let meta: Map<_, _> = assertion.meta.as_slice().iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    optional("meta", (!meta.is_empty()).then_some(Value::Object(meta)));
    json
}

fn vote_json(vote: &Vote) -> Value {
    json!({
        "v": 1,
        "kind": "vote",
        "authors": vote.authors.as_slice().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "timestamp": vote.timestamp.ms(),
        "subject": vote.subject.as_str(),
        "target": vote.target.to_string(),
        "weight": vote.weight.get(),
    })
}

fn alias_json(alias: &Alias) -> Value {
    json!({
        "v": 1,
        "kind": "alias",
        "authors": alias.authors.as_slice().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "timestamp": alias.timestamp.ms(),
        "from": alias.pair.from().as_str(),
        "to": alias.pair.to().as_str(),
    })
}

fn check(body: &Body, json: &Value, in_place: &[u8]) {
    let independent = serde_jcs::to_vec(json).unwrap();
    let ours = canonical_bytes(body);
    assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&independent));
    assert_eq!(id_of(&ours).0, *blake3::hash(&independent).as_bytes());
    assert_eq!(in_place, ours, "read in place from the archive");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_id_of_an_assertion_is_the_hash_of_what_an_independent_library_writes(assertion in assertion()) {
        let archive = rkyv::to_bytes::<rkyv::rancor::Error>(&assertion).unwrap();
        let mut in_place = Vec::new();
        write_archived_assertion(rkyv::access::<ArchivedAssertion, rkyv::rancor::Error>(&archive).unwrap(), &mut in_place);
        let json = assertion_json(&assertion);
        check(&Body::Assertion(Box::new(assertion)), &json, &in_place);
    }

    #[test]
    fn the_id_of_a_vote_is_the_hash_of_what_an_independent_library_writes(vote in vote()) {
        let archive = rkyv::to_bytes::<rkyv::rancor::Error>(&vote).unwrap();
        let mut in_place = Vec::new();
        write_archived_vote(rkyv::access::<ArchivedVote, rkyv::rancor::Error>(&archive).unwrap(), &mut in_place);
        let json = vote_json(&vote);
        check(&Body::Vote(Box::new(vote)), &json, &in_place);
    }

    #[test]
    fn the_id_of_an_alias_is_the_hash_of_what_an_independent_library_writes(alias in alias()) {
        let archive = rkyv::to_bytes::<rkyv::rancor::Error>(&alias).unwrap();
        let mut in_place = Vec::new();
        write_archived_alias(rkyv::access::<ArchivedAlias, rkyv::rancor::Error>(&archive).unwrap(), &mut in_place);
        let json = alias_json(&alias);
        check(&Body::Alias(Box::new(alias)), &json, &in_place);
    }
}

#[test]
fn meta_is_sorted_by_utf_16_and_not_by_utf_8() {
    let pairs = [("\u{e000}", "1"), ("😀", "2")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    let meta = Meta::new(pairs.to_vec()).unwrap();
    assert_eq!(meta.as_slice()[0].0, "\u{e000}", "kept by UTF-8");
    let assertion = Assertion { meta, ..bodies::assertion(&[key(1)], Object::Boolean(true)) };
    let canonical = String::from_utf8(canonical_bytes(&Body::Assertion(Box::new(assertion)))).unwrap();
    assert!(canonical.contains("\"meta\":{\"😀\":\"2\",\"\u{e000}\":\"1\"}"), "{canonical}");
}
