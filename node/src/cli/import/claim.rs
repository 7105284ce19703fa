//! One line of an import: a claim without a signature, or an envelope that is sent as it stands.
//!
//! Fields are checked by the constructors of `model`, so what is refused here is what a node would refuse. Numbers are
//! read from their literals, never through a lossy type.

use super::sources::{Defaults, moment, words};
use crate::cli::signing::sole_author;
use model::id::VisualHash;
use model::record::{
    Confidence, Finite, Lifecycle, Meta, Object, Predicate, SourceClass, Subject, Text, Validity, Vector,
};
use model::{AgentId, Assertion, Code, RecordId, Refusal, Timestamp, canonical};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What a line of an import is.
#[derive(Debug)]
pub enum Claim {
    /// It has signatures already.
    Envelope,
    /// It is to be signed.
    Unsigned(Box<Unsigned>),
}

/// A claim as its line gives it; what is missing comes from its source.
#[derive(Debug)]
pub struct Unsigned {
    /// Who says so: names the signing key.
    pub source: String,
    /// When, if the line says.
    pub timestamp: Option<Timestamp>,
    subject: Subject,
    predicate: Predicate,
    object: Object,
    confidence: Option<Confidence>,
    source_class: Option<SourceClass>,
    lifecycle: Option<Lifecycle>,
    source_hash: Option<RecordId>,
    parent_hash: Option<RecordId>,
    epoch: Option<RecordId>,
    visual_hash: Option<VisualHash>,
    vector: Vector,
    validity: Validity,
    meta: Meta,
}

impl Unsigned {
    /// The assertion of `agent`, with `defaults` for what the line leaves out.
    ///
    /// # Errors
    ///
    /// None in practice: every field was checked when the line was read.
    pub fn into_assertion(
        self,
        agent: AgentId,
        defaults: &Defaults,
        timestamp: Timestamp,
    ) -> Result<Assertion, Refusal> {
        Ok(Assertion {
            authors: sole_author(agent)?,
            timestamp,
            subject: self.subject,
            predicate: self.predicate,
            object: self.object,
            confidence: self.confidence.unwrap_or(defaults.confidence),
            source_class: self.source_class.unwrap_or(defaults.source_class),
            lifecycle: self.lifecycle.unwrap_or(defaults.lifecycle),
            source_hash: self.source_hash,
            parent_hash: self.parent_hash,
            epoch: self.epoch,
            visual_hash: self.visual_hash,
            vector: self.vector,
            validity: self.validity,
            meta: self.meta,
        })
    }
}

/// Reads a line.
///
/// # Errors
///
/// [`Refusal`] with the field and what would be accepted.
pub fn parse(line: &[u8]) -> Result<Claim, Refusal> {
    let malformed = |error: serde_json::Error| {
        Refusal::new(Code::MalformedJson, "body", format!("one JSON object a line: {error}"))
    };
    let mut fields: Fields<'_> = serde_json::from_slice(line).map_err(malformed)?;
    if let Some(twice) = fields.first_duplicate() {
        return Err(Refusal::new(Code::DuplicateKey, twice, "each key once"));
    }
    if fields.take("signatures").is_some() {
        return Ok(Claim::Envelope);
    }
    unsigned(fields).map(|claim| Claim::Unsigned(Box::new(claim)))
}

