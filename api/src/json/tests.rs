//! The rim against the vectors that every language must pass, and against itself.

use super::*;
use model::acceptance::accept;
use model::id::VisualHash;
use model::record::*;
use model::{AgentId, Alias, Assertion, Body, Code, Envelope, RecordId, Refusal, Signature, Timestamp, Vote};
use proptest::prelude::*;
use serde_json::Value;

const REFUSALS: &str = include_str!("../../../model/vectors/refusals.json");
const RECORDS: &str = include_str!("../../../model/vectors/records.json");

fn cases(file: &str) -> Vec<Value> {
    serde_json::from_str(file).unwrap()
}

fn kind_of(path: &str) -> Option<Kind> {
    match path {
        "/v1/assert" => Some(Kind::Assertion),
        "/v1/vote" => Some(Kind::Vote),
        "/v1/aliases" => Some(Kind::Alias),
        "/v1/records" => None,
        other => panic!("no such path: {other}"),
    }
}

#[test]
fn every_refusal_in_the_vectors_has_its_code_and_field() {
    let mut wrong = Vec::new();
    for case in cases(REFUSALS) {
        let kind = kind_of(case["path"].as_str().unwrap());
        let read = parse_envelope(case["input"].as_str().unwrap().as_bytes(), kind).and_then(accept);
        let refusal = read.map(|record| record.id()).unwrap_err();
        let field = case["field"].as_str().unwrap_or(&refusal.field);
        if (refusal.code.as_str(), &*refusal.field) != (case["code"].as_str().unwrap(), field) {
            wrong.push(format!("{}: wants {} {}, has {refusal}", case["name"], case["code"], case["field"]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_record_in_the_vectors_is_read_under_its_id() {
    for case in cases(RECORDS) {
        let text = case["envelope"].to_string();
        let record = accept(parse_envelope(text.as_bytes(), None).unwrap()).unwrap();
        assert_eq!(record.id().to_string(), case["id"].as_str().unwrap(), "{}", case["name"]);
    }
}

/// A vote that is refused for nothing, with one part replaced.
fn vote(from: &str, to: &str) -> Result<Envelope, Refusal> {
    let text = format!(
        r#"{{"timestamp":1,"subject":"s","target":"{}","weight":0.5,"signatures":[{{"agent_id":"{}","signature":"{}"}}]}}"#,
        "0a".repeat(32),
        "0b".repeat(32),
        "0c".repeat(64)
    );
    assert!(text.contains(from));
    parse_envelope(text.replacen(from, to, 1).as_bytes(), Some(Kind::Vote))
}

#[test]
fn a_refusal_names_the_rule_and_the_path() {
    let refused = |from: &str, to: &str| {
        let refusal = vote(from, to).unwrap_err();
        (refusal.code, refusal.field.into_owned())
    };
    let (b, c) = ("0b".repeat(32), "0c".repeat(64));
    for (from, to, code, field) in [
        ("\"timestamp\":1", "\"timestamp\":-1", Code::OutOfRange, "timestamp"),
        ("\"timestamp\":1", "\"timestamp\":1.5", Code::OutOfRange, "timestamp"),
        ("\"timestamp\":1", "\"timestamp\":9007199254740992", Code::OutOfRange, "timestamp"),
        ("\"timestamp\":1", "\"timestamp\":null", Code::UnknownField, "timestamp"),
        ("\"timestamp\":1", "\"timestamp\":\"1\"", Code::WrongType, "timestamp"),
        ("\"timestamp\":1,", "", Code::MissingField, "timestamp"),
        ("\"timestamp\":1", "\"timestamp\":1,\"v\":2", Code::UnknownValue, "v"),
        ("\"timestamp\":1", "\"timestamp\":1,\"kind\":\"assertion\"", Code::UnknownKind, "kind"),
        ("\"timestamp\":1", "\"timestamp\":1,\"confidence\":1", Code::UnknownField, "confidence"),
        ("\"subject\":\"s\"", "\"subject\":\"\\u0007\"", Code::ControlCharacter, "subject"),
        ("0.5", "1.5", Code::OutOfRange, "weight"),
        ("0.5", "NaN", Code::WrongType, "weight"),
        ("0.5", "9007199254740993", Code::OutOfRange, "weight"),
        (&b[..], "0B", Code::BadHex, "signatures[0].agent_id"),
        (&c[..], "0c", Code::BadHex, "signatures[0].signature"),
        ("\"agent_id\"", "\"agent\"", Code::UnknownField, "signatures[0].agent"),
    ] {
        let (wanted, has) = ((code, field.to_owned()), refused(from, to));
        // What is no JSON at all is named as such first.
        let wanted = if to == "NaN" { (Code::MalformedJson, "body".to_owned()) } else { wanted };
        assert_eq!(has, wanted, "{from} -> {to}");
    }
}

#[test]
fn authors_may_be_left_out_and_must_agree_where_given() {
    let (b, d) = ("0b".repeat(32), "0d".repeat(32));
    let with = |authors: &str| vote("\"timestamp\":1", &format!("\"timestamp\":1,\"authors\":{authors}"));
    assert_eq!(with(&format!("[\"{b}\"]")), vote("s", "s"));
    let code = |authors: &str| with(authors).unwrap_err().code;
    assert_eq!(code(&format!("[\"{b}\",\"{d}\"]")), Code::MissingSignature);
    assert_eq!(code(&format!("[\"{d}\"]")), Code::ExtraSignature);
    assert_eq!(code("[]"), Code::Empty);
    assert_eq!(code(&format!("[\"{d}\",\"{b}\"]")), Code::NotSorted);
}

fn id() -> impl Strategy<Value = RecordId> {
    any::<[u8; 32]>().prop_map(RecordId)
}

fn name() -> impl Strategy<Value = String> {
    "[^\\p{Cc}]{1,40}"
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..Timestamp::LIMIT).prop_map(|ms| Timestamp::from_ms(ms).unwrap())
}

fn finite() -> impl Strategy<Value = Finite> {
    any::<f64>().prop_filter_map("finite", Finite::new)
}

fn object() -> impl Strategy<Value = Object> {
    prop_oneof![
        any::<String>().prop_map(|text| Object::Text(Text::new(text).unwrap())),
        finite().prop_map(Object::Number),
        any::<bool>().prop_map(Object::Boolean),
        name().prop_map(|subject| Object::Reference(Subject::new(subject).unwrap())),
    ]
}

fn meta() -> impl Strategy<Value = Meta> {
    prop::collection::btree_map(any::<String>(), any::<String>(), 0..4).prop_map(|pairs| {
        if pairs.is_empty() { Meta::default() } else { Meta::new(pairs.into_iter().collect()).unwrap() }
    })
}

fn vector() -> impl Strategy<Value = Vector> {
    prop::collection::vec(any::<f32>().prop_filter("finite", |element| element.is_finite()), 0..4).prop_map(
        |elements| {
            let wide: Vec<f64> = elements.into_iter().map(f64::from).collect();
            if wide.is_empty() { Vector::default() } else { Vector::new(&wide).unwrap() }
        },
    )
}

fn assertion(authors: Authors) -> impl Strategy<Value = Body> {
    let said = (time(), name(), name(), object(), 0.0..=1.0, meta(), vector());
    let placed = (prop::sample::select(SourceClass::ALL), prop::sample::select(Lifecycle::ALL));
    let linked =
        (prop::option::of(id()), prop::option::of(id()), prop::option::of(id()), prop::option::of(any::<[u8; 8]>()));
    let held = (prop::option::of(time()), prop::option::of(time()));
    (said, placed, linked, held).prop_map(move |(said, placed, linked, (from, to))| {
        let (timestamp, subject, predicate, object, confidence, meta, vector) = said;
        let (source_hash, parent_hash, epoch, visual_hash) = linked;
        Body::Assertion(Box::new(Assertion {
            authors: authors.clone(),
            timestamp,
            subject: Subject::new(subject).unwrap(),
            predicate: Predicate::new(predicate).unwrap(),
            object,
            confidence: Confidence::new(confidence).unwrap(),
            source_class: placed.0,
            lifecycle: placed.1,
            source_hash,
            parent_hash,
            epoch,
            visual_hash: visual_hash.map(VisualHash),
            vector,
            validity: Validity::new(from, to).unwrap_or_default(),
            meta,
        }))
    })
}

fn vote_body(authors: Authors) -> impl Strategy<Value = Body> {
    (time(), name(), id(), -1.0..=1.0).prop_map(move |(timestamp, subject, target, weight)| {
        Body::Vote(Box::new(Vote {
            authors: authors.clone(),
            timestamp,
            subject: Subject::new(subject).unwrap(),
            target,
            weight: Weight::new(weight).unwrap(),
        }))
    })
}

fn alias_body(authors: Authors) -> impl Strategy<Value = Body> {
    let pair = (name(), name()).prop_filter("different", |(from, to)| from != to);
    (time(), pair).prop_map(move |(timestamp, (from, to))| {
        let pair = Pair::new(Subject::new(from).unwrap(), Subject::new(to).unwrap()).unwrap();
        Body::Alias(Box::new(Alias { authors: authors.clone(), timestamp, pair }))
    })
}

fn envelope() -> impl Strategy<Value = Envelope> {
    let signers = prop::collection::btree_map(any::<[u8; 32]>(), any::<[u8; 64]>(), 1..4);
    signers.prop_flat_map(|signers| {
        let authors = Authors::new(signers.keys().copied().map(AgentId).collect()).unwrap();
        let signatures: Vec<Signature> = signers.values().copied().map(Signature).collect();
        let body = prop_oneof![
            assertion(authors.clone()).boxed(),
            vote_body(authors.clone()).boxed(),
            alias_body(authors).boxed()
        ];
        body.prop_map(move |body| Envelope::new(body, signatures.clone()).unwrap())
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back_byte_for_byte(envelope in envelope()) {
        let printed = envelope_json(&envelope);
        let read = parse_envelope(&printed, None).unwrap();
        prop_assert_eq!(&read, &envelope);
        prop_assert_eq!(envelope_json(&read), printed);
    }

    #[test]
    fn members_may_stand_in_any_order(envelope in envelope(), seed in any::<u64>()) {
        let value: Value = serde_json::from_slice(&envelope_json(&envelope)).unwrap();
        let mut members: Vec<_> = value.as_object().unwrap().iter().map(|(k, v)| format!("{k:?}:{v}")).collect();
        let turn = usize::try_from(seed % 7).unwrap() % members.len();
        members.rotate_left(turn);
        prop_assert_eq!(parse_envelope(format!("{{{}}}", members.join(" , ")).as_bytes(), None), Ok(envelope));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        prop_assert!(parse_envelope(&bytes, None).is_err());
    }

    #[test]
    fn a_byte_changed_anywhere_never_makes_it_panic(envelope in envelope(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut printed = envelope_json(&envelope);
        let at = at.index(printed.len());
        printed[at] = byte;
        if let Ok(read) = parse_envelope(&printed, None) {
            prop_assert_eq!(parse_envelope(&envelope_json(&read), None), Ok(read));
        }
        printed.truncate(at);
        prop_assert!(parse_envelope(&printed, None).is_err());
    }
}
