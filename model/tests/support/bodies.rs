//! Bodies that must be accepted, chosen for what other languages get wrong.

use super::key;
use ed25519_dalek::SigningKey;
use model::canonical::number_literal;
use model::id::VisualHash;
use model::record::{
    Alias, Authors, Confidence, Finite, Lifecycle, Meta, Object, Pair, Predicate, SourceClass, Subject, Text, Validity,
    Vector, Weight,
};
use model::{AgentId, Assertion, Body, RecordId, Timestamp, Vote};

/// The authors behind `keys`, ascending.
pub(crate) fn authors(keys: &[SigningKey]) -> Authors {
    let mut agents: Vec<_> = keys.iter().map(|key| AgentId(key.verifying_key().to_bytes())).collect();
    agents.sort();
    Authors::new(agents).unwrap()
}

/// A plain claim, to vary.
pub(crate) fn assertion(keys: &[SigningKey], object: Object) -> Assertion {
    Assertion {
        authors: authors(keys),
        timestamp: Timestamp::from_ms(1_785_000_000_000).unwrap(),
        subject: Subject::new("Tesla_Inc").unwrap(),
        predicate: Predicate::new("revenue").unwrap(),
        object,
        confidence: Confidence::new(0.9).unwrap(),
        source_class: SourceClass::Expert,
        lifecycle: Lifecycle::Proposed,
        source_hash: None,
        parent_hash: None,
        epoch: None,
        visual_hash: None,
        vector: Vector::default(),
        validity: Validity::default(),
        meta: Meta::default(),
    }
}

/// A claim with every optional field.
pub(crate) fn full(keys: &[SigningKey]) -> Assertion {
    let meta =
        [("\u{e000}", "private use"), ("😀", "surrogate pair"), ("b\n", "\u{2028}"), ("", "empty key"), ("€", "")];
    Assertion {
        lifecycle: Lifecycle::UnderReview,
        source_class: SourceClass::Regulatory,
        source_hash: Some(RecordId([0x11; 32])),
        parent_hash: Some(RecordId([0x22; 32])),
        epoch: Some(RecordId([0x33; 32])),
        visual_hash: Some(VisualHash([1, 2, 3, 4, 0xab, 0xcd, 0xef, 0xff])),
        vector: Vector::new(&[
            0.0,
            -0.0,
            1.0,
            -0.5,
            f64::from(0.1_f32),
            f64::from(f32::MAX),
            f64::from(f32::MIN_POSITIVE),
        ])
        .unwrap(),
        validity: Validity::new(Timestamp::from_ms(0), Timestamp::from_ms((1 << 53) - 1)).unwrap(),
        meta: Meta::new(meta.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()).unwrap(),
        ..assertion(keys, Object::Reference(Subject::new("geo://country/BO").unwrap()))
    }
}

/// A plain vote.
pub(crate) fn vote(keys: &[SigningKey], weight: f64) -> Vote {
    Vote {
        authors: authors(keys),
        timestamp: Timestamp::from_ms(1_785_000_000_001).unwrap(),
        subject: Subject::new("Tesla_Inc").unwrap(),
        target: RecordId([0x44; 32]),
        weight: Weight::new(weight).unwrap(),
    }
}

/// An alias of one subject.
pub(crate) fn alias(keys: &[SigningKey], from: &str, to: &str) -> Alias {
    Alias {
        authors: authors(keys),
        timestamp: Timestamp::from_ms(1_785_000_000_002).unwrap(),
        pair: Pair::new(Subject::new(from).unwrap(), Subject::new(to).unwrap()).unwrap(),
    }
}

/// Name, body and the keys of its authors.
pub(crate) fn all() -> Vec<(String, Body, Vec<SigningKey>)> {
    let one = vec![key(1)];
    let three = vec![key(1), key(2), key(3)];
    let text = |text: &str| Object::Text(Text::new(text).unwrap());
    let claim = |name: &str, object| (name.to_owned(), Body::Assertion(Box::new(assertion(&one, object))), one.clone());
    let alias = |name: &str, from, to, keys: &[SigningKey]| {
        (name.to_owned(), Body::Alias(Box::new(alias(keys, from, to))), keys.to_vec())
    };
    let mut all = vec![
        claim("a text", text("96.7 billion")),
        claim("an empty text", text("")),
        claim("every escape", text("\u{0}\u{1}\u{8}\t\n\u{b}\u{c}\r\u{1f}\"\\/\u{7f}\u{80}")),
        claim("line and paragraph separators", text("\u{2028}\u{2029}")),
        claim("beyond the basic plane", text("😀\u{10ffff}\u{fffd}")),
        claim("not normalised", text("e\u{301} is not \u{e9}")),
        claim("true", Object::Boolean(true)),
        claim("false", Object::Boolean(false)),
        ("every optional field".to_owned(), Body::Assertion(Box::new(full(&three))), three.clone()),
        ("a vote".to_owned(), Body::Vote(Box::new(vote(&one, 1.0))), one.clone()),
        ("a vote against by three".to_owned(), Body::Vote(Box::new(vote(&three, -0.25))), three.clone()),
        ("a vote of nothing".to_owned(), Body::Vote(Box::new(vote(&one, -0.0))), one.clone()),
    ];
    let numbers = [
        "0",
        "-0",
        "1",
        "-1.5",
        "0.1",
        "1e20",
        "1e21",
        "1e-6",
        "1e-7",
        "1152921504606847000",
        "5e-324",
        "1.7976931348623157e308",
        "9007199254740991",
        "9007199254740992",
        "9007199254740994",
        "333333333.33333329",
        "2.2250738585072014e-308",
        "4.35",
        "1e23",
    ];
    all.extend(numbers.iter().map(|literal| {
        let number: Finite = number_literal(literal).unwrap();
        claim(&format!("the number {literal}"), Object::Number(number))
    }));
    all.push(alias("an alias", "Tesla_Inc", "wikidata://Q478214", &one));
    all.push(alias("an alias by three", "geo://country/BO", "Estado Plurinacional de Bolivia", &three));
    all.push(alias("an alias of what only looks equal", "caf\u{e9}", "cafe\u{301}", &one));
    all
}