fn unsigned(mut fields: Fields<'_>) -> Result<Unsigned, Refusal> {
    fields.only("v", "1")?;
    fields.only("kind", "\"assertion\"")?;
    if fields.take("authors").is_some() {
        return Err(Refusal::new(Code::UnknownField, "authors", "no authors: the key of the source signs"));
    }
    let time = |fields: &mut Fields<'_>, name| fields.optional(name, |raw| timestamp(name, raw));
    let stated = time(&mut fields, "timestamp")?;
    let published = fields.optional("published", published)?.flatten();
    Ok(Unsigned {
        source: fields.required("source", |raw| text("source", raw))?,
        timestamp: stated.or(published),
        subject: fields.required("subject", |raw| Subject::new(text("subject", raw)?))?,
        predicate: fields.required("predicate", |raw| Predicate::new(text("predicate", raw)?))?,
        object: fields.required("object", object)?,
        confidence: fields.optional("confidence", |raw| Confidence::new(number("confidence", raw)?.get()))?,
        source_class: fields.optional("source_class", |raw| {
            let expected = || words(SourceClass::ALL, SourceClass::as_str);
            word("source_class", raw, SourceClass::from_word, expected)
        })?,
        lifecycle: fields.optional("lifecycle", |raw| {
            word("lifecycle", raw, Lifecycle::from_word, || words(Lifecycle::ALL, Lifecycle::as_str))
        })?,
        source_hash: fields.optional("source_hash", |raw| id("source_hash", raw))?,
        parent_hash: fields.optional("parent_hash", |raw| id("parent_hash", raw))?,
        epoch: fields.optional("epoch", |raw| id("epoch", raw))?,
        visual_hash: fields.optional("visual_hash", |raw| {
            let hash = VisualHash::from_hex(&text("visual_hash", raw)?);
            hash.ok_or_else(|| Refusal::new(Code::BadHex, "visual_hash", "16 lower-case hex digits"))
        })?,
        vector: fields.optional("vector", vector)?.unwrap_or_default(),
        validity: Validity::new(time(&mut fields, "valid_from")?, time(&mut fields, "valid_to")?)?,
        meta: meta(fields)?,
    })
}

/// When a claim was published; an empty text says that nobody knows.
fn published(raw: &RawValue) -> Result<Option<Timestamp>, Refusal> {
    let wrong = || Refusal::new(Code::OutOfRange, "published", "a time as in 2026-07-14T23:44:10Z");
    match text("published", raw)?.as_str() {
        "" => Ok(None),
        time => moment(time).ok_or_else(wrong).map(Some),
    }
}

fn object(raw: &RawValue) -> Result<Object, Refusal> {
    let expected = "{\"type\":\"Text\"|\"Number\"|\"Boolean\"|\"Reference\",\"value\":...}";
    let mut fields = nested("object", raw, expected)?;
    let kind = fields.required("object.type", |raw| text("object.type", raw))?;
    let value = fields.required("object.value", Ok)?;
    if let Some((name, _)) = fields.0.first() {
        return Err(Refusal::new(Code::UnknownField, format!("object.{name}"), expected));
    }
    match kind.as_str() {
        "Text" => Text::new(text("object.value", value)?).map(Object::Text),
        "Number" => number("object.value", value).map(Object::Number),
        "Boolean" => match value.get() {
            "true" => Ok(Object::Boolean(true)),
            "false" => Ok(Object::Boolean(false)),
            _ => Err(Refusal::new(Code::WrongType, "object.value", "true or false")),
        },
        "Reference" => {
            let subject = Subject::new(text("object.value", value)?);
            subject.map(Object::Reference).map_err(|refusal| Refusal { field: "object.value".into(), ..refusal })
        }
        _ => Err(Refusal::new(Code::UnknownValue, "object.type", "Text, Number, Boolean or Reference")),
    }
}

fn vector(raw: &RawValue) -> Result<Vector, Refusal> {
    let wrong = |_| Refusal::new(Code::WrongType, "vector", "an array of numbers");
    let elements: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(wrong)?;
    let element = |(position, raw): (usize, &&RawValue)| number(&format!("vector[{position}]"), raw).map(Finite::get);
    Vector::new(&elements.iter().enumerate().map(element).collect::<Result<Vec<_>, _>>()?)
}

