//! Requests that must be refused, with the stable code and, where the format fixes it, the field.

use super::{bodies, key};
use model::acceptance;
use model::canonical::canonical_bytes;
use model::record::{Object, Text};
use model::{AgentId, Body, Record};
use serde_json::{Value, json};

const CLAIM: &str = "/v1/assert";
const VOTE: &str = "/v1/vote";
const ALIAS: &str = "/v1/aliases";

fn request(record: &Record) -> String {
    let body = String::from_utf8(canonical_bytes(record.body())).unwrap();
    let signatures = record.envelope().signed_by();
    let entries: Vec<_> =
        signatures.map(|(agent, signature)| format!(r#"{{"agent_id":"{agent}","signature":"{signature}"}}"#)).collect();
    format!(r#"{},"signatures":[{}]}}"#, body.strip_suffix('}').unwrap(), entries.join(","))
}

fn case(path: &str, name: &str, input: String, code: &str, field: Option<&str>) -> Value {
    json!({"name": name, "path": path, "input": input, "code": code, "field": field})
}

/// Every refusal: a request that would be accepted, with one thing changed.
pub(crate) fn all() -> Vec<Value> {
    let mut cases = whole_requests();
    cases.extend(claims());
    cases.extend(votes());
    cases.extend(aliases());
    cases.extend(signatures());
    cases
}

fn good_claim() -> String {
    let object = Object::Text(Text::new("96.7 billion").unwrap());
    let body = Body::Assertion(Box::new(bodies::assertion(&[key(1), key(2)], object)));
    request(&acceptance::sign(body, &[key(1), key(2)]).unwrap())
}

fn good_vote() -> String {
    let body = Body::Vote(Box::new(bodies::vote(&[key(1)], 0.5)));
    request(&acceptance::sign(body, &[key(1)]).unwrap())
}

fn good_alias() -> String {
    let body = Body::Alias(Box::new(bodies::alias(&[key(1)], "Tesla_Inc", "wikidata://Q478214")));
    request(&acceptance::sign(body, &[key(1)]).unwrap())
}

fn replaced(input: &str, from: &str, to: &str) -> String {
    assert_eq!(input.matches(from).count(), 1, "{from} must stand once in {input}");
    input.replace(from, to)
}

fn whole_requests() -> Vec<Value> {
    let good = good_claim();
    [
        ("nothing", String::new(), "malformed_json", None),
        ("cut short", good[..good.len() - 1].to_owned(), "malformed_json", None),
        ("something after the end", format!("{good} x"), "malformed_json", None),
        ("a comma too many", replaced(&good, r#""v":1,"#, r#""v":1,,"#), "malformed_json", None),
        ("a list", "[]".to_owned(), "wrong_type", Some("body")),
        ("a text", "\"x\"".to_owned(), "wrong_type", Some("body")),
        ("nested too deep", format!("{}{}", "[".repeat(500), "]".repeat(500)), "too_deep", None),
        (
            "nested too deep in an unknown field",
            replaced(&good, r#""v":1"#, &format!(r#""v":1,"x":{}1{}"#, r#"{"a":"#.repeat(200), "}".repeat(200))),
            "too_deep",
            None,
        ),
    ]
    .map(|(name, input, code, field)| case(CLAIM, name, input, code, field))
    .to_vec()
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn claims() -> Vec<Value> {
    let good = good_claim();
    let long = |length| "x".repeat(length);
    let object = r#""object":{"type":"Text","value":"96.7 billion"}"#;
    let number = |literal: &str| format!(r#""object":{{"type":"Number","value":{literal}}}"#);
    let meta = |entries: &str| format!(r#""meta":{{{entries}}},{object}"#);
    let entry = |i: usize| format!(r#""k{i:02}":"v""#);
    let entries = |count| (0..count).map(entry).collect::<Vec<_>>().join(",");
    let extra = |field: &str| format!(r#"{object},{field}"#);
    let changes: Vec<(&str, &str, String, &str, Option<&str>)> = vec![
        ("an unknown field", object, extra(r#""colour":"red""#), "unknown_field", Some("colour")),
        ("a null", object, extra(r#""epoch":null"#), "unknown_field", Some("epoch")),
        ("a field of a vote", object, extra(r#""weight":1"#), "unknown_field", Some("weight")),
        (
            "an unknown field inside",
            object,
            r#""object":{"type":"Text","value":"x","unit":"USD"}"#.into(),
            "unknown_field",
            Some("object.unit"),
        ),
        ("a key twice", object, extra(r#""confidence":0.5"#), "duplicate_key", Some("confidence")),
        ("a key twice, once escaped", object, extra(r#""con\u0066idence":0.5"#), "duplicate_key", Some("confidence")),
        (
            "a key twice inside",
            object,
            r#""object":{"type":"Text","type":"Text","value":"x"}"#.into(),
            "duplicate_key",
            None,
        ),
        ("a meta key twice", object, meta(r#""a":"1","a":"2""#), "duplicate_key", None),
        ("a lone surrogate", object, r#""object":{"type":"Text","value":"\ud800"}"#.into(), "malformed_json", None),
        (
            "a raw control character",
            object,
            "\"object\":{\"type\":\"Text\",\"value\":\"\n\"}".into(),
            "malformed_json",
            None,
        ),
        ("NaN", object, number("NaN"), "malformed_json", None),
        ("a leading zero", object, number("01"), "malformed_json", None),
        ("a leading plus", object, number("+1"), "malformed_json", None),
        ("a number too large", object, number("1e400"), "out_of_range", Some("object.value")),
        ("2^53 + 1", object, number("9007199254740993"), "out_of_range", Some("object.value")),
        ("-(2^53 + 1)", object, number("-9007199254740993"), "out_of_range", Some("object.value")),
        (
            "2^60 with digits that are not kept",
            object,
            number("1152921504606846976"),
            "out_of_range",
            Some("object.value"),
        ),
        ("1e21 written out", object, number("1000000000000000000000"), "out_of_range", Some("object.value")),
        ("a text as a number", object, number("\"1\""), "wrong_type", Some("object.value")),
        (
            "a number as a text",
            object,
            r#""object":{"type":"Text","value":1}"#.into(),
            "wrong_type",
            Some("object.value"),
        ),
        (
            "an unknown type",
            object,
            r#""object":{"type":"Blob","value":"x"}"#.into(),
            "unknown_value",
            Some("object.type"),
        ),
        (
            "an object without a value",
            object,
            r#""object":{"type":"Text"}"#.into(),
            "missing_field",
            Some("object.value"),
        ),
        ("an object that is a text", object, r#""object":"x""#.into(), "wrong_type", Some("object")),
        (
            "a reference to nothing",
            object,
            r#""object":{"type":"Reference","value":""}"#.into(),
            "empty",
            Some("object.value"),
        ),
        (
            "a reference with a control character",
            object,
            r#""object":{"type":"Reference","value":"a\u0007"}"#.into(),
            "control_character",
            Some("object.value"),
        ),
        (
            "no object",
            r#""object":{"type":"Text","value":"96.7 billion"},"#,
            String::new(),
            "missing_field",
            Some("object"),
        ),
        ("no subject", r#""subject":"Tesla_Inc","#, String::new(), "missing_field", Some("subject")),
        ("an empty subject", r#""Tesla_Inc""#, r#""""#.into(), "empty", Some("subject")),
        ("a subject that is a number", r#""Tesla_Inc""#, "7".into(), "wrong_type", Some("subject")),
        (
            "a control character in the subject",
            r#""Tesla_Inc""#,
            r#""Tesla\u0000Inc""#.into(),
            "control_character",
            Some("subject"),
        ),
        (
            "a C1 control character in the subject",
            r#""Tesla_Inc""#,
            r#""Tesla\u0085Inc""#.into(),
            "control_character",
            Some("subject"),
        ),
        ("a subject too long", r#""Tesla_Inc""#, format!("\"{}\"", long(1025)), "too_large", Some("subject")),
        (
            "a control character in the predicate",
            r#""revenue""#,
            r#""a\tb""#.into(),
            "control_character",
            Some("predicate"),
        ),
        ("a predicate too long", r#""revenue""#, format!("\"{}\"", long(257)), "too_large", Some("predicate")),
        (
            "a confidence too high",
            r#""confidence":0.9"#,
            r#""confidence":1.0000001"#.into(),
            "out_of_range",
            Some("confidence"),
        ),
        (
            "a confidence below 0",
            r#""confidence":0.9"#,
            r#""confidence":-0.1"#.into(),
            "out_of_range",
            Some("confidence"),
        ),
        (
            "a confidence that is a text",
            r#""confidence":0.9"#,
            r#""confidence":"0.9""#.into(),
            "wrong_type",
            Some("confidence"),
        ),
        ("an unknown source class", r#""expert""#, r#""Expert""#.into(), "unknown_value", Some("source_class")),
        ("a source class by number", r#""expert""#, "3".into(), "wrong_type", Some("source_class")),
        ("an unknown lifecycle", r#""proposed""#, r#""done""#.into(), "unknown_value", Some("lifecycle")),
        ("a negative timestamp", "1785000000000", "-1".into(), "out_of_range", Some("timestamp")),
        ("a timestamp of 2^53", "1785000000000", "9007199254740992".into(), "out_of_range", Some("timestamp")),
        ("half a millisecond", "1785000000000", "1.5".into(), "out_of_range", Some("timestamp")),
        (
            "a timestamp that is a text",
            "1785000000000",
            r#""2026-07-25T17:20:00Z""#.into(),
            "wrong_type",
            Some("timestamp"),
        ),
        ("an unknown version", r#""v":1"#, r#""v":2"#.into(), "unknown_value", Some("v")),
        ("an unknown kind", r#""assertion""#, r#""sorcery""#.into(), "unknown_kind", Some("kind")),
        (
            "upper-case hex",
            object,
            extra(&format!(r#""source_hash":"{}""#, "AB".repeat(32))),
            "bad_hex",
            Some("source_hash"),
        ),
        (
            "hex too short",
            object,
            extra(&format!(r#""parent_hash":"{}""#, "ab".repeat(31))),
            "bad_hex",
            Some("parent_hash"),
        ),
        ("no hex", object, extra(r#""epoch":"2026""#), "bad_hex", Some("epoch")),
        (
            "a visual hash too long",
            object,
            extra(r#""visual_hash":"0011223344556677a""#),
            "bad_hex",
            Some("visual_hash"),
        ),
        ("an empty vector", object, extra(r#""vector":[]"#), "empty", Some("vector")),
        ("a vector element that is no f32", object, extra(r#""vector":[1,0.1]"#), "out_of_range", Some("vector[1]")),
        ("a vector element that is a text", object, extra(r#""vector":["1"]"#), "wrong_type", Some("vector[0]")),
        (
            "a vector too long",
            object,
            extra(&format!(r#""vector":[{}0]"#, "0,".repeat(4096))),
            "too_large",
            Some("vector"),
        ),
        ("no time between", object, extra(r#""valid_from":5,"valid_to":5"#), "out_of_range", Some("valid_to")),
        ("an empty meta", object, meta(""), "empty", Some("meta")),
        ("a meta value that is a number", object, meta(r#""a":1"#), "wrong_type", Some("meta.a")),
        ("33 meta entries", object, meta(&entries(33)), "too_large", Some("meta")),
        ("a meta entry too long", object, meta(&format!(r#""k":"{}""#, long(1024))), "too_large", Some("meta")),
    ];
    changes
        .into_iter()
        .map(|(name, from, to, code, field)| case(CLAIM, name, replaced(&good, from, &to), code, field))
        .collect()
}

fn votes() -> Vec<Value> {
    let good = good_vote();
    let target = format!(r#""target":"{}""#, "44".repeat(32));
    [
        ("a weight too high", r#""weight":0.5"#, r#""weight":1.5"#, "out_of_range", "weight"),
        ("a weight that is true", r#""weight":0.5"#, r#""weight":true"#, "wrong_type", "weight"),
        ("a vote without a weight", r#","weight":0.5"#, "", "missing_field", "weight"),
        ("a target that is no id", &target, r#""target":"Tesla_Inc""#, "bad_hex", "target"),
        (
            "a vote with a field of a claim",
            r#""weight":0.5"#,
            r#""weight":0.5,"confidence":1"#,
            "unknown_field",
            "confidence",
        ),
        ("a vote without a subject", r#""subject":"Tesla_Inc","#, "", "missing_field", "subject"),
    ]
    .map(|(name, from, to, code, field)| case(VOTE, name, replaced(&good, from, to), code, Some(field)))
    .to_vec()
}

fn aliases() -> Vec<Value> {
    let good = good_alias();
    let (from, to) = (r#""from":"Tesla_Inc""#, r#""to":"wikidata://Q478214""#);
    let long = format!(r#""to":"{}""#, "x".repeat(1025));
    [
        ("an alias of a subject to itself", to, r#""to":"Tesla_Inc""#, "not_distinct", "to"),
        ("an alias of a subject to itself, once escaped", to, r#""to":"Tesla\u005fInc""#, "not_distinct", "to"),
        ("an alias without a from", r#""from":"Tesla_Inc","#, "", "missing_field", "from"),
        ("an alias without a to", r#","to":"wikidata://Q478214""#, "", "missing_field", "to"),
        ("an alias of nothing", from, r#""from":"""#, "empty", "from"),
        ("an alias with a control character", from, r#""from":"Tesla\u0000Inc""#, "control_character", "from"),
        ("an alias to a subject too long", to, &long, "too_large", "to"),
        ("an alias to a number", to, r#""to":1"#, "wrong_type", "to"),
        (
            "an alias with a subject",
            to,
            r#""subject":"Tesla_Inc","to":"wikidata://Q478214""#,
            "unknown_field",
            "subject",
        ),
    ]
    .map(|(name, old, new, code, field)| case(ALIAS, name, replaced(&good, old, new), code, Some(field)))
    .to_vec()
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn signatures() -> Vec<Value> {
    let good = good_claim();
    let (head, list) = good.split_once(r#""signatures":["#).unwrap();
    let (first, second) = list.strip_suffix("]}").unwrap().split_once("},").unwrap();
    let first = format!("{first}}}");
    let with = |list: &str| format!(r#"{head}"signatures":[{list}]}}"#);
    let without_authors = |list: &str| {
        let (_, rest) = head.split_once("],").unwrap();
        format!(r#"{{{rest}"signatures":[{list}]}}"#)
    };
    let agent = |entry: &str| entry.split('"').nth(3).unwrap().to_owned();
    let signature = |entry: &str| entry.split('"').nth(7).unwrap().to_owned();
    let (agent_1, signature_1) = (agent(&first), signature(&first));
    let another = |to: &str| without_authors(&format!("{},{second}", first.replace(&agent_1, to)));
    let resigned = |to: &str| with(&format!("{},{second}", first.replace(&signature_1, to)));
    let identity = format!("01{}", "00".repeat(31));
    let order_2 = format!("ec{}7f", "ff".repeat(30));
    let no_point = format!("02{}", "00".repeat(31));
    let beyond_p = format!("ee{}7f", "ff".repeat(30));
    for weak in [&identity, &order_2, &beyond_p, &no_point] {
        assert!(acceptance::check_key(&AgentId::from_hex(weak).unwrap()).is_err(), "{weak}");
    }
    let flipped = format!("{:x}{}", u8::from_str_radix(&signature_1[..1], 16).unwrap() ^ 1, &signature_1[1..]);
    let large_s = format!("{}{}", &signature_1[..64], "ff".repeat(32));
    let stranger = format!(r#"{{"agent_id":"{}","signature":"{signature_1}"}}"#, "ff".repeat(32));
    let two = format!("{first},{second}");
    [
        ("no signatures field", format!("{}}}", head.strip_suffix(',').unwrap()), "missing_field", Some("signatures")),
        ("no signature", with(""), "missing_signature", Some("signatures")),
        ("an author's signature is missing", with(&first), "missing_signature", Some("signatures")),
        (
            "somebody else's signature besides",
            with(&format!("{two},{stranger}")),
            "extra_signature",
            Some("signatures"),
        ),
        (
            "signatures the other way round",
            with(&format!("{second},{first}")),
            "unsorted_signatures",
            Some("signatures"),
        ),
        ("a signature twice", with(&format!("{first},{first},{second}")), "unsorted_signatures", Some("signatures")),
        ("signatures that are no list", format!(r#"{head}"signatures":{{}}}}"#), "wrong_type", Some("signatures")),
        ("a signature that is a text", with(&format!("{first},\"x\"")), "wrong_type", Some("signatures[1]")),
        (
            "a signature without its agent",
            with(&format!(r#"{first},{{"signature":"{signature_1}"}}"#)),
            "missing_field",
            Some("signatures[1].agent_id"),
        ),
        (
            "an unknown field in a signature",
            with(&two.replace("}", r#","x":1}"#)),
            "unknown_field",
            Some("signatures[0].x"),
        ),
        ("a signature too short", resigned(&signature_1[2..]), "bad_hex", Some("signatures[0].signature")),
        (
            "a signature in upper case",
            resigned(&signature_1.to_uppercase()),
            "bad_hex",
            Some("signatures[0].signature"),
        ),
        ("a forged signature", resigned(&flipped), "bad_signature", Some("signatures[0].signature")),
        ("an S that is not reduced", resigned(&large_s), "bad_signature", Some("signatures[0].signature")),
        (
            "a body changed after signing",
            replaced(&good, r#""confidence":0.9"#, r#""confidence":0.95"#),
            "bad_signature",
            Some("signatures[0].signature"),
        ),
        ("the identity as a key", another(&identity), "weak_key", Some("signatures[0].agent_id")),
        ("a key that is no point", another(&no_point), "weak_key", Some("signatures[0].agent_id")),
        (
            "a key of order 2",
            without_authors(&first.replace(&agent_1, &order_2)),
            "weak_key",
            Some("signatures[0].agent_id"),
        ),
        (
            "a key that is not canonical",
            without_authors(&first.replace(&agent_1, &beyond_p)),
            "weak_key",
            Some("signatures[0].agent_id"),
        ),
        (
            "authors the other way round",
            {
                let (authors, rest) = head.split_once("],").unwrap();
                let (a, b) = authors.strip_prefix(r#"{"authors":["#).unwrap().split_once(',').unwrap();
                format!(r#"{{"authors":[{b},{a}],{rest}"signatures":[{two}]}}"#)
            },
            "not_sorted",
            Some("authors"),
        ),
        (
            "no author",
            {
                let (_, rest) = head.split_once("],").unwrap();
                format!(r#"{{"authors":[],{rest}"signatures":[{two}]}}"#)
            },
            "empty",
            Some("authors"),
        ),
    ]
    .map(|(name, input, code, field)| case(CLAIM, name, input, code, field))
    .to_vec()
}