/// What `meta` says, and every field that no body has: texts as they are, other values as their JSON text.
fn meta(mut fields: Fields<'_>) -> Result<Meta, Refusal> {
    let given = fields.optional("meta", |raw| nested("meta", raw, "an object of texts"))?;
    let mut pairs = Vec::new();
    for (name, raw) in given.into_iter().flat_map(|given| given.0) {
        pairs.push((name.to_string(), text(&format!("meta.{name}"), raw)?));
    }
    for (name, raw) in fields.0 {
        let value = serde_json::from_str::<String>(raw.get()).unwrap_or_else(|_| raw.get().to_owned());
        pairs.push((name.into_owned(), value));
    }
    if pairs.is_empty() { Ok(Meta::default()) } else { Meta::new(pairs) }
}

fn nested<'a>(field: &'static str, raw: &'a RawValue, expected: &'static str) -> Result<Fields<'a>, Refusal> {
    let wrong = |_| Refusal::new(Code::WrongType, field, expected);
    let fields: Fields<'a> = serde_json::from_str(raw.get()).map_err(wrong)?;
    match fields.first_duplicate() {
        Some(twice) => Err(Refusal::new(Code::DuplicateKey, format!("{field}.{twice}"), "each key once")),
        None => Ok(fields),
    }
}

fn text(field: &str, raw: &RawValue) -> Result<String, Refusal> {
    serde_json::from_str(raw.get()).map_err(|_other_type| Refusal::new(Code::WrongType, field.to_owned(), "a string"))
}

fn number(field: &str, raw: &RawValue) -> Result<Finite, Refusal> {
    if !raw.get().starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Err(Refusal::new(Code::WrongType, field.to_owned(), "a number"));
    }
    canonical::number_literal(raw.get()).map_err(|refusal| Refusal { field: field.to_owned().into(), ..refusal })
}

fn timestamp(field: &str, raw: &RawValue) -> Result<Timestamp, Refusal> {
    let expected = "milliseconds since 1970: a whole number below 2^53";
    let ms = raw.get().parse().ok().and_then(Timestamp::from_ms);
    ms.ok_or_else(|| Refusal::new(Code::OutOfRange, field.to_owned(), expected))
}

fn id(field: &'static str, raw: &RawValue) -> Result<RecordId, Refusal> {
    let id = RecordId::from_hex(&text(field, raw)?);
    id.ok_or_else(|| Refusal::new(Code::BadHex, field, "64 lower-case hex digits"))
}

fn word<T>(
    field: &'static str,
    raw: &RawValue,
    from_word: fn(&str) -> Option<T>,
    expected: impl Fn() -> String,
) -> Result<T, Refusal> {
    from_word(&text(field, raw)?).ok_or_else(|| Refusal::new(Code::UnknownValue, field, expected()))
}

/// The fields of a JSON object in the order of the text, values unread.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    fn first_duplicate(&self) -> Option<String> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        names.array_windows().find(|[a, b]| a == b).map(|[twice, _]| (*twice).to_owned())
    }

    /// Removes the field whose name is the last part of `path`.
    fn take(&mut self, path: &str) -> Option<&'a RawValue> {
        let name = path.rsplit_once('.').map_or(path, |(_, name)| name);
        let position = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(position).1)
    }

    fn optional<T>(
        &mut self,
        path: &'static str,
        read: impl FnOnce(&'a RawValue) -> Result<T, Refusal>,
    ) -> Result<Option<T>, Refusal> {
        match self.take(path) {
            Some(raw) if raw.get() == "null" => {
                Err(Refusal::new(Code::UnknownField, path, "no null: leave the field out"))
            }
            raw => raw.map(read).transpose(),
        }
    }

    fn required<T>(
        &mut self,
        path: &'static str,
        read: impl FnOnce(&'a RawValue) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.optional(path, read)?.ok_or_else(|| Refusal::new(Code::MissingField, path, "this field"))
    }

    /// Removes a field that may only have one value.
    fn only(&mut self, name: &'static str, value: &'static str) -> Result<(), Refusal> {
        match self.take(name) {
            Some(raw) if raw.get() != value => Err(Refusal::new(Code::UnknownValue, name, value)),
            _ => Ok(()),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A key, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::import::sources::Sources;
    use model::Body;

    const AGENT: AgentId = AgentId([7; 32]);

    fn canonical_of(line: &str) -> Result<String, Refusal> {
        let Claim::Unsigned(claim) = parse(line.as_bytes())? else { return Ok("envelope".to_owned()) };
        let timestamp = claim.timestamp.unwrap_or(Timestamp::from_ms(1).unwrap());
        let defaults = Sources::default().defaults(&claim.source);
        let body = Body::Assertion(Box::new(claim.into_assertion(AGENT, &defaults, timestamp)?));
        let text = String::from_utf8(canonical::canonical_bytes(&body)).unwrap();
        Ok(text.replace(&AGENT.to_string(), "AGENT"))
    }

    /// A line with the least that a claim needs, and `more` fields.
    fn line(more: &str) -> String {
        format!(r#"{{"subject":"s","predicate":"p","object":{{"type":"Number","value":1e3}},"source":"x"{more}}}"#)
    }

    #[test]
    fn what_a_line_leaves_out_is_filled_in() {
        expect_test::expect![[r#"{"authors":["AGENT"],"confidence":0.5,"kind":"assertion","lifecycle":"proposed","object":{"type":"Number","value":1000},"predicate":"p","source_class":"community","subject":"s","timestamp":1,"v":1}"#]]
        .assert_eq(&canonical_of(&line("")).unwrap());
    }

    #[test]
    fn every_optional_field_is_taken_and_unknown_ones_go_to_meta() {
        let id = "0a".repeat(32);
        let more = format!(
            r#","v":1,"kind":"assertion","confidence":0.25,"source_class":"expert","lifecycle":"approved","source_hash":"{id}","parent_hash":"{id}","epoch":"{id}","visual_hash":"00112233aabbccdd","vector":[1,0.5],"valid_from":1,"valid_to":2,"meta":{{"a":"b"}},"evidence":"E-1","count": [1, 2],"nothing":null,"published":"1970-01-01T00:00:02Z""#
        );
        let canonical = canonical_of(&line(&more)).unwrap().replace(&id, "ID");
        expect_test::expect![[r#"{"authors":["AGENT"],"confidence":0.25,"epoch":"ID","kind":"assertion","lifecycle":"approved","meta":{"a":"b","count":"[1, 2]","evidence":"E-1","nothing":"null"},"object":{"type":"Number","value":1000},"parent_hash":"ID","predicate":"p","source_class":"expert","source_hash":"ID","subject":"s","timestamp":2000,"v":1,"valid_from":1,"valid_to":2,"vector":[1,0.5],"visual_hash":"00112233aabbccdd"}"#]]
        .assert_eq(&canonical);
    }

    #[test]
    fn a_stated_timestamp_beats_the_date_of_publication() {
        let timestamp_of = |more: &str| {
            let Claim::Unsigned(claim) = parse(line(more).as_bytes()).unwrap() else { unreachable!("no signatures") };
            claim.timestamp.map(Timestamp::ms)
        };
        assert_eq!(timestamp_of(r#","published":"1970-01-01T00:00:02Z","timestamp":5"#), Some(5));
        assert_eq!(timestamp_of(r#","published":"1970-01-01 02:00:02.5+02:00""#), Some(2500));
        assert_eq!(timestamp_of(r#","published":"""#), None);
    }

    #[test]
    fn a_line_with_signatures_is_an_envelope() {
        assert_eq!(canonical_of(r#"{"subject":"s","signatures":[]}"#), Ok("envelope".to_owned()));
    }

    #[test]
    fn each_kind_of_object_is_read() {
        for (object, expected) in [
            (r#"{"type":"Text","value":"é\n"}"#, r#"{"type":"Text","value":"é\n"}"#),
            (r#"{"type":"Boolean","value":false}"#, r#"{"type":"Boolean","value":false}"#),
            (r#"{"value":"geo://x","type":"Reference"}"#, r#"{"type":"Reference","value":"geo://x"}"#),
            (r#"{"type":"Number","value":-0}"#, r#"{"type":"Number","value":0}"#),
        ] {
            let line = format!(r#"{{"subject":"s","predicate":"p","object":{object},"source":"x"}}"#);
            let canonical = canonical_of(&line).unwrap();
            assert!(canonical.contains(expected), "{canonical}");
        }
    }

    #[test]
    fn a_refusal_names_the_field_and_what_would_be_accepted() {
        let claim = |object: &str| format!(r#"{{"subject":"s","predicate":"p","object":{object},"source":"x"}}"#);
        for (line, code, field) in [
            ("{".to_owned(), Code::MalformedJson, "body"),
            ("[]".to_owned(), Code::MalformedJson, "body"),
            ("{} {}".to_owned(), Code::MalformedJson, "body"),
            ("\u{feff}{}".to_owned(), Code::MalformedJson, "body"),
            (r#"{"predicate":"p"}"#.to_owned(), Code::MissingField, "source"),
            (r#"{"source":"x"}"#.to_owned(), Code::MissingField, "subject"),
            (line(r#","subject":"t""#), Code::DuplicateKey, "subject"),
            (line(r#","s\u0075bject":"t""#), Code::DuplicateKey, "subject"),
            (line(r#","authors":[]"#), Code::UnknownField, "authors"),
            (line(r#","confidence":null"#), Code::UnknownField, "confidence"),
            (line(r#","confidence":1.5"#), Code::OutOfRange, "confidence"),
            (line(r#","confidence":"1""#), Code::WrongType, "confidence"),
            (line(r#","source_class":"royal""#), Code::UnknownValue, "source_class"),
            (line(r#","epoch":"AA""#), Code::BadHex, "epoch"),
            (line(r#","published":"yesterday""#), Code::OutOfRange, "published"),
            (line(r#","timestamp":9007199254740992"#), Code::OutOfRange, "timestamp"),
            (line(r#","valid_from":2,"valid_to":2"#), Code::OutOfRange, "valid_to"),
            (line(r#","vector":[0.1]"#), Code::OutOfRange, "vector[0]"),
            (line(r#","meta":{"a":1}"#), Code::WrongType, "meta.a"),
            (line(r#","meta":{"a":"b"},"a":"c""#), Code::DuplicateKey, "meta"),
            (line(r#","kind":"vote""#), Code::UnknownValue, "kind"),
            (claim(r#"{"type":"Number","value":9007199254740993}"#), Code::OutOfRange, "object.value"),
            (claim(r#"{"type":"Number","value":"1"}"#), Code::WrongType, "object.value"),
            (claim(r#"{"type":"Text","value":1}"#), Code::WrongType, "object.value"),
            (claim(r#"{"type":"Reference","value":"\u0007"}"#), Code::ControlCharacter, "object.value"),
            (claim(r#"{"type":"List","value":1}"#), Code::UnknownValue, "object.type"),
            (claim(r#"{"type":"Text","value":"a","unit":"b"}"#), Code::UnknownField, "object.unit"),
            (claim("5"), Code::WrongType, "object"),
        ] {
            let refusal = canonical_of(&line).unwrap_err();
            assert_eq!((refusal.code, refusal.field.as_ref()), (code, field), "{line}");
        }
    }

    #[test]
    fn deep_nesting_is_refused_or_kept_as_text() {
        let deep = "[".repeat(400) + &"]".repeat(400);
        assert!(canonical_of(&line(&format!(r#","deep":{deep}"#))).is_ok());
        assert_eq!(canonical_of(&"[".repeat(100_000)).unwrap_err().code, Code::MalformedJson);
    }
}
